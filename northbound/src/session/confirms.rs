//! Confirmations on their way to the log, gathered so that the log writes once for many.

use std::collections::BTreeMap;

use hub_model::{Class, RangeSet};

/// As many acknowledgements are worth a write of their own.
const ACKS_MAX: u32 = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    Add(RangeSet),
    /// Central has exactly this.
    Replace(RangeSet),
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) add: Vec<(Class, RangeSet)>,
    pub(super) replace: Vec<(Class, RangeSet)>,
}

/// What has not been written yet. A set per class: what is confirmed merges into few ranges.
#[derive(Debug)]
pub(super) struct Confirms {
    wait_ms: u64,
    pending: BTreeMap<Class, Pending>,
    acks: u32,
    due_ms: Option<u64>,
}

impl Confirms {
    /// Nothing yet; what comes waits for others at most `wait_ms`.
    pub(super) const fn new(wait_ms: u64) -> Confirms {
        Confirms { wait_ms, pending: BTreeMap::new(), acks: 0, due_ms: None }
    }

    /// Central has these numbers too.
    pub(super) fn add(&mut self, class: Class, ranges: &RangeSet, now_ms: u64) {
        match self.pending.entry(class).or_insert_with(|| Pending::Add(RangeSet::new())) {
            Pending::Add(set) | Pending::Replace(set) => set.extend_from(ranges),
        }
        self.acks += 1;
        self.wait(now_ms);
    }

    /// Central has these numbers of the class and no others.
    pub(super) fn replace(&mut self, class: Class, confirmed: RangeSet, now_ms: u64) {
        self.pending.insert(class, Pending::Replace(confirmed));
        self.wait(now_ms);
    }

    fn wait(&mut self, now_ms: u64) {
        let due = if self.acks >= ACKS_MAX { now_ms } else { now_ms + self.wait_ms };
        self.due_ms = Some(self.due_ms.map_or(due, |known| known.min(due)));
    }

    /// When it is worth a write.
    pub(super) const fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Takes out all there is.
    pub(super) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        for (class, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Add(set) => batch.add.push((class, set)),
                Pending::Replace(set) => batch.replace.push((class, set)),
            }
        }
        (self.acks, self.due_ms) = (0, None);
        batch
    }

    /// It could not be written: it comes before what has come meanwhile, and is tried again after `wait_ms`.
    pub(super) fn put_back(&mut self, batch: Batch, now_ms: u64, wait_ms: u64) {
        let adds = batch.add.into_iter().map(|(class, set)| (class, Pending::Add(set)));
        let replaces = batch.replace.into_iter().map(|(class, set)| (class, Pending::Replace(set)));
        for (class, older) in adds.chain(replaces) {
            let merged = match (older, self.pending.remove(&class)) {
                (older, None) => older,
                (_, Some(newer @ Pending::Replace(_))) => newer,
                (Pending::Add(mut set), Some(Pending::Add(newer))) => {
                    set.extend_from(&newer);
                    Pending::Add(set)
                }
                (Pending::Replace(mut set), Some(Pending::Add(newer))) => {
                    set.extend_from(&newer);
                    Pending::Replace(set)
                }
            };
            self.pending.insert(class, merged);
        }
        self.due_ms = Some(now_ms + wait_ms);
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.replace.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use hub_model::SeqRange;

    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|(from, to)| SeqRange::new(*from, *to)).collect()
    }

    #[test]
    fn acknowledgements_wait_a_second_or_for_sixty_three_others() {
        let mut confirms = Confirms::new(1_000);
        confirms.add(Class::Telemetry, &set(&[(0, 5)]), 100);
        confirms.add(Class::Telemetry, &set(&[(5, 9)]), 900);
        assert_eq!(confirms.due_ms(), Some(1_100));
        let batch = confirms.take();
        assert_eq!(batch.add, [(Class::Telemetry, set(&[(0, 9)]))]);
        assert!(confirms.take().is_empty() && confirms.due_ms().is_none());
        (0..63).for_each(|at| confirms.add(Class::Event, &set(&[(at, at + 1)]), 2_000));
        assert_eq!(confirms.due_ms(), Some(3_000));
        confirms.add(Class::Event, &set(&[(63, 64)]), 2_100);
        assert_eq!(confirms.due_ms(), Some(2_100));
    }

    #[test]
    fn what_central_disowned_is_not_confirmed_by_what_was_said_before() {
        let mut confirms = Confirms::new(1_000);
        confirms.add(Class::Alarm, &set(&[(0, 50)]), 0);
        confirms.replace(Class::Alarm, set(&[(0, 10)]), 0);
        confirms.add(Class::Alarm, &set(&[(10, 12)]), 0);
        let batch = confirms.take();
        assert_eq!((batch.add.len(), batch.replace.clone()), (0, vec![(Class::Alarm, set(&[(0, 12)]))]));

        // A write that failed comes before what came meanwhile.
        confirms.add(Class::Alarm, &set(&[(12, 20)]), 0);
        confirms.put_back(batch, 0, 5_000);
        assert_eq!(confirms.take().replace, [(Class::Alarm, set(&[(0, 20)]))]);
        let older = Batch { add: vec![(Class::Alarm, set(&[(0, 99)]))], replace: vec![] };
        confirms.replace(Class::Alarm, set(&[(0, 3)]), 0);
        confirms.put_back(older, 7, 5_000);
        assert_eq!(confirms.due_ms(), Some(5_007));
        assert_eq!(confirms.take().replace, [(Class::Alarm, set(&[(0, 3)]))]);
    }
}
