//! Time: the only place of this program that reads clocks.
//!
//! [`Clock`] reads them; [`ClockWatcher`] decides, from what was read, when the log needs a new clock record. The
//! rest of the hub is handed stamps.

mod reading;
mod watcher;

pub use reading::Clock;
pub use watcher::{ClockWatcher, Observation};

use hub_model::UtcMs;

/// Earlier than this no hub of this version can be: a clock that says so was never set. 2026-11-01T00:00:00Z.
pub const EARLIEST_PLAUSIBLE: UtcMs = UtcMs(1_793_491_200_000);
