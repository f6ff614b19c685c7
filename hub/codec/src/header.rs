//! The fixed front of a block, the same length and with its checksum at the same place in every version.
//!
//! Byte by byte: `docs/reference/formats/block.md`.

use hub_model::{BootId, BootStamp, Class, LogEpoch, SeqRange, UtcMs};

use crate::Limits;
use crate::error::{DecodeError, malformed};

const MAGIC: [u8; 4] = *b"RBLK";
/// The version this codec writes and reads.
pub const VERSION: u16 = 2;
/// Length of the front, in bytes.
pub const HEADER_BYTES: usize = 98;
const VERSION_AT: usize = 4;
const CRC_AT: usize = HEADER_BYTES - 4;
/// The rows are zstd.
const FLAG_PACKED: u16 = 1;
/// Devices stated times.
const FLAG_WALL: u16 = 2;
/// Stamps are monotonic, of one boot.
const TIMELINE_BOOT: u8 = 1;

/// What a block says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Class of every record.
    pub class: Class,
    /// Boot of every monotonic stamp.
    pub boot: BootId,
    /// Log epoch of the range and the series ids.
    pub epoch: LogEpoch,
    /// Sequence numbers, one per record; never empty.
    pub range: SeqRange,
    /// Earliest monotonic stamp, in ms.
    pub t_min_ms: u64,
    /// Latest minus earliest monotonic stamp, in ms.
    pub t_span_ms: u64,
    /// Earliest and latest time stated by a device.
    pub wall: Option<(UtcMs, UtcMs)>,
    /// Number of series with samples inside; 0 in blocks of rows.
    pub series_count: u32,
    pub(crate) packed: bool,
    pub(crate) directory_len: u32,
    /// Length of the rows unpacked; 0 in blocks of samples.
    pub(crate) rows_len: u32,
    pub(crate) body_len: u32,
}

impl BlockHeader {
    /// The header of a block that is whole: its checksum holds, and its lengths are those of `bytes`.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<BlockHeader, DecodeError> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return malformed("magic");
        }
        let version = version(bytes).ok_or(DecodeError::Malformed("header"))?;
        if !checksum_holds(bytes) {
            return Err(DecodeError::Checksum);
        }
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let header = parse(bytes, limits)?;
        let len = HEADER_BYTES as u64 + u64::from(header.directory_len) + u64::from(header.body_len);
        if len == bytes.len() as u64 { Ok(header) } else { malformed("length") }
    }

    /// The earliest and the latest monotonic stamp.
    pub const fn span(&self) -> (BootStamp, BootStamp) {
        let boot = self.boot;
        let last = self.t_min_ms.saturating_add(self.t_span_ms);
        (BootStamp { boot, mono_ms: self.t_min_ms }, BootStamp { boot, mono_ms: last })
    }

    /// Number of records.
    pub(crate) fn records(&self) -> usize {
        // Checked against a u32 when it was read or written.
        usize::try_from(self.range.len()).unwrap_or(usize::MAX)
    }

    /// Directory and body of the block this is the header of.
    pub(crate) fn parts<'a>(&self, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        let rest = bytes.get(HEADER_BYTES..).ok_or(DecodeError::Malformed("length"))?;
        rest.split_at_checked(self.directory_len as usize).ok_or(DecodeError::Malformed("length"))
    }

    /// Puts header, directory and body together.
    pub(crate) fn seal(&self, directory: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + directory.len() + body.len());
        let (wall_min, wall_max) = self.wall.unwrap_or((UtcMs(0), UtcMs(0)));
        let flags =
            if self.packed { FLAG_PACKED } else { 0 } | if self.wall.is_some() { FLAG_WALL } else { 0 };
        let count = u32::try_from(self.range.len()).unwrap_or(u32::MAX);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(flags.to_le_bytes());
        out.extend([self.class.number(), TIMELINE_BOOT]);
        out.extend(self.boot.to_bytes());
        out.extend(self.epoch.0.to_le_bytes());
        out.extend(self.range.from.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(self.t_min_ms.to_le_bytes());
        out.extend(self.t_span_ms.to_le_bytes());
        out.extend(wall_min.0.to_le_bytes());
        out.extend(wall_max.0.to_le_bytes());
        for number in [self.series_count, self.directory_len, self.rows_len, self.body_len] {
            out.extend(number.to_le_bytes());
        }
        let crc = [directory, body].into_iter().fold(crc32c::crc32c(&out), crc32c::crc32c_append);
        out.extend(crc.to_le_bytes());
        out.extend_from_slice(directory);
        out.extend_from_slice(body);
        out
    }
}

/// The version of what begins as a block of any version does; the checksum is not looked at.
pub fn version(bytes: &[u8]) -> Option<u16> {
    bytes.strip_prefix(&MAGIC)?;
    bytes.get(VERSION_AT..)?.first_chunk().map(|two| u16::from_le_bytes(*two))
}

/// Whether the checksum of a block of any version holds.
pub fn checksum_holds(bytes: &[u8]) -> bool {
    let Some((front, rest)) = bytes.split_at_checked(HEADER_BYTES) else { return false };
    let (front, crc) = front.split_at(CRC_AT);
    crc32c::crc32c_append(crc32c::crc32c(front), rest).to_le_bytes() == crc
}

/// Makes the checksum right, for fuzzing: behind a wrong one nothing else is ever reached.
pub(crate) fn repair_checksum(bytes: &mut [u8]) {
    let Some((front, rest)) = bytes.split_at_mut_checked(HEADER_BYTES) else { return };
    let (front, crc) = front.split_at_mut(CRC_AT);
    crc.copy_from_slice(&crc32c::crc32c_append(crc32c::crc32c(front), rest).to_le_bytes());
}

fn parse(bytes: &[u8], limits: &Limits) -> Result<BlockHeader, DecodeError> {
    let mut fields = Fields(bytes.get(VERSION_AT + 2..).unwrap_or_default());
    let flags = u16::from_le_bytes(fields.take()?);
    if flags & !(FLAG_PACKED | FLAG_WALL) != 0 {
        return malformed("flags");
    }
    let [class, timeline] = fields.take()?;
    let class = Class::from_number(class).ok_or(DecodeError::Malformed("class"))?;
    if timeline != TIMELINE_BOOT {
        return malformed("kind of stamps");
    }
    let boot = BootId::from_bytes(fields.take()?);
    let epoch = LogEpoch(fields.u64()?);
    let from = fields.u64()?;
    let count = fields.u32()?;
    if count > limits.records_max {
        let (found, allowed) = (u64::from(count), u64::from(limits.records_max));
        return Err(DecodeError::Limit { what: "number of records", found, allowed });
    }
    let to = from.checked_add(u64::from(count)).filter(|to| *to > from);
    let (t_min_ms, t_span_ms) = (fields.u64()?, fields.u64()?);
    if t_min_ms.checked_add(t_span_ms).is_none() {
        return malformed("time span");
    }
    let walls = (UtcMs(fields.u64()?.cast_signed()), UtcMs(fields.u64()?.cast_signed()));
    if walls.0 > walls.1 || (flags & FLAG_WALL == 0 && walls != (UtcMs(0), UtcMs(0))) {
        return malformed("span of stated times");
    }
    Ok(BlockHeader {
        class,
        boot,
        epoch,
        range: SeqRange::new(from, to.ok_or(DecodeError::Malformed("range"))?),
        t_min_ms,
        t_span_ms,
        wall: (flags & FLAG_WALL != 0).then_some(walls),
        packed: flags & FLAG_PACKED != 0,
        series_count: fields.u32()?,
        directory_len: fields.u32()?,
        rows_len: fields.u32()?,
        body_len: fields.u32()?,
    })
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Malformed("header"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }
}
