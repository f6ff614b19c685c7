//! The columns of a series, and rows of them.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A series and its readings: one entry per reading in each column.
#[derive(Debug, Deserialize)]
pub(super) struct Columns {
    #[serde(rename = "type")]
    pub(super) value_type: String,
    pub(super) unit: String,
    /// The life of the hub's log that the numbers belong to.
    pub(super) epoch: String,
    time: Vec<Option<String>>,
    received_time: Vec<Option<String>>,
    pub(super) seq: Vec<u64>,
    /// As they were written: numbers keep every digit.
    pub(super) value: Vec<Option<Box<RawValue>>>,
    quality: Vec<String>,
    clock: Vec<String>,
}

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) time: Option<&'a str>,
    pub(super) received_time: Option<&'a str>,
    pub(super) seq: u64,
    /// A text of JSON.
    pub(super) value: Option<&'a str>,
    pub(super) quality: &'a str,
    pub(super) clock: &'a str,
}

impl Columns {
    /// Whether all columns are of one length.
    pub(super) fn is_even(&self) -> bool {
        let lengths = [
            self.time.len(),
            self.received_time.len(),
            self.value.len(),
            self.quality.len(),
            self.clock.len(),
        ];
        lengths.iter().all(|length| *length == self.seq.len())
    }

    /// The readings.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.seq.len()).map(|at| Row {
            time: self.time[at].as_deref(),
            received_time: self.received_time[at].as_deref(),
            seq: self.seq[at],
            value: self.value[at].as_deref().map(RawValue::get),
            quality: &self.quality[at],
            clock: &self.clock[at],
        })
    }
}
