//! `quarantine`: number u64, rising → a block that was found damaged, for a person to look at.
//!
//! Value: epoch u64, class u8, first and end sequence number u64, then the bytes as they were found. The newest
//! [`BLOCKS_MAX`] are kept; numbers are never used again, so the first key says how many were dropped.

use hub_model::{Class, LogEpoch, SeqRange};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::{Table, TableError};
use crate::field::{Malformed, Put};

pub(crate) const QUARANTINE: Table = Table::new("quarantine");
/// How many damaged blocks are kept: 4 MiB at most, enough to see a pattern in the damage.
pub(crate) const BLOCKS_MAX: u64 = 64;

/// A damaged block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantined {
    pub(crate) epoch: LogEpoch,
    pub(crate) class: Class,
    /// What it should have held.
    pub(crate) range: SeqRange,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn encode_value(block: &Quarantined) -> Vec<u8> {
    let mut out = Vec::with_capacity(25 + block.bytes.len());
    out.put_u64(block.epoch.0);
    out.put_u8(block.class.number());
    out.put_u64(block.range.from);
    out.put_u64(block.range.to);
    out.put(&block.bytes);
    out
}

#[cfg(test)]
pub(crate) fn decode_value(bytes: &[u8]) -> Result<Quarantined, Malformed> {
    const WHAT: &str = "quarantine row";
    let mut r = crate::field::Reader::new(bytes);
    let epoch = LogEpoch(r.u64(WHAT)?);
    let class = Class::from_number(r.u8(WHAT)?).ok_or(Malformed(WHAT))?;
    let (from, to) = (r.u64(WHAT)?, r.u64(WHAT)?);
    if from > to {
        return Err(Malformed(WHAT));
    }
    let bytes = r.take(r.remaining(), WHAT)?.to_vec();
    Ok(Quarantined { epoch, class, range: SeqRange::new(from, to), bytes })
}

/// Adds a block; returns how many of the oldest had to go.
pub(super) fn put(txn: &WriteTransaction, block: &Quarantined) -> Result<u64, TableError> {
    let mut table = txn.open_table(QUARANTINE)?;
    let last = table.last()?.map(|(key, _)| number(key.value())).transpose()?;
    let next = last.map_or(0, |n| n + 1);
    table.insert(next.to_be_bytes().as_slice(), encode_value(block).as_slice())?;
    let mut dropped = 0;
    while table.len()? > BLOCKS_MAX {
        table.pop_first()?;
        dropped += 1;
    }
    Ok(dropped)
}

fn number(key: &[u8]) -> Result<u64, Malformed> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("quarantine key"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_round_trip(epoch: u64, from in 0u64..1 << 60, len in 0u64..1000, class in 0u8..7, bytes: Vec<u8>) {
            let class = Class::from_number(class).unwrap();
            let range = SeqRange::new(from, from + len);
            let block = Quarantined { epoch: LogEpoch(epoch), class, range, bytes };
            prop_assert_eq!(decode_value(&encode_value(&block)), Ok(block));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(bytes: Vec<u8>) {
            assert!(decode_value(&bytes).is_err() || bytes.len() >= 25);
        }
    }
}
