//! Wear: how much the hub writes to flash, in a day and for each reading. A core without clocks or files.
//!
//! Flash wears with every byte written, and most of what a log writes is not readings: whole pages for small commits,
//! and whatever the tables write twice. So what is told is measured, over the last 24 h or since the start, and says over
//! how long; in the first minutes nothing is told, because blocks are written every `storage.seal_after` only.

use std::collections::VecDeque;

use crate::room::SAMPLE_EVERY;

/// A day of samples.
const SAMPLES_MAX: usize = 288;

/// A pace is not told from less.
const SPAN_MIN_MS: u64 = SAMPLE_EVERY.as_secs() * 1_000;

const DAY_MS: u64 = 86_400_000;

/// What was written since some moment before the first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Bytes the hub handed to its files.
    pub bytes: u64,
    /// Readings it stored.
    pub readings: u64,
    /// Bytes everything on this machine wrote to the disk below; `None` where that is not known.
    pub machine_bytes: Option<u64>,
}

/// How fast the flash wears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Over how long this was measured: at most a day and five minutes.
    pub span_ms: u64,
    /// Bytes the hub writes in a day.
    pub bytes_per_day: u64,
    /// Bytes the hub writes for each reading, in tenths; `None` where there were no readings.
    pub tenths_per_reading: Option<u64>,
    /// Bytes all programs write in a day to the disk.
    pub machine_bytes_per_day: Option<u64>,
}

/// The last 24 h.
#[derive(Clone, Debug)]
pub struct Wear {
    /// Moment and marks, oldest first. Never empty.
    samples: VecDeque<(u64, Mark)>,
}

impl Wear {
    /// From now on.
    pub fn new(now_ms: u64, mark: Mark) -> Wear {
        Wear { samples: VecDeque::from([(now_ms, mark)]) }
    }

    /// Takes a sample, every [`SAMPLE_EVERY`].
    pub fn note(&mut self, now_ms: u64, mark: Mark) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ms, mark));
    }

    /// The pace of the last 24 h, or of what is known of them. `None` before `gather_ms`, for blocks are written when they
    /// are that old, and before five minutes.
    pub fn pace(&self, now_ms: u64, mark: Mark, gather_ms: u64) -> Option<Pace> {
        let (from_ms, from) = self.samples.front().copied()?;
        let span_ms = now_ms.saturating_sub(from_ms);
        if span_ms < wait_ms(gather_ms) {
            return None;
        }
        let bytes = mark.bytes.saturating_sub(from.bytes);
        let readings = mark.readings.saturating_sub(from.readings);
        let machine = mark.machine_bytes.zip(from.machine_bytes);
        Some(Pace {
            span_ms,
            bytes_per_day: scaled(bytes, DAY_MS, span_ms)?,
            tenths_per_reading: scaled(bytes, 10, readings),
            // A disk that was replaced below counts anew.
            machine_bytes_per_day: machine
                .and_then(|(now, then)| now.checked_sub(then))
                .and_then(|bytes| scaled(bytes, DAY_MS, span_ms)),
        })
    }
}

/// How long after the start a pace is told.
pub const fn wait_ms(gather_ms: u64) -> u64 {
    if gather_ms > SPAN_MIN_MS { gather_ms } else { SPAN_MIN_MS }
}

/// `amount * by / of`; `None` where `of` is 0.
fn scaled(amount: u64, by: u64, of: u64) -> Option<u64> {
    let scaled = (u128::from(amount) * u128::from(by)).checked_div(u128::from(of))?;
    u64::try_from(scaled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn mark(bytes: u64, readings: u64) -> Mark {
        Mark { bytes, readings, machine_bytes: Some(bytes * 3) }
    }

    #[test]
    fn nothing_is_told_before_a_block_can_have_been_written() {
        let wear = Wear::new(1_000, mark(16_000_000, 0));
        let now = mark(16_500_000, 100);
        assert_eq!(wear.pace(1_000 + 5 * MINUTE - 1, now, 0), None);
        assert_eq!(wear.pace(1_000 + 14 * MINUTE, now, 15 * MINUTE), None);
        let pace = wear.pace(1_000 + 15 * MINUTE, now, 15 * MINUTE);
        let expected = Pace {
            span_ms: 15 * MINUTE,
            bytes_per_day: 500_000 * 96,
            tenths_per_reading: Some(50_000),
            machine_bytes_per_day: Some(1_500_000 * 96),
        };
        assert_eq!(pace, Some(expected), "what was written before the first sample does not count");
    }

    #[test]
    fn yesterday_is_forgotten_and_the_span_stays_a_day() {
        let mut wear = Wear::new(0, mark(0, 0));
        let (mut bytes, mut readings) = (0, 0);
        for n in 1..=1_000_u64 {
            // Two megabytes in each step at first, a kilobyte later.
            bytes += if n <= 500 { 2_000_000 } else { 1_000 };
            readings += 50;
            wear.note(n * 5 * MINUTE, mark(bytes, readings));
        }
        assert_eq!(wear.samples.len(), SAMPLES_MAX);
        let pace = wear.pace(1_001 * 5 * MINUTE, mark(bytes + 1_000, readings + 50), 0).unwrap();
        assert_eq!((pace.span_ms, pace.bytes_per_day), (DAY_MS, 288_000));
        assert_eq!(pace.tenths_per_reading, Some(200));
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let from = Mark { bytes: 10, readings: 5, machine_bytes: None };
        let wear = Wear::new(0, from);
        let pace = wear.pace(DAY_MS, Mark { bytes: 30, machine_bytes: Some(1), ..from }, 0).unwrap();
        assert_eq!((pace.bytes_per_day, pace.tenths_per_reading), (20, None), "no reading came");
        assert_eq!(pace.machine_bytes_per_day, None);
        let wear = Wear::new(0, mark(100, 0));
        let pace = wear.pace(DAY_MS, mark(50, 0), 0).unwrap();
        assert_eq!((pace.bytes_per_day, pace.machine_bytes_per_day), (0, None), "another disk");
    }
}
