//! The last reading of each series, for lists and pages.

use hub_model::{BootStamp, Quality, Sample, Stamp, Value};

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
