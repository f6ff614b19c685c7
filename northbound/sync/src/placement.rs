//! What an arriving range does to the ranges central has. Ranges are kept as stored, expired, deleted or gap, apart from
//! any bytes; stored ranges nest or are disjoint, they never cross.
//!
//! Precedence: deleted > stored > expired > gap. What outranks an arrival keeps its place; what an arrival outranks is
//! cut back to what the arrival leaves of it.

use hub_model::{GapCause, RangeSet, SeqRange};
use thiserror::Error;

/// What is known of a range. Numbers are stored by central and ordered by precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The hub has lost it, and said why.
    Gap = 1,
    /// It was past its retention.
    Expired = 2,
    /// Its block is here.
    Stored = 3,
    /// Someone asked for it to be deleted.
    Deleted = 4,
}

impl Kind {
    /// The kind of what is said by a gap of this cause.
    pub const fn of_gap(cause: GapCause) -> Kind {
        match cause {
            GapCause::Expired => Kind::Expired,
            GapCause::Deleted => Kind::Deleted,
            GapCause::Restart
            | GapCause::Corrupted
            | GapCause::Evicted
            | GapCause::Thinned
            | GapCause::Shed
            | GapCause::Missing => Kind::Gap,
        }
    }

    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a fixed number.
    pub fn from_number(number: u8) -> Option<Kind> {
        [Kind::Gap, Kind::Expired, Kind::Stored, Kind::Deleted].into_iter().find(|k| k.number() == number)
    }
}

/// One range central has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its numbers; never empty.
    pub range: SeqRange,
    /// What is known of them.
    pub kind: Kind,
}

/// What to change, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Entries to take out, as places in the list that was handed over.
    pub remove: Vec<usize>,
    /// What stays of entries that are taken out: the entry's place and the part of its range. The rest of the entry
    /// (cause, moments) stays as it is.
    pub keep: Vec<(usize, SeqRange)>,
    /// The arrival's own ranges: one for a block; as many as it takes for a gap; none when all of it is known.
    pub insert: Vec<SeqRange>,
}

impl Placement {
    /// Whether nothing changes: all of it is accounted for already.
    pub fn is_covered(&self) -> bool {
        self.insert.is_empty()
    }
}

/// A block that crosses one that is stored: the hub or central has mixed up its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{arrived} crosses the stored block {stored}")]
pub struct Crossing {
    /// The block that arrived.
    pub arrived: SeqRange,
    /// The block it crosses.
    pub stored: SeqRange,
}

/// Decides what an arrival changes. `existing` holds every entry that overlaps it (others do not matter), disjoint,
/// except that deleted ranges may lie over stored ones.
pub fn place(kind: Kind, range: SeqRange, existing: &[Entry]) -> Result<Placement, Crossing> {
    assert!(!range.is_empty(), "an arrival has numbers");
    if kind == Kind::Stored { place_block(range, existing) } else { Ok(place_gap(kind, range, existing)) }
}

/// A block stands whole or not at all.
fn place_block(range: SeqRange, existing: &[Entry]) -> Result<Placement, Crossing> {
    let overlapping = || existing.iter().enumerate().filter(|(_, e)| e.range.overlaps(range));
    let of = |kind: Kind| {
        let mut set = RangeSet::new();
        overlapping().filter(|(_, e)| e.kind == kind).for_each(|(_, e)| set.insert(e.range));
        set
    };
    if of(Kind::Deleted).covers(range) || of(Kind::Stored).covers(range) {
        return Ok(Placement::default());
    }
    let mut placement = Placement { insert: vec![range], ..Placement::default() };
    for (at, entry) in overlapping() {
        match entry.kind {
            Kind::Deleted => {}
            Kind::Stored if range.covers(entry.range) => placement.remove.push(at),
            Kind::Stored => return Err(Crossing { arrived: range, stored: entry.range }),
            Kind::Gap | Kind::Expired => placement.cut(at, entry.range, range),
        }
    }
    Ok(placement)
}

/// A gap fills what nothing of its rank or above fills.
fn place_gap(kind: Kind, range: SeqRange, existing: &[Entry]) -> Placement {
    let mut left = RangeSet::new();
    left.insert(range);
    let mut placement = Placement::default();
    for (at, entry) in existing.iter().enumerate().filter(|(_, e)| e.range.overlaps(range)) {
        match entry.kind {
            // A block is bytes: deleting part of it is a matter for whoever reads it.
            Kind::Stored if kind == Kind::Deleted && !range.covers(entry.range) => {}
            Kind::Gap | Kind::Expired | Kind::Stored | Kind::Deleted => {
                if entry.kind >= kind {
                    left.remove(entry.range);
                } else {
                    placement.cut(at, entry.range, range);
                }
            }
        }
    }
    placement.insert = left.iter().collect();
    if placement.insert.is_empty() { Placement::default() } else { placement }
}

impl Placement {
    /// Takes an entry out but for what lies outside of `by`.
    fn cut(&mut self, at: usize, entry: SeqRange, by: SeqRange) {
        self.remove.push(at);
        if entry.from < by.from {
            self.keep.push((at, SeqRange::new(entry.from, by.from)));
        }
        if by.to < entry.to {
            self.keep.push((at, SeqRange::new(by.to, entry.to)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(from: u64, to: u64, kind: Kind) -> Entry {
        Entry { range: SeqRange::new(from, to), kind }
    }

    fn r(from: u64, to: u64) -> SeqRange {
        SeqRange::new(from, to)
    }

    #[test]
    fn a_block_goes_where_nothing_is() {
        let placed = place(Kind::Stored, r(10, 20), &[]).unwrap();
        assert_eq!(placed, Placement { insert: vec![r(10, 20)], ..Placement::default() });
    }

    #[test]
    fn a_block_that_is_there_changes_nothing() {
        let check =
            |existing: &[Entry]| assert!(place(Kind::Stored, r(10, 20), existing).unwrap().is_covered());
        check(&[entry(10, 20, Kind::Stored)]);
        check(&[entry(5, 30, Kind::Stored)]);
        check(&[entry(5, 30, Kind::Deleted)]);
        check(&[entry(10, 14, Kind::Stored), entry(14, 20, Kind::Stored)]);
    }

    #[test]
    fn a_block_replaces_the_blocks_it_was_merged_from() {
        let parts = [entry(10, 15, Kind::Stored), entry(16, 20, Kind::Stored), entry(15, 16, Kind::Gap)];
        let placed = place(Kind::Stored, r(10, 20), &parts).unwrap();
        assert_eq!(placed.remove, [0, 1, 2]);
        assert_eq!((placed.keep, placed.insert), (vec![], vec![r(10, 20)]));
    }

    #[test]
    fn a_block_that_crosses_another_is_refused() {
        let stored = entry(5, 15, Kind::Stored);
        let crossing = Crossing { arrived: r(10, 20), stored: stored.range };
        assert_eq!(place(Kind::Stored, r(10, 20), &[stored]), Err(crossing));
    }

    #[test]
    fn a_block_takes_its_place_from_a_gap() {
        let placed = place(Kind::Stored, r(10, 20), &[entry(0, 100, Kind::Gap)]).unwrap();
        assert_eq!(placed.remove, [0]);
        assert_eq!(placed.keep, [(0, r(0, 10)), (0, r(20, 100))]);
    }

    #[test]
    fn a_gap_fills_what_is_left() {
        let existing =
            [entry(0, 12, Kind::Stored), entry(14, 16, Kind::Expired), entry(18, 40, Kind::Stored)];
        let placed = place(Kind::Gap, r(10, 20), &existing).unwrap();
        assert_eq!(placed.insert, [r(12, 14), r(16, 18)]);
        assert!(placed.remove.is_empty() && placed.keep.is_empty());
        assert!(place(Kind::Gap, r(20, 30), &existing).unwrap().is_covered());
    }

    #[test]
    fn what_is_deleted_outranks_what_is_stored() {
        let placed = place(Kind::Deleted, r(10, 30), &[entry(10, 20, Kind::Stored)]).unwrap();
        assert_eq!((placed.remove, placed.insert), (vec![0], vec![r(10, 30)]));
        let part = place(Kind::Deleted, r(12, 14), &[entry(10, 20, Kind::Stored)]).unwrap();
        assert_eq!(
            (part.remove, part.insert),
            (vec![], vec![r(12, 14)]),
            "the block stays, the deletion lies over it"
        );
    }

    /// Does what a placement says.
    fn apply(entries: &mut Vec<Entry>, kind: Kind, placement: &Placement) {
        let kept: Vec<Entry> = placement
            .keep
            .iter()
            .map(|(at, range)| Entry { range: *range, kind: entries[*at].kind })
            .collect();
        let mut at = 0;
        entries.retain(|_| {
            at += 1;
            !placement.remove.contains(&(at - 1))
        });
        entries.extend(kept);
        entries.extend(placement.insert.iter().map(|range| Entry { range: *range, kind }));
    }

    proptest! {
        /// Whatever arrives in whatever order: nothing accounted for is ever lost again, blocks never overlap blocks,
        /// and gaps never overlap anything.
        #[test]
        fn arrivals_only_ever_add(arrivals in proptest::collection::vec((1u8..=4, 0u64..60, 1u64..20), 0..60)) {
            let (mut entries, mut accounted) = (Vec::new(), RangeSet::new());
            for (number, from, len) in arrivals {
                let (kind, range) = (Kind::from_number(number).unwrap(), r(from, from + len));
                let Ok(placement) = place(kind, range, &entries) else { continue };
                apply(&mut entries, kind, &placement);
                accounted.insert(range);
                let mut have = RangeSet::new();
                entries.iter().for_each(|e| have.insert(e.range));
                prop_assert_eq!(have.iter().collect::<Vec<_>>(), accounted.iter().collect::<Vec<_>>());
                for (i, a) in entries.iter().enumerate() {
                    for b in &entries[i + 1..] {
                        let lies_over = (a.kind == Kind::Deleted) != (b.kind == Kind::Deleted);
                        prop_assert!(!a.range.overlaps(b.range) || lies_over, "{a:?} {b:?}");
                    }
                }
            }
        }
    }
}
