//! When to try the addresses before the one in use.
//!
//! Addresses are in the order of preference. While a later one is in use, a second connection to the ones before is
//! tried now and then; the one in use goes on until the other stands. A preferred central that takes connections and
//! then does not sync would make the hub go back and forth, so a move that did not last makes the next wait longer.

/// Decides when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailBack {
    every_ms: u64,
    max_ms: u64,
    wait_ms: u64,
    due_ms: Option<u64>,
}

impl FailBack {
    /// Every `every_ms` at first, less often up to `max_ms` while it is no use.
    pub(crate) const fn new(every_ms: u64, max_ms: u64) -> FailBack {
        FailBack { every_ms, max_ms, wait_ms: every_ms, due_ms: None }
    }

    /// Central has answered on the address at this place in the list.
    pub(crate) const fn handle_synced(&mut self, place: usize, now_ms: u64) {
        if place == 0 {
            self.wait_ms = self.every_ms;
            self.due_ms = None;
        } else {
            self.due_ms = Some(now_ms + self.wait_ms);
        }
    }

    /// An address before did not take the connection: it is still away.
    pub(crate) const fn handle_unreachable(&mut self, now_ms: u64) {
        self.due_ms = Some(now_ms + self.wait_ms);
    }

    /// The connection was moved to an address before, and central there did not sync.
    pub(crate) fn handle_moved_in_vain(&mut self) {
        self.wait_ms = (self.wait_ms * 2).min(self.max_ms);
    }

    /// Whether to try now. Told once; an answer has to follow.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> bool {
        let is_due = self.due_ms.is_some_and(|due| due <= now_ms);
        if is_due {
            self.due_ms = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn addresses_before_are_tried_every_five_minutes() {
        let mut fail_back = FailBack::new(5 * MINUTE, 60 * MINUTE);
        fail_back.handle_synced(1, 0);
        assert!(!fail_back.take_due(5 * MINUTE - 1));
        assert!(fail_back.take_due(5 * MINUTE));
        assert!(!fail_back.take_due(5 * MINUTE), "told once");
        fail_back.handle_unreachable(6 * MINUTE);
        assert!(!fail_back.take_due(10 * MINUTE) && fail_back.take_due(11 * MINUTE));
        fail_back.handle_synced(0, 12 * MINUTE);
        assert!(!fail_back.take_due(1_000 * MINUTE), "the first is in use");
    }

    #[test]
    fn moves_that_do_not_last_become_rare() {
        let mut fail_back = FailBack::new(5 * MINUTE, 60 * MINUTE);
        for wait in [10, 20, 40, 60, 60] {
            fail_back.handle_moved_in_vain();
            fail_back.handle_synced(1, 0);
            assert!(!fail_back.take_due(wait * MINUTE - 1) && fail_back.take_due(wait * MINUTE), "{wait}");
        }
        fail_back.handle_synced(0, 0);
        fail_back.handle_synced(1, 0);
        assert!(fail_back.take_due(5 * MINUTE), "a move that lasted forgets");
    }
}
