//! Recognises QoS 1 resends: which packet of which session is on flash already.
//!
//! A client that does not hear its PUBACK because the hub died sends the PUBLISH again with DUP set. Per session the
//! last [`MARKS_PER_SESSION`] packets are known, pending commits included; a session forgotten takes its marks along.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::append::PublishMark;

/// How many packets of a session are known: well above any client's in-flight limit.
pub(crate) const MARKS_PER_SESSION: usize = 1024;
/// How many packets are known in all, so that ten thousand sessions stay within some 10 MiB; at the bound the session
/// that was silent longest is forgotten.
const MARKS_MAX: usize = 262_144;

/// A stored packet: its identifier and the hash of what it said, oldest first.
pub(crate) type SessionMarks = VecDeque<(u16, u64)>;

#[derive(Debug, Default)]
pub(crate) struct DupTable {
    sessions: BTreeMap<u64, Session>,
    /// Sessions by when they last stored something.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    marks: usize,
    /// Sessions that changed since the last fold.
    dirty: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Session {
    marks: SessionMarks,
    used: u64,
}

impl DupTable {
    /// Whether this is a resend of something known.
    pub(crate) fn recognises(&self, mark: &PublishMark) -> bool {
        mark.dup
            && self.sessions.get(&mark.incarnation).is_some_and(|session| {
                // A packet id may stand twice: only its latest use counts.
                session
                    .marks
                    .iter()
                    .rev()
                    .find(|(id, _)| *id == mark.packet_id)
                    .is_some_and(|m| m.1 == mark.content_hash)
            })
    }

    /// Takes in a stored packet.
    pub(crate) fn insert(&mut self, incarnation: u64, packet_id: u16, content_hash: u64) {
        self.uses += 1;
        let session = self.sessions.entry(incarnation).or_default();
        self.by_use.remove(&session.used);
        session.used = self.uses;
        self.by_use.insert(self.uses, incarnation);
        session.marks.push_back((packet_id, content_hash));
        self.marks += 1;
        if session.marks.len() > MARKS_PER_SESSION {
            session.marks.pop_front();
            self.marks -= 1;
        }
        self.dirty.insert(incarnation);
        while self.marks > MARKS_MAX {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            let oldest = *oldest;
            self.forget(oldest);
        }
    }

    /// Drops all of a session.
    pub(crate) fn forget(&mut self, incarnation: u64) {
        if let Some(session) = self.sessions.remove(&incarnation) {
            self.marks -= session.marks.len();
            self.by_use.remove(&session.used);
            self.dirty.insert(incarnation);
        }
    }

    /// What changed since the last call: a session's marks, or `None` for one forgotten.
    pub(crate) fn take_dirty(&mut self) -> Vec<(u64, Option<SessionMarks>)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|id| (id, self.sessions.get(&id).map(|s| s.marks.clone()))).collect()
    }

    /// Takes in a session as the tables had it.
    pub(crate) fn load(&mut self, incarnation: u64, marks: SessionMarks) {
        for (packet_id, hash) in marks {
            self.insert(incarnation, packet_id, hash);
        }
        self.dirty.remove(&incarnation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(packet_id: u16, content_hash: u64, dup: bool) -> PublishMark {
        PublishMark { incarnation: 1, packet_id, content_hash, dup }
    }

    #[test]
    fn only_a_dup_of_the_same_content_is_recognised() {
        let mut table = DupTable::default();
        table.insert(1, 7, 99);
        assert!(table.recognises(&mark(7, 99, true)));
        assert!(!table.recognises(&mark(7, 99, false)));
        assert!(!table.recognises(&mark(7, 98, true)));
        assert!(!table.recognises(&mark(8, 99, true)));
        assert!(!table.recognises(&PublishMark { incarnation: 2, ..mark(7, 99, true) }));
    }

    #[test]
    fn a_reused_packet_id_counts_by_its_latest_use() {
        let mut table = DupTable::default();
        table.insert(1, 7, 1);
        table.insert(1, 7, 2);
        assert!(!table.recognises(&mark(7, 1, true)));
        assert!(table.recognises(&mark(7, 2, true)));
    }

    #[test]
    fn bounds_hold_and_a_forgotten_session_is_gone() {
        let mut table = DupTable::default();
        for id in 0..2000u16 {
            table.insert(1, id, 5);
        }
        assert!(!table.recognises(&mark(975, 5, true)));
        assert!(table.recognises(&mark(976, 5, true)));
        for session in 2..400 {
            (0..1024).for_each(|id| table.insert(session, id, 5));
        }
        assert!(table.marks <= MARKS_MAX);
        assert!(!table.recognises(&mark(1999, 5, true)), "the session that was silent longest went first");
        table.forget(399);
        assert!(!table.recognises(&PublishMark { incarnation: 399, ..mark(1, 5, true) }));
    }

    #[test]
    fn dirty_sessions_are_told_once() {
        let mut table = DupTable::default();
        table.insert(1, 7, 1);
        table.forget(1);
        table.insert(2, 7, 1);
        assert_eq!(table.take_dirty(), [(1, None), (2, Some(VecDeque::from([(7, 1)])))]);
        assert!(table.take_dirty().is_empty());
    }
}
