//! `confirmed`: epoch, class, first sequence number → end of a range that central has confirmed, u64.
//!
//! Ranges are disjoint and do not touch; what touches is one row. None reaches beyond `sealed_upto`: what is in no
//! block yet was never sent.

use std::collections::BTreeSet;

use hub_model::{Class, LogEpoch, RangeSet, SeqRange};
use redb::{ReadableTable, WriteTransaction};

use super::{Table, TableError, Tables, cursor, place_from, place_key};
use crate::field::Malformed;

pub(crate) const CONFIRMED: Table = Table::new("confirmed");

pub(crate) fn encode_value(to: u64) -> [u8; 8] {
    to.to_be_bytes()
}

pub(crate) fn decode_row(key: &[u8], value: &[u8]) -> Result<SeqRange, Malformed> {
    const WHAT: &str = "confirmed row";
    let from = place_from(key).filter(|_| key.len() == 17).ok_or(Malformed(WHAT))?;
    let to = u64::from_be_bytes(value.try_into().map_err(|_| Malformed(WHAT))?);
    if from < to { Ok(SeqRange::new(from, to)) } else { Err(Malformed(WHAT)) }
}

/// What is confirmed of a class. A damaged row counts as not confirmed: central will say so again.
pub(super) fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    epoch: LogEpoch,
    class: Class,
) -> Result<RangeSet, TableError> {
    let (first, last) = (place_key(epoch, class, 0), place_key(epoch, class, u64::MAX));
    let mut set = RangeSet::new();
    for row in table.range(first.as_slice()..=last.as_slice())? {
        let (key, value) = row?;
        match decode_row(key.value(), value.value()) {
            Ok(range) => set.insert(range),
            Err(error) => tracing::error!(%error, "a damaged confirmation is passed over"),
        }
    }
    Ok(set)
}

/// How a batch of confirmations meets those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirming {
    /// They are more of them.
    Adds,
    /// They are all there are of the classes named.
    Replaces,
}

impl Tables {
    /// Takes a batch of confirmations over, in one transaction; in none when it says nothing new.
    pub(crate) fn confirm(
        &self,
        epoch: LogEpoch,
        batch: &[(Class, RangeSet)],
        how: Confirming,
    ) -> Result<(), TableError> {
        self.write(|txn| {
            let mut changed = false;
            for (class, new) in batch {
                changed |= confirm_class(txn, epoch, *class, new, how)?;
            }
            Ok(changed.then_some(()))
        })?;
        Ok(())
    }
}

fn confirm_class(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    class: Class,
    new: &RangeSet,
    how: Confirming,
) -> Result<bool, TableError> {
    let sealed_upto = cursor::read(&txn.open_table(cursor::CURSOR)?, epoch, class)?.sealed_upto;
    let mut table = txn.open_table(CONFIRMED)?;
    let before = read(&table, epoch, class)?;
    let mut after = match how {
        Confirming::Adds => before.clone(),
        Confirming::Replaces => RangeSet::new(),
    };
    after.extend_from(new);
    if after.last().is_some_and(|last| last >= sealed_upto) {
        tracing::warn!(
            class = class.name(),
            sealed_upto,
            "numbers that were never sent are confirmed; passed over"
        );
        after.remove(SeqRange::new(sealed_upto, u64::MAX));
    }
    if after == before {
        return Ok(false);
    }
    let (first, last) = (place_key(epoch, class, 0), place_key(epoch, class, u64::MAX));
    let mut missing: BTreeSet<SeqRange> = after.iter().collect();
    table.retain_in(first.as_slice()..=last.as_slice(), |key, value| {
        decode_row(key, value).is_ok_and(|row| missing.remove(&row))
    })?;
    for range in missing {
        let key = place_key(epoch, class, range.from);
        table.insert(key.as_slice(), encode_value(range.to).as_slice())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_round_trip(from in 0..u64::MAX, len in 1u64..1000, class in 0u8..7) {
            let class = Class::from_number(class).unwrap();
            let range = SeqRange::new(from, from.saturating_add(len));
            let key = place_key(LogEpoch(3), class, range.from);
            prop_assert_eq!(decode_row(&key, &encode_value(range.to)), Ok(range));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(key: Vec<u8>, value: Vec<u8>) {
            assert!(decode_row(&key, &value).is_err() || key.len() == 17 && value.len() == 8);
        }
    }
}
