//! `time_index`: epoch, class, first sequence number → where and when the block is, to pass over it without reading it.
//!
//! Value: end of the range u64, boot 16 bytes, earliest and latest monotonic ms u64, flag u8 and, with it, earliest
//! and latest device-stated UTC ms u64; bytes of the block u32.

use hub_model::{BootId, BootStamp, SeqRange, UtcMs};

use super::Table;
use crate::field::{Malformed, Put, Reader};

pub(crate) const TIME_INDEX: Table = Table::new("time_index");

/// One block's place in sequence and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexRow {
    pub(crate) range: SeqRange,
    pub(crate) first: BootStamp,
    pub(crate) last: BootStamp,
    pub(crate) wall: Option<(UtcMs, UtcMs)>,
    pub(crate) bytes: u32,
}

pub(crate) fn encode_value(row: &IndexRow) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u64(row.range.to);
    out.put(&row.first.boot.to_bytes());
    out.put_u64(row.first.mono_ms);
    out.put_u64(row.last.mono_ms);
    out.put_u8(u8::from(row.wall.is_some()));
    if let Some((min, max)) = row.wall {
        out.put_u64(min.0.cast_unsigned());
        out.put_u64(max.0.cast_unsigned());
    }
    out.put_u32(row.bytes);
    out
}

pub(crate) fn decode_value(from: u64, bytes: &[u8]) -> Result<IndexRow, Malformed> {
    const WHAT: &str = "time index row";
    let mut r = Reader::new(bytes);
    let to = r.u64(WHAT)?;
    if to < from {
        return Err(Malformed(WHAT));
    }
    let boot = BootId::from_bytes(r.array(WHAT)?);
    let first = BootStamp { boot, mono_ms: r.u64(WHAT)? };
    let last = BootStamp { boot, mono_ms: r.u64(WHAT)? };
    let wall = match r.u8(WHAT)? {
        0 => None,
        1 => Some((UtcMs(r.u64(WHAT)?.cast_signed()), UtcMs(r.u64(WHAT)?.cast_signed()))),
        _ => return Err(Malformed(WHAT)),
    };
    let bytes = r.u32(WHAT)?;
    r.end(WHAT)?;
    Ok(IndexRow { range: SeqRange::new(from, to), first, last, wall, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(from in 0u64..1000, len in 0u64..1000, a: u64, b: u64, wall: Option<(i64, i64)>, bytes: u32) {
            let at = |mono_ms| BootStamp { boot: BootId::from_bytes([9; 16]), mono_ms };
            let wall = wall.map(|(x, y)| (UtcMs(x), UtcMs(y)));
            let row = IndexRow { range: SeqRange::new(from, from + len), first: at(a), last: at(b), wall, bytes };
            prop_assert_eq!(decode_value(from, &encode_value(&row)), Ok(row));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(bytes: Vec<u8>) {
            drop(decode_value(0, &bytes));
        }
    }
}
