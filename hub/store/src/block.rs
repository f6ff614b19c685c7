//! Sealed blocks: a run of records of one class and one boot, encoded once and never again.
//!
//! `hub-codec` has the format; what stands here is what it leaves open: samples are columns, and the rows of the other
//! classes are records as in the WAL, with stamps relative to the block's earliest. Byte by byte:
//! `docs/reference/formats/block.md`.

use hub_codec::{Limits, Place, RowBlock, RowTimes, SampleBlock, encode_rows, encode_samples};
use hub_model::{BootId, Class, LogEpoch, Sample, SeqRange, SeriesId, Stamp};
use thiserror::Error;

use crate::field::{Malformed, Reader};
use crate::record::{Base, Record, put_definition, put_event, read_definition, read_event};

pub use hub_codec::{BlockHeader, HEADER_BYTES as BLOCK_HEADER_BYTES, VERSION as BLOCK_VERSION};

const LIMITS: Limits = Limits::LOG;
/// The most records in a block.
pub const BLOCK_RECORDS_MAX: usize = LIMITS.records_max as usize;
/// The most bytes that rows may unpack to.
pub(crate) const RAW_BYTES_MAX: usize = LIMITS.unpacked_bytes_max as usize;

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The bytes are no block, or one this program does not read.
    #[error("{0}")]
    Codec(#[from] hub_codec::DecodeError),
    /// A row does not say what it should.
    #[error("decode block: {0}")]
    Malformed(#[from] Malformed),
    /// There are no bytes where a block should be.
    #[error("decode block: it is missing")]
    Missing,
}

impl BlockError {
    /// Whether it is a whole block of a version that this program does not read.
    pub const fn is_unknown_version(&self) -> bool {
        matches!(self, BlockError::Codec(hub_codec::DecodeError::Version(_)))
    }
}

/// What is the same for all records of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) class: Class,
    pub(crate) epoch: LogEpoch,
    pub(crate) boot: BootId,
    pub(crate) first_seq: u64,
}

/// Encodes records into one block: one for each number from the place's first on, of the place's boot. Some errors say that
/// fewer records could fit; a single one always does.
pub(crate) fn encode(place: BlockPlace, records: &[Record]) -> Result<Vec<u8>, hub_codec::EncodeError> {
    let BlockPlace { class, epoch, boot, first_seq } = place;
    let place = Place { class, epoch, boot, first_seq };
    if holds_samples(class) {
        let samples = records.iter().filter_map(|record| match record {
            Record::Sample(sample) => Some(sample),
            Record::Event(_) | Record::Definition(_) => None,
        });
        return encode_samples(&place, samples, &LIMITS);
    }
    let times = row_times(records);
    let base = Base { boot, mono_ms: times.t_min_ms };
    let row = |record: &Record| {
        let mut row = Vec::new();
        match record {
            Record::Event(event) => put_event(&mut row, base, event),
            Record::Definition(definition) => put_definition(&mut row, definition),
            Record::Sample(_) => unreachable!("samples are of class telemetry or bulk"),
        }
        row
    };
    encode_rows(&place, &times, records.iter().map(row), &LIMITS)
}

fn row_times(records: &[Record]) -> RowTimes {
    let events = || {
        records.iter().filter_map(|record| match record {
            Record::Event(event) => Some(event),
            Record::Sample(_) | Record::Definition(_) => None,
        })
    };
    let t_min_ms = events().map(|event| event.received.mono_ms).min().unwrap_or(0);
    let t_max_ms = events().map(|event| event.received.mono_ms).max().unwrap_or(0);
    let stated = || {
        events().filter_map(|event| match event.stamp {
            Stamp::Wall(utc, _) => Some(utc),
            Stamp::Boot(_) => None,
        })
    };
    let wall = stated().min().zip(stated().max());
    RowTimes { t_min_ms, t_span_ms: t_max_ms - t_min_ms, wall }
}

const fn holds_samples(class: Class) -> bool {
    matches!(class, Class::Telemetry | Class::Bulk)
}

/// The header of a block that is whole.
pub fn header(bytes: &[u8]) -> Result<BlockHeader, BlockError> {
    Ok(BlockHeader::read(bytes, &LIMITS)?)
}

/// The series inside a block, each with its number of samples; none when its class holds no samples.
pub fn series(bytes: &[u8]) -> Result<Vec<(SeriesId, usize)>, BlockError> {
    if !holds_samples(header(bytes)?.class) {
        return Ok(Vec::new());
    }
    Ok(SampleBlock::open(bytes, &LIMITS)?.series().collect())
}

/// Reads the samples of the series that are wanted, with their numbers and in their order. The values of others are not
/// decoded.
pub fn samples(bytes: &[u8], wanted: impl Fn(SeriesId) -> bool) -> Result<Vec<(u64, Sample)>, BlockError> {
    let block = SampleBlock::open(bytes, &LIMITS)?;
    if !block.series().any(|(id, _)| wanted(id)) {
        return Ok(Vec::new());
    }
    Ok(block.numbered(wanted)?.collect())
}

/// Reads the samples of one series in the order of their numbers, without the numbers: these alone would take longer than all
/// the rest. `None` when the series is not inside.
pub fn samples_of(bytes: &[u8], id: SeriesId) -> Result<Option<Vec<Sample>>, BlockError> {
    Ok(SampleBlock::open(bytes, &LIMITS)?.samples_of(id)?)
}

/// Reads a block: every byte is checked before it is believed.
pub fn decode(bytes: &[u8]) -> Result<(BlockHeader, Vec<Record>), BlockError> {
    let header = header(bytes)?;
    if holds_samples(header.class) {
        let samples = SampleBlock::open(bytes, &LIMITS)?.samples()?;
        return Ok((header, samples.into_iter().map(Record::Sample).collect()));
    }
    let block = RowBlock::open(bytes, &LIMITS)?;
    let base = Base { boot: header.boot, mono_ms: header.t_min_ms };
    let rows: Result<Vec<Record>, Malformed> =
        block.rows().map(|(_, row)| read_row(header.class, base, row)).collect();
    let rows = rows?;
    Ok((header, rows))
}

fn read_row(class: Class, base: Base, row: &[u8]) -> Result<Record, Malformed> {
    let mut r = Reader::new(row);
    let record = match class {
        Class::Alarm | Class::Event => Record::Event(read_event(&mut r, base)?),
        Class::Meta => Record::Definition(read_definition(&mut r)?),
        Class::Audit | Class::Rollup | Class::Telemetry | Class::Bulk => {
            return Err(Malformed("block class"));
        }
    };
    r.end("row")?;
    Ok(record)
}

/// Whether bytes are the block that was sealed for this place. A version unknown here with a good checksum is.
pub(crate) fn is_intact(bytes: &[u8], class: Class, epoch: LogEpoch, range: SeqRange) -> bool {
    match header(bytes) {
        Ok(header) => (header.class, header.epoch, header.range) == (class, epoch, range),
        Err(error) => error.is_unknown_version(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{BOOT, any_sample};
    use hub_model::{DeviceId, Event, EventRecord, Severity, UtcMs, WallSource};
    use proptest::prelude::*;

    const PLACE: BlockPlace =
        BlockPlace { class: Class::Telemetry, epoch: LogEpoch(5), boot: BOOT, first_seq: 100 };

    fn event(mono_ms: u64, stated: Option<UtcMs>) -> EventRecord {
        let received = hub_model::BootStamp { boot: BOOT, mono_ms };
        EventRecord {
            device: Some(DeviceId::from_bytes([2; 16])),
            stamp: stated.map_or(Stamp::Boot(received), |utc| Stamp::Wall(utc, WallSource::Device)),
            received,
            event: Event {
                id: "e".into(),
                severity: Severity::Info,
                code: "c".into(),
                params: Vec::new(),
                text: "text".into(),
            },
        }
    }

    proptest! {
        #[test]
        fn samples_come_out_bit_for_bit(samples in proptest::collection::vec(any_sample(), 1..60)) {
            let records: Vec<Record> = samples.into_iter().map(Record::Sample).collect();
            let bytes = encode(PLACE, &records).unwrap();
            let (header, decoded) = decode(&bytes).unwrap();
            prop_assert_eq!(header.range, SeqRange::new(100, 100 + decoded.len() as u64));
            prop_assert_eq!(decoded, records);
        }

        #[test]
        fn events_come_out_as_they_were(times in proptest::collection::vec((any::<u32>(), any::<Option<i64>>()), 1..40)) {
            let event = |(mono, stated): (u32, Option<i64>)| Record::Event(event(u64::from(mono), stated.map(UtcMs)));
            let records: Vec<Record> = times.iter().copied().map(event).collect();
            let bytes = encode(BlockPlace { class: Class::Event, ..PLACE }, &records).unwrap();
            let (header, decoded) = decode(&bytes).unwrap();
            prop_assert_eq!(decoded, records);
            let earliest = times.iter().map(|(mono, _)| u64::from(*mono)).min().unwrap();
            prop_assert_eq!(header.span().0.mono_ms, earliest);
            prop_assert_eq!(header.wall.map(|(min, _)| min.0), times.iter().filter_map(|(_, wall)| *wall).min());
            prop_assert_eq!(series(&bytes), Ok(Vec::new()));
        }

        #[test]
        fn any_bytes_are_a_block_or_an_error(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn a_damaged_block_is_noticed(samples in proptest::collection::vec(any_sample(), 1..20), at: usize, xor in 1u8..) {
            let records: Vec<Record> = samples.into_iter().map(Record::Sample).collect();
            let mut bytes = encode(PLACE, &records).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= xor;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_block_of_a_newer_version_is_intact_and_not_read() {
        let mut bytes =
            encode(BlockPlace { class: Class::Event, ..PLACE }, &[Record::Event(event(1, None))]).unwrap();
        let range = SeqRange::new(100, 101);
        assert!(is_intact(&bytes, Class::Event, LogEpoch(5), range));
        bytes[4] = 3;
        assert!(!is_intact(&bytes, Class::Event, LogEpoch(5), range), "the checksum is wrong now");
        let crc_at = BLOCK_HEADER_BYTES - 4;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..crc_at]), &bytes[BLOCK_HEADER_BYTES..]);
        bytes[crc_at..BLOCK_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        assert!(is_intact(&bytes, Class::Event, LogEpoch(5), range));
        assert!(decode(&bytes).unwrap_err().is_unknown_version());
    }
}
