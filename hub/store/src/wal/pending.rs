//! The commit being gathered: records numbered and encoded, waiting for their fsync.

use hub_model::{BootStamp, Class, Gap, SeqRange};

use super::frame::{FRAME_BYTES_MAX, FRAME_RECORDS_MAX, FrameKind, MarkRow, put_frame, put_gap, put_mark};
use crate::record::Base;

/// A run of records of one class; after the commit it is part of the tail.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) class: Class,
    pub(crate) range: SeqRange,
    pub(crate) base: Base,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    base: Option<Base>,
    frames: Vec<Frame>,
    /// The frame of each class that still takes records.
    open: [Option<usize>; 7],
    marks: Vec<MarkRow>,
    gaps: Vec<Gap>,
    /// [`FrameKind::Open`] or [`FrameKind::Close`].
    note: Option<FrameKind>,
    bytes: usize,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.marks.is_empty() && self.gaps.is_empty() && self.note.is_none()
    }

    /// Encoded bytes so far, headers of frames not counted.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the stamps of this commit are relative to; fixed by the first record.
    pub(crate) fn base(&mut self, now: BootStamp) -> Base {
        *self.base.get_or_insert(Base { boot: now.boot, mono_ms: now.mono_ms })
    }

    /// Adds one record, numbered `seq`, which must follow the last one of its class.
    pub(crate) fn push(
        &mut self,
        kind: FrameKind,
        class: Class,
        seq: u64,
        base: Base,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.open_frame(kind, class, seq, base);
        let frame = &mut self.frames[at];
        assert_eq!(frame.range.to, seq, "sequence numbers of a class are dense");
        let before = frame.body.len();
        encode(&mut frame.body);
        frame.range.to += 1;
        self.bytes += frame.body.len() - before;
    }

    fn open_frame(&mut self, kind: FrameKind, class: Class, seq: u64, base: Base) -> usize {
        if let Some(at) = self.open[class.index()] {
            let frame = &self.frames[at];
            if frame.range.len() < FRAME_RECORDS_MAX as u64 && frame.body.len() < FRAME_BYTES_MAX {
                return at;
            }
        }
        self.frames.push(Frame { kind, class, range: SeqRange::new(seq, seq), base, body: Vec::new() });
        let at = self.frames.len() - 1;
        self.open[class.index()] = Some(at);
        at
    }

    pub(crate) fn push_mark(&mut self, mark: MarkRow) {
        self.marks.push(mark);
        self.bytes += 18;
    }

    /// The content hash of the latest pending publish with this packet id.
    pub(crate) fn mark(&self, incarnation: u64, packet_id: u16) -> Option<u64> {
        let same = |m: &&MarkRow| m.0 == incarnation && m.1 == packet_id;
        self.marks.iter().rev().find(same).map(|m| m.2)
    }

    pub(crate) fn push_gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
        self.bytes += 64;
    }

    /// Says that the log was opened or closed.
    pub(crate) const fn push_note(&mut self, kind: FrameKind) {
        self.note = Some(kind);
    }

    /// The frames as they go into the commit, and how many there are. Definitions come first.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(self.bytes + self.frames.len() * 16 + 64);
        let mut count = 0;
        let (definitions, others): (Vec<&Frame>, Vec<&Frame>) =
            self.frames.iter().partition(|f| f.kind == FrameKind::Definitions);
        for frame in definitions.into_iter().chain(others) {
            put_frame(&mut out, frame.kind, frame.class, frame.range, &frame.body);
            count += 1;
        }
        for gap in &self.gaps {
            let mut body = Vec::new();
            put_gap(&mut body, gap);
            put_frame(&mut out, FrameKind::Gap, gap.class, gap.range, &body);
            count += 1;
        }
        if !self.marks.is_empty() {
            let mut body = Vec::with_capacity(self.marks.len() * 18);
            self.marks.iter().for_each(|m| put_mark(&mut body, *m));
            put_frame(&mut out, FrameKind::Marks, Class::Meta, SeqRange::new(0, 0), &body);
            count += 1;
        }
        if let Some(kind) = self.note {
            put_frame(&mut out, kind, Class::Meta, SeqRange::new(0, 0), &[]);
            count += 1;
        }
        (out, count)
    }

    /// Takes what became durable, and is empty again.
    pub(crate) fn take(&mut self) -> (Vec<Frame>, Vec<Gap>, Vec<MarkRow>) {
        let done = std::mem::take(self);
        (done.frames, done.gaps, done.marks)
    }
}
