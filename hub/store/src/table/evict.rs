//! Making room: the oldest blocks go, and each leaves a gap row in the same transaction.

use hub_model::{Class, Gap, GapCause, LogEpoch, RangeSet, SeqRange};
use redb::{ReadableTable, WriteTransaction};

use super::cover::{Sequence, first_gap, last_gap};
use super::time_index::IndexRow;
use super::{
    LedgerChange, TableError, Tables, block, confirmed, gap, index_row, insert_gaps, place_key, time_index,
};

/// Bounds one transaction; the rest goes in the next.
const ROWS_MAX: usize = 256;

/// Which blocks may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evicting {
    /// Only those that central has wholly confirmed: no loss.
    Confirmed,
    /// Any; those that central has are told apart from those that are lost.
    Any,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    /// Blocks that central has.
    pub(crate) expired: u64,
    /// Their bytes.
    pub(crate) expired_bytes: u64,
    /// Blocks that are lost.
    pub(crate) lost: u64,
    /// Their bytes.
    pub(crate) lost_bytes: u64,
}

impl Tables {
    /// Takes out blocks of class telemetry or bulk from the oldest on, until they were at least `bytes`. Those that
    /// central has become rows of cause expired, merged with their neighbours; the others, per run, rows of cause
    /// evicted.
    pub(crate) fn evict(
        &self,
        epoch: LogEpoch,
        class: Class,
        bytes: u64,
        which: Evicting,
    ) -> Result<Evicted, TableError> {
        assert!(class.evictable(), "classes 0-3 are never evicted");
        let evicted = self.write(|txn| {
            let confirmed = confirmed::read(&txn.open_table(confirmed::CONFIRMED)?, epoch, class)?;
            let rows = oldest_rows(txn, Sequence { epoch, class }, bytes, which, &confirmed)?;
            if rows.is_empty() {
                return Ok(None);
            }
            let mut ledger = LedgerChange::default();
            let mut evicted = Evicted::default();
            remove_blocks(txn, epoch, class, &rows, &mut ledger)?;
            for gap in gap_rows(class, &rows, &confirmed, &mut evicted) {
                if gap.cause == GapCause::Expired {
                    insert_expired(txn, epoch, gap, &mut ledger)?;
                } else {
                    insert_gaps(txn, epoch, &[gap], &mut ledger)?;
                }
            }
            ledger.apply(txn, epoch, &[])?;
            Ok(Some(evicted))
        })?;
        Ok(evicted.unwrap_or_default())
    }
}

/// The oldest blocks that may go. Looks only where something may be found: nothing confirmed costs no search.
fn oldest_rows(
    txn: &WriteTransaction,
    Sequence { epoch, class }: Sequence,
    bytes: u64,
    which: Evicting,
    confirmed: &RangeSet,
) -> Result<Vec<IndexRow>, TableError> {
    let index = txn.open_table(time_index::TIME_INDEX)?;
    let areas: Vec<SeqRange> = match which {
        Evicting::Any => vec![SeqRange::new(0, u64::MAX)],
        Evicting::Confirmed => confirmed.iter().collect(),
    };
    let (mut rows, mut taken) = (Vec::new(), 0);
    for area in areas {
        let (from, to) = (place_key(epoch, class, area.from), place_key(epoch, class, area.to));
        for row in index.range(from.as_slice()..to.as_slice())? {
            if taken >= bytes || rows.len() >= ROWS_MAX {
                return Ok(rows);
            }
            let (key, value) = row?;
            // A damaged row is left for the outbox to mend.
            let Ok(row) = index_row(key.value(), value.value()) else { continue };
            if area.covers(row.range) {
                taken += u64::from(row.bytes);
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn remove_blocks(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    class: Class,
    rows: &[IndexRow],
    ledger: &mut LedgerChange,
) -> Result<(), TableError> {
    let mut index = txn.open_table(time_index::TIME_INDEX)?;
    let mut blocks = txn.open_table(block::BLOCK)?;
    for row in rows {
        let key = place_key(epoch, class, row.range.from);
        index.remove(key.as_slice())?;
        blocks.remove(key.as_slice())?;
        ledger.stored[class.index()] -= i128::from(row.range.len());
    }
    Ok(())
}

/// One gap for each run of neighbours with the same fate: blocks between other gaps are no neighbours.
fn gap_rows(class: Class, rows: &[IndexRow], confirmed: &RangeSet, evicted: &mut Evicted) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for row in rows {
        let cause = if confirmed.covers(row.range) {
            evicted.expired += 1;
            evicted.expired_bytes += u64::from(row.bytes);
            GapCause::Expired
        } else {
            evicted.lost += 1;
            evicted.lost_bytes += u64::from(row.bytes);
            GapCause::Evicted
        };
        match gaps.last_mut() {
            Some(gap) if gap.range.to == row.range.from && gap.cause == cause => {
                gap.range.to = row.range.to;
                gap.until = row.last;
            }
            _ => gaps.push(Gap { class, range: row.range, cause, since: Some(row.first), until: row.last }),
        }
    }
    gaps
}

/// Adds a row of cause expired; those it touches become one row with it, so that years of history do not fill the
/// table.
fn insert_expired(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    new: Gap,
    ledger: &mut LedgerChange,
) -> Result<(), TableError> {
    let mut table = txn.open_table(gap::GAP)?;
    let sequence = Sequence { epoch, class: new.class };
    ledger.expired[new.class.index()] += i128::from(new.range.len());
    let expired = |gap: &Gap| gap.cause == GapCause::Expired;
    let before =
        last_gap(&table, sequence, new.range.from)?.filter(|g| expired(g) && g.range.to == new.range.from);
    let after =
        first_gap(&table, sequence, new.range.to - 1)?.filter(|g| expired(g) && g.range.from == new.range.to);
    let mut merged = new;
    if let Some(before) = before {
        table.remove(gap::encode_key(epoch, new.class, before.range).as_slice())?;
        merged.range.from = before.range.from;
        merged.since = before.since;
    }
    if let Some(after) = after {
        table.remove(gap::encode_key(epoch, new.class, after.range).as_slice())?;
        merged.range.to = after.range.to;
        merged.until = after.until;
    }
    let key = gap::encode_key(epoch, new.class, merged.range);
    table.insert(key.as_slice(), gap::encode_value(&merged).as_slice())?;
    Ok(())
}
