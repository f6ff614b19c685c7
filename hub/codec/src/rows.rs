//! Blocks of the classes that hold no samples: rows of bytes, whose meaning is the caller's.
//!
//! The directory is the lengths of the rows, as whole numbers ([`crate::ints`]); the body is the rows one behind the other, as
//! zstd where that is shorter.

use std::borrow::Cow;

use hub_model::UtcMs;

use crate::bits::{BitReader, BitWriter};
use crate::encode::{Place, bounded_u32, holds_samples, within_limits};
use crate::error::{DecodeError, EncodeError, malformed};
use crate::header::BlockHeader;
use crate::ints;
use crate::limits::Limits;
use crate::pack::{pack, unpack};

/// The times of rows, which the caller knows and the header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowTimes {
    /// Earliest monotonic stamp, in ms. Rows may hold stamps relative to it.
    pub t_min_ms: u64,
    /// Latest minus earliest monotonic stamp, in ms.
    pub t_span_ms: u64,
    /// Earliest and latest time stated by a device.
    pub wall: Option<(UtcMs, UtcMs)>,
}

/// Encodes rows of a class other than telemetry and bulk, in the order of their numbers, into one block.
///
/// [`EncodeError::TooLarge`] says that they do not fit `limits`: encode the two halves by themselves.
pub fn encode_rows<R: AsRef<[u8]>>(
    place: &Place,
    times: &RowTimes,
    rows: impl IntoIterator<Item = R>,
    limits: &Limits,
) -> Result<Vec<u8>, EncodeError> {
    if holds_samples(place.class) {
        return Err(EncodeError::Class(place.class.name()));
    }
    let too_large = |what, found: u64, allowed: u32| {
        if found <= u64::from(allowed) {
            return Ok(());
        }
        Err(EncodeError::TooLarge { what, found, allowed: u64::from(allowed) })
    };
    let mut lengths = Vec::new();
    let mut bytes = Vec::new();
    for row in rows {
        let row = row.as_ref();
        bytes.extend_from_slice(row);
        lengths.push(row.len().cast_signed() as i64);
        too_large("number of records", lengths.len() as u64, limits.records_max)?;
        too_large("length of rows", bytes.len() as u64, limits.unpacked_bytes_max)?;
    }
    if lengths.is_empty() {
        return Err(EncodeError::Empty);
    }
    let times_run_out = times.t_min_ms.checked_add(times.t_span_ms).is_none();
    if times_run_out || times.wall.is_some_and(|(min, max)| min > max) {
        return Err(EncodeError::Record { at: 0, what: "its times run backward" });
    }
    let mut w = BitWriter::default();
    ints::put(&mut w, &lengths, &mut ints::Scratch::default());
    let directory = w.into_bytes();
    let packed = pack(&bytes);
    let body = packed.as_deref().unwrap_or(&bytes);
    let header = BlockHeader {
        class: place.class,
        boot: place.boot,
        epoch: place.epoch,
        range: place.range(lengths.len())?,
        t_min_ms: times.t_min_ms,
        t_span_ms: times.t_span_ms,
        wall: times.wall,
        series_count: 0,
        packed: packed.is_some(),
        directory_len: bounded_u32(directory.len()),
        rows_len: bounded_u32(bytes.len()),
        body_len: bounded_u32(body.len()),
    };
    within_limits(header.seal(&directory, body), limits)
}

/// A block of rows that was read whole.
#[derive(Clone, Debug)]
pub struct RowBlock<'a> {
    header: BlockHeader,
    bytes: Cow<'a, [u8]>,
    /// Where each row ends.
    ends: Vec<usize>,
}

const ROWS: &str = "rows";

impl<'a> RowBlock<'a> {
    /// Reads a block of a class other than telemetry and bulk.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<RowBlock<'a>, DecodeError> {
        let header = BlockHeader::read(bytes, limits)?;
        if holds_samples(header.class) {
            return Err(DecodeError::Class(header.class.name()));
        }
        if header.series_count != 0 {
            return malformed("number of series");
        }
        if header.rows_len > limits.unpacked_bytes_max {
            let (found, allowed) = (u64::from(header.rows_len), u64::from(limits.unpacked_bytes_max));
            return Err(DecodeError::Limit { what: "unpacked length", found, allowed });
        }
        let (directory, body) = header.parts(bytes)?;
        let total = header.rows_len as usize;
        let ends = ends(directory, header.records(), total)?;
        let bytes = if header.packed { Cow::Owned(unpack(body, total, ROWS)?) } else { Cow::Borrowed(body) };
        if bytes.len() == total { Ok(RowBlock { header, bytes, ends }) } else { malformed(ROWS) }
    }

    /// What the block says of itself.
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The rows with their numbers, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        let mut begin = 0;
        self.ends.iter().enumerate().map(move |(at, end)| {
            let row = self.bytes.get(begin..*end).unwrap_or_default();
            begin = *end;
            (self.header.range.from + at as u64, row)
        })
    }
}

fn ends(directory: &[u8], records: usize, total: usize) -> Result<Vec<usize>, DecodeError> {
    let mut lengths = vec![0; records];
    let mut r = BitReader::new(directory, 0, directory.len());
    ints::read(&mut r, &mut lengths, ROWS)?;
    r.finish(ROWS)?;
    let mut end = 0usize;
    let mut ends = Vec::with_capacity(records);
    for length in lengths {
        let next = usize::try_from(length).ok().and_then(|length| end.checked_add(length));
        end = next.filter(|end| *end <= total).ok_or(DecodeError::Malformed(ROWS))?;
        ends.push(end);
    }
    if end == total { Ok(ends) } else { malformed(ROWS) }
}
