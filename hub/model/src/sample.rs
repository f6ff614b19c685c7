//! The unit everything carries: one reading of one series.

use crate::{BootStamp, Quality, SeriesId, Stamp, Value};

/// One reading.
///
/// A failed reading is a sample too: bad quality and no value, never a made-up 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which series, by its id in this log epoch.
    pub series: SeriesId,
    /// When it was taken.
    pub stamp: Stamp,
    /// When the hub had it. Stored only beside a [`Stamp::Wall`]; equal to the stamp otherwise.
    pub received: BootStamp,
    /// What was read; `None` exactly when the quality is bad.
    pub value: Option<Value>,
    /// How far to trust it.
    pub quality: Quality,
}

impl Sample {
    /// A good reading the hub observed itself.
    pub const fn observed(series: SeriesId, at: BootStamp, value: Value) -> Sample {
        Sample { series, stamp: Stamp::Boot(at), received: at, value: Some(value), quality: Quality::GOOD }
    }

    /// A reading that failed at `at`. `quality` must be bad.
    pub fn failed(series: SeriesId, at: BootStamp, quality: Quality) -> Sample {
        assert!(quality.is_bad(), "a reading without a value has a bad quality");
        Sample { series, stamp: Stamp::Boot(at), received: at, value: None, quality }
    }
}
