//! Whether central goes on confirming. A link may count as up for a minute after it was cut; this is told sooner.

use std::sync::{Mutex, PoisonError};

/// Blocks are confirmed within a second or two over any link that works at all.
const PATIENCE_MS: u64 = 15_000;

/// What was confirmed when it last changed, as far as somebody looked.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    confirmed: u64,
    /// Of the monotonic clock.
    since_ms: u64,
}

impl Progress {
    /// Takes a look; true when something is to be sent and nothing was confirmed for 15 s. Nobody looked before: false.
    pub(super) fn is_stalled(&self, confirmed: u64, to_send: u64, now_ms: u64) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some(last) if last.confirmed == confirmed && to_send > 0 => {
                now_ms.saturating_sub(last.since_ms) > PATIENCE_MS
            }
            Some(_) | None => {
                *seen = Some(Seen { confirmed, since_ms: now_ms });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_without_an_answer_is_a_stall() {
        let progress = Progress::default();
        assert!(!progress.is_stalled(10, 5, 1_000), "the first look");
        assert!(!progress.is_stalled(10, 5, 16_000));
        assert!(progress.is_stalled(10, 7, 16_001));
        assert!(!progress.is_stalled(12, 5, 17_000), "something was confirmed");
        assert!(!progress.is_stalled(12, 0, 90_000), "nothing is to be sent");
        assert!(!progress.is_stalled(12, 3, 91_000), "it waits since a second");
        assert!(progress.is_stalled(12, 3, 105_001));
    }
}
