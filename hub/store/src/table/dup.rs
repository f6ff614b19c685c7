//! `dup`: session incarnation → the packets of that session that are on flash, oldest first.
//!
//! Value: per packet its identifier u16 and content hash u64. One row per session, rewritten when it changed.

use super::Table;
use crate::dup::{MARKS_PER_SESSION, SessionMarks};
use crate::field::{Malformed, Put, Reader};

pub(crate) const DUP: Table = Table::new("dup");

pub(crate) const fn encode_key(incarnation: u64) -> [u8; 8] {
    incarnation.to_be_bytes()
}

pub(crate) fn decode_key(key: &[u8]) -> Result<u64, Malformed> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("dup key"))
}

pub(crate) fn encode_value(marks: &SessionMarks) -> Vec<u8> {
    let mut out = Vec::with_capacity(marks.len() * 10);
    for (packet_id, hash) in marks {
        out.put_u16(*packet_id);
        out.put_u64(*hash);
    }
    out
}

pub(crate) fn decode_value(bytes: &[u8]) -> Result<SessionMarks, Malformed> {
    let mut r = Reader::new(bytes);
    let mut marks = SessionMarks::new();
    while !r.is_empty() {
        marks.push_back((r.u16("dup row")?, r.u64("dup row")?));
    }
    if marks.len() > MARKS_PER_SESSION { Err(Malformed("dup row")) } else { Ok(marks) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(marks in proptest::collection::vec(any::<(u16, u64)>(), 0..50), incarnation: u64) {
            let marks: SessionMarks = marks.into();
            prop_assert_eq!(decode_value(&encode_value(&marks)), Ok(marks));
            prop_assert_eq!(decode_key(&encode_key(incarnation)), Ok(incarnation));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(bytes: Vec<u8>) {
            drop(decode_value(&bytes));
        }
    }
}
