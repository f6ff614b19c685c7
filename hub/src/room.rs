//! Room on the disk: how fast blocks fill it, and how long it lasts.

use std::collections::VecDeque;
use std::time::Duration;

/// What the quota must hold beside blocks: two write-ahead files of 8 MiB, the tables around the blocks, the broker's
/// sessions. Half of the smallest quota.
pub const QUOTA_RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// The log gives up the oldest blocks when they fill this part of what the quota leaves them.
const EVICTS_AT_PERCENT: u64 = 90;

/// From one sample to the next.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(300);

/// A day of them: what a site writes differs between day and night.
const SAMPLES_MAX: usize = 288;

/// A pace is not told from less.
const SPAN_MIN_MS: u64 = 300_000;

const DAY_MS: u64 = 86_400_000;

/// How many bytes of blocks were written when: the last 24 h.
#[derive(Clone, Debug)]
pub struct Written {
    /// Moment and bytes since start. Never empty.
    samples: VecDeque<(u64, u64)>,
}

impl Written {
    /// From now on; nothing is written yet.
    pub fn new(now_ms: u64) -> Written {
        Written { samples: VecDeque::from([(now_ms, 0)]) }
    }

    /// Takes a sample, every [`SAMPLE_EVERY`]; `bytes` were written since the start.
    pub fn note(&mut self, now_ms: u64, bytes: u64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ms, bytes));
    }

    /// Bytes in a day, at the pace of the last 24 h or of what is known of them. Blocks are written when they are full or
    /// `gather_ms` old, so less than that says nothing; `None` then.
    pub fn bytes_per_day(&self, now_ms: u64, bytes: u64, gather_ms: u64) -> Option<u64> {
        let (from_ms, from_bytes) = self.samples.front().copied()?;
        let span_ms = now_ms.saturating_sub(from_ms);
        if span_ms < SPAN_MIN_MS.max(gather_ms) {
            return None;
        }
        let written = u128::from(bytes.saturating_sub(from_bytes));
        u64::try_from(written * u128::from(DAY_MS) / u128::from(span_ms)).ok()
    }
}

/// Room left on a file system is shared with everything on the machine: told to 16 MiB, it does not change all the time.
pub const fn coarse_bytes(bytes: u64) -> u64 {
    bytes & !(16 * 1024 * 1024 - 1)
}

/// The first two digits of a number, the others as zeros: no pace is known better than that, and a number that changes
/// every second tells nobody anything.
pub fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

/// How long the room lasts until the oldest records are given up: what the quota leaves to blocks, and what the file
/// system has. `None` at a pace of 0.
pub fn left_s(
    quota_bytes: u64,
    held_bytes: u64,
    disk_free_bytes: Option<u64>,
    bytes_per_day: u64,
) -> Option<u64> {
    let quota_bytes = quota_bytes.saturating_sub(QUOTA_RESERVE_BYTES);
    let blocks_max = u128::from(quota_bytes) * u128::from(EVICTS_AT_PERCENT) / 100;
    let left = blocks_max
        .saturating_sub(u128::from(held_bytes))
        .min(u128::from(disk_free_bytes.unwrap_or(u64::MAX)));
    let seconds = (left * u128::from(DAY_MS / 1_000)).checked_div(u128::from(bytes_per_day))?;
    u64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_pace_needs_some_minutes_and_forgets_yesterday() {
        let mut written = Written::new(1_000);
        assert_eq!(written.bytes_per_day(300_999, 5_000, 0), None);
        assert_eq!(written.bytes_per_day(301_000, 5_000, 0), Some(5_000 * 288));
        assert_eq!(written.bytes_per_day(301_000, 5_000, 900_000), None, "no block can be expected yet");
        for n in 1..1_000_u64 {
            // A megabyte in each step at first, a kilobyte later.
            let bytes = if n <= 500 { n * MIB } else { 500 * MIB + (n - 500) * 1024 };
            written.note(1_000 + n * 300_000, bytes);
        }
        assert_eq!(written.samples.len(), SAMPLES_MAX);
        let per_day = written.bytes_per_day(1_000 + 999 * 300_000, 500 * MIB + 499 * 1024, 0);
        assert_eq!(per_day, Some(288 * 1024));
    }

    #[test]
    fn what_moves_all_the_time_is_told_coarsely() {
        let digits = [0, 9, 42, 987, 12_345, u64::MAX].map(two_digits);
        assert_eq!(digits, [0, 9, 42, 980, 12_000, 18_000_000_000_000_000_000]);
        assert_eq!([5 * MIB, 17 * MIB, 33 * MIB].map(coarse_bytes), [0, 16 * MIB, 32 * MIB]);
    }

    #[test]
    fn room_is_what_is_less() {
        let quota = 1_000 * MIB + QUOTA_RESERVE_BYTES;
        assert_eq!(left_s(quota, 0, None, 900 * MIB), Some(86_400));
        assert_eq!(left_s(quota, 450 * MIB, None, 900 * MIB), Some(43_200));
        assert_eq!(left_s(quota, 0, Some(90 * MIB), 900 * MIB), Some(8_640));
        assert_eq!(left_s(quota, 950 * MIB, None, 900 * MIB), Some(0));
        assert_eq!(left_s(0, 0, None, 1), Some(0));
        assert_eq!(left_s(quota, 0, None, 0), None, "nothing is written");
    }
}
