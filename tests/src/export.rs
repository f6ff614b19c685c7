//! Exported readings, taken apart without losing a bit.

use serde_json::Value;

/// One reading as a line of `data export --format ndjson`.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The device's name.
    pub device: String,
    /// The metric's name.
    pub metric: String,
    /// Its sequence number.
    pub seq: u64,
    /// The value; `null` for a failed reading.
    pub value: Value,
    /// The whole line.
    pub line: Value,
}

impl Reading {
    /// The bits of a number.
    #[track_caller]
    pub fn bits(&self) -> u64 {
        self.value.as_f64().unwrap_or_else(|| panic!("not a number: {}", self.line)).to_bits()
    }
}

/// Reads an export.
///
/// # Panics
/// On a line that is not a reading.
#[track_caller]
pub fn parse_export(text: &str) -> Vec<Reading> {
    text.lines().filter(|line| !line.is_empty()).map(parse_line).collect()
}

#[track_caller]
fn parse_line(line: &str) -> Reading {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
    let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
    Reading {
        device: text("device"),
        metric: text("metric"),
        seq: json["seq"].as_u64().unwrap_or_else(|| panic!("no seq in {line}")),
        value: json["value"].clone(),
        line: json,
    }
}
