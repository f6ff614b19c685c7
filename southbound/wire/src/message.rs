//! What a device says, once its payload is understood.

use hub_model::{MetricName, Severity, UtcMs, Value};

use crate::ReadingError;

/// One PUBLISH on an ingest topic.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceMessage {
    /// Readings, in the order of the payload; at least one.
    Telemetry(Vec<Reading>),
    /// Something happened.
    Event(DeviceEvent),
}

/// One metric's reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which metric.
    pub metric: MetricName,
    /// `None` for JSON null: the device says it has no reading.
    pub value: Option<Value>,
    /// The time the device states; `None` for "now".
    pub ts: Option<UtcMs>,
}

/// An event as the device states it. Bounds are those of [`hub_model::Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEvent {
    /// At most 64 bytes; empty when the device gave none.
    pub id: Box<str>,
    /// How much it asks for a human.
    pub severity: Severity,
    /// 1 to 64 bytes.
    pub code: Box<str>,
    /// At most 4096 bytes.
    pub text: Box<str>,
    /// The time the device states; `None` for "now".
    pub ts: Option<UtcMs>,
    /// At most 32 pairs, in the order of the payload: names of 1 to 64 bytes, values of at most 256.
    pub params: Vec<(Box<str>, Box<str>)>,
}

/// A message and what had to be left out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What was understood.
    pub message: DeviceMessage,
    /// The readings that were refused, to be counted and named; the rest of the message stands.
    pub refused: Vec<RefusedReading>,
}

/// A reading that was left out of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedReading {
    /// The metric's name as sent, cut to 64 bytes at a character boundary.
    pub metric: Box<str>,
    /// Why.
    pub error: ReadingError,
}

impl RefusedReading {
    const METRIC_BYTES_MAX: usize = 64;

    pub(crate) fn new(metric: &str, error: ReadingError) -> RefusedReading {
        let fits = |end: &usize| *end <= Self::METRIC_BYTES_MAX;
        let end = metric.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(fits).last();
        RefusedReading { metric: metric[..end.unwrap_or(0)].into(), error }
    }
}
