//! The vocabulary of a site: identities, series, samples, qualities, stamps, classes and clock records.
//!
//! Owns what these words *mean*. Leaves to others how they are written on a wire (`*-wire`) or on disk
//! (`hub-store`): nothing here serializes, does I/O, reads a clock or draws a random number. Start with
//! [`Sample`].

mod class;
mod clock;
mod device;
mod event;
mod id;
mod quality;
mod range;
mod range_set;
mod sample;
mod series;
mod stamp;
mod value;

pub use class::Class;
pub use clock::{BootClock, ClockQuality, ClockRecord, Resolved};
pub use device::{Device, DeviceName, DeviceNameError};
pub use event::{Event, EventRecord, Severity};
pub use id::{DeviceId, HubId, IdError, OrgId, SiteId, Ulid};
pub use quality::{Level, Quality, Reason};
pub use range::{Gap, GapCause, LogEpoch, SeqRange};
pub use range_set::RangeSet;
pub use sample::Sample;
pub use series::{MetricName, MetricNameError, Series, SeriesId, SeriesKey, Unit, UnitError};
pub use stamp::{BootId, BootStamp, Stamp, UtcMs, WallSource};
pub use value::{TEXT_BYTES_MAX, Value, ValueError, ValueType};
