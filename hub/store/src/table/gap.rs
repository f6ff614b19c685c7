//! `gap`: epoch, class, first and end sequence number → cause and the moments around it.
//!
//! The end is part of the key so that a zero-length row (a restart) and a later gap that begins at the same number
//! stand beside each other. Two restarts at one number share a row that spans both.

use hub_model::{Class, Gap, LogEpoch, SeqRange};

use super::{Table, place_key};
use crate::field::Malformed;
use crate::wal::frame::{put_gap, read_gap};

pub(crate) const GAP: Table = Table::new("gap");

pub(crate) fn encode_key(epoch: LogEpoch, class: Class, range: SeqRange) -> [u8; 25] {
    let mut key = [0; 25];
    key[..17].copy_from_slice(&place_key(epoch, class, range.from));
    key[17..].copy_from_slice(&range.to.to_be_bytes());
    key
}

pub(crate) fn decode_key(key: &[u8]) -> Result<(Class, SeqRange), Malformed> {
    const WHAT: &str = "gap key";
    let key: &[u8; 25] = key.try_into().map_err(|_| Malformed(WHAT))?;
    let class = Class::from_number(key[8]).ok_or(Malformed(WHAT))?;
    let number = |at: usize| key.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    let (from, to) = number(9).zip(number(17)).ok_or(Malformed(WHAT))?;
    if from > to { Err(Malformed(WHAT)) } else { Ok((class, SeqRange::new(from, to))) }
}

pub(crate) fn encode_value(gap: &Gap) -> Vec<u8> {
    let mut out = Vec::new();
    put_gap(&mut out, gap);
    out
}

pub(crate) fn decode_value(class: Class, range: SeqRange, bytes: &[u8]) -> Result<Gap, Malformed> {
    read_gap(class, range, bytes)
}

/// What a row says after another gap with the same key: the span of both.
pub(crate) fn merge(known: &Gap, new: &Gap) -> Gap {
    Gap { since: known.since, until: new.until, ..*known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{BootId, BootStamp, GapCause};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(from in 0u64..1 << 60, len in 0u64..1000, class in 0u8..7, mono_ms: u64) {
            let class = Class::from_number(class).unwrap();
            let range = SeqRange::new(from, from + len);
            let until = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms };
            let gap = Gap { class, range, cause: GapCause::Evicted, since: None, until };
            prop_assert_eq!(decode_key(&encode_key(LogEpoch(3), class, range)), Ok((class, range)));
            prop_assert_eq!(decode_value(class, range, &encode_value(&gap)), Ok(gap));
        }

        #[test]
        fn any_bytes_are_a_row_or_malformed(key: Vec<u8>, value: Vec<u8>) {
            assert!(decode_key(&key).is_err() || key.len() == 25);
            assert!(decode_value(Class::Alarm, SeqRange::new(0, 1), &value).is_err() || value.len() >= 26);
        }
    }
}
