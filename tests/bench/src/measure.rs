//! What a piece of work takes: time, processor, bytes written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{major, minor, sync};
use rustix::time::{ClockId, clock_gettime};
use site_tests::Stopwatch;

use crate::intake::as_f64;

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// On the wall.
    pub(crate) wall: Duration,
    /// Of all threads of this process.
    pub(crate) cpu: Duration,
    /// Bytes written to the disk, its journal included: everybody's, so the machine should do nothing else. `None`
    /// where the folder's file system is not on a disk of its own.
    pub(crate) written: Option<u64>,
}

impl Usage {
    /// Runs the work and measures it; `folder` is where it writes.
    pub(crate) fn of(folder: &Path, work: impl FnOnce()) -> Usage {
        sync();
        let (cpu, written, watch) = (process_cpu(), device_writes(folder), Stopwatch::start());
        work();
        let (wall, cpu) = (watch.elapsed(), process_cpu() - cpu);
        // What the work left in the page cache is written because of it, too.
        sync();
        let written = device_writes(folder).zip(written).map(|(after, before)| after - before);
        Usage { wall, cpu, written }
    }
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("the processor time is not negative")
}

/// The disk's own count. `/proc/self/io` would not do: it charges a whole folio, at times megabytes, for each page.
fn device_writes(folder: &Path) -> Option<u64> {
    let device = fs::metadata(folder).ok()?.dev();
    let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
    let sectors: u64 = fs::read_to_string(stat).ok()?.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * 512)
}

/// What a process occupies, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Of pages it shares, its share.
    pub(crate) pss: f64,
    /// All pages in RAM.
    pub(crate) rss: f64,
}

/// What a process occupies now.
pub(crate) fn memory(id: u32) -> Memory {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).expect("the kernel has smaps_rollup");
    let bytes = |word: &str| as_f64(field(&rollup, word) * 1024);
    Memory { pss: bytes("Pss:"), rss: bytes("Rss:") }
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

/// The lowest one: for counts that others on the machine can only add to.
pub(crate) fn lowest(values: Vec<f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}
