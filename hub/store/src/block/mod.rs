//! Sealed blocks: a run of records of one class and one boot, encoded once and never again.
//!
//! This first codec writes plain columns and lets zstd-1 shrink them together; version 1 may change until v0.1.0.
//! Byte by byte: `docs/reference/formats/block.md`.

mod body;
mod header;

pub(crate) use body::{decode_body, encode_body};
pub(crate) use header::is_intact;
pub use header::{BLOCK_HEADER_BYTES, BlockHeader};

use hub_model::{Class, LogEpoch, SeqRange};
use thiserror::Error;

use crate::field::Malformed;
use crate::record::{Base, Record};

/// The largest block, header included: above it a redb value takes twice its size (measured at 65,536 bytes).
pub const BLOCK_BYTES_MAX: usize = 64_900;
/// The most bytes a body may unpack to; bounds what a damaged or hostile block can make us allocate.
pub(crate) const RAW_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most records in a block.
pub const BLOCK_RECORDS_MAX: usize = 16_384;

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// A field does not say what it should.
    #[error("decode block: {0}")]
    Malformed(#[from] Malformed),
    /// The checksum does not match: bytes went bad.
    #[error("decode block: checksum mismatch")]
    Checksum,
    /// A version this program does not read.
    #[error("decode block: version {0} is not known")]
    Version(u16),
    /// There are no bytes where a block should be.
    #[error("decode block: it is missing")]
    Missing,
    /// The compressed body does not unpack to its stated length.
    #[error("decode block: body does not unpack")]
    Compression,
}

/// What is the same for all records of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) class: Class,
    pub(crate) epoch: LogEpoch,
    pub(crate) range: SeqRange,
    pub(crate) base: Base,
}

/// Encodes records into a block. The records' boot is the place's; there is one record per number of its range.
pub(crate) fn encode(place: BlockPlace, records: &[Record]) -> Vec<u8> {
    assert_eq!(records.len() as u64, place.range.len(), "one record per sequence number");
    let body = encode_body(place.class, place.base, records);
    header::seal(place, records, body)
}

/// Reads a block: every byte is checked before it is believed.
pub fn decode(bytes: &[u8]) -> Result<(BlockHeader, Vec<Record>), BlockError> {
    let (header, directory, packed) = BlockHeader::split(bytes)?;
    let raw = header.unpack(packed)?;
    let base = Base { boot: header.boot, mono_ms: header.t_min_ms };
    let records = decode_body(header.class, base, header.range.len(), &raw)?;
    header::check_directory(directory, header.series_count)?;
    Ok((header, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{BOOT, any_sample};
    use proptest::prelude::*;

    fn place(records: usize) -> BlockPlace {
        BlockPlace {
            class: Class::Telemetry,
            epoch: LogEpoch(5),
            range: SeqRange::new(100, 100 + records as u64),
            base: Base { boot: BOOT, mono_ms: 1_000_000 },
        }
    }

    proptest! {
        #[test]
        fn samples_come_out_bit_for_bit(samples in proptest::collection::vec(any_sample(), 1..60)) {
            let records: Vec<Record> = samples.into_iter().map(Record::Sample).collect();
            let bytes = encode(place(records.len()), &records);
            let (header, decoded) = decode(&bytes).unwrap();
            let decoded_len = decoded.len();
            prop_assert_eq!(decoded, records);
            prop_assert_eq!(header.range, place(decoded_len).range);
        }

        #[test]
        fn any_bytes_are_a_block_or_an_error(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn a_damaged_block_is_noticed(samples in proptest::collection::vec(any_sample(), 1..20), at: usize, xor in 1u8..) {
            let records: Vec<Record> = samples.into_iter().map(Record::Sample).collect();
            let mut bytes = encode(place(records.len()), &records);
            let at = at % bytes.len();
            bytes[at] ^= xor;
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
