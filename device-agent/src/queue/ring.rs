//! The ring file: messages in order, in room of fixed size.
//!
//! The file is cut into [`SEGMENTS`] segments of one size. Each begins with a header of 24 bytes: magic `RAGENTQ`, the
//! format's version (1), the segment's number (8 bytes, counts up by one) and CRC-32C of these 16 (4 bytes), 4 zero
//! bytes. Records follow, as `record.rs` says; segment `n` lies at place `n % SEGMENTS`. Nothing is ever changed in
//! place: when the ring is full, its oldest segment is written anew. What follows the last whole record of a segment is
//! no data.

use std::collections::VecDeque;
use std::io;

use thiserror::Error;

use super::record::{HEADER_BYTES, NUMBER_MAX, Stored, chain_of, decode, encode_done_below, encode_message};
use super::{BODY_BYTES_MAX, Record, Taken};

/// Segments of a ring. When it is full, one sixteenth of it is dropped at a time; fewer would drop more, more would leave
/// too little room in each for the longest message.
pub const SEGMENTS: u64 = 16;

const MAGIC: [u8; 7] = *b"RAGENTQ";
const VERSION: u8 = 1;
const SEGMENT_HEADER_BYTES: usize = 24;

/// The smallest and largest segment: room for a longest message; and [`crate::config::QUEUE_BYTES_MAX`] in all.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (16 * 1024)..=(1024 * 1024);

/// Where the ring is kept. Offsets and lengths are within [`Medium::size`].
pub trait Medium {
    /// Bytes of room; fixed.
    fn size(&self) -> u64;
    /// Fills `buffer` from `offset`.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes `bytes` at `offset`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Why a ring cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("read the queue")]
    Read(#[from] io::Error),
    /// It is no ring's size.
    #[error("read the queue: {found} bytes is not the size of one")]
    Size {
        /// Bytes of room.
        found: u64,
    },
    /// A newer program made it. It is left as it is.
    #[error("read the queue: its format {found} is newer than this program's ({VERSION})")]
    Newer {
        /// Its version.
        found: u8,
    },
}

/// Where a message lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) taken: Taken,
    segment: u64,
    offset: u32,
    length: u32,
    /// What its checksum goes on from.
    chain: u32,
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug)]
struct Position {
    segment: u64,
    /// Bytes used of the segment.
    end: u64,
    /// What the next record's checksum goes on from.
    chain: u32,
}

/// The ring, with where every waiting message lies.
#[derive(Debug)]
pub struct Ring<M> {
    medium: M,
    segment_bytes: u64,
    /// `None` before the first segment.
    position: Option<Position>,
    entries: VecDeque<Entry>,
    bytes: u64,
    next_number: u64,
    unreadable: u64,
}

impl<M: Medium> Ring<M> {
    /// Reads what any end left: every whole record that is not done with, in the order of their numbers.
    pub fn open(medium: M) -> Result<Ring<M>, OpenError> {
        let size = medium.size();
        let segment_bytes = size / SEGMENTS;
        if !size.is_multiple_of(SEGMENTS) || !SEGMENT_BYTES.contains(&segment_bytes) {
            return Err(OpenError::Size { found: size });
        }
        let entries = VecDeque::new();
        let mut ring =
            Ring { medium, segment_bytes, position: None, entries, bytes: 0, next_number: 1, unreadable: 0 };
        let mut buffer = segment_buffer(segment_bytes);
        let mut done_below = 0;
        for segment in ring.segments()? {
            ring.read_segment(segment, &mut buffer)?;
            let position = ring.take_in(segment, &buffer, &mut done_below);
            ring.position = Some(position);
        }
        ring.next_number = ring.next_number.max(done_below);
        ring.forget_below(done_below);
        Ok(ring)
    }

    /// Numbers of the segments there are, ascending. Those of an older round than fits the newest are none.
    fn segments(&mut self) -> Result<Vec<u64>, OpenError> {
        let mut found = Vec::new();
        for place in 0..SEGMENTS {
            let mut header = [0; SEGMENT_HEADER_BYTES];
            self.medium.read_at(place * self.segment_bytes, &mut header)?;
            match decode_segment_header(&header)?.filter(|number| number % SEGMENTS == place) {
                Some(segment) => found.push(segment),
                // Room that was never written is zeros.
                None if header == [0; SEGMENT_HEADER_BYTES] => {}
                None => self.unreadable += 1,
            }
        }
        found.sort_unstable();
        let newest = found.last().copied().unwrap_or(0);
        found.retain(|segment| newest - segment < SEGMENTS);
        Ok(found)
    }

    fn read_segment(&mut self, segment: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.medium.read_at(self.place(segment), buffer)
    }

    /// Indexes one segment's records; gives where they end.
    fn take_in(&mut self, segment: u64, bytes: &[u8], done_below: &mut u64) -> Position {
        let mut at = SEGMENT_HEADER_BYTES;
        let mut chain = chain_of(segment);
        while let Some(found) = bytes.get(at..).and_then(|rest| decode(rest, chain)) {
            match found.stored {
                // A number that was there already is a second try after a failed sync.
                Stored::Message(record) if record.number >= self.next_number => {
                    self.note(&record, Position { segment, end: at as u64, chain });
                }
                Stored::Message(_) => {}
                Stored::DoneBelow(number) => *done_below = number.max(*done_below),
            }
            at += found.length;
            chain = found.chain;
        }
        Position { segment, end: at as u64, chain }
    }

    fn note(&mut self, record: &Record, at: Position) {
        self.entries.push_back(Entry {
            number: record.number,
            taken: record.taken,
            segment: at.segment,
            offset: u32::try_from(at.end).expect("a segment is at most 1 MiB"),
            length: u32::try_from(record.stored_bytes()).expect("a record is below 1 MiB"),
            chain: at.chain,
        });
        self.bytes += record.stored_bytes() as u64;
        self.next_number = record.number + 1;
    }

    /// Writes messages behind all others and makes them durable. Adds to `dropped` how many of the oldest had to go for
    /// them, after an error too.
    ///
    /// After an error none of them counts as written, and the next try begins in another segment: what a failed sync left
    /// may look written and not be.
    pub fn append(&mut self, records: &[Record], dropped: &mut u64) -> io::Result<()> {
        let written = self.write_all(records, dropped).and_then(|notes| {
            self.medium.sync()?;
            Ok(notes)
        });
        match written {
            Ok(notes) => {
                for (record, at) in records.iter().zip(notes) {
                    self.note(record, at);
                }
                Ok(())
            }
            Err(error) => {
                self.position = self.position.map(|at| Position { end: self.segment_bytes, ..at });
                Err(error)
            }
        }
    }

    /// One write for each segment touched.
    fn write_all(&mut self, records: &[Record], dropped: &mut u64) -> io::Result<Vec<Position>> {
        let mut notes = Vec::with_capacity(records.len());
        let mut pending = Vec::new();
        let mut at = match self.position {
            Some(position) => position,
            None => self.begin_segment(0, &mut pending, dropped),
        };
        for record in records {
            assert!(record.body.len() <= BODY_BYTES_MAX, "the queue takes no longer message");
            let needed = record.stored_bytes() as u64;
            if at.end + pending.len() as u64 + needed > self.segment_bytes {
                self.flush(&mut at, &mut pending)?;
                at = self.begin_segment(at.segment + 1, &mut pending, dropped);
            }
            notes.push(Position { end: at.end + pending.len() as u64, ..at });
            at.chain = encode_message(record, at.chain, &mut pending);
        }
        self.flush(&mut at, &mut pending)?;
        Ok(notes)
    }

    fn flush(&mut self, at: &mut Position, pending: &mut Vec<u8>) -> io::Result<()> {
        self.medium.write_at(self.place(at.segment) + at.end, pending)?;
        at.end += pending.len() as u64;
        self.position = Some(*at);
        pending.clear();
        Ok(())
    }

    /// Makes room where the segment goes, and puts its header first in what is to be written.
    fn begin_segment(&mut self, segment: u64, pending: &mut Vec<u8>, dropped: &mut u64) -> Position {
        while let Some(oldest) = self.entries.front()
            && oldest.segment + SEGMENTS <= segment
        {
            self.forget_oldest();
            *dropped += 1;
        }
        pending.extend_from_slice(&encode_segment_header(segment));
        let begin = Position { segment, end: 0, chain: chain_of(segment) };
        self.position = Some(begin);
        begin
    }

    /// Writes down, without a sync, that everything below `number` is done with. Left out when it would cost messages.
    pub fn mark_done_below(&mut self, number: u64) -> io::Result<()> {
        let Some(mut at) = self.position else { return Ok(()) };
        let mut pending = Vec::new();
        if at.end + HEADER_BYTES as u64 > self.segment_bytes {
            if self.entries.front().is_some_and(|oldest| oldest.segment + SEGMENTS <= at.segment + 1) {
                return Ok(());
            }
            at = self.begin_segment(at.segment + 1, &mut pending, &mut 0);
        }
        at.chain = encode_done_below(number, at.chain, &mut pending);
        self.flush(&mut at, &mut pending)
    }

    /// Makes marks durable.
    pub fn sync(&mut self) -> io::Result<()> {
        self.medium.sync()
    }

    /// The message of an entry, read back. `None` when it cannot be read as it was written.
    pub(super) fn read(&mut self, entry: &Entry) -> Option<Record> {
        let mut bytes = vec![0; usize::try_from(entry.length).ok()?];
        let offset = self.place(entry.segment) + u64::from(entry.offset);
        self.medium.read_at(offset, &mut bytes).ok()?;
        match decode(&bytes, entry.chain)?.stored {
            Stored::Message(record) if record.number == entry.number => Some(record),
            Stored::Message(_) | Stored::DoneBelow(_) => None,
        }
    }

    /// The first message that waits with this number or a higher one.
    pub(super) fn first_from(&self, number: u64) -> Option<Entry> {
        let at = self.entries.partition_point(|entry| entry.number < number);
        self.entries.get(at).copied()
    }

    /// Takes one message out, wherever it stands.
    pub(super) fn forget(&mut self, number: u64) {
        let at = self.entries.partition_point(|entry| entry.number < number);
        if self.entries.get(at).is_some_and(|entry| entry.number == number)
            && let Some(entry) = self.entries.remove(at)
        {
            self.bytes -= u64::from(entry.length);
        }
    }

    /// Remembers a wall time that was found out later, so that every resend says the same.
    pub(super) fn remember_wall(&mut self, number: u64, wall_ms: Option<u64>) {
        let at = self.entries.partition_point(|entry| entry.number < number);
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.number == number) {
            entry.taken.wall_ms = wall_ms;
        }
    }

    /// Takes messages below a number out of the index; gives how many.
    pub fn forget_below(&mut self, number: u64) -> u64 {
        let mut forgotten = 0;
        while self.entries.front().is_some_and(|oldest| oldest.number < number) {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= u64::from(entry.length);
        }
    }

    /// The oldest that waits.
    pub(super) fn oldest(&self) -> Option<Entry> {
        self.entries.front().copied()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of those that wait, as stored.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the next message: above every one that ever was in the ring and can still be read.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Segments whose header was damaged when the ring was opened, of [`SEGMENTS`]: what they held is gone, and how many
    /// messages that were is not known.
    pub fn unreadable_segments(&self) -> u64 {
        self.unreadable
    }

    /// Bytes of the whole ring.
    pub fn room(&self) -> u64 {
        self.segment_bytes * SEGMENTS
    }

    /// The medium, when the ring is no longer needed.
    pub fn into_medium(self) -> M {
        self.medium
    }

    /// The medium below.
    pub fn medium(&mut self) -> &mut M {
        &mut self.medium
    }

    fn place(&self, segment: u64) -> u64 {
        segment % SEGMENTS * self.segment_bytes
    }
}

fn segment_buffer(bytes: u64) -> Vec<u8> {
    vec![0; usize::try_from(bytes).expect("a segment is at most 1 MiB")]
}

fn encode_segment_header(segment: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..7].copy_from_slice(&MAGIC);
    header[7] = VERSION;
    header[8..16].copy_from_slice(&segment.to_be_bytes());
    let sum = crc32c::crc32c(&header[..16]);
    header[16..20].copy_from_slice(&sum.to_be_bytes());
    header
}

/// The segment's number; `None` when there is no header, or a damaged one.
fn decode_segment_header(header: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Option<u64>, OpenError> {
    let right = header[..7] == MAGIC && crc32c::crc32c(&header[..16]).to_be_bytes() == header[16..20];
    if !right {
        return Ok(None);
    }
    if header[7] > VERSION {
        return Err(OpenError::Newer { found: header[7] });
    }
    let number = header[8..16].try_into().ok().map(u64::from_be_bytes);
    Ok(number.filter(|number| *number <= NUMBER_MAX))
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
