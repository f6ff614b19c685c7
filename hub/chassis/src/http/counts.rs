//! Answers, counted by class of status.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

use crate::metrics::{MetricRow, float};

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How many answers of each class there were.
#[derive(Debug, Default)]
pub struct AnswerCounts {
    by_class: [AtomicU64; CLASSES.len()],
}

impl AnswerCounts {
    /// Counts one.
    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
    }

    /// A row like `row` for each class, with the label `status`.
    pub fn rows(&self, row: &MetricRow) -> Vec<MetricRow> {
        let counted = |(class, count): (&&'static str, &AtomicU64)| {
            let value = float(count.load(Ordering::Relaxed));
            row.clone().with_value(value).label("status", *class)
        };
        CLASSES.iter().zip(&self.by_class).map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render;

    #[test]
    fn classes_are_counted_apart() {
        let counts = AnswerCounts::default();
        for status in [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
            counts.answered(status);
        }
        let text = render(&counts.rows(&MetricRow::counter("x_total", "X.", 0).label("surface", "web")));
        for line in
            ["x_total{surface=\"web\",status=\"2xx\"} 2\n", "status=\"4xx\"} 1\n", "status=\"5xx\"} 0\n"]
        {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
