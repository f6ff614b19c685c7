//! A set of sequence numbers, kept as the ranges it is made of.

use std::collections::BTreeMap;
use std::fmt;

use crate::SeqRange;

/// Numbers as sorted, disjoint, half-open ranges that never touch: what touches is one range.
///
/// Costs memory per range, not per number. Empty ranges change nothing. `u64::MAX` itself cannot be a member.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// First number → one past the last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> RangeSet {
        RangeSet { ranges: BTreeMap::new() }
    }

    /// The numbers of one range.
    pub fn from_range(range: SeqRange) -> RangeSet {
        let mut set = RangeSet::new();
        set.insert(range);
        set
    }

    /// Adds the numbers of `range`.
    pub fn insert(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        let SeqRange { mut from, mut to } = range;
        // From behind: every range that begins in the new one or at its end, then at most one that reaches into it.
        while let Some((&start, &end)) = self.ranges.range(..=to).next_back() {
            if end < from {
                break;
            }
            from = from.min(start);
            to = to.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(from, to);
    }

    /// Takes the numbers of `range` out.
    pub fn remove(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, &end)) = self.ranges.range(..range.to).next_back() {
            if end <= range.from {
                break;
            }
            self.ranges.remove(&start);
            if range.to < end {
                self.ranges.insert(range.to, end);
            }
            if start < range.from {
                self.ranges.insert(start, range.from);
            }
        }
    }

    /// Adds every number of `other`.
    pub fn extend_from(&mut self, other: &RangeSet) {
        other.iter().for_each(|range| self.insert(range));
    }

    /// Whether `number` is a member.
    pub fn contains(&self, number: u64) -> bool {
        self.range_at(number).is_some()
    }

    /// Whether every number of `range` is a member; true for an empty range.
    pub fn covers(&self, range: SeqRange) -> bool {
        range.is_empty() || self.range_at(range.from).is_some_and(|held| held.covers(range))
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = SeqRange> + '_ {
        self.ranges.iter().map(|(from, to)| SeqRange::new(*from, *to))
    }

    /// How many numbers.
    pub fn len(&self) -> u64 {
        self.iter().map(SeqRange::len).sum()
    }

    /// How many ranges; what the set costs in memory and on a wire.
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u64> {
        self.ranges.first_key_value().map(|(from, _)| *from)
    }

    /// The largest number.
    pub fn last(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, to)| to - 1)
    }

    /// The holes: the ranges of numbers within `within` that are not members, in order.
    pub fn missing_within(&self, within: SeqRange) -> impl Iterator<Item = SeqRange> + '_ {
        let first = self.range_at(within.from).map_or(within.from, |held| held.to);
        let mut ranges = self.ranges.range(first..within.to.max(first));
        let mut at = Some(first);
        std::iter::from_fn(move || {
            loop {
                let from = at.filter(|from| *from < within.to)?;
                let next = ranges.next();
                at = next.map(|(_, end)| *end);
                let to = next.map_or(within.to, |(start, _)| *start);
                if from < to {
                    return Some(SeqRange::new(from, to));
                }
            }
        })
    }

    /// The end of the run of members that begins at `from`; `from` itself when it is not a member.
    pub fn upto(&self, from: u64) -> u64 {
        self.range_at(from).map_or(from, |held| held.to)
    }

    /// The range that holds `number`.
    fn range_at(&self, number: u64) -> Option<SeqRange> {
        let (from, to) = self.ranges.range(..=number).next_back()?;
        (number < *to).then(|| SeqRange::new(*from, *to))
    }
}

impl FromIterator<SeqRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = SeqRange>>(ranges: I) -> RangeSet {
        let mut set = RangeSet::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

/// The ranges in brackets, as in `[0..5, 7..9]`.
impl fmt::Debug for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 64;

    fn any_range() -> impl Strategy<Value = SeqRange> {
        (0..LIMIT, 0..12u64).prop_map(|(from, len)| SeqRange::new(from, (from + len).min(LIMIT)))
    }

    fn any_edits() -> impl Strategy<Value = Vec<(bool, SeqRange)>> {
        proptest::collection::vec((proptest::bool::weighted(0.65), any_range()), 0..40)
    }

    fn both(edits: &[(bool, SeqRange)]) -> (RangeSet, BTreeSet<u64>) {
        let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
        for (insert, range) in edits {
            if *insert {
                set.insert(*range);
                model.extend(range.from..range.to);
            } else {
                set.remove(*range);
                model.retain(|n| !(range.from..range.to).contains(n));
            }
        }
        (set, model)
    }

    /// The ranges a plain set of numbers is made of.
    fn runs(model: &BTreeSet<u64>) -> Vec<SeqRange> {
        let mut runs: Vec<SeqRange> = Vec::new();
        for n in model {
            match runs.last_mut() {
                Some(run) if run.to == *n => run.to += 1,
                _ => runs.push(SeqRange::new(*n, n + 1)),
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers_in_merged_ranges(edits in any_edits()) {
            let (set, model) = both(&edits);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), runs(&model));
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert_eq!(set.range_count(), runs(&model).len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(set.last(), model.last().copied());
            prop_assert_eq!(&set, &set.iter().collect::<RangeSet>());
        }

        #[test]
        fn it_answers_as_a_set_of_numbers(edits in any_edits(), asked in any_range()) {
            let (set, model) = both(&edits);
            let numbers = asked.from..asked.to;
            prop_assert_eq!(set.covers(asked), numbers.clone().all(|n| model.contains(&n)));
            prop_assert_eq!(set.contains(asked.from), model.contains(&asked.from));
            let missing: BTreeSet<u64> = numbers.filter(|n| !model.contains(n)).collect();
            prop_assert_eq!(set.missing_within(asked).collect::<Vec<_>>(), runs(&missing));
            let end = (asked.from..).find(|n| !model.contains(n)).unwrap();
            prop_assert_eq!(set.upto(asked.from), end);
        }

        #[test]
        fn a_union_holds_the_numbers_of_both(a in any_edits(), b in any_edits()) {
            let ((mut set, model), (other, other_model)) = (both(&a), both(&b));
            set.extend_from(&other);
            let union: BTreeSet<u64> = model.union(&other_model).copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), runs(&union));
        }
    }

    #[test]
    fn the_ends_of_the_numbers_hold() {
        let mut set = RangeSet::from_range(SeqRange::new(5, u64::MAX));
        set.insert(SeqRange::new(0, 5));
        assert_eq!(set.iter().collect::<Vec<_>>(), [SeqRange::new(0, u64::MAX)]);
        assert_eq!((set.len(), set.last()), (u64::MAX, Some(u64::MAX - 1)));
        assert_eq!(set.missing_within(SeqRange::new(0, u64::MAX)).next(), None);
        set.remove(SeqRange::new(0, u64::MAX));
        assert!(set.is_empty() && set.covers(SeqRange::new(3, 3)));
        assert_eq!(format!("{:?}", RangeSet::from_range(SeqRange::new(1, 3))), "[1..3]");
    }
}
