//! `cursor`: epoch, class → how far the class is sealed, and its share of the ledger.
//!
//! Value: sealed_upto, stored, expired, gaps, each u64. `sealed_upto = stored + expired + gaps below it`.

use hub_model::{Class, LogEpoch};
use redb::ReadableTable;

use super::{Table, TableError};
use crate::field::{Malformed, Put, Reader};

pub(crate) const CURSOR: Table = Table::new("cursor");

/// A class's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// Every record below is in a block, expired, or in a gap.
    pub(crate) sealed_upto: u64,
    /// Records in blocks.
    pub(crate) stored: u64,
    /// Records past their retention.
    pub(crate) expired: u64,
    /// Records in gap rows.
    pub(crate) gaps: u64,
}

/// A class's row; zeros when it has none yet.
pub(super) fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    epoch: LogEpoch,
    class: Class,
) -> Result<Cursor, TableError> {
    let row = table.get(encode_key(epoch, class).as_slice())?;
    Ok(row.map(|r| decode_value(r.value())).transpose()?.unwrap_or_default())
}

pub(crate) fn encode_key(epoch: LogEpoch, class: Class) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&epoch.0.to_be_bytes());
    key[8] = class.number();
    key
}

pub(crate) fn encode_value(cursor: &Cursor) -> Vec<u8> {
    let mut out = Vec::new();
    [cursor.sealed_upto, cursor.stored, cursor.expired, cursor.gaps].into_iter().for_each(|v| out.put_u64(v));
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<Cursor, Malformed> {
    const WHAT: &str = "cursor row";
    let mut r = Reader::new(bytes);
    let cursor =
        Cursor { sealed_upto: r.u64(WHAT)?, stored: r.u64(WHAT)?, expired: r.u64(WHAT)?, gaps: r.u64(WHAT)? };
    r.end(WHAT)?;
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(sealed_upto: u64, stored: u64, expired: u64, gaps: u64) {
            let cursor = Cursor { sealed_upto, stored, expired, gaps };
            prop_assert_eq!(decode_value(&encode_value(&cursor)), Ok(cursor));
        }
    }

    #[test]
    fn a_short_row_is_malformed() {
        assert!(decode_value(&[0; 31]).is_err());
        assert!(decode_value(&[0; 33]).is_err());
    }
}
