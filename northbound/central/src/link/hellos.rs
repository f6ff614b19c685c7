//! How often a hub is answered what is here: each Hello reads the database and writes to it. No clock in here: moments
//! come in.

/// Hellos at once: a hub that connects, finds new epochs and asks for further pages of holes.
const AT_ONCE: u64 = 10;

/// And one more each second: a page of 256 holes.
const EVERY_MS: u64 = 1_000;

/// The longest pause: well below what hubs wait for an answer.
const PAUSE_MS_MAX: u64 = 5_000;

/// The allowance of one hub, over all its connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hellos {
    /// When everything said so far is worked off at one per [`EVERY_MS`].
    free_ms: u64,
}

impl Hellos {
    /// A Hello is said; in how many milliseconds it may be answered.
    pub(super) fn take(&mut self, now_ms: u64) -> u64 {
        let free_ms = self.free_ms.max(now_ms) + EVERY_MS;
        let ahead = AT_ONCE * EVERY_MS;
        self.free_ms = free_ms.min(now_ms + ahead + PAUSE_MS_MAX);
        self.free_ms.saturating_sub(now_ms + ahead)
    }

    /// Whether all of the allowance is there.
    pub(super) fn is_whole(&self, now_ms: u64) -> bool {
        self.free_ms <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hellos_are_answered_at_once_and_then_one_a_second() {
        let mut hellos = Hellos::default();
        assert!((0..10).all(|_| hellos.take(50_000) == 0));
        assert_eq!(hellos.take(50_000), 1_000);
        assert_eq!(hellos.take(51_000), 1_000, "the pause was waited for");
        assert!(!hellos.is_whole(51_000));
        assert!((0..100).all(|_| hellos.take(51_000) <= PAUSE_MS_MAX), "no pause grows without end");
        assert!(hellos.is_whole(51_000 + 15_000));
        assert_eq!(hellos.take(70_000), 0);
    }
}
