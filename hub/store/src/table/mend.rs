//! Turning what is damaged into a gap row, so that every number below `sealed_upto` is answered for.

use hub_model::{BootStamp, Class, Gap, GapCause, LogEpoch, SeqRange};
use redb::{ReadableTable, WriteTransaction};

use super::cover::{Cover, Sequence, cover_at};
use super::quarantine::{self, Quarantined};
use super::{
    LedgerChange, TableError, Tables, block, cursor, gap, index_row, place_from, place_key, time_index,
};
use crate::block::is_intact;

/// What mending did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mended {
    /// The new row.
    pub(crate) gap: Gap,
    /// Bytes of the blocks taken out.
    pub(crate) bytes: u64,
    /// Older damaged blocks that had to go for this one.
    pub(crate) dropped: u64,
}

impl Tables {
    /// Looks again at what stands for `at`, and replaces what is damaged, or missing, by a gap row; the damaged bytes
    /// go into quarantine, all in one transaction. `None` when there is nothing to mend. `now` dates a gap that has no
    /// other date.
    pub(crate) fn mend(
        &self,
        epoch: LogEpoch,
        class: Class,
        at: u64,
        now: BootStamp,
    ) -> Result<Option<Mended>, TableError> {
        self.write(|txn| {
            let sequence = Sequence { epoch, class };
            let end = cursor::read(&txn.open_table(cursor::CURSOR)?, epoch, class)?.sealed_upto;
            if at >= end {
                return Ok(None);
            }
            let damaged = match look(txn, sequence, at, end)? {
                Cover::Gap(_) => return Ok(None),
                Cover::Block(row) => {
                    let blocks = txn.open_table(block::BLOCK)?;
                    let bytes = blocks.get(place_key(epoch, class, row.range.from).as_slice())?;
                    if bytes.is_some_and(|bytes| is_intact(bytes.value(), class, epoch, row.range)) {
                        return Ok(None);
                    }
                    Some(row)
                }
                Cover::Nothing(_) => None,
            };
            // Without the damaged row, what no other row covers is what it stood for, whatever it says itself.
            if let Some(row) = &damaged {
                let key = place_key(epoch, class, row.range.from);
                txn.open_table(time_index::TIME_INDEX)?.remove(key.as_slice())?;
            }
            let Cover::Nothing(hole) = look(txn, sequence, at, end)? else { return Ok(None) };
            let (bytes, dropped) = clear(txn, sequence, hole.range)?;
            let span = damaged.as_ref().map(|row| (Some(row.first), row.last));
            let (since, until) = span.unwrap_or((hole.since, hole.until.or(hole.since).unwrap_or(now)));
            let gap = Gap { class, range: hole.range, cause: GapCause::Corrupted, since, until };
            let key = gap::encode_key(epoch, class, gap.range);
            txn.open_table(gap::GAP)?.insert(key.as_slice(), gap::encode_value(&gap).as_slice())?;
            if damaged.is_some_and(|row| row.range == hole.range) {
                let mut ledger = LedgerChange::default();
                ledger.stored[class.index()] -= i128::from(gap.range.len());
                ledger.gaps[class.index()] += i128::from(gap.range.len());
                ledger.apply(txn, epoch, &[])?;
            } else {
                recount(txn, sequence)?;
            }
            Ok(Some(Mended { gap, bytes, dropped }))
        })
    }
}

fn look(txn: &WriteTransaction, sequence: Sequence, at: u64, end: u64) -> Result<Cover, TableError> {
    cover_at(&txn.open_table(time_index::TIME_INDEX)?, &txn.open_table(gap::GAP)?, sequence, at, end)
}

/// Takes out everything that begins within a hole and has numbers: a block goes into quarantine, a row that does not
/// decode just goes. Returns the bytes of the blocks, and how many older ones went for them.
fn clear(txn: &WriteTransaction, sequence: Sequence, range: SeqRange) -> Result<(u64, u64), TableError> {
    let Sequence { epoch, class } = sequence;
    let (first, end) = (place_key(epoch, class, range.from), place_key(epoch, class, range.to));
    let mut blocks = txn.open_table(block::BLOCK)?;
    let (mut taken, mut dropped) = (0, 0);
    for row in blocks.extract_from_if(first.as_slice()..end.as_slice(), |_, _| true)? {
        let (key, value) = row?;
        let from = place_from(key.value()).unwrap_or(range.from);
        let bytes = value.value().to_vec();
        taken += bytes.len() as u64;
        let held = SeqRange::new(from, range.to.max(from));
        dropped += quarantine::put(txn, &Quarantined { epoch, class, range: held, bytes })?;
    }
    let mut index = txn.open_table(time_index::TIME_INDEX)?;
    index.retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
    let mut gaps = txn.open_table(gap::GAP)?;
    gaps.retain_in(first.as_slice()..end.as_slice(), |key, value| {
        let empty = |(class, range): (Class, SeqRange)| {
            range.is_empty() && gap::decode_value(class, range, value).is_ok()
        };
        gap::decode_key(key).is_ok_and(empty)
    })?;
    Ok((taken, dropped))
}

/// Counts a class's share of the ledger anew, row by row: what a row that is gone had counted as is not known.
fn recount(txn: &WriteTransaction, sequence: Sequence) -> Result<(), TableError> {
    let Sequence { epoch, class } = sequence;
    let (first, last) = (place_key(epoch, class, 0), place_key(epoch, class, u64::MAX));
    let (mut stored, mut expired, mut gaps) = (0, 0, 0);
    for row in txn.open_table(time_index::TIME_INDEX)?.range(first.as_slice()..=last.as_slice())? {
        let (key, value) = row?;
        stored += index_row(key.value(), value.value()).map_or(0, |row| row.range.len());
    }
    let last = gap::encode_key(epoch, class, SeqRange::new(u64::MAX, u64::MAX));
    for row in txn.open_table(gap::GAP)?.range(first.as_slice()..=last.as_slice())? {
        let (key, value) = row?;
        let Ok((class, range)) = gap::decode_key(key.value()) else { continue };
        match gap::decode_value(class, range, value.value()) {
            Ok(gap) if gap.cause == GapCause::Expired => expired += range.len(),
            Ok(_) => gaps += range.len(),
            Err(_) => {}
        }
    }
    let mut cursors = txn.open_table(cursor::CURSOR)?;
    let after = cursor::Cursor { stored, expired, gaps, ..cursor::read(&cursors, epoch, class)? };
    cursors.insert(cursor::encode_key(epoch, class).as_slice(), cursor::encode_value(&after).as_slice())?;
    Ok(())
}
