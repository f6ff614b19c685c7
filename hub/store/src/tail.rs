//! The tail: records that are on flash in the WAL and not in a block yet, kept encoded in memory for readers and the
//! next seal.

use std::collections::VecDeque;
use std::sync::Arc;

use hub_model::{Class, Gap, SeqRange};

use crate::wal::pending::Frame;

/// What lies between the tables and the next sequence number of each class.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    frames: [VecDeque<Arc<Frame>>; 7],
    /// The next number of each class; everything below is on flash.
    pub(crate) next: [u64; 7],
    /// Gaps that are on flash in the WAL and not in their table yet.
    pub(crate) gaps: Vec<Gap>,
    records: [u64; 7],
}

impl Tail {
    /// Takes in a frame that became durable.
    pub(crate) fn push(&mut self, frame: Arc<Frame>) {
        let class = frame.class.index();
        self.next[class] = self.next[class].max(frame.range.to);
        self.records[class] += frame.range.len();
        self.frames[class].push_back(frame);
    }

    /// Takes in a gap that became durable.
    pub(crate) fn push_gap(&mut self, gap: Gap) {
        let class = gap.class.index();
        self.next[class] = self.next[class].max(gap.range.to);
        let same = |g: &&mut Gap| g.class == gap.class && g.range == gap.range;
        match self.gaps.iter_mut().find(same) {
            Some(known) => known.until = gap.until,
            None => self.gaps.push(gap),
        }
    }

    /// Drops what the tables have taken over.
    pub(crate) fn trim(&mut self, class: Class, sealed_upto: u64) {
        let frames = &mut self.frames[class.index()];
        while frames.front().is_some_and(|f| f.range.to <= sealed_upto) {
            if let Some(frame) = frames.pop_front() {
                self.records[class.index()] -= frame.range.len();
            }
        }
    }

    /// How many records of a class there are.
    pub(crate) const fn records(&self, class: Class) -> u64 {
        self.records[class.index()]
    }

    /// All frames of a class, oldest first.
    pub(crate) fn frames(&self, class: Class) -> impl Iterator<Item = &Arc<Frame>> {
        self.frames[class.index()].iter()
    }

    /// The first frame that holds `seq` or lies after it.
    pub(crate) fn frame_at(&self, class: Class, seq: u64) -> Option<Arc<Frame>> {
        let frames = &self.frames[class.index()];
        let at = frames.partition_point(|f| f.range.to <= seq);
        frames.get(at).map(Arc::clone)
    }

    /// The gap of a class that begins at `from` and is not empty.
    pub(crate) fn gap_at(&self, class: Class, from: u64) -> Option<SeqRange> {
        let starts = |g: &&Gap| g.class == class && g.range.from == from && !g.range.is_empty();
        self.gaps.iter().find(starts).map(|g| g.range)
    }
}
