//! What the arrivals of a batch do to the ranges of one lane. No I/O: rows come in, changes come out.

use hub_model::{RangeSet, SeqRange};
use northbound_sync::{Crossing, Entry, Kind, place};

use crate::storage::{RangeBody, RangeRow};

/// Where a row's content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A row of the database, by its place in the list that was loaded.
    Loaded(usize),
    /// An arrival, by the caller's number.
    Arrived(usize),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    entry: Entry,
    source: Source,
    /// Whether it stands in the database just so.
    is_stored: bool,
}

/// A lane while a batch is placed.
#[derive(Debug)]
pub(super) struct LanePlan {
    rows: Vec<Row>,
    loaded: Vec<RangeRow>,
    accounted: RangeSet,
}

/// What to write.
#[derive(Debug)]
pub(super) struct LaneChange {
    /// Rows to take out.
    pub(super) remove: Vec<RangeRow>,
    /// Parts of rows that stay of those.
    pub(super) keep: Vec<RangeRow>,
    /// Rows to put in: the arrival and its part.
    pub(super) insert: Vec<(usize, SeqRange)>,
    /// Numbers that are accounted for now, whether or not they were before.
    pub(super) accounted: RangeSet,
}

impl LanePlan {
    /// A lane with all its rows that share a number with what is to be placed.
    pub(super) fn new(loaded: Vec<RangeRow>) -> LanePlan {
        let row = |(at, row): (usize, &RangeRow)| Row {
            entry: Entry { range: row.range, kind: row.kind() },
            source: Source::Loaded(at),
            is_stored: true,
        };
        let rows = loaded.iter().enumerate().map(row).collect();
        LanePlan { rows, loaded, accounted: RangeSet::new() }
    }

    /// Places an arrival. Whether it changes anything; all of it is accounted for either way.
    pub(super) fn place(&mut self, arrival: usize, kind: Kind, range: SeqRange) -> Result<bool, Crossing> {
        let entries: Vec<Entry> = self.rows.iter().map(|row| row.entry).collect();
        let placement = place(kind, range, &entries)?;
        self.accounted.insert(range);
        if placement.is_covered() {
            return Ok(false);
        }
        let kept = |(at, range): &(usize, SeqRange)| {
            let row = self.rows[*at];
            Row { entry: Entry { range: *range, kind: row.entry.kind }, is_stored: false, ..row }
        };
        let kept: Vec<Row> = placement.keep.iter().map(kept).collect();
        let mut at = 0;
        self.rows.retain(|_| {
            at += 1;
            !placement.remove.contains(&(at - 1))
        });
        self.rows.extend(kept);
        self.rows.extend(placement.insert.iter().map(|range| Row {
            entry: Entry { range: *range, kind },
            source: Source::Arrived(arrival),
            is_stored: false,
        }));
        Ok(true)
    }

    /// The difference to what was loaded.
    pub(super) fn finish(self) -> LaneChange {
        let stays = |at: usize| self.rows.iter().any(|row| row.is_stored && row.source == Source::Loaded(at));
        let gone = self.loaded.iter().enumerate().filter(|(at, _)| !stays(*at)).map(|(_, row)| *row);
        let mut change = LaneChange {
            remove: gone.collect(),
            keep: Vec::new(),
            insert: Vec::new(),
            accounted: self.accounted,
        };
        for row in self.rows.iter().filter(|row| !row.is_stored) {
            match row.source {
                Source::Loaded(at) => {
                    change.keep.push(RangeRow { range: row.entry.range, ..self.loaded[at] })
                }
                Source::Arrived(arrival) => change.insert.push((arrival, row.entry.range)),
            }
        }
        // A block is bytes: only ranges without any are ever cut.
        debug_assert!(change.keep.iter().all(|row| matches!(row.body, RangeBody::Gap(_))));
        change
    }
}
