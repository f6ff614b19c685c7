//! The loss ledger: where every number of every class went.

use std::sync::Arc;

use hub_model::{Class, Gap, GapCause, HubId, LogEpoch, SeqRange};

use crate::shared::Shared;
use crate::table::{Snapshot, TableError};
use crate::wal::pending::Frame;

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
    /// Of all of them, those that central has confirmed.
    pub confirmed: u64,
}

impl ClassLedger {
    /// Whether every number is accounted for.
    pub const fn balanced(&self) -> bool {
        self.next == self.tail + self.stored + self.expired + self.gaps
    }
}

/// What a ledger is made of, taken at one moment: the tail is locked while the tables' snapshot begins, and no longer.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) tables: Snapshot,
    /// The next number of each class.
    pub(crate) next: [u64; 7],
    /// The tail, which may reach back into what the tables have.
    pub(crate) frames: [Vec<Arc<Frame>>; 7],
    /// Gaps that are on flash in the WAL; the tables may have them, too.
    pub(crate) gaps: Vec<Gap>,
}

impl Moment {
    pub(crate) fn take(shared: &Shared) -> Result<Moment, TableError> {
        let tail = shared.tail();
        let tables = shared.tables.snapshot()?;
        let frames = Class::ALL.map(|class| tail.frames(class).map(Arc::clone).collect());
        Ok(Moment { tables, next: tail.next, frames, gaps: tail.gaps.clone() })
    }
}

pub(crate) fn ledger(shared: &Shared) -> Result<Ledger, TableError> {
    let moment = Moment::take(shared)?;
    let known = moment.tables.gaps(shared.epoch)?;
    let mut classes = Vec::new();
    for class in Class::ALL {
        let cursor = moment.tables.cursor(shared.epoch, class)?;
        let unfolded =
            |g: &&Gap| g.class == class && !known.iter().any(|k| k.class == class && k.range == g.range);
        let unsealed = |r: &SeqRange| r.from >= cursor.sealed_upto;
        classes.push(ClassLedger {
            class,
            next: moment.next[class.index()],
            tail: moment.frames[class.index()]
                .iter()
                .map(|f| f.range)
                .filter(unsealed)
                .map(|r| r.len())
                .sum(),
            stored: cursor.stored,
            expired: cursor.expired,
            confirmed: moment.tables.confirmed(shared.epoch, class)?.len(),
            gaps: cursor.gaps + moment.gaps.iter().filter(unfolded).map(|g| g.range.len()).sum::<u64>(),
        });
    }
    Ok(Ledger { hub: shared.hub, epoch: shared.epoch, classes })
}

/// All gaps, folded or not, by class and place. What expired after it was confirmed is no loss and not among them.
pub(crate) fn gaps(shared: &Shared) -> Result<Vec<Gap>, TableError> {
    let moment = Moment::take(shared)?;
    let mut gaps = moment.tables.gaps(shared.epoch)?;
    gaps.retain(|gap| gap.cause != GapCause::Expired);
    for gap in &moment.gaps {
        match gaps.iter_mut().find(|g| g.class == gap.class && g.range == gap.range) {
            Some(known) => known.until = gap.until,
            None => gaps.push(*gap),
        }
    }
    gaps.sort_by_key(|g| (g.class, g.range));
    Ok(gaps)
}
