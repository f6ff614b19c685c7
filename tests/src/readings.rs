//! Readings of one metric, as `/api/v1/series` of a hub and `/v1/series` of central give them: in columns.

use serde_json::Value;

/// All pages of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// In the order of their numbers.
    pub rows: Vec<ReadingRow>,
    /// What is missing, as the last page said.
    pub gaps: Vec<Value>,
    /// Blocks that went bad.
    pub damaged: usize,
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadingRow {
    /// Its number.
    pub seq: u64,
    /// Its value; `null` for a failed reading.
    pub value: Value,
    /// When it was taken.
    pub time: Value,
    /// How far to trust it.
    pub quality: Value,
}

impl ReadingRow {
    /// The bits of a number.
    #[track_caller]
    pub fn bits(&self) -> u64 {
        self.value.as_f64().unwrap_or_else(|| panic!("not a number: {self:?}")).to_bits()
    }
}

impl Readings {
    /// Takes pages apart.
    ///
    /// # Panics
    /// When a column is shorter than the others.
    #[track_caller]
    pub(crate) fn of_pages(pages: &[Value]) -> Readings {
        let mut readings = Readings::default();
        for page in pages {
            for series in page["series"].as_array().unwrap_or_else(|| panic!("no series in {page}")) {
                readings.rows.extend(rows(series));
            }
            readings.gaps = page["gaps"].as_array().cloned().unwrap_or_default();
            readings.damaged += page["damaged"].as_array().map_or(0, Vec::len);
        }
        readings
    }
}

#[track_caller]
fn rows(series: &Value) -> Vec<ReadingRow> {
    let column = |name: &str| series[name].as_array().unwrap_or_else(|| panic!("no {name} in {series}"));
    let (seqs, values) = (column("seq"), column("value"));
    let (times, qualities) = (column("time"), column("quality"));
    let lengths = [values.len(), times.len(), qualities.len()];
    assert!(lengths.iter().all(|length| *length == seqs.len()), "columns differ in length: {lengths:?}");
    let row = |at: usize| ReadingRow {
        seq: seqs[at].as_u64().unwrap_or_else(|| panic!("not a number: {}", seqs[at])),
        value: values[at].clone(),
        time: times[at].clone(),
        quality: qualities[at].clone(),
    };
    (0..seqs.len()).map(row).collect()
}
