//! Numbers about the daemon itself, in Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The media type of [`render`]'s text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process lives; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// With its unit: `relais_log_commit_bytes_total`.
    pub name: String,
    /// One sentence.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Label and value; values come from closed lists.
    pub labels: Vec<(&'static str, String)>,
    /// The number. Whole ones stay exact up to 2^53.
    pub value: f64,
}

impl MetricRow {
    /// A counter without labels.
    pub fn counter(name: &str, help: &'static str, value: u64) -> MetricRow {
        MetricRow {
            name: name.into(),
            help,
            kind: MetricKind::Counter,
            labels: Vec::new(),
            value: float(value),
        }
    }

    /// The value of a row that counts whole things.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole and not negative"
    )]
    pub fn count(&self) -> u64 {
        self.value as u64
    }

    /// A gauge without labels.
    pub fn gauge(name: &str, help: &'static str, value: u64) -> MetricRow {
        MetricRow {
            name: name.into(),
            help,
            kind: MetricKind::Gauge,
            labels: Vec::new(),
            value: float(value),
        }
    }

    /// The same with another value: a fraction.
    #[must_use]
    pub fn with_value(mut self, value: f64) -> MetricRow {
        self.value = value;
        self
    }

    /// The same with a label.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> MetricRow {
        self.labels.push((name, value.into()));
        self
    }
}

/// What every process has: version, time since start, processor time, memory, files.
pub fn process(version: &str, uptime: Duration, cpu_time: Duration) -> Vec<MetricRow> {
    let cpu =
        MetricRow::counter("relais_process_cpu_seconds_total", "Processor time used, by user and kernel.", 0);
    vec![
        MetricRow::gauge("relais_build_info", "The version that runs; always 1.", 1)
            .label("version", version),
        MetricRow::gauge("relais_process_uptime_seconds", "Time since start.", 0)
            .with_value(uptime.as_secs_f64()),
        cpu.with_value(cpu_time.as_secs_f64()),
        MetricRow::gauge("relais_process_resident_bytes", "Memory in RAM.", resident_bytes()),
        MetricRow::gauge("relais_process_open_files", "Open file descriptors.", open_files()),
    ]
}

/// A whole number as Prometheus counts: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are f64; 2^53 is out of reach for these")]
pub fn float(value: u64) -> f64 {
    value as f64
}

/// The rows as Prometheus text, those of one name together.
pub fn render(rows: &[MetricRow]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&MetricRow>> = BTreeMap::new();
    for row in rows {
        by_name.entry(&row.name).or_default().push(row);
    }
    let mut text = String::new();
    for (name, rows) in by_name {
        let kind = match rows[0].kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", rows[0].help);
        for row in rows {
            let labels: Vec<String> =
                row.labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{name}{labels} {}", row.value);
        }
    }
    text
}

/// 0 where /proc is missing.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| u64::try_from(entries.count()).unwrap_or(u64::MAX))
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_name_stand_together_under_one_head() {
        let rows = [
            MetricRow::counter("b_total", "Bs.", 1).label("kind", "x\"y"),
            MetricRow::gauge("a_bytes", "Size of a.", 3_000_000_000),
            MetricRow::counter("b_total", "Bs.", 2).label("kind", "z"),
        ];
        assert_eq!(
            render(&rows),
            "# HELP a_bytes Size of a.\n# TYPE a_bytes gauge\na_bytes 3000000000\n\
             # HELP b_total Bs.\n# TYPE b_total counter\nb_total{kind=\"x\\\"y\"} 1\nb_total{kind=\"z\"} 2\n"
        );
    }

    #[test]
    fn a_process_tells_its_time_with_fractions() {
        let text = render(&process("1.2.3", Duration::from_millis(1_500), Duration::from_millis(250)));
        for line in [
            "relais_build_info{version=\"1.2.3\"} 1\n",
            "relais_process_uptime_seconds 1.5\n",
            "# TYPE relais_process_cpu_seconds_total counter\nrelais_process_cpu_seconds_total 0.25\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
