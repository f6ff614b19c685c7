//! Reading: records in the order of their numbers, from the blocks and then the tail, one block in memory at a time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hub_model::{BootClock, BootStamp, Class, Gap, Resolved, Sample, SeqRange, SeriesId, Stamp, UtcMs};
use thiserror::Error;

use crate::append::SampleClass;
use crate::block::{self, BlockError};
use crate::catalog::Catalog;
use crate::ledger::{self, Ledger};
use crate::record::Record;
use crate::shared::{Shared, add};
use crate::table::TableError;
use crate::table::time_index::IndexRow;
use crate::wal::frame::read_records;

/// Why something cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The tables refuse.
    #[error("read: {0}")]
    Tables(#[from] TableError),
    /// A block's bytes went bad; the records around it are served.
    #[error("read: {class} {range} is damaged: {source}")]
    Damaged {
        /// The class.
        class: &'static str,
        /// What cannot be read.
        range: SeqRange,
        /// What is wrong with it.
        source: BlockError,
    },
}

/// A view of the log for queries. Its methods do blocking file I/O.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// Which samples a query wants.
#[derive(Clone, Debug, Default)]
pub struct SampleQuery {
    /// The class.
    pub class: SampleClass,
    /// The series; `None` for all.
    pub series: Option<BTreeSet<SeriesId>>,
    /// The earliest time wanted.
    pub from: Option<UtcMs>,
    /// The first time not wanted any more.
    pub to: Option<UtcMs>,
    /// The first sequence number wanted.
    pub from_seq: u64,
}

/// A sample with its place and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its number in its class.
    pub seq: u64,
    /// Its class.
    pub class: Class,
    /// The sample.
    pub sample: Sample,
    /// When it was taken: as the device said, or through the clock records. Samples whose time is unknown match only
    /// queries without bounds.
    pub time: Resolved,
    /// When the hub had it, through the clock records.
    pub received: Resolved,
}

impl Reader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// A copy of all definitions.
    pub fn catalog(&self) -> Catalog {
        self.shared.with_catalog(Catalog::clone)
    }

    /// Where every number is, now.
    pub fn ledger(&self) -> Result<Ledger, ReadError> {
        Ok(ledger::ledger(&self.shared)?)
    }

    /// Every gap, by class and place. What expired after central had it is no loss and not among them.
    pub fn gaps(&self) -> Result<Vec<Gap>, ReadError> {
        Ok(ledger::gaps(&self.shared)?)
    }

    /// Blocks that queries met damaged since the log was opened and that are still there: those that became gaps, were
    /// evicted or expired are not among them.
    pub fn damaged(&self) -> Result<Vec<(Class, SeqRange)>, ReadError> {
        let mut there = Vec::new();
        for (class, range) in self.shared.damaged_seen() {
            let row = self.shared.tables.index_at(self.shared.epoch, class, range.from)?;
            if row.is_some_and(|row| row.range == range) {
                there.push((class, range));
            }
        }
        Ok(there)
    }

    /// The records of a class from a number on, up to what is there now.
    pub fn records(&self, class: Class, from_seq: u64) -> Records {
        let end = self.shared.tail().next[class.index()];
        Records {
            shared: Arc::clone(&self.shared),
            class,
            at: from_seq,
            end,
            loaded: VecDeque::new(),
            wanted: Wanted::default(),
        }
    }

    /// The samples a query wants, in the order of their numbers, with their times.
    pub fn samples(&self, query: &SampleQuery) -> Samples {
        let clock = self.shared.with_catalog(|catalog| catalog.clock().clone());
        let mut records = self.records(query.class.class(), query.from_seq);
        records.wanted = Wanted {
            series: query.series.clone(),
            time: (query.from.is_some() || query.to.is_some()).then(|| TimeBounds {
                clock: clock.clone(),
                from: query.from.unwrap_or(UtcMs(i64::MIN)),
                to: query.to.unwrap_or(UtcMs(i64::MAX)),
            }),
        };
        Samples { records, clock, from: query.from, to: query.to }
    }
}

/// What blocks may be passed over without decoding them.
#[derive(Debug, Default)]
struct Wanted {
    series: Option<BTreeSet<SeriesId>>,
    time: Option<TimeBounds>,
}

#[derive(Debug)]
struct TimeBounds {
    clock: BootClock,
    from: UtcMs,
    to: UtcMs,
}

impl TimeBounds {
    /// Whether a block may hold a sample within. A block may span clock steps, so every record in it is asked.
    fn may_hold(&self, row: &IndexRow) -> bool {
        let within = |from: UtcMs, to: UtcMs| from < self.to && to >= self.from;
        if row.wall.is_some_and(|(min, max)| within(min, max)) {
            return true;
        }
        let inside = |at: u64| (row.first.mono_ms..=row.last.mono_ms).contains(&at);
        let steps = self.clock.records().filter(|r| r.boot == row.first.boot && inside(r.mono_from_ms));
        let mut moments: Vec<u64> = vec![row.first.mono_ms, row.last.mono_ms];
        moments.extend(steps.flat_map(|r| [r.mono_from_ms, r.mono_from_ms.saturating_sub(1)]));
        let resolve = |mono_ms| self.clock.resolve(BootStamp { boot: row.first.boot, mono_ms }).utc;
        let times: Vec<UtcMs> = moments.into_iter().filter_map(resolve).collect();
        match (times.iter().min(), times.iter().max()) {
            (Some(min), Some(max)) => within(*min, *max),
            _ => false,
        }
    }
}

/// Records in the order of their numbers. A damaged block is one error; what is behind it follows.
#[derive(Debug)]
pub struct Records {
    shared: Arc<Shared>,
    class: Class,
    at: u64,
    end: u64,
    loaded: VecDeque<(u64, Record)>,
    wanted: Wanted,
}

impl Iterator for Records {
    type Item = Result<(u64, Record), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.loaded.is_empty() {
            if self.at >= self.end {
                return None;
            }
            match self.load() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        self.loaded.pop_front().map(Ok)
    }
}

impl Records {
    /// Loads the next block or frame; `false` when there is none. Always moves `at`, also past what is damaged.
    fn load(&mut self) -> Result<bool, ReadError> {
        // The tail first: a frame that is sealed between the two looks is found in both, never in neither.
        let frame = self.shared.tail().frame_at(self.class, self.at);
        let row = match self.shared.tables.index_at(self.shared.epoch, self.class, self.at) {
            Ok(row) => row,
            Err(error) => {
                add(&self.shared.counters.damaged_reads, 1);
                // The index leads nowhere any more; what is in no block yet is still served.
                self.at = frame.map_or(self.end, |f| f.range.from.max(self.at + 1));
                return Err(error.into());
            }
        };
        let place = |range: SeqRange| range.from.max(self.at);
        match (row, frame) {
            (Some(row), frame) if frame.as_ref().is_none_or(|f| place(row.range) <= place(f.range)) => {
                self.load_block(&row).map(|()| true)
            }
            (_, Some(frame)) => {
                let records = read_records(frame.kind, frame.base, frame.range.len(), &frame.body);
                let (class, range) = (self.class.name(), frame.range);
                let damaged =
                    |e: crate::field::Malformed| ReadError::Damaged { class, range, source: e.into() };
                self.take(range, records.map(|records| (range.from..).zip(records)).map_err(damaged))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn load_block(&mut self, row: &IndexRow) -> Result<(), ReadError> {
        if self.wanted.time.as_ref().is_some_and(|bounds| !bounds.may_hold(row)) {
            self.at = row.range.to;
            return Ok(());
        }
        let bytes = match self.shared.tables.block(self.shared.epoch, self.class, row.range.from) {
            Ok(bytes) => bytes,
            Err(error) => {
                add(&self.shared.counters.damaged_reads, 1);
                self.at = row.range.to;
                return Err(error.into());
            }
        };
        // Evicted between the two looks: a gap tells of it.
        let Some(bytes) = bytes else {
            self.at = row.range.to;
            return Ok(());
        };
        let records = self.decode_wanted(&bytes, row.range.from);
        if records.is_err() {
            self.shared.note_damaged(self.class, row.range);
        }
        let (class, range) = (self.class.name(), row.range);
        self.take(range, records.map_err(|source| ReadError::Damaged { class, range, source }))
    }

    fn decode_wanted(&self, bytes: &[u8], from: u64) -> Result<Vec<(u64, Record)>, BlockError> {
        if let Some(wanted) = &self.wanted.series {
            let samples = block::samples(bytes, |id| wanted.contains(&id))?;
            return Ok(samples.into_iter().map(|(seq, sample)| (seq, Record::Sample(sample))).collect());
        }
        Ok((from..).zip(block::decode(bytes)?.1).collect())
    }

    fn take(
        &mut self,
        range: SeqRange,
        records: Result<impl IntoIterator<Item = (u64, Record)>, ReadError>,
    ) -> Result<(), ReadError> {
        let at = self.at;
        self.at = range.to;
        self.loaded.extend(records?.into_iter().filter(|(seq, _)| *seq >= at));
        Ok(())
    }
}

/// Samples in the order of their numbers.
#[derive(Debug)]
pub struct Samples {
    records: Records,
    clock: BootClock,
    from: Option<UtcMs>,
    to: Option<UtcMs>,
}

impl Iterator for Samples {
    type Item = Result<Reading, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (seq, record) = match self.records.next()? {
                Ok(numbered) => numbered,
                Err(error) => return Some(Err(error)),
            };
            let Record::Sample(sample) = record else { continue };
            if self.records.wanted.series.as_ref().is_some_and(|wanted| !wanted.contains(&sample.series)) {
                continue;
            }
            let received = self.clock.resolve(sample.received);
            let time = match sample.stamp {
                Stamp::Boot(_) => received,
                Stamp::Wall(utc, _) => Resolved { utc: Some(utc), quality: received.quality },
            };
            if !self.wants(time) {
                continue;
            }
            return Some(Ok(Reading { seq, class: self.records.class, sample, time, received }));
        }
    }
}

impl Samples {
    fn wants(&self, time: Resolved) -> bool {
        match time.utc {
            Some(utc) => self.from.is_none_or(|from| utc >= from) && self.to.is_none_or(|to| utc < to),
            None => self.from.is_none() && self.to.is_none(),
        }
    }
}
