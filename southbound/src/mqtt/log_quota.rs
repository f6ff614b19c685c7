//! Log lines that clients cause: how many, and with what in them.
//!
//! Whoever may connect may cause lines as often as it likes, and chooses the names in them. So lines are counted out
//! by [`LogQuota`], and a client's text gets into them through [`Shown`] only.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a quota is for; also how often held-back lines are summed up.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Lines about refusals in one window: enough to see a site's handful of misconfigured devices, too few to fill a disk.
const REFUSALS_MAX: u32 = 10;
/// Lines about failed accepts in one window: they all say the same.
const ACCEPT_ERRORS_MAX: u32 = 1;

/// The quotas of one listener.
#[derive(Debug)]
pub(crate) struct ListenerLog {
    /// What its clients are refused.
    pub(crate) refusals: LogQuota,
    /// Connections it could not accept.
    pub(crate) accept_errors: LogQuota,
}

impl ListenerLog {
    pub(crate) fn new() -> ListenerLog {
        ListenerLog { refusals: LogQuota::new(REFUSALS_MAX), accept_errors: LogQuota::new(ACCEPT_ERRORS_MAX) }
    }

    /// Tells how many lines were held back since the last call. To be called once in each window.
    pub(crate) fn sum_up(&self) {
        let count = self.refusals.take_held_back();
        if count > 0 {
            tracing::warn!(
                count,
                "further clients or messages were refused; /metrics counts all of them by reason"
            );
        }
        let count = self.accept_errors.take_held_back();
        if count > 0 {
            tracing::warn!(count, "further connections could not be accepted");
        }
    }
}

/// So many lines in each [`WINDOW`]; the others are counted.
#[derive(Debug)]
pub(crate) struct LogQuota {
    lines_max: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the window began.
    since: Option<Instant>,
    lines: u32,
    held_back: u64,
}

impl LogQuota {
    pub(crate) fn new(lines_max: u32) -> LogQuota {
        LogQuota { lines_max, state: Mutex::default() }
    }

    /// Whether a line may be written now. If not, it is counted as held back.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            (state.since, state.lines) = (Some(now), 0);
        }
        let admitted = state.lines < self.lines_max;
        if admitted {
            state.lines += 1;
        } else {
            state.held_back += 1;
        }
        admitted
    }

    fn take_held_back(&self) -> u64 {
        std::mem::take(&mut self.state().held_back)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's text in quotes, with everything escaped that is not printable, and cut to [`SHOWN_CHARS_MAX`].
///
/// Its own escaping, so that no formatter of log lines has to be trusted with it.
pub(crate) struct Shown<'t>(pub(crate) &'t str);

/// Enough to tell devices apart; a topic of the native contract with usual names fits.
const SHOWN_CHARS_MAX: usize = 128;

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARS_MAX) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}... ({} bytes)", &self.0[..end], self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::testing::TestClock;
    use crate::tasks::Clock;

    #[test]
    fn a_quota_begins_anew_with_each_window() {
        let (quota, now) = (LogQuota::new(2), TestClock::default().instant());
        let admitted = |at| (0..5).filter(|_| quota.admits(at)).count();
        assert_eq!(admitted(now), 2);
        assert_eq!(admitted(now + WINDOW / 2), 0);
        assert_eq!(quota.take_held_back(), 8);
        assert_eq!(admitted(now + WINDOW), 2);
        assert_eq!(quota.take_held_back(), 3);
        assert_eq!(quota.take_held_back(), 0);
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        let check = |text: &str, expected: &str| assert_eq!(format!("{:?}", Shown(text)), expected);
        check("pump é温", "\"pump é温\"");
        check("a\nWARN b\r\t\u{1b}[2J", "\"a\\nWARN b\\r\\t\\u{1b}[2J\"");
        check("x\" reason=\"y", "\"x\\\" reason=\\\"y\"");
        check("\u{85}\u{2028}\u{202e}\u{7f}", "\"\\u{85}\\u{2028}\\u{202e}\\u{7f}\"");
        check(&"é".repeat(200), &format!("\"{}\"... (400 bytes)", "é".repeat(128)));
    }
}
