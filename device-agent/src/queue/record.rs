//! One message, and its bytes in the ring file.
//!
//! All integers big-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | CRC-32C over the 36 bytes below and the body, going on from that of the record before |
//! | 8 | number, at most 2^63 - 1 |
//! | 1 | kind: 1 telemetry, 2 event, 3 mark: everything below `number` is done with |
//! | 1 | flags: 1 = the wall time is known |
//! | 2 | zero |
//! | 8 | the boot it was taken in |
//! | 8 | milliseconds since that boot |
//! | 8 | wall time, milliseconds since 1970 |
//! | | body |
//!
//! The first record of a segment goes on from the CRC-32C of the segment's number (8 bytes). So a record holds only behind
//! the very record it was written behind: what an earlier round of the ring left, or a torn write, cannot pass for new.

use std::time::Duration;

use crate::clock::{Moment, millis};

/// Longest body, in bytes: a full set of metrics with the longest names is 7 KiB. Longer ones are dropped and counted.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// The highest number of a message or segment that is believed. None is ever counted up to it; one above it is damage, and
/// what follows it could not be counted.
pub(super) const NUMBER_MAX: u64 = u64::MAX / 2;

/// Bytes of a record before its body.
pub(super) const HEADER_BYTES: usize = 44;

/// What a message is about, which decides its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object of metrics.
    Telemetry,
    /// An event.
    Event,
}

/// When a message was made, as far as its device knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Tells boots apart: a digest of the boot's id.
    pub boot: u64,
    /// Milliseconds since that boot.
    pub since_boot_ms: u64,
    /// UTC in milliseconds since 1970, when the clock was plausible.
    pub wall_ms: Option<u64>,
}

impl Taken {
    /// The stamp of something made now.
    pub fn new(boot: u64, now: Moment) -> Taken {
        Taken { boot, since_boot_ms: millis(now.since_boot), wall_ms: now.wall_ms }
    }

    /// UTC, if it is known now: from the stamp, or, within the same boot, from how long ago it was made.
    pub fn wall_ms_at(&self, boot: u64, now: Moment) -> Option<u64> {
        self.wall_ms.or_else(|| {
            let ago = self.age_since_boot(boot, now)?;
            now.wall_ms?.checked_sub(millis(ago))
        })
    }

    /// How long ago it was made; `None` when nobody can know: another boot, and no wall time then or now.
    pub fn age(&self, boot: u64, now: Moment) -> Option<Duration> {
        self.age_since_boot(boot, now).or_else(|| {
            let ago_ms = now.wall_ms?.saturating_sub(self.wall_ms?);
            Some(Duration::from_millis(ago_ms))
        })
    }

    fn age_since_boot(&self, boot: u64, now: Moment) -> Option<Duration> {
        let made = Duration::from_millis(self.since_boot_ms);
        (self.boot == boot).then(|| now.since_boot.saturating_sub(made))
    }
}

/// One message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts up by one with each message, for the life of the queue's file.
    pub number: u64,
    /// Its kind.
    pub kind: Kind,
    /// When it was made.
    pub taken: Taken,
    /// A JSON object without its time.
    pub body: Vec<u8>,
}

impl Record {
    /// Its size in the ring file.
    pub fn stored_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}

/// What a place in a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Message(Record),
    /// Everything below this number is done with.
    DoneBelow(u64),
}

const WALL_KNOWN: u8 = 1;
const KIND_TELEMETRY: u8 = 1;
const KIND_EVENT: u8 = 2;
const KIND_DONE: u8 = 3;

/// What the first record of a segment goes on from.
pub(super) fn chain_of(segment: u64) -> u32 {
    crc32c::crc32c(&segment.to_be_bytes())
}

/// Appends a record's bytes; gives what the next one goes on from.
pub(super) fn encode_message(record: &Record, chain: u32, out: &mut Vec<u8>) -> u32 {
    let kind = match record.kind {
        Kind::Telemetry => KIND_TELEMETRY,
        Kind::Event => KIND_EVENT,
    };
    encode(record.number, kind, record.taken, &record.body, chain, out)
}

pub(super) fn encode_done_below(number: u64, chain: u32, out: &mut Vec<u8>) -> u32 {
    let taken = Taken { boot: 0, since_boot_ms: 0, wall_ms: None };
    encode(number, KIND_DONE, taken, &[], chain, out)
}

fn encode(number: u64, kind: u8, taken: Taken, body: &[u8], chain: u32, out: &mut Vec<u8>) -> u32 {
    let length = u32::try_from(body.len()).expect("bodies are at most BODY_BYTES_MAX");
    let start = out.len();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&[kind, u8::from(taken.wall_ms.is_some()) * WALL_KNOWN, 0, 0]);
    out.extend_from_slice(&taken.boot.to_be_bytes());
    out.extend_from_slice(&taken.since_boot_ms.to_be_bytes());
    out.extend_from_slice(&taken.wall_ms.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(body);
    let sum = crc32c::crc32c_append(chain, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_be_bytes());
    sum
}

/// What stands at the beginning of `bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) stored: Stored,
    pub(super) length: usize,
    /// What the next record goes on from.
    pub(super) chain: u32,
}

/// Reads what stands at the beginning of `bytes`; `None` when that is nothing whole and right.
pub(super) fn decode(bytes: &[u8], chain: u32) -> Option<Found> {
    let header = bytes.get(..HEADER_BYTES)?;
    let length = usize::try_from(u32::from_be_bytes(header[..4].try_into().ok()?)).ok()?;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let checked = bytes.get(8..HEADER_BYTES + length)?;
    let chain = crc32c::crc32c_append(chain, checked);
    if chain.to_be_bytes() != header[4..8] {
        return None;
    }
    let bytes_of_body = &bytes[HEADER_BYTES..HEADER_BYTES + length];
    let length = HEADER_BYTES + length;
    let long = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let number = long(8).filter(|number| *number <= NUMBER_MAX)?;
    let kind = match header[16] {
        KIND_TELEMETRY => Kind::Telemetry,
        KIND_EVENT => Kind::Event,
        KIND_DONE => return Some(Found { stored: Stored::DoneBelow(number), length, chain }),
        _ => return None,
    };
    let known = header[17] & WALL_KNOWN != 0;
    let wall_ms = long(36)?;
    let taken = Taken { boot: long(20)?, since_boot_ms: long(28)?, wall_ms: known.then_some(wall_ms) };
    let record = Record { number, kind, taken, body: bytes_of_body.to_vec() };
    Some(Found { stored: Stored::Message(record), length, chain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let taken = Taken { boot: 7, since_boot_ms: 1000, wall_ms: Some(1_800_000_000_000) };
        Record { number: 5, kind: Kind::Event, taken, body: b"{\"a\":1}".to_vec() }
    }

    #[test]
    fn what_is_written_is_read_in_its_place_only() {
        let mut bytes = Vec::new();
        let chain = encode_message(&record(), 3, &mut bytes);
        let end = encode_done_below(5, chain, &mut bytes);
        assert_eq!(bytes.len(), record().stored_bytes() + HEADER_BYTES);
        let length = record().stored_bytes();
        assert_eq!(decode(&bytes, 3), Some(Found { stored: Stored::Message(record()), length, chain }));
        let mark = Found { stored: Stored::DoneBelow(5), length: HEADER_BYTES, chain: end };
        assert_eq!(decode(&bytes[length..], chain), Some(mark));
        assert_eq!(decode(&bytes, 4), None);
        assert_eq!(decode(&bytes[length..], 3), None);
        assert_ne!(chain_of(1), chain_of(2));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        encode_message(&record(), 3, &mut bytes);
        for at in 0..bytes.len() {
            assert_eq!(decode(&bytes[..at], 3), None, "cut at {at}");
            for bit in 0..8 {
                let mut wrong = bytes.clone();
                wrong[at] ^= 1 << bit;
                assert_eq!(decode(&wrong, 3), None, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn numbers_that_cannot_be_counted_up_are_nothing() {
        let mut bytes = Vec::new();
        encode_message(&Record { number: NUMBER_MAX, ..record() }, 0, &mut bytes);
        assert!(decode(&bytes, 0).is_some());
        bytes.clear();
        let chain = encode_message(&Record { number: NUMBER_MAX + 1, ..record() }, 0, &mut bytes);
        let length = bytes.len();
        encode_done_below(u64::MAX, chain, &mut bytes);
        assert_eq!((decode(&bytes, 0), decode(&bytes[length..], chain)), (None, None));
    }

    #[test]
    fn zeroes_and_noise_are_nothing() {
        assert_eq!(decode(&[0; 100], 0), None);
        assert_eq!(decode(&[0xff; 100], 0), None);
    }

    #[test]
    fn the_wall_time_is_repaired_within_a_boot() {
        let now = Moment { since_boot: Duration::from_secs(61), wall_ms: Some(1_800_000_060_000) };
        let unset = Taken { boot: 7, since_boot_ms: 1000, wall_ms: None };
        assert_eq!(unset.wall_ms_at(7, now), Some(1_800_000_000_000));
        assert_eq!(unset.wall_ms_at(8, now), None);
        assert_eq!(unset.age(7, now), Some(Duration::from_secs(60)));
        assert_eq!(unset.age(8, now), None);
        let set = Taken { boot: 7, since_boot_ms: 1000, wall_ms: Some(1_800_000_050_000) };
        assert_eq!(set.age(8, now), Some(Duration::from_secs(10)));
    }
}
