//! When a commit starts: a core without clock or I/O, told the time in milliseconds of any monotonic clock.
//!
//! By class: alarms at once; events, audit, meta and what publishers wait for when every waiting publisher is at its
//! in-flight limit, or when nothing came for [`QUIET_MS`], at most [`PUBLISHER_MAX_MS`] after the first; telemetry and
//! bulk that nobody waits for after [`LazyWait::max_ms`]; and always at [`PENDING_BYTES`]. The strictest one that is
//! pending counts for the whole commit.

use std::collections::BTreeSet;

use crate::append::{Publisher, Urgency};

/// A publisher's acknowledgement waits this long for company after the last arrival.
pub(crate) const QUIET_MS: u64 = 2;
/// And never longer than this after the first.
pub(crate) const PUBLISHER_MAX_MS: u64 = 50;
/// At this many pending bytes a commit starts whatever waits.
pub(crate) const PENDING_BYTES: usize = 64 * 1024;

/// How long what nobody waits for may stay in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LazyWait {
    /// A second: a power cut costs no more.
    #[default]
    Usual,
    /// Five: a fifth of the pages are written for a site that is polled each second.
    WearSaver,
}

impl LazyWait {
    /// Of `storage.wear_saver`.
    pub(crate) const fn of(wear_saver: bool) -> LazyWait {
        if wear_saver { LazyWait::WearSaver } else { LazyWait::Usual }
    }

    pub(crate) const fn max_ms(self) -> u64 {
        match self {
            LazyWait::Usual => 1_000,
            LazyWait::WearSaver => 5_000,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    lazy_wait: LazyWait,
    /// When what does not depend on further arrivals is due.
    fixed_ms: Option<u64>,
    /// The first arrival of what nobody waits for.
    lazy_ms: Option<u64>,
    waiting: Option<Waiting>,
}

/// What publishers wait for, or what must not wait long all the same.
#[derive(Debug)]
struct Waiting {
    first_ms: u64,
    last_ms: u64,
    /// Something is among it of which nobody knows whether more follows at once.
    unknown: bool,
    /// Publishers that may send more before they hear of this. Bounded by the appends of one commit.
    free: BTreeSet<u64>,
}

impl GroupCommit {
    /// How long what nobody waits for may stay in memory from now on, also what is pending already.
    pub(crate) const fn set_lazy_wait(&mut self, lazy_wait: LazyWait) {
        self.lazy_wait = lazy_wait;
    }

    /// Something was added to the pending commit, which now holds `pending` bytes.
    pub(crate) fn handle_arrival(
        &mut self,
        urgency: Urgency,
        publisher: Option<Publisher>,
        pending: usize,
        now_ms: u64,
    ) {
        if urgency == Urgency::Now || pending >= PENDING_BYTES {
            self.due_at(now_ms);
        }
        match urgency {
            Urgency::Now => {}
            Urgency::Publisher => self.wait(publisher, now_ms),
            Urgency::Lazy => {
                self.lazy_ms.get_or_insert(now_ms);
            }
        }
    }

    fn wait(&mut self, publisher: Option<Publisher>, now_ms: u64) {
        let new = || Waiting { first_ms: now_ms, last_ms: now_ms, unknown: false, free: BTreeSet::new() };
        let waiting = self.waiting.get_or_insert_with(new);
        waiting.last_ms = now_ms;
        match publisher {
            None => waiting.unknown = true,
            Some(Publisher { id, at_limit: true }) => {
                waiting.free.remove(&id);
            }
            Some(Publisher { id, at_limit: false }) => {
                waiting.free.insert(id);
            }
        }
        if !waiting.unknown && waiting.free.is_empty() {
            // Nothing more can come from any of them.
            self.due_at(now_ms);
        }
    }

    /// When to commit; `None` while nothing is pending.
    pub(crate) fn poll_timeout(&self) -> Option<u64> {
        let waiting =
            self.waiting.as_ref().map(|w| (w.last_ms + QUIET_MS).min(w.first_ms + PUBLISHER_MAX_MS));
        let lazy = self.lazy_ms.map(|since| since + self.lazy_wait.max_ms());
        [self.fixed_ms, waiting, lazy].into_iter().flatten().min()
    }

    /// The commit was started.
    pub(crate) fn reset(&mut self) {
        self.fixed_ms = None;
        self.lazy_ms = None;
        self.waiting = None;
    }

    fn due_at(&mut self, at_ms: u64) {
        self.fixed_ms = Some(self.fixed_ms.map_or(at_ms, |before| before.min(at_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(group: &mut GroupCommit, urgency: Urgency, pending: usize, now_ms: u64) {
        group.handle_arrival(urgency, None, pending, now_ms);
    }

    #[test]
    fn a_lone_publisher_waits_two_milliseconds_and_a_stream_of_them_at_most_fifty() {
        let mut group = GroupCommit::default();
        arrive(&mut group, Urgency::Publisher, 100, 10);
        assert_eq!(group.poll_timeout(), Some(12));
        for now in 11..=60 {
            arrive(&mut group, Urgency::Publisher, 100, now);
            assert_eq!(group.poll_timeout(), Some((now + 2).min(60)), "at {now}");
        }
    }

    #[test]
    fn a_commit_starts_when_the_last_waiting_publisher_reaches_its_limit() {
        let mut group = GroupCommit::default();
        let mut publish = |id, at_limit, now_ms| {
            group.handle_arrival(Urgency::Publisher, Some(Publisher { id, at_limit }), 100, now_ms);
            group.poll_timeout()
        };
        assert_eq!(publish(1, false, 10), Some(12));
        assert_eq!(publish(2, false, 10), Some(12));
        assert_eq!(publish(2, true, 11), Some(13), "the first may send more");
        assert_eq!(publish(1, true, 12), Some(12), "now nobody can");
        assert_eq!(publish(3, false, 12), Some(12), "who comes meanwhile does not put it off");
        group.reset();
        group.handle_arrival(Urgency::Publisher, Some(Publisher { id: 4, at_limit: true }), 10, 20);
        assert_eq!(group.poll_timeout(), Some(20), "one alone at its limit waits for nothing");
        group.reset();
        arrive(&mut group, Urgency::Publisher, 10, 30);
        group.handle_arrival(Urgency::Publisher, Some(Publisher { id: 4, at_limit: true }), 10, 31);
        assert_eq!(group.poll_timeout(), Some(33), "of the other nobody knows");
    }

    #[test]
    fn the_strictest_counts() {
        let mut group = GroupCommit::default();
        arrive(&mut group, Urgency::Lazy, 10, 0);
        assert_eq!(group.poll_timeout(), Some(1000));
        arrive(&mut group, Urgency::Publisher, 10, 5);
        assert_eq!(group.poll_timeout(), Some(7));
        arrive(&mut group, Urgency::Lazy, 10, 6);
        assert_eq!(group.poll_timeout(), Some(7));
        arrive(&mut group, Urgency::Now, 10, 6);
        assert_eq!(group.poll_timeout(), Some(6));
        arrive(&mut group, Urgency::Publisher, 10, 6);
        assert_eq!(group.poll_timeout(), Some(6), "an alarm is not put off by a publisher");
    }

    #[test]
    fn lazy_data_is_not_put_off_and_enough_bytes_start_a_commit() {
        let mut group = GroupCommit::default();
        arrive(&mut group, Urgency::Lazy, 10, 0);
        arrive(&mut group, Urgency::Lazy, 10, 900);
        assert_eq!(group.poll_timeout(), Some(1000));
        arrive(&mut group, Urgency::Publisher, 10, 999);
        assert_eq!(group.poll_timeout(), Some(1000), "a publisher does not put off what was due");
        arrive(&mut group, Urgency::Lazy, PENDING_BYTES, 999);
        assert_eq!(group.poll_timeout(), Some(999));
        group.reset();
        assert_eq!(group.poll_timeout(), None);
    }

    #[test]
    fn the_wear_saver_lets_only_lazy_data_wait_longer() {
        let mut group = GroupCommit::default();
        group.set_lazy_wait(LazyWait::of(true));
        arrive(&mut group, Urgency::Lazy, 10, 0);
        arrive(&mut group, Urgency::Lazy, 10, 4_000);
        assert_eq!(group.poll_timeout(), Some(5_000));
        group.set_lazy_wait(LazyWait::of(false));
        assert_eq!(group.poll_timeout(), Some(1_000), "what is pending follows the change");
        group.set_lazy_wait(LazyWait::of(true));
        arrive(&mut group, Urgency::Publisher, 10, 4_100);
        assert_eq!(group.poll_timeout(), Some(4_102), "an acknowledgement does not wait for it");
        group.reset();
        arrive(&mut group, Urgency::Lazy, 10, 6_000);
        assert_eq!(group.poll_timeout(), Some(11_000), "it outlives a commit");
    }
}
