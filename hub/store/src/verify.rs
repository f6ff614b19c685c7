//! Verifying: every checksum, every record and every number, read again and counted anew.
//!
//! Looks at one moment of the log, block after block, and changes no byte: what it finds damaged is told from then on as what
//! a query met, and becomes a gap row when it is to be sent (see `table/mend.rs`), not here. Reading goes past the tables' cache into the file, but not past the
//! page cache of the system.

use std::collections::BTreeSet;
use std::sync::Arc;

use hub_model::{Class, GapCause, SeqRange, SeriesId};

use crate::block;
use crate::ledger::Moment;
use crate::reader::{ReadError, Reader};
use crate::record::Record;
use crate::shared::Shared;
use crate::table::cover::{Cover, Sequence};
use crate::table::cursor::Cursor;
use crate::table::time_index::IndexRow;
use crate::wal::frame::read_records;
use crate::wal::pending::Frame;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The class it is in.
    pub class: Class,
    /// The numbers it is about.
    pub range: SeqRange,
    /// What is wrong.
    pub kind: FindingKind,
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The bytes of a block or of the tail went bad.
    Damaged(String),
    /// A block is whole, but not what the index says of it.
    Misplaced,
    /// A series without a definition: its readings cannot be told apart.
    Undefined(SeriesId),
    /// No block, no gap row and nothing in the tail stands for these numbers.
    Uncovered,
    /// The ledger states another count than the rows add up to.
    Miscounted {
        /// Which count: `stored`, `expired`, `gaps` or `next`.
        what: &'static str,
        /// What the ledger states.
        stated: u64,
        /// What there is.
        counted: u64,
    },
    /// Central is said to have numbers that were never in a block.
    ConfirmedAhead,
}

/// What was looked at so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blocks whose bytes were read.
    pub blocks: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// Records in blocks and in the tail that were decoded.
    pub records: u64,
    /// Numbers passed, those of gaps and of what expired included: reaches [`Verification::numbers`] at the end.
    pub numbers: u64,
    /// Things found wrong.
    pub findings: u64,
}

/// A verification under way: each step looks at one block, gap or frame.
#[derive(Debug)]
pub struct Verification {
    shared: Arc<Shared>,
    moment: Moment,
    defined: BTreeSet<SeriesId>,
    numbers: u64,
    verified: Verified,
    /// The class that is looked at, and how far; `None` behind the last.
    walk: Option<Walk>,
}

#[derive(Debug)]
struct Walk {
    class: Class,
    at: u64,
    cursor: Cursor,
    counted: Cursor,
}

impl Reader {
    /// Begins a verification of everything there is now. It holds the tables as they are until it is dropped, so that room
    /// which becomes free meanwhile is not used again: do not keep it waiting.
    pub fn verification(&self) -> Result<Verification, ReadError> {
        let shared = Arc::clone(self.shared());
        let moment = Moment::take(&shared)?;
        let defined = shared.with_catalog(|catalog| catalog.all_series().map(|series| series.id).collect());
        let numbers = moment.next.iter().sum();
        let mut verification =
            Verification { shared, moment, defined, numbers, verified: Verified::default(), walk: None };
        verification.walk = Some(verification.begin(Class::ALL[0])?);
        Ok(verification)
    }
}

impl Verification {
    /// How many numbers there are to pass.
    pub const fn numbers(&self) -> u64 {
        self.numbers
    }

    /// What was looked at so far.
    pub const fn verified(&self) -> Verified {
        self.verified
    }

    /// Looks at the next block, gap or frame and hands over what is wrong with it; false when all is done.
    pub fn step(&mut self, found: &mut Vec<Finding>) -> Result<bool, ReadError> {
        let Some(mut walk) = self.walk.take() else { return Ok(false) };
        let before = (walk.at, found.len());
        if walk.at < walk.cursor.sealed_upto {
            self.sealed(&mut walk, found)?;
        } else if walk.at < self.moment.next[walk.class.index()] {
            self.tail(&mut walk, found);
        } else {
            self.end(&walk, found)?;
            let next = Class::ALL.into_iter().find(|class| class.index() == walk.class.index() + 1);
            self.walk = next.map(|class| self.begin(class)).transpose()?;
            self.verified.findings += (found.len() - before.1) as u64;
            return Ok(self.walk.is_some());
        }
        self.verified.numbers += walk.at - before.0;
        self.verified.findings += (found.len() - before.1) as u64;
        self.walk = Some(walk);
        Ok(true)
    }

    fn begin(&self, class: Class) -> Result<Walk, ReadError> {
        let cursor = self.moment.tables.cursor(self.shared.epoch, class)?;
        Ok(Walk { class, at: 0, cursor, counted: Cursor::default() })
    }

    fn sealed(&mut self, walk: &mut Walk, found: &mut Vec<Finding>) -> Result<(), ReadError> {
        let (class, upto) = (walk.class, walk.cursor.sealed_upto);
        let sequence = Sequence { epoch: self.shared.epoch, class };
        let range = match self.moment.tables.cover_at(sequence, walk.at, upto)? {
            Cover::Block(row) => {
                self.block(sequence, &row, found)?;
                walk.counted.stored += row.range.len();
                row.range
            }
            Cover::Gap(gap) => {
                let count = if gap.cause == GapCause::Expired {
                    &mut walk.counted.expired
                } else {
                    &mut walk.counted.gaps
                };
                *count += gap.range.len();
                gap.range
            }
            Cover::Nothing(hole) => {
                found.push(Finding { class, range: hole.range, kind: FindingKind::Uncovered });
                hole.range
            }
        };
        // Rows that overlap are two answers for one number; the count says so in the end.
        walk.at = range.to.clamp(walk.at + 1, upto.max(walk.at + 1));
        Ok(())
    }

    fn block(
        &mut self,
        sequence: Sequence,
        row: &IndexRow,
        found: &mut Vec<Finding>,
    ) -> Result<(), ReadError> {
        let bytes = self.moment.tables.block(sequence, row.range.from)?;
        let mut wrong = |kind| found.push(Finding { class: sequence.class, range: row.range, kind });
        let Some(bytes) = bytes else {
            wrong(FindingKind::Damaged(block::BlockError::Missing.to_string()));
            self.shared.note_damaged(sequence.class, row.range);
            return Ok(());
        };
        self.verified.blocks += 1;
        self.verified.block_bytes += bytes.len() as u64;
        let (header, records) = match block::decode(&bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                wrong(FindingKind::Damaged(error.to_string()));
                self.shared.note_damaged(sequence.class, row.range);
                return Ok(());
            }
        };
        self.verified.records += records.len() as u64;
        let stated = (row.first, row.last, row.wall, row.bytes as usize);
        let (first, last) = header.span();
        let place = (header.class, header.epoch, header.range);
        if place != (sequence.class, sequence.epoch, row.range)
            || stated != (first, last, header.wall, bytes.len())
        {
            wrong(FindingKind::Misplaced);
        }
        self.undefined(&records).into_iter().for_each(|id| wrong(FindingKind::Undefined(id)));
        Ok(())
    }

    fn tail(&mut self, walk: &mut Walk, found: &mut Vec<Finding>) {
        let class = walk.class;
        let frames = &self.moment.frames[class.index()];
        let at = frames.partition_point(|frame| frame.range.to <= walk.at);
        let frame = frames.get(at).map(Arc::clone);
        let gap = self
            .moment
            .gaps
            .iter()
            .find(|gap| gap.class == class && gap.range.from <= walk.at && gap.range.to > walk.at);
        match (frame, gap) {
            (Some(frame), _) if frame.range.from <= walk.at => {
                self.frame(&frame, found);
                walk.at = frame.range.to;
            }
            (_, Some(gap)) => walk.at = gap.range.to,
            (frame, None) => {
                let next = self.moment.next[class.index()];
                let begins = self.moment.gaps.iter().filter(|gap| gap.class == class);
                let begins = begins.map(|gap| gap.range.from).chain(frame.map(|frame| frame.range.from));
                let to = begins.filter(|from| *from > walk.at).min().unwrap_or(next);
                let range = SeqRange::new(walk.at, to);
                found.push(Finding { class, range, kind: FindingKind::Uncovered });
                walk.at = to;
            }
        }
    }

    fn frame(&mut self, frame: &Frame, found: &mut Vec<Finding>) {
        let mut wrong = |kind| found.push(Finding { class: frame.class, range: frame.range, kind });
        match read_records(frame.kind, frame.base, frame.range.len(), &frame.body) {
            Ok(records) => {
                self.verified.records += records.len() as u64;
                self.undefined(&records).into_iter().for_each(|id| wrong(FindingKind::Undefined(id)));
            }
            Err(error) => wrong(FindingKind::Damaged(error.to_string())),
        }
    }

    /// The series of these records that have no definition. Definitions are known before what uses them is in the tail.
    fn undefined(&self, records: &[Record]) -> BTreeSet<SeriesId> {
        let ids = records.iter().filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.series),
            Record::Event(_) | Record::Definition(_) => None,
        });
        ids.filter(|id| !self.defined.contains(id)).collect()
    }

    fn end(&self, walk: &Walk, found: &mut Vec<Finding>) -> Result<(), ReadError> {
        let Walk { class, at, cursor, counted } = walk;
        let (class, range) = (*class, SeqRange::new(0, *at));
        let counts = [
            ("stored", cursor.stored, counted.stored),
            ("expired", cursor.expired, counted.expired),
            ("gaps", cursor.gaps, counted.gaps),
        ];
        for (what, stated, counted) in counts {
            if stated != counted {
                let kind = FindingKind::Miscounted { what, stated, counted };
                found.push(Finding { class, range, kind });
            }
        }
        let ahead = self.moment.tables.confirmed(self.shared.epoch, class)?;
        let ahead = ahead.iter().find(|range| range.to > cursor.sealed_upto);
        found.extend(ahead.map(|range| Finding { class, range, kind: FindingKind::ConfirmedAhead }));
        Ok(())
    }
}
