//! Whether a device is heard as often as it should be: a core without I/O and clocks.
//!
//! [`Pace`] learns from arrivals how often a series speaks; [`Deadlines`] are what follows from that; [`Silence`] reckons
//! how long something was silent, also across a restart of the hub, in which nobody listened. What a state means for
//! people is said where it is shown.

mod pace;
mod silence;

pub use hub_ui::live::message::State;
pub use pace::{Arrival, Pace};
pub use silence::{Silence, Silent};

/// Late after this many intervals.
const LATE_INTERVALS: u64 = 3;

/// Silent after this many.
const SILENT_INTERVALS: u64 = 10;

/// Nobody looks more often than once a second, and a message takes its time: below this nothing is late.
const LATE_MIN_MS: u64 = 3_000;

/// A device that speaks every second may restart its radio.
const SILENT_MIN_MS: u64 = 30_000;

/// While it is not known how often something speaks.
const SILENT_UNKNOWN_MS: u64 = 300_000;

/// After how long without a word something is late and silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From one word to the next; `None` while that is not known.
    pub interval_ms: Option<u64>,
    /// `None`: it is never late, for it is not known when it should speak.
    pub late_after_ms: Option<u64>,
    /// Past this, it is silent.
    pub silent_after_ms: u64,
}

impl Deadlines {
    /// Of something that speaks this often, as far as known.
    pub fn of(interval_ms: Option<u64>) -> Deadlines {
        Deadlines {
            interval_ms,
            late_after_ms: interval_ms.map(late_after_ms),
            silent_after_ms: interval_ms
                .map_or(SILENT_UNKNOWN_MS, |ms| ms.saturating_mul(SILENT_INTERVALS).max(SILENT_MIN_MS)),
        }
    }

    /// How something is that has said nothing for this long.
    pub fn state(&self, silent_ms: u64) -> State {
        if silent_ms > self.silent_after_ms {
            State::Silent
        } else if self.late_after_ms.is_some_and(|late_after_ms| silent_ms > late_after_ms) {
            State::Late
        } else {
            State::Live
        }
    }
}

/// When something that speaks this often is late.
pub fn late_after_ms(interval_ms: u64) -> u64 {
    interval_ms.saturating_mul(LATE_INTERVALS).max(LATE_MIN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(interval_ms: Option<u64>, silent_ms: u64, expected: State) {
        assert_eq!(Deadlines::of(interval_ms).state(silent_ms), expected);
    }

    #[test]
    fn late_past_three_intervals_and_silent_past_ten() {
        check(Some(10_000), 30_000, State::Live);
        check(Some(10_000), 30_001, State::Late);
        check(Some(10_000), 100_000, State::Late);
        check(Some(10_000), 100_001, State::Silent);
    }

    #[test]
    fn quick_ones_have_some_seconds() {
        check(Some(100), 3_000, State::Live);
        check(Some(100), 3_001, State::Late);
        check(Some(1_000), 30_000, State::Late);
        check(Some(1_000), 30_001, State::Silent);
    }

    #[test]
    fn what_is_not_known_is_live_for_five_minutes() {
        check(None, 300_000, State::Live);
        check(None, 300_001, State::Silent);
    }

    #[test]
    fn the_longest_interval_is_no_overflow() {
        check(Some(u64::MAX), u64::MAX - 1, State::Live);
    }
}
