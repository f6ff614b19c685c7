//! The loss ledger: where every number of every class went.

use hub_model::{Class, Gap, HubId, LogEpoch};

use crate::shared::Shared;
use crate::table::TableError;

/// Where the numbers of all classes are, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Whose log.
    pub hub: HubId,
    /// Which life of it.
    pub epoch: LogEpoch,
    /// All seven classes, by number.
    pub classes: Vec<ClassLedger>,
}

/// One class's part: `next = tail + stored + expired + gaps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassLedger {
    /// Which class.
    pub class: Class,
    /// The next number to be given out: how many records there ever were.
    pub next: u64,
    /// Records in the WAL that are not in a block yet.
    pub tail: u64,
    /// Records in sealed blocks.
    pub stored: u64,
    /// Records past their retention, after they were confirmed.
    pub expired: u64,
    /// Records in gap rows.
    pub gaps: u64,
}

impl ClassLedger {
    /// Whether every number is accounted for.
    pub const fn balanced(&self) -> bool {
        self.next == self.tail + self.stored + self.expired + self.gaps
    }
}

pub(crate) fn ledger(shared: &Shared) -> Result<Ledger, TableError> {
    // With the tail locked no frame leaves it, so what the cursors do not count yet is still there.
    let tail = shared.tail();
    let known = shared.tables.gaps(shared.epoch)?;
    let mut classes = Vec::new();
    for class in Class::ALL {
        let cursor = shared.tables.cursor(shared.epoch, class)?;
        let unfolded =
            |g: &&Gap| g.class == class && !known.iter().any(|k| k.class == class && k.range == g.range);
        classes.push(ClassLedger {
            class,
            next: tail.next[class.index()],
            tail: tail.records_from(class, cursor.sealed_upto),
            stored: cursor.stored,
            expired: cursor.expired,
            gaps: cursor.gaps + tail.gaps.iter().filter(unfolded).map(|g| g.range.len()).sum::<u64>(),
        });
    }
    Ok(Ledger { hub: shared.hub, epoch: shared.epoch, classes })
}

/// All gaps, folded or not, by class and place.
pub(crate) fn gaps(shared: &Shared) -> Result<Vec<Gap>, TableError> {
    let tail = shared.tail();
    let mut gaps = shared.tables.gaps(shared.epoch)?;
    for gap in &tail.gaps {
        match gaps.iter_mut().find(|g| g.class == gap.class && g.range == gap.range) {
            Some(known) => known.until = gap.until,
            None => gaps.push(*gap),
        }
    }
    gaps.sort_by_key(|g| (g.class, g.range));
    Ok(gaps)
}
