//! The last reading of each series, for lists and pages, and how often there are readings.

use hub_model::{BootStamp, Quality, Sample, Stamp, Value};

use crate::liveness::{Arrival, Pace};

/// Longer texts and byte values are not kept here: 100,000 series times 4 KiB would be the hub's whole memory.
/// Whoever wants them reads the log.
pub const LAST_TEXT_BYTES_MAX: usize = 256;

/// What a series said last, as far as it was heard since the hub started or shortly before.
#[derive(Clone, Debug, PartialEq)]
pub struct LastValue {
    /// When it was taken.
    pub stamp: Stamp,
    /// When the hub had it.
    pub received: BootStamp,
    /// `None` when the reading failed, and when the value is too long to be kept.
    pub value: Option<Value>,
    /// How far to trust it.
    pub quality: Quality,
    /// There is a value, longer than [`LAST_TEXT_BYTES_MAX`].
    pub value_omitted: bool,
}

/// What is known of a series that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// What it said last.
    pub last: LastValue,
    /// How often it speaks.
    pub pace: Pace,
    /// How many readings in a row were bad; it counts no further than 255.
    pub bad: u8,
}

impl Heard {
    /// The first reading.
    pub fn first(last: LastValue) -> Heard {
        let bad = u8::from(last.quality.is_bad());
        Heard { last, pace: Pace::default(), bad }
    }

    /// One more reading.
    pub fn take(&mut self, last: LastValue) {
        self.pace.heard(&self.last.arrival(), &last.arrival());
        self.bad = if last.quality.is_bad() { self.bad.saturating_add(1) } else { 0 };
        self.last = last;
    }
}

impl LastValue {
    fn arrival(&self) -> Arrival {
        Arrival::new(self.received, self.stamp)
    }
}

impl From<&Sample> for LastValue {
    fn from(sample: &Sample) -> LastValue {
        let long = match &sample.value {
            Some(Value::String(text)) => text.len() > LAST_TEXT_BYTES_MAX,
            Some(Value::Bytes(bytes)) => bytes.len() > LAST_TEXT_BYTES_MAX,
            Some(
                Value::F64(_)
                | Value::F32(_)
                | Value::I64(_)
                | Value::U64(_)
                | Value::Bool(_)
                | Value::Enum(_),
            )
            | None => false,
        };
        LastValue {
            stamp: sample.stamp,
            received: sample.received,
            value: if long { None } else { sample.value.clone() },
            quality: sample.quality,
            value_omitted: long,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{BootId, Reason, SeriesId};

    fn reading(mono_ms: u64, value: Option<f64>) -> LastValue {
        let at = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms };
        let quality = if value.is_some() { Quality::GOOD } else { Quality::bad(Reason::NotReported) };
        let sample = Sample {
            series: SeriesId(1),
            stamp: Stamp::Boot(at),
            received: at,
            value: value.map(Value::F64),
            quality,
        };
        (&sample).into()
    }

    #[test]
    fn the_pace_and_what_is_bad_in_a_row_are_kept() {
        let mut heard = Heard::first(reading(0, None));
        assert_eq!((heard.pace.interval_ms(), heard.bad), (None, 1));
        heard.take(reading(500, None));
        heard.take(reading(1_000, None));
        assert_eq!((heard.pace.interval_ms(), heard.bad), (Some(500), 3));
        heard.take(reading(1_500, Some(1.0)));
        assert_eq!((heard.last.value.clone(), heard.bad), (Some(Value::F64(1.0)), 0));
    }
}
