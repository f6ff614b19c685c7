//! When a commit starts: a core without clock or I/O, told the time in milliseconds of any monotonic clock.

use crate::append::Urgency;

/// A publisher's acknowledgement waits this long for company after the last arrival.
pub(crate) const QUIET_MS: u64 = 2;
/// And never longer than this after the first.
pub(crate) const PUBLISHER_MAX_MS: u64 = 50;
/// What nobody waits for is on flash after this at the latest.
pub(crate) const LAZY_MAX_MS: u64 = 1000;
/// At this many pending bytes a commit starts whatever waits.
pub(crate) const PENDING_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    /// When what does not depend on further arrivals is due.
    fixed_ms: Option<u64>,
    /// First and last arrival of a publisher that waits.
    publishers_ms: Option<(u64, u64)>,
}

impl GroupCommit {
    /// Something was added to the pending commit, which now holds `pending` bytes.
    pub(crate) fn handle_arrival(&mut self, urgency: Urgency, pending: usize, now_ms: u64) {
        if urgency == Urgency::Now || pending >= PENDING_BYTES {
            self.due_at(now_ms);
        }
        match urgency {
            Urgency::Now => {}
            Urgency::Publisher => {
                let first = self.publishers_ms.map_or(now_ms, |(first, _)| first);
                self.publishers_ms = Some((first, now_ms));
            }
            Urgency::Lazy => self.due_at(now_ms + LAZY_MAX_MS),
        }
    }

    /// When to commit; `None` while nothing is pending.
    pub(crate) fn poll_timeout(&self) -> Option<u64> {
        let publishers =
            self.publishers_ms.map(|(first, last)| (last + QUIET_MS).min(first + PUBLISHER_MAX_MS));
        [self.fixed_ms, publishers].into_iter().flatten().min()
    }

    /// The commit was started.
    pub(crate) const fn reset(&mut self) {
        self.fixed_ms = None;
        self.publishers_ms = None;
    }

    fn due_at(&mut self, at_ms: u64) {
        self.fixed_ms = Some(self.fixed_ms.map_or(at_ms, |before| before.min(at_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_publisher_waits_two_milliseconds_and_a_stream_of_them_at_most_fifty() {
        let mut group = GroupCommit::default();
        group.handle_arrival(Urgency::Publisher, 100, 10);
        assert_eq!(group.poll_timeout(), Some(12));
        for now in 11..=60 {
            group.handle_arrival(Urgency::Publisher, 100, now);
            assert_eq!(group.poll_timeout(), Some((now + 2).min(60)), "at {now}");
        }
    }

    #[test]
    fn the_strictest_counts() {
        let mut group = GroupCommit::default();
        group.handle_arrival(Urgency::Lazy, 10, 0);
        assert_eq!(group.poll_timeout(), Some(1000));
        group.handle_arrival(Urgency::Publisher, 10, 5);
        assert_eq!(group.poll_timeout(), Some(7));
        group.handle_arrival(Urgency::Lazy, 10, 6);
        assert_eq!(group.poll_timeout(), Some(7));
        group.handle_arrival(Urgency::Now, 10, 6);
        assert_eq!(group.poll_timeout(), Some(6));
        group.handle_arrival(Urgency::Publisher, 10, 6);
        assert_eq!(group.poll_timeout(), Some(6), "an alarm is not put off by a publisher");
    }

    #[test]
    fn lazy_data_is_not_put_off_and_enough_bytes_start_a_commit() {
        let mut group = GroupCommit::default();
        group.handle_arrival(Urgency::Lazy, 10, 0);
        group.handle_arrival(Urgency::Lazy, 10, 900);
        assert_eq!(group.poll_timeout(), Some(1000));
        group.handle_arrival(Urgency::Publisher, 10, 999);
        assert_eq!(group.poll_timeout(), Some(1000), "a publisher does not put off what was due");
        group.handle_arrival(Urgency::Lazy, PENDING_BYTES, 999);
        assert_eq!(group.poll_timeout(), Some(999));
        group.reset();
        assert_eq!(group.poll_timeout(), None);
    }
}
