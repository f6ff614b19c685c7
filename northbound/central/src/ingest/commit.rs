//! One object, one transaction.
//!
//! The transaction begins first, so that what is decided from its rows still holds when it commits. Then the object is
//! written and synced, then the rows. A crash in between leaves an object that no row names, which the next start
//! removes; an error does too, and it is removed right after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use hub_model::{HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use hub_store::block::BlockHeader;
use northbound_sync::Kind;
use northbound_wire::{Lane, RefusalCode};
use tokio::sync::Notify;
use tracing::warn;

use super::Waiting;
use super::check::{Body, decoding};
use super::lane::{LaneChange, LanePlan};
use super::pace::BATCH_BYTES_MAX;
use crate::counts::Counts;
use crate::storage::{
    AuditEntry, BlockRow, Db, Decoded, ObjectId, ObjectRow, Outcome, RangeBody, RangeRow, Storage,
    StorageError,
};

/// Rows that one arrival may touch. A gap over more than this is no gap of ours: it would hold up everyone.
const OVERLAPS_MAX: usize = 20_000;

/// Rows that a batch looks at, those it puts in included; what would touch more waits for the next batch. One arrival
/// always has its place.
const BATCH_ROWS_MAX: usize = 32_768;

/// An arrival that touches no more than these many rows never waits for that: nearly all touch one or two.
const FEW_ROWS: usize = 16;

/// Rows that are counted in the time one is read.
const COUNTED_PER_ROW: usize = 16;

/// Epochs kept in mind as written down; beyond, they are written down again, which does no harm.
const EPOCHS_KNOWN_MAX: usize = 100_000;

/// Objects kept in mind whose removal failed; the next start finds them all the same.
const LEFTOVERS_MAX: usize = 1_000;

/// What became of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something is known now that was not before.
    Changed,
    /// All of it was accounted for.
    Known,
    /// It does not fit what is stored.
    Refused(RefusalCode, String),
    /// Not decided: the batch has touched enough rows.
    Deferred,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) object_bytes: u64,
}

/// Writes batches.
#[derive(Debug)]
pub(super) struct Committer {
    storage: Storage,
    counts: Arc<Counts>,
    definitions: Arc<Notify>,
    epochs_known: BTreeSet<(HubId, LogEpoch)>,
    leftovers: BTreeSet<ObjectId>,
    /// Whether there may be damaged ranges whose numbers come again.
    has_damaged: bool,
    #[cfg(test)]
    pub(super) fault: super::tests::Fault,
}

/// Where a test may let the disk fail or the process die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    BeforeObject,
    AfterObject,
    BeforeCommit,
    AfterCommit,
}

type LaneOf = (HubId, Lane);

/// The plans of all lanes of a batch, and what became of each arrival.
struct Plan {
    changes: BTreeMap<LaneOf, LaneChange>,
    verdicts: Vec<Verdict>,
}

impl Committer {
    pub(super) fn new(storage: Storage, counts: Arc<Counts>, definitions: Arc<Notify>) -> Committer {
        Committer {
            storage,
            counts,
            definitions,
            epochs_known: BTreeSet::new(),
            leftovers: BTreeSet::new(),
            has_damaged: true,
            #[cfg(test)]
            fault: super::tests::Fault::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_dead(&self) -> bool {
        self.fault.is_dead()
    }

    /// Makes a batch durable.
    pub(super) async fn commit(&mut self, batch: &[Waiting], now: UtcMs) -> Result<Committed, StorageError> {
        let object = ObjectId::new(now)?;
        let result = self.commit_as(object, batch, now).await;
        if result.is_err() {
            self.leftovers.insert(object);
        }
        #[cfg(test)]
        if self.is_dead() {
            return result;
        }
        self.collect().await;
        result
    }

    async fn commit_as(
        &mut self,
        object: ObjectId,
        batch: &[Waiting],
        now: UtcMs,
    ) -> Result<Committed, StorageError> {
        let mut tx = self.storage.write().await?;
        let Plan { changes, verdicts } = plan(&mut tx.db(), batch).await?;
        let (places, parts) = pack(&changes, batch);
        let object_bytes = parts.iter().map(|part| part.len() as u64).sum();
        if object_bytes > 0 {
            self.reach(Step::BeforeObject)?;
            self.storage.packs().put(object, parts).await?;
            self.reach(Step::AfterObject)?;
            tx.db().insert_object(ObjectRow { id: object, size_bytes: object_bytes }, now).await?;
        }
        let mut emptied = BTreeSet::new();
        let mut has_definitions = false;
        for ((hub, lane), change) in &changes {
            let mut db = tx.db();
            if !self.epochs_known.contains(&(*hub, lane.epoch)) {
                db.note_epoch(*hub, lane.epoch, now).await?;
            }
            for (first, last) in &change.remove {
                db.remove_ranges(*hub, *lane, first, last).await?;
            }
            emptied.extend(&change.emptied);
            for row in &change.keep {
                db.insert_range(*hub, *lane, row).await?;
            }
            for (arrival, range) in &change.insert {
                let body = body(&batch[*arrival].arrival.content, object, places.get(arrival).copied());
                has_definitions |= body.is_waiting();
                db.insert_range(*hub, *lane, &RangeRow { range: *range, body, received: now }).await?;
            }
            for range in change.accounted.iter() {
                db.cover(*hub, *lane, range).await?;
                if self.has_damaged {
                    db.remove_damaged(*hub, *lane, range).await?;
                }
            }
        }
        self.has_damaged = self.has_damaged && tx.db().damaged_count().await? > 0;
        put_zero_gaps(&mut tx.db(), batch, &verdicts).await?;
        // Noted before it is so: should the commit's end stay unknown, the rows will tell which are left over.
        self.leftovers.extend(remove_emptied(&mut tx.db(), emptied).await?);
        self.reach(Step::BeforeCommit)?;
        tx.commit().await?;
        self.reach(Step::AfterCommit)?;
        self.committed(&changes, object_bytes, has_definitions);
        Ok(Committed { verdicts, object_bytes })
    }

    fn committed(
        &mut self,
        changes: &BTreeMap<LaneOf, LaneChange>,
        object_bytes: u64,
        has_definitions: bool,
    ) {
        self.counts.commits.add(1);
        self.counts.object_bytes.add(object_bytes);
        if self.epochs_known.len() > EPOCHS_KNOWN_MAX {
            self.epochs_known.clear();
        }
        self.epochs_known.extend(changes.keys().map(|(hub, lane)| (*hub, lane.epoch)));
        if has_definitions {
            self.definitions.notify_one();
        }
    }

    /// Takes a block out whose bytes are bad. Whether it was still there.
    pub(super) async fn forget(
        &mut self,
        hub: HubId,
        lane: Lane,
        row: &RangeRow,
        why: &str,
        now: UtcMs,
    ) -> Result<bool, StorageError> {
        let mut tx = self.storage.write().await?;
        let mut db = tx.db();
        if !db.overlapping(hub, lane, row.range, OVERLAPS_MAX).await?.contains(row) {
            tx.take_back().await?;
            return Ok(false);
        }
        take_out(&mut db, hub, lane, row, now).await?;
        let emptied =
            remove_emptied(&mut db, row.block().map(|block| block.object).into_iter().collect()).await?;
        let entry = AuditEntry {
            actor: "system".to_owned(),
            action: "block.damaged".to_owned(),
            target: hub.to_string(),
            outcome: Outcome::Failed,
            address: String::new(),
            detail: format!("{} {} {}: {why}", lane.epoch, lane.class.name(), row.range),
        };
        db.append_audit(&entry, now).await?;
        self.has_damaged = true;
        tx.commit().await?;
        self.leftovers.extend(emptied);
        self.collect().await;
        Ok(true)
    }

    /// See [`Storage::doubt`].
    pub(super) fn doubt(&self) -> Arc<Notify> {
        self.storage.doubt()
    }

    /// Stores as much as a full batch, and takes it out again: whether there is room for what hubs send.
    pub(super) async fn probe(&mut self, now: UtcMs) -> Result<(), StorageError> {
        let object = ObjectId::new(now)?;
        let probed = self.store_and_take_out(object, now).await;
        self.leftovers.insert(object);
        self.collect().await;
        probed
    }

    async fn store_and_take_out(&self, object: ObjectId, now: UtcMs) -> Result<(), StorageError> {
        let mut tx = self.storage.write().await?;
        self.reach(Step::BeforeObject)?;
        self.storage.packs().put(object, [Bytes::from(vec![0; BATCH_BYTES_MAX])]).await?;
        tx.db().insert_object(ObjectRow { id: object, size_bytes: BATCH_BYTES_MAX as u64 }, now).await?;
        tx.db().remove_object_without_ranges(object).await?;
        self.reach(Step::BeforeCommit)?;
        tx.commit().await
    }

    /// Removes objects that no row names.
    async fn collect(&mut self) {
        while self.leftovers.len() > LEFTOVERS_MAX {
            self.leftovers.pop_last();
        }
        for object in std::mem::take(&mut self.leftovers) {
            match self.collect_one(object).await {
                Ok(true) => self.counts.objects_collected.add(1),
                Ok(false) => {}
                Err(error) => {
                    warn!(%object, %error, "an object that nothing names cannot be removed yet");
                    self.leftovers.insert(object);
                }
            }
        }
    }

    /// After a commit that failed, the object may be there or not, and so may its row.
    async fn collect_one(&self, object: ObjectId) -> Result<bool, StorageError> {
        if self.storage.read().await?.db().has_object(object).await? {
            return Ok(false);
        }
        self.storage.packs().remove(object).await?;
        Ok(true)
    }

    #[cfg(test)]
    fn reach(&self, step: Step) -> Result<(), StorageError> {
        self.fault.reach(step)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "only tests let it fail")]
    fn reach(&self, _step: Step) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Decides, lane by lane and in the order of arrival, what changes.
async fn plan(db: &mut Db<'_>, batch: &[Waiting]) -> Result<Plan, StorageError> {
    let mut verdicts = vec![Verdict::Deferred; batch.len()];
    let mut changes = BTreeMap::new();
    let mut rows_left = BATCH_ROWS_MAX;
    for ((hub, lane), arrivals) in lanes(batch) {
        let mut planning = Planning { db, batch, hub, lane, plan: LanePlan::default(), rows_left };
        // Arrivals of a lane follow each other: merged, they are one range and one look.
        let ranges: RangeSet = arrivals.iter().map(|at| batch[*at].arrival.range).collect();
        let ranges: Vec<SeqRange> = ranges.iter().collect();
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); ranges.len()];
        for at in arrivals {
            let from = batch[at].arrival.range.from;
            groups[ranges.partition_point(|range| range.to <= from)].push(at);
        }
        for (range, arrivals) in ranges.into_iter().zip(groups) {
            for (at, verdict) in planning.group(range, &arrivals).await? {
                verdicts[at] = verdict;
            }
        }
        rows_left = planning.rows_left;
        changes.insert((hub, lane), planning.plan.finish());
    }
    Ok(Plan { changes, verdicts })
}

/// Lanes in the order of their first arrivals, which is that of the hubs' turns, each with its arrivals.
fn lanes(batch: &[Waiting]) -> Vec<(LaneOf, Vec<usize>)> {
    let mut places: BTreeMap<LaneOf, usize> = BTreeMap::new();
    let mut lanes: Vec<(LaneOf, Vec<usize>)> = Vec::new();
    for (at, waiting) in batch.iter().enumerate() {
        let lane = (waiting.hub, waiting.arrival.lane);
        let place = *places.entry(lane).or_insert_with(|| {
            lanes.push((lane, Vec::new()));
            lanes.len() - 1
        });
        lanes[place].1.push(at);
    }
    lanes
}

/// A lane while it is planned.
struct Planning<'a, 'c> {
    db: &'a mut Db<'c>,
    batch: &'a [Waiting],
    hub: HubId,
    lane: Lane,
    plan: LanePlan,
    rows_left: usize,
}

impl Planning<'_, '_> {
    /// Decides arrivals that touch each other, and no others, as far as there is room: the rest stays deferred.
    async fn group(
        &mut self,
        range: SeqRange,
        arrivals: &[usize],
    ) -> Result<Vec<(usize, Verdict)>, StorageError> {
        let is_plain = |at: &usize| self.batch[*at].arrival.kind() == Kind::Gap;
        if arrivals.iter().all(is_plain) && self.db.is_covered(self.hub, self.lane, range).await? {
            // Everything outranks them.
            return Ok(arrivals.iter().map(|at| (*at, Verdict::Known)).collect());
        }
        if let Some(rows) = self.rows_of(range).await? {
            return Ok(self.place(rows, arrivals));
        }
        // Together they touch too much: one after the other then.
        let mut decided = Vec::new();
        for at in arrivals {
            let range = self.batch[*at].arrival.range;
            if self.rows_left == 0 {
                break;
            }
            if let Some(rows) = self.rows_of(range).await? {
                decided.extend(self.place(rows, &[*at]));
            } else if self.count(range).await? > OVERLAPS_MAX {
                let detail = "it lies over more blocks than are looked at at once; send smaller ranges";
                decided.push((*at, Verdict::Refused(RefusalCode::Malformed, detail.to_owned())));
            } else {
                break;
            }
        }
        Ok(decided)
    }

    /// Every row of a range; `None` when they are more than may be looked at now.
    async fn rows_of(&mut self, range: SeqRange) -> Result<Option<Vec<RangeRow>>, StorageError> {
        let few = self.db.overlapping(self.hub, self.lane, range, FEW_ROWS + 1).await?;
        if few.len() <= FEW_ROWS {
            return Ok(Some(few));
        }
        let count = self.count(range).await?;
        if count > OVERLAPS_MAX.min(self.rows_left) {
            return Ok(None);
        }
        self.rows_left -= count;
        Ok(Some(self.db.overlapping(self.hub, self.lane, range, OVERLAPS_MAX).await?))
    }

    /// How many rows a range has, as far as it matters.
    async fn count(&mut self, range: SeqRange) -> Result<usize, StorageError> {
        let count = self.db.count_overlapping(self.hub, self.lane, range, OVERLAPS_MAX + 1).await?;
        self.rows_left = self.rows_left.saturating_sub(count / COUNTED_PER_ROW);
        Ok(count)
    }

    fn place(&mut self, rows: Vec<RangeRow>, arrivals: &[usize]) -> Vec<(usize, Verdict)> {
        self.plan.look(rows);
        let mut decided = Vec::with_capacity(arrivals.len());
        for at in arrivals {
            let arrival = &self.batch[*at].arrival;
            let verdict = match self.plan.place(*at, arrival.kind(), arrival.range) {
                Ok(taken) => {
                    let many = taken.rows.saturating_sub(FEW_ROWS);
                    self.rows_left = self.rows_left.saturating_sub(many);
                    if taken.changes { Verdict::Changed } else { Verdict::Known }
                }
                Err(crossing) => Verdict::Refused(RefusalCode::BlockCrossing, crossing.to_string()),
            };
            decided.push((*at, verdict));
            if self.rows_left == 0 {
                break;
            }
        }
        decided
    }
}

/// The bytes of the blocks that go in, one behind the other, and where each begins.
fn pack(changes: &BTreeMap<LaneOf, LaneChange>, batch: &[Waiting]) -> (BTreeMap<usize, u64>, Vec<Bytes>) {
    let (mut places, mut parts, mut end) = (BTreeMap::new(), Vec::new(), 0);
    for (arrival, _) in changes.values().flat_map(|change| &change.insert) {
        if let Body::Block(_, bytes) = &batch[*arrival].arrival.content {
            places.insert(*arrival, end);
            end += bytes.len() as u64;
            parts.push(bytes.clone());
        }
    }
    (places, parts)
}

fn body(content: &Body, object: ObjectId, offset: Option<u64>) -> RangeBody {
    match content {
        Body::Gap(gap) => RangeBody::Gap(*gap),
        Body::Block(header, bytes) => {
            let offset = offset.expect("every block that goes in was given its place");
            RangeBody::Block(block_row(header, object, offset, bytes.len() as u64))
        }
    }
}

fn block_row(header: &BlockHeader, object: ObjectId, offset: u64, length: u64) -> BlockRow {
    let (first, last) = header.span();
    BlockRow {
        object,
        offset,
        length,
        boot: header.boot,
        t_min_ms: first.mono_ms,
        t_max_ms: last.mono_ms,
        wall: header.wall,
        records: header.range.len(),
        decoded: decoding(header.class),
    }
}

impl RangeBody {
    fn is_waiting(&self) -> bool {
        matches!(self, RangeBody::Block(block) if block.decoded == Decoded::Waiting)
    }
}

async fn put_zero_gaps(db: &mut Db<'_>, batch: &[Waiting], verdicts: &[Verdict]) -> Result<(), StorageError> {
    let taken = batch
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| matches!(verdict, Verdict::Changed | Verdict::Known));
    for (Waiting { hub, arrival, .. }, _) in taken {
        for gap in &arrival.zero_gaps {
            db.put_zero_gap(*hub, arrival.lane, gap).await?;
        }
    }
    Ok(())
}

/// Takes the rows of objects out that no range names any more; which ones.
async fn remove_emptied(db: &mut Db<'_>, objects: BTreeSet<ObjectId>) -> Result<Vec<ObjectId>, StorageError> {
    let mut removed = Vec::new();
    for object in objects {
        if db.remove_object_without_ranges(object).await? {
            removed.push(object);
        }
    }
    Ok(removed)
}

/// Makes a range a hole that its hub is asked to fill, but for what is deleted of it.
pub(super) async fn take_out(
    db: &mut Db<'_>,
    hub: HubId,
    lane: Lane,
    row: &RangeRow,
    now: UtcMs,
) -> Result<(), StorageError> {
    db.remove_range(hub, lane, row).await?;
    db.put_damaged(hub, lane, row.range, now).await?;
    db.uncover(hub, lane, row.range).await?;
    for over in db.overlapping(hub, lane, row.range, OVERLAPS_MAX).await? {
        let (from, to) = (over.range.from.max(row.range.from), over.range.to.min(row.range.to));
        db.cover(hub, lane, SeqRange::new(from, to)).await?;
    }
    Ok(())
}
