//! The fixed front of a block and its series directory.
//!
//! All integers little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `RBLK` |
//! | 4 | 2 | version, 1 |
//! | 6 | 2 | flags: 1 body is zstd, 2 some samples carry a wall time of their own |
//! | 8 | 1 | class |
//! | 9 | 1 | kind of the timeline: 1, monotonic stamps of one boot |
//! | 10 | 16 | boot |
//! | 26 | 8 | log epoch |
//! | 34 | 8 | first sequence number |
//! | 42 | 4 | number of records |
//! | 46 | 8 | earliest stamp, monotonic ms |
//! | 54 | 8 | latest minus earliest stamp, ms |
//! | 62 | 8 | earliest wall time stated by a device, UTC ms; 0 without flag 2 |
//! | 70 | 8 | latest such |
//! | 78 | 4 | number of series |
//! | 82 | 4 | length of the directory |
//! | 86 | 4 | length of the body unpacked |
//! | 90 | 4 | length of the body as it stands |
//! | 94 | 4 | crc32c of everything else in the block |
//!
//! Directory: per series, ascending, varint difference of its id to the one before and varint number of its samples.

use std::collections::{BTreeMap, BTreeSet};

use hub_model::{BootId, BootStamp, Class, LogEpoch, SeqRange, SeriesId, Stamp, UtcMs};

use super::{BLOCK_RECORDS_MAX, BlockError, BlockPlace, RAW_BYTES_MAX};
use crate::field::{Malformed, Put, Reader};
use crate::record::Record;

const MAGIC: u32 = u32::from_le_bytes(*b"RBLK");
const VERSION: u16 = 1;
const FLAG_ZSTD: u16 = 1;
const FLAG_WALL: u16 = 2;
const TIMELINE_BOOT: u8 = 1;
/// Length of the fixed front, in bytes.
pub const BLOCK_HEADER_BYTES: usize = 98;
const CRC_AT: usize = BLOCK_HEADER_BYTES - 4;
const ZSTD_LEVEL: i32 = 1;

/// What a block says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Class of every record.
    pub class: Class,
    /// Boot of every monotonic stamp.
    pub boot: BootId,
    /// Log epoch of the range and the series ids.
    pub epoch: LogEpoch,
    /// Sequence numbers, one per record.
    pub range: SeqRange,
    /// Earliest monotonic stamp, in ms.
    pub t_min_ms: u64,
    /// Latest minus earliest monotonic stamp, in ms.
    pub t_span_ms: u64,
    /// Earliest and latest wall time stated by a device.
    pub wall: Option<(UtcMs, UtcMs)>,
    /// Number of series with samples inside.
    pub series_count: u32,
    zstd: bool,
    directory_len: u32,
    raw_len: u32,
    body_len: u32,
}

impl BlockHeader {
    /// Checks a block's checksum and cuts it into header, directory and body.
    pub(super) fn split(bytes: &[u8]) -> Result<(BlockHeader, &[u8], &[u8]), BlockError> {
        let mut r = Reader::new(bytes);
        let (header, crc) = read(&mut r)?;
        let directory = r.take(len(header.directory_len)?, "directory length")?;
        let body = r.take(len(header.body_len)?, "body length")?;
        r.end("block length")?;
        if checksum(bytes) != Some(crc) {
            return Err(BlockError::Checksum);
        }
        Ok((header, directory, body))
    }

    /// The header of a block whose checksum holds.
    pub fn read(bytes: &[u8]) -> Result<BlockHeader, BlockError> {
        BlockHeader::split(bytes).map(|(header, _, _)| header)
    }

    /// The series inside, each with its number of samples.
    pub fn series(bytes: &[u8]) -> Result<Vec<(SeriesId, u64)>, BlockError> {
        let (header, directory, _) = BlockHeader::split(bytes)?;
        Ok(check_directory(directory, header.series_count)?)
    }

    /// The earliest and the latest monotonic stamp.
    pub fn span(&self) -> (BootStamp, BootStamp) {
        let last = self.t_min_ms.saturating_add(self.t_span_ms);
        let at = |mono_ms| BootStamp { boot: self.boot, mono_ms };
        (at(self.t_min_ms), at(last))
    }

    pub(super) fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>, BlockError> {
        let raw_len = len(self.raw_len)?;
        if raw_len > RAW_BYTES_MAX {
            return Err(Malformed("body length").into());
        }
        if !self.zstd {
            return if raw_len == packed.len() { Ok(packed.to_vec()) } else { Err(BlockError::Compression) };
        }
        let raw = zstd::bulk::decompress(packed, raw_len).map_err(|_| BlockError::Compression)?;
        if raw.len() == raw_len { Ok(raw) } else { Err(BlockError::Compression) }
    }

    fn encode_front(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER_BYTES);
        let wall_flag = if self.wall.is_some() { FLAG_WALL } else { 0 };
        let (wall_min, wall_max) = self.wall.unwrap_or((UtcMs(0), UtcMs(0)));
        out.put_u32(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(wall_flag | if self.zstd { FLAG_ZSTD } else { 0 });
        out.put_u8(self.class.number());
        out.put_u8(TIMELINE_BOOT);
        out.put(&self.boot.to_bytes());
        out.put_u64(self.epoch.0);
        out.put_u64(self.range.from);
        out.put_u32(bounded_u32(self.range.len()));
        out.put_u64(self.t_min_ms);
        out.put_u64(self.t_span_ms);
        out.put_u64(wall_min.0.cast_unsigned());
        out.put_u64(wall_max.0.cast_unsigned());
        out.put_u32(self.series_count);
        out.put_u32(self.directory_len);
        out.put_u32(self.raw_len);
        out.put_u32(self.body_len);
        out
    }
}

/// Whether bytes are the block that was sealed for this place. A version unknown here with a good checksum is.
pub(crate) fn is_intact(bytes: &[u8], class: Class, epoch: LogEpoch, range: SeqRange) -> bool {
    match BlockHeader::read(bytes) {
        Ok(header) => (header.class, header.epoch, header.range) == (class, epoch, range),
        Err(BlockError::Version(_)) => {
            let crc = bytes.get(CRC_AT..BLOCK_HEADER_BYTES).and_then(|crc| crc.try_into().ok());
            crc.map(u32::from_le_bytes) == checksum(bytes)
        }
        Err(_) => false,
    }
}

/// The checksum a block of these bytes should state, in every version.
fn checksum(bytes: &[u8]) -> Option<u32> {
    let front = bytes.get(..CRC_AT)?;
    Some(crc32c::crc32c_append(crc32c::crc32c(front), bytes.get(BLOCK_HEADER_BYTES..)?))
}

fn read(r: &mut Reader<'_>) -> Result<(BlockHeader, u32), BlockError> {
    if r.u32("block magic")? != MAGIC {
        return Err(Malformed("block magic").into());
    }
    let version = r.u16("block version")?;
    if version != VERSION {
        return Err(BlockError::Version(version));
    }
    let flags = r.u16("block flags")?;
    if flags & !(FLAG_ZSTD | FLAG_WALL) != 0 {
        return Err(Malformed("block flags").into());
    }
    let class = Class::from_number(r.u8("block class")?).ok_or(Malformed("block class"))?;
    if r.u8("block timeline")? != TIMELINE_BOOT {
        return Err(Malformed("block timeline").into());
    }
    let boot = BootId::from_bytes(r.array("block boot")?);
    let epoch = LogEpoch(r.u64("block epoch")?);
    let from = r.u64("block range")?;
    let count = r.u32("block range")?;
    if len(count)? > BLOCK_RECORDS_MAX {
        return Err(Malformed("block range").into());
    }
    let to = from.checked_add(u64::from(count)).ok_or(Malformed("block range"))?;
    let t_min_ms = r.u64("block time")?;
    let t_span_ms = r.u64("block time")?;
    let walls = (UtcMs(r.u64("block wall")?.cast_signed()), UtcMs(r.u64("block wall")?.cast_signed()));
    let header = BlockHeader {
        class,
        boot,
        epoch,
        range: SeqRange::new(from, to),
        t_min_ms,
        t_span_ms,
        wall: (flags & FLAG_WALL != 0).then_some(walls),
        series_count: r.u32("series count")?,
        zstd: flags & FLAG_ZSTD != 0,
        directory_len: r.u32("directory length")?,
        raw_len: r.u32("body length")?,
        body_len: r.u32("body length")?,
    };
    Ok((header, r.u32("block checksum")?))
}

/// Puts header, directory and body together.
pub(super) fn seal(place: BlockPlace, records: &[Record], raw: Vec<u8>) -> Vec<u8> {
    let Timeline { t_min_ms, t_span_ms, wall } = timeline(place, records);
    let (directory, series_count) = directory(records);
    let raw_len = bounded_u32(raw.len() as u64);
    // A body that compression does not shrink stands as it is.
    let packed = zstd::bulk::compress(&raw, ZSTD_LEVEL).ok().filter(|p| p.len() < raw.len());
    let zstd = packed.is_some();
    let body = packed.unwrap_or(raw);
    let header = BlockHeader {
        class: place.class,
        boot: place.base.boot,
        epoch: place.epoch,
        range: place.range,
        t_min_ms,
        t_span_ms,
        wall,
        series_count,
        zstd,
        directory_len: bounded_u32(directory.len() as u64),
        raw_len,
        body_len: bounded_u32(body.len() as u64),
    };
    let mut out = header.encode_front();
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&out), &directory), &body);
    out.put_u32(crc);
    out.extend_from_slice(&directory);
    out.extend_from_slice(&body);
    out
}

struct Timeline {
    t_min_ms: u64,
    t_span_ms: u64,
    wall: Option<(UtcMs, UtcMs)>,
}

fn timeline(place: BlockPlace, records: &[Record]) -> Timeline {
    // The body's stamps are relative to the base, so the base is the block's earliest stamp whatever the records say.
    let t_min_ms = place.base.mono_ms;
    let mut t_max_ms = t_min_ms;
    let mut wall: Option<(UtcMs, UtcMs)> = None;
    for record in records {
        let (stamp, received) = match record {
            Record::Sample(s) => (s.stamp, s.received),
            Record::Event(e) => (e.stamp, e.received),
            Record::Definition(_) => continue,
        };
        t_max_ms = t_max_ms.max(received.mono_ms);
        if let Stamp::Wall(utc, _) = stamp {
            wall = Some(wall.map_or((utc, utc), |(min, max)| (min.min(utc), max.max(utc))));
        }
    }
    Timeline { t_min_ms, t_span_ms: t_max_ms - t_min_ms, wall }
}

fn directory(records: &[Record]) -> (Vec<u8>, u32) {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for record in records {
        if let Record::Sample(sample) = record {
            *counts.entry(sample.series.0).or_default() += 1;
        }
    }
    let mut out = Vec::new();
    let mut before = 0;
    for (id, count) in &counts {
        out.put_varint(u64::from(id - before));
        out.put_varint(*count);
        before = *id;
    }
    (out, bounded_u32(counts.len() as u64))
}

pub(super) fn check_directory(bytes: &[u8], series_count: u32) -> Result<Vec<(SeriesId, u64)>, Malformed> {
    let mut r = Reader::new(bytes);
    let mut series = Vec::new();
    let mut seen = BTreeSet::new();
    let mut id = 0u32;
    for _ in 0..series_count {
        id = id.checked_add(r.varint_u32("directory")?).ok_or(Malformed("directory"))?;
        if !seen.insert(id) {
            return Err(Malformed("directory"));
        }
        series.push((SeriesId(id), r.varint("directory")?));
    }
    r.end("directory")?;
    Ok(series)
}

fn len(value: u32) -> Result<usize, Malformed> {
    usize::try_from(value).map_err(|_| Malformed("length"))
}

/// For lengths that `BLOCK_BYTES_MAX` and `RAW_BYTES_MAX` keep far below 32 bits.
fn bounded_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
