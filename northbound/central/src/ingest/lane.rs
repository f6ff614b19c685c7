//! What the arrivals of a batch do to the ranges of one lane. No I/O: rows come in, changes come out.
//!
//! Rows are kept by layer and first number, so that an arrival costs what it touches, however many rows there are.

use std::collections::{BTreeMap, BTreeSet};

use hub_model::{RangeSet, SeqRange};
use northbound_sync::{Crossing, Entry, Kind, place};

use crate::storage::{ObjectId, RangeBody, RangeRow};

/// Where a row's content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
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

/// A row that was loaded, and by which look at the database.
#[derive(Debug)]
struct Loaded {
    row: RangeRow,
    look: usize,
}

/// A lane while a batch is placed.
#[derive(Debug, Default)]
pub(super) struct LanePlan {
    /// By layer, by first number: within a layer, ranges are disjoint.
    layers: [BTreeMap<u64, Row>; 2],
    loaded: Vec<Loaded>,
    /// Layer and first number of each.
    seen: BTreeSet<(usize, u64)>,
    looks: usize,
    accounted: RangeSet,
}

/// What became of an arrival, and how many rows were looked at for it or come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Whether it changes anything; all of it is accounted for either way.
    pub(super) changes: bool,
    pub(super) rows: usize,
}

/// What to write.
#[derive(Debug)]
pub(super) struct LaneChange {
    /// Rows to take out: the first and the last of a run without others of their layer in between.
    pub(super) remove: Vec<(RangeRow, RangeRow)>,
    /// Objects that blocks taken out were in.
    pub(super) emptied: BTreeSet<ObjectId>,
    /// Parts of rows that stay of those.
    pub(super) keep: Vec<RangeRow>,
    /// Rows to put in: the arrival and its part.
    pub(super) insert: Vec<(usize, SeqRange)>,
    /// Numbers that are accounted for now, whether or not they were before.
    pub(super) accounted: RangeSet,
}

/// What is deleted lies over everything else.
fn layer(kind: Kind) -> usize {
    usize::from(kind == Kind::Deleted)
}

impl LanePlan {
    /// Adds all rows that share a number with a range, by layer and number. What is placed must have been looked at.
    pub(super) fn look(&mut self, rows: Vec<RangeRow>) {
        self.looks += 1;
        for row in rows {
            // A row that two of the ranges looked at reach into is found twice. What follows is no neighbour of what
            // came before.
            if !self.seen.insert((layer(row.kind()), row.range.from)) {
                self.looks += 1;
                continue;
            }
            let entry = Entry { range: row.range, kind: row.kind() };
            let source = Source::Loaded(self.loaded.len());
            self.loaded.push(Loaded { row, look: self.looks });
            self.put(Row { entry, source, is_stored: true });
        }
    }

    fn put(&mut self, row: Row) {
        self.layers[layer(row.entry.kind)].insert(row.entry.range.from, row);
    }

    fn overlapping(&self, range: SeqRange) -> Vec<Row> {
        let of_layer = |rows: &BTreeMap<u64, Row>| {
            let below = rows.range(..range.from).next_back().map(|(_, row)| *row);
            let below = below.filter(|row| row.entry.range.to > range.from);
            let within = rows.range(range.from..range.to).map(|(_, row)| *row);
            below.into_iter().chain(within).collect::<Vec<_>>()
        };
        self.layers.iter().flat_map(of_layer).collect()
    }

    /// Places an arrival.
    pub(super) fn place(&mut self, arrival: usize, kind: Kind, range: SeqRange) -> Result<Taken, Crossing> {
        let found = self.overlapping(range);
        let entries: Vec<Entry> = found.iter().map(|row| row.entry).collect();
        let placement = place(kind, range, &entries)?;
        self.accounted.insert(range);
        let rows = entries.len() + placement.insert.len();
        for at in &placement.remove {
            let Entry { range, kind } = entries[*at];
            self.layers[layer(kind)].remove(&range.from);
        }
        for (at, range) in &placement.keep {
            let row = found[*at];
            self.put(Row { entry: Entry { range: *range, kind: row.entry.kind }, is_stored: false, ..row });
        }
        for range in &placement.insert {
            let entry = Entry { range: *range, kind };
            self.put(Row { entry, source: Source::Arrived(arrival), is_stored: false });
        }
        Ok(Taken { changes: !placement.is_covered(), rows })
    }

    /// The difference to what was loaded.
    pub(super) fn finish(self) -> LaneChange {
        let mut change = LaneChange {
            remove: Vec::new(),
            emptied: BTreeSet::new(),
            keep: Vec::new(),
            insert: Vec::new(),
            accounted: self.accounted,
        };
        let mut stays = vec![false; self.loaded.len()];
        for row in self.layers.iter().flat_map(BTreeMap::values) {
            match row.source {
                Source::Loaded(at) if row.is_stored => stays[at] = true,
                Source::Loaded(at) => {
                    change.keep.push(RangeRow { range: row.entry.range, ..self.loaded[at].row });
                }
                Source::Arrived(arrival) => change.insert.push((arrival, row.entry.range)),
            }
        }
        // Between neighbours of one look and layer there is no other row: they go with one statement.
        let mut run: Option<(usize, &Loaded)> = None;
        for (at, loaded) in self.loaded.iter().enumerate().filter(|(at, _)| !stays[*at]) {
            change.emptied.extend(loaded.row.block().map(|block| block.object));
            let goes_on = run.is_some_and(|(before, last)| {
                before + 1 == at
                    && last.look == loaded.look
                    && layer(last.row.kind()) == layer(loaded.row.kind())
            });
            match change.remove.last_mut() {
                Some((_, last)) if goes_on => *last = loaded.row,
                Some(_) | None => change.remove.push((loaded.row, loaded.row)),
            }
            run = Some((at, loaded));
        }
        // A block is bytes: only ranges without any are ever cut.
        debug_assert!(change.keep.iter().all(|row| matches!(row.body, RangeBody::Gap(_))));
        change
    }
}
