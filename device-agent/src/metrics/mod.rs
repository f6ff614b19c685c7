//! What the agent measures: parsers from text to facts, rates, and the collector that names them.
//!
//! Nothing here reads a file: [`crate::host`] does. A source that is absent or cannot be read as expected is left out;
//! no value is ever made up.

mod collector;
mod procfs;
mod rates;
mod set;
mod sysfs;

pub use collector::{
    Collector, DISKS_MAX, DiskFacts, Facts, FilesystemFacts, INTERFACES_MAX, MOUNTS_MAX, Own, ZONES_MAX,
    ZoneFacts,
};
pub use procfs::{
    CpuTimes, DiskWrites, Interface, Memory, Mount, cpu_times, disk_writes, interfaces, load_1m, memory,
    mounts, rss_bytes, uptime_s,
};
pub use rates::{CounterRate, CpuRate};
pub use set::{METRICS_MAX, MetricSet, Number, suffix};
pub use sysfs::{kibibytes, life_time, pre_eol, temperature_c};
