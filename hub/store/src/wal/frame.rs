//! A frame: a run of records of one class within a commit, or something the log says of itself.
//!
//! Fields: kind u8, class u8, first sequence number varint, count varint, length of the body varint, body.

use hub_model::{BootId, BootStamp, Class, Gap, GapCause, SeqRange};

use crate::field::{Malformed, Put, Reader};
use crate::record::{Base, Definition, Record, read_definition, read_event, read_sample};

/// The most records in a frame, and …
pub(crate) const FRAME_RECORDS_MAX: usize = 1024;
/// … the bytes at which a frame is closed: together they keep a block of one frame within its bound, for a sealed
/// block covers whole frames.
pub(crate) const FRAME_BYTES_MAX: usize = 32 * 1024;

/// What a frame holds. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// Samples of class telemetry or bulk.
    Samples = 1,
    /// Events of class alarm or event.
    Events = 2,
    /// New definitions, class meta.
    Definitions = 3,
    /// Definitions written before, again, so that a WAL file can be read by itself. They take no sequence numbers.
    Repeat = 4,
    /// One gap; its range is the frame's. Takes no sequence numbers of its own.
    Gap = 5,
    /// Marks of QoS 1 publishes stored in this commit.
    Marks = 6,
    /// The log was closed in order behind this.
    Close = 7,
    /// The log was opened: what ends behind this without [`FrameKind::Close`] ended unclean.
    Open = 8,
}

impl FrameKind {
    fn from_number(number: u8) -> Option<FrameKind> {
        use FrameKind::{Close, Definitions, Events, Gap, Marks, Open, Repeat, Samples};
        [Samples, Events, Definitions, Repeat, Gap, Marks, Close, Open]
            .into_iter()
            .find(|k| *k as u8 == number)
    }

    /// Whether frames of this kind may be of this class.
    const fn fits(self, class: Class) -> bool {
        match self {
            FrameKind::Samples => matches!(class, Class::Telemetry | Class::Bulk),
            FrameKind::Events => matches!(class, Class::Alarm | Class::Event),
            FrameKind::Definitions
            | FrameKind::Repeat
            | FrameKind::Marks
            | FrameKind::Close
            | FrameKind::Open => {
                matches!(class, Class::Meta)
            }
            FrameKind::Gap => true,
        }
    }

    /// Whether its records take sequence numbers.
    pub(crate) const fn numbered(self) -> bool {
        matches!(self, FrameKind::Samples | FrameKind::Events | FrameKind::Definitions)
    }
}

/// A frame as it lies in a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameRef<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) class: Class,
    pub(crate) range: SeqRange,
    pub(crate) body: &'a [u8],
}

pub(crate) fn put_frame(out: &mut Vec<u8>, kind: FrameKind, class: Class, range: SeqRange, body: &[u8]) {
    out.put_u8(kind as u8);
    out.put_u8(class.number());
    out.put_varint(range.from);
    out.put_varint(range.len());
    out.put_bytes(body);
}

pub(crate) fn read_frame<'a>(r: &mut Reader<'a>) -> Result<FrameRef<'a>, Malformed> {
    let kind = FrameKind::from_number(r.u8("frame kind")?).ok_or(Malformed("frame kind"))?;
    let class = Class::from_number(r.u8("frame class")?).ok_or(Malformed("frame class"))?;
    if !kind.fits(class) {
        return Err(Malformed("frame class"));
    }
    let from = r.varint("frame sequence")?;
    let count = r.varint("frame count")?;
    let to = from.checked_add(count).ok_or(Malformed("frame count"))?;
    let body = r.bytes(usize::MAX, "frame body")?;
    Ok(FrameRef { kind, class, range: SeqRange::new(from, to), body })
}

/// Decodes the `count` records of a numbered frame's body, in order.
pub(crate) fn read_records(
    kind: FrameKind,
    base: Base,
    count: u64,
    body: &[u8],
) -> Result<Vec<Record>, Malformed> {
    let mut r = Reader::new(body);
    // Every record takes a byte at least, so a count that lies cannot make us allocate much.
    if count > r.remaining() as u64 {
        return Err(Malformed("frame count"));
    }
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(match kind {
            FrameKind::Samples => Record::Sample(read_sample(&mut r, base)?),
            FrameKind::Events => Record::Event(read_event(&mut r, base)?),
            FrameKind::Definitions => Record::Definition(read_definition(&mut r)?),
            FrameKind::Repeat | FrameKind::Gap | FrameKind::Marks | FrameKind::Close | FrameKind::Open => {
                return Err(Malformed("frame kind"));
            }
        });
    }
    r.end("frame body")?;
    Ok(records)
}

pub(crate) fn read_repeat(body: &[u8]) -> Result<Vec<Definition>, Malformed> {
    let mut r = Reader::new(body);
    let mut definitions = Vec::new();
    while !r.is_empty() {
        definitions.push(read_definition(&mut r)?);
    }
    Ok(definitions)
}

/// One mark: (incarnation, packet id, content hash).
pub(crate) type MarkRow = (u64, u16, u64);

pub(crate) fn put_mark(out: &mut Vec<u8>, (incarnation, packet_id, hash): MarkRow) {
    out.put_u64(incarnation);
    out.put_u16(packet_id);
    out.put_u64(hash);
}

pub(crate) fn read_marks(body: &[u8]) -> Result<Vec<MarkRow>, Malformed> {
    let mut r = Reader::new(body);
    let mut marks = Vec::new();
    while !r.is_empty() {
        marks.push((r.u64("mark")?, r.u16("mark")?, r.u64("mark")?));
    }
    Ok(marks)
}

/// The body of a gap, in the WAL and in the table: cause, then the moments before and after.
pub(crate) fn put_gap(out: &mut Vec<u8>, gap: &Gap) {
    out.put_u8(gap.cause.number());
    out.put_u8(u8::from(gap.since.is_some()));
    if let Some(since) = gap.since {
        put_boot_stamp(out, since);
    }
    put_boot_stamp(out, gap.until);
}

pub(crate) fn read_gap(class: Class, range: SeqRange, body: &[u8]) -> Result<Gap, Malformed> {
    let mut r = Reader::new(body);
    let cause = GapCause::from_number(r.u8("gap cause")?).ok_or(Malformed("gap cause"))?;
    let since = match r.u8("gap since")? {
        0 => None,
        1 => Some(read_boot_stamp(&mut r)?),
        _ => return Err(Malformed("gap since")),
    };
    let until = read_boot_stamp(&mut r)?;
    r.end("gap")?;
    Ok(Gap { class, range, cause, since, until })
}

fn put_boot_stamp(out: &mut Vec<u8>, stamp: BootStamp) {
    out.put(&stamp.boot.to_bytes());
    out.put_u64(stamp.mono_ms);
}

fn read_boot_stamp(r: &mut Reader<'_>) -> Result<BootStamp, Malformed> {
    Ok(BootStamp { boot: BootId::from_bytes(r.array("boot")?), mono_ms: r.u64("stamp")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::put_sample;
    use crate::record::tests::{BOOT, any_sample};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_round_trip(samples in proptest::collection::vec(any_sample(), 0..20), from in 0u64..1 << 60) {
            let base = Base { boot: BOOT, mono_ms: 1000 };
            let mut body = Vec::new();
            samples.iter().for_each(|s| put_sample(&mut body, base, s));
            let range = SeqRange::new(from, from + samples.len() as u64);
            let mut out = Vec::new();
            put_frame(&mut out, FrameKind::Samples, Class::Telemetry, range, &body);
            let mut r = Reader::new(&out);
            let frame = read_frame(&mut r).unwrap();
            prop_assert!(r.is_empty());
            prop_assert_eq!((frame.kind, frame.class, frame.range), (FrameKind::Samples, Class::Telemetry, range));
            let records = read_records(frame.kind, base, range.len(), frame.body).unwrap();
            prop_assert_eq!(records, samples.into_iter().map(Record::Sample).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_frame_or_malformed(bytes: Vec<u8>) {
            let mut r = Reader::new(&bytes);
            while let Ok(frame) = read_frame(&mut r) {
                let base = Base { boot: BOOT, mono_ms: 0 };
                drop(read_records(frame.kind, base, frame.range.len(), frame.body));
                drop(read_repeat(frame.body));
                drop(read_marks(frame.body));
                assert!(read_gap(frame.class, frame.range, frame.body).is_err() || frame.body.len() >= 26);
            }
        }
    }

    #[test]
    fn gaps_and_marks_round_trip() {
        let until = BootStamp { boot: BOOT, mono_ms: 9 };
        let range = SeqRange::new(3, 8);
        for since in [None, Some(BootStamp { boot: BOOT, mono_ms: 4 })] {
            let gap = Gap { class: Class::Bulk, range, cause: GapCause::Corrupted, since, until };
            let mut body = Vec::new();
            put_gap(&mut body, &gap);
            assert_eq!(read_gap(Class::Bulk, range, &body), Ok(gap));
        }
        let mut body = Vec::new();
        put_mark(&mut body, (1, 2, 3));
        put_mark(&mut body, (4, 5, 6));
        assert_eq!(read_marks(&body), Ok(vec![(1, 2, 3), (4, 5, 6)]));
    }
}
