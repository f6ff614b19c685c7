//! The table people read.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fs;
use std::path::Path;

/// Figures in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<[String; 5]>);

/// How to write a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Show {
    /// 1,234,567 points/s.
    PerSecond,
    /// 4,321 B.
    Bytes,
    /// 12.3 MB (millions of bytes).
    Megabytes,
    /// 12.3 kB (thousands of bytes).
    Kilobytes,
    /// 12.3 ms, of seconds given.
    Milliseconds,
    /// 1.23 s.
    Seconds,
}

impl Show {
    fn text(self, value: f64) -> String {
        match self {
            Show::PerSecond => format!("{}/s", thousands(value)),
            Show::Bytes => format!("{} B", thousands(value)),
            Show::Megabytes => format!("{:.1} MB", value / 1e6),
            Show::Kilobytes => format!("{:.1} kB", value / 1e3),
            Show::Milliseconds => format!("{:.1} ms", value * 1e3),
            Show::Seconds => format!("{value:.2} s"),
        }
    }
}

impl Table {
    /// Adds a figure; the ratio is ours to the reference's.
    pub(crate) fn add(&mut self, figure: &str, show: Show, ours: f64, reference: Option<f64>, budget: &str) {
        let ratio = reference.map_or_else(|| "-".to_owned(), |reference| format!("{:.2}", ours / reference));
        let reference = reference.map_or_else(|| "-".to_owned(), |reference| show.text(reference));
        eprintln!("measured: {figure}: {}", show.text(ours));
        self.0.push([figure.to_owned(), show.text(ours), reference, ratio, budget.to_owned()]);
    }

    /// Adds a figure that could not be measured, and why.
    pub(crate) fn skip(&mut self, figure: &str, why: &str, budget: &str) {
        eprintln!("skipped: {figure}: {why}");
        self.0.push([figure, why, "-", "-", budget].map(str::to_owned));
    }

    /// Prints the table and keeps a copy.
    pub(crate) fn show_and_save(&self, path: &Path) {
        let head = ["figure", "ours", "reference", "ratio", "budget"].map(str::to_owned);
        let rows: Vec<&[String; 5]> = std::iter::once(&head).chain(&self.0).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4].map(width);
        let mut text = String::new();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text += cells.join(" | ").trim_end();
            text.push('\n');
        }
        print!("{text}");
        fs::write(path, text).expect("the results can be kept");
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(Show::Milliseconds.text(0.0123), "12.3 ms");
    }
}
