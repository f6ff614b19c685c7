//! One page of readings: block after block, epoch after epoch.

use std::collections::BTreeSet;

use bytes::Bytes;
use hub_model::{BootClock, HubId, LogEpoch, Resolved, Sample, SeriesId, Stamp};
use hub_store::block;
use northbound_wire::Lane;

use super::candidates::Candidates;
use super::{Damaged, Found, Place, Query, Reading, SeriesReadings, Wanted, WantedIds, gaps, window};
use crate::decode::is_the_block;
use crate::storage::{BlockSpan, Db, PackError, RangeRow, StorageError};

/// Blocks read for one page, some 100 MB: a page of a rare metric may have fewer readings than asked for, and goes on.
const BLOCKS_MAX: usize = 2_000;

/// Blocks looked at in epochs that have no such metric yet, for definitions that may still come.
const PENDING_LOOKS_MAX: usize = 64;

/// What stays the same while a page is read.
struct Page<'a> {
    query: &'a Query,
    wanted: &'a Wanted,
    clock: BootClock,
    spans: Vec<BlockSpan>,
    blocks_left: usize,
    readings_left: usize,
    found: Found,
}

pub(super) async fn read(query: &Query, wanted: &Wanted) -> Result<Found, StorageError> {
    let mut connection = query.storage.read().await?;
    let mut db = connection.db();
    let hub = wanted.device.hub;
    let epochs = db.epochs(hub).await?;
    let mut series = db.series_of_metric(hub, wanted.device.id, wanted.metric.as_str()).await?;
    series.retain(|row| wanted.value_type.is_none_or(|t| row.series.key.value_type == t));
    if series.is_empty() {
        return Ok(Found::default());
    }
    let age = |epoch: LogEpoch| epochs.iter().position(|e| *e == epoch);
    series.sort_by_key(|row| (age(row.epoch), row.series.id));
    let clock = db.clock(hub).await?;
    let spans = window::spans(&clock, wanted.from, wanted.to);
    let gaps = gaps::within(&mut db, hub, &epochs, wanted, &clock).await?;
    let of_series = |series| SeriesReadings { series, readings: Vec::new() };
    let found = Found { series: series.into_iter().map(of_series).collect(), gaps, ..Found::default() };
    let mut page =
        Page { query, wanted, clock, spans, blocks_left: BLOCKS_MAX, readings_left: wanted.limit, found };
    page.read(&mut db, &epochs).await?;
    Ok(page.found)
}

impl Page<'_> {
    async fn read(&mut self, db: &mut Db<'_>, epochs: &[LogEpoch]) -> Result<(), StorageError> {
        let begin = self.wanted.place;
        let behind = epochs.iter().skip_while(|epoch| begin.is_some_and(|place| place.epoch != **epoch));
        for epoch in behind {
            if begin.is_none() {
                self.look_for_damaged(db, *epoch).await?;
            }
            let from_seq = begin.filter(|place| place.epoch == *epoch).map_or(0, |place| place.seq);
            let ids = self.wanted_ids(*epoch);
            if ids.is_empty() {
                if begin.is_none() {
                    self.look_for_pending(db, *epoch).await?;
                }
                continue;
            }
            self.found.next = self.epoch(db, *epoch, &ids, from_seq).await?;
            if self.found.next.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn wanted_ids(&self, epoch: LogEpoch) -> WantedIds {
        let of_epoch = |(at, found): (usize, &SeriesReadings)| {
            (found.series.epoch == epoch).then_some((found.series.series.id, at))
        };
        self.found.series.iter().enumerate().filter_map(of_epoch).collect()
    }

    fn lane(&self, epoch: LogEpoch) -> Lane {
        Lane { epoch, class: self.wanted.class }
    }

    fn hub(&self) -> HubId {
        self.wanted.device.hub
    }

    /// Reads an epoch; where to go on when the page is full before its end.
    async fn epoch(
        &mut self,
        db: &mut Db<'_>,
        epoch: LogEpoch,
        ids: &WantedIds,
        from_seq: u64,
    ) -> Result<Option<Place>, StorageError> {
        let known: BTreeSet<SeriesId> = db.series_ids(self.hub(), epoch).await?.into_iter().collect();
        let lane = self.lane(epoch);
        let mut candidates = Candidates::new(self.hub(), lane, &self.spans, from_seq);
        let mut done_upto = from_seq;
        while let Some(row) = candidates.next(db).await? {
            if self.blocks_left == 0 {
                return Ok(Some(Place { epoch, seq: row.range.from.max(done_upto) }));
            }
            self.blocks_left -= 1;
            let Some(bytes) = self.bytes(lane, &row, &mut candidates).await? else { continue };
            // A block that took the place of others while they were read brings their numbers again.
            let from_seq = std::mem::replace(&mut done_upto, row.range.to);
            let inside = block::series(&bytes).unwrap_or_default();
            if inside.iter().any(|(id, _)| !known.contains(id)) {
                self.found.pending += 1;
            }
            if !inside.iter().any(|(id, _)| ids.iter().any(|(wanted, _)| wanted == id)) {
                continue;
            }
            if let Some(seq) = self.block(db, lane, &row, &bytes, ids, from_seq).await? {
                return Ok(Some(Place { epoch, seq }));
            }
        }
        Ok(None)
    }

    /// Takes the readings of a block; the number of the first that does not fit the page any more.
    async fn block(
        &mut self,
        db: &mut Db<'_>,
        lane: Lane,
        row: &RangeRow,
        bytes: &[u8],
        ids: &WantedIds,
        from_seq: u64,
    ) -> Result<Option<u64>, StorageError> {
        let samples = match block::samples(bytes, |id| ids.iter().any(|(wanted, _)| *wanted == id)) {
            Ok(samples) => samples,
            Err(error) => {
                // What was sent just so would only be sent again.
                tracing::warn!(hub = %self.hub(), range = %row.range, %error, "a block is whole and does not decode");
                self.damaged(lane, row);
                return Ok(None);
            }
        };
        let deleted = db.deleted_within(self.hub(), lane, row.range).await?;
        for (seq, sample) in samples {
            let Some((_, at)) = ids.iter().find(|(id, _)| *id == sample.series) else { continue };
            if seq < from_seq || deleted.contains(seq) {
                continue;
            }
            let Some(reading) = self.reading(seq, sample) else { continue };
            if self.readings_left == 0 {
                return Ok(Some(seq));
            }
            self.readings_left -= 1;
            self.found.series[*at].readings.push(reading);
        }
        Ok(None)
    }

    /// A sample with its time, when that is wanted: one without a known time only when there are no bounds.
    fn reading(&self, seq: u64, sample: Sample) -> Option<Reading> {
        let received = self.clock.resolve(sample.received);
        let (time, received) = match sample.stamp {
            Stamp::Boot(_) => (received, None),
            Stamp::Wall(utc, _) => (Resolved { utc: Some(utc), quality: received.quality }, received.utc),
        };
        let Wanted { from, to, .. } = self.wanted;
        let wanted = match time.utc {
            Some(utc) => from.is_none_or(|from| utc >= from) && to.is_none_or(|to| utc < to),
            None => from.is_none() && to.is_none(),
        };
        wanted.then_some(Reading { seq, time, received, value: sample.value, quality: sample.quality })
    }

    /// The bytes of a block; `None` when they are not there any more, or bad, which is then told.
    async fn bytes(
        &mut self,
        lane: Lane,
        row: &RangeRow,
        candidates: &mut Candidates,
    ) -> Result<Option<Bytes>, StorageError> {
        let mut why = String::new();
        // Twice: a block is not given up for one bad read.
        for _ in 0..2 {
            let Some(block) = row.block() else { return Ok(None) };
            why = match self.query.storage.packs().get(block.object, block.offset, block.length).await {
                Ok(bytes) => match is_the_block(&bytes, lane, row) {
                    Ok(()) => return Ok(Some(bytes)),
                    Err(why) => why,
                },
                Err(error @ PackError::Missing { .. }) => error.to_string(),
                Err(error) => {
                    // The disk may answer another time: nothing is given up, and the rest of the page is told.
                    tracing::error!(hub = %self.hub(), range = %row.range, %error, "a block cannot be read");
                    self.damaged(lane, row);
                    return Ok(None);
                }
            };
        }
        if self.query.ingest.forget(self.hub(), lane, *row, &why).await {
            self.damaged(lane, row);
        } else {
            // Another block has taken its place since the row was read.
            candidates.restart(row.range.from);
        }
        Ok(None)
    }

    /// What went bad before, and has not come again.
    async fn look_for_damaged(&mut self, db: &mut Db<'_>, epoch: LogEpoch) -> Result<(), StorageError> {
        let ranges = db.damaged(self.hub(), self.lane(epoch), 0, gaps::GAPS_MAX).await?;
        self.found.damaged.extend(ranges.into_iter().map(|range| Damaged { epoch, range }));
        Ok(())
    }

    fn damaged(&mut self, lane: Lane, row: &RangeRow) {
        self.found.damaged.push(Damaged { epoch: lane.epoch, range: row.range });
    }

    /// Counts blocks of an epoch whose definitions have not arrived.
    async fn look_for_pending(&mut self, db: &mut Db<'_>, epoch: LogEpoch) -> Result<(), StorageError> {
        let known: BTreeSet<SeriesId> = db.series_ids(self.hub(), epoch).await?.into_iter().collect();
        let lane = self.lane(epoch);
        let mut candidates = Candidates::new(self.hub(), lane, &self.spans, 0);
        for _ in 0..PENDING_LOOKS_MAX {
            let Some(row) = candidates.next(db).await? else { return Ok(()) };
            let Some(bytes) = self.bytes(lane, &row, &mut candidates).await? else { continue };
            let inside = block::series(&bytes).unwrap_or_default();
            if inside.iter().any(|(id, _)| !known.contains(id)) {
                self.found.pending += 1;
            }
        }
        Ok(())
    }
}
