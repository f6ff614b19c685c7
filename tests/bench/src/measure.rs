//! What a piece of work takes: time, processor, bytes written.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use site_tests::Stopwatch;

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// On the wall.
    pub(crate) wall: Duration,
    /// Of all threads of this process.
    pub(crate) cpu: Duration,
    /// Bytes this process caused to be written to the device, as the kernel counts them in `/proc/self/io`.
    pub(crate) written: u64,
}

impl Usage {
    /// Runs the work and measures it.
    pub(crate) fn of(work: impl FnOnce()) -> Usage {
        let (cpu, written, watch) = (process_cpu(), device_writes(), Stopwatch::start());
        work();
        Usage { wall: watch.elapsed(), cpu: process_cpu() - cpu, written: device_writes() - written }
    }
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("the processor time is not negative")
}

fn device_writes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("Linux has /proc/self/io");
    field(&io, "write_bytes:")
}

/// The number after a word at the start of a line.
pub(crate) fn field(text: &str, word: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {word} in {text}"))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
