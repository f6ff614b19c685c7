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
use northbound_wire::{Lane, RefusalCode};
use tokio::sync::Notify;
use tracing::warn;

use super::Waiting;
use super::check::{Body, decoding};
use super::lane::{LaneChange, LanePlan};
use crate::counts::Counts;
use crate::storage::{
    AuditEntry, BlockRow, Db, Decoded, ObjectId, ObjectRow, Outcome, RangeBody, RangeRow, Storage,
    StorageError,
};

/// Rows that one arrival may touch. A gap over more than this is no gap of ours: it would hold up everyone.
const OVERLAPS_MAX: usize = 20_000;

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
            for row in &change.remove {
                db.remove_range(*hub, *lane, row).await?;
                emptied.extend(row.block().map(|block| block.object));
            }
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
            }
        }
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
            return Ok(false);
        }
        take_out(&mut db, hub, lane, row).await?;
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
        tx.commit().await?;
        self.leftovers.extend(emptied);
        self.collect().await;
        Ok(true)
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
    let mut lanes: BTreeMap<LaneOf, Vec<usize>> = BTreeMap::new();
    for (at, waiting) in batch.iter().enumerate() {
        lanes.entry((waiting.hub, waiting.arrival.lane)).or_default().push(at);
    }
    let mut verdicts = vec![Verdict::Known; batch.len()];
    let mut changes = BTreeMap::new();
    for ((hub, lane), arrivals) in lanes {
        // Arrivals of a lane follow each other: merged, they are one range and one look.
        let ranges: RangeSet = arrivals.iter().map(|at| batch[*at].arrival.range).collect();
        let mut rows = Vec::new();
        let mut too_many = RangeSet::new();
        for range in ranges.iter() {
            let found = db.overlapping(hub, lane, range, OVERLAPS_MAX).await?;
            if found.len() >= OVERLAPS_MAX {
                too_many.insert(range);
            } else {
                rows.extend(found);
            }
        }
        // A row that two of the ranges reach into was found twice.
        rows.sort_by_key(|row: &RangeRow| (row.kind(), row.range));
        rows.dedup();
        let mut plan = LanePlan::new(rows);
        for at in arrivals {
            let arrival = &batch[at].arrival;
            verdicts[at] = if too_many.covers(arrival.range) {
                let detail =
                    "it lies over more blocks than are looked at at once; send smaller ranges".to_owned();
                Verdict::Refused(RefusalCode::Malformed, detail)
            } else {
                match plan.place(at, arrival.kind(), arrival.range) {
                    Ok(true) => Verdict::Changed,
                    Ok(false) => Verdict::Known,
                    Err(crossing) => Verdict::Refused(RefusalCode::BlockCrossing, crossing.to_string()),
                }
            };
        }
        changes.insert((hub, lane), plan.finish());
    }
    Ok(Plan { changes, verdicts })
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
    let taken = batch.iter().zip(verdicts).filter(|(_, verdict)| !matches!(verdict, Verdict::Refused(..)));
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

/// Makes a range a hole, but for what is deleted of it.
pub(super) async fn take_out(
    db: &mut Db<'_>,
    hub: HubId,
    lane: Lane,
    row: &RangeRow,
) -> Result<(), StorageError> {
    db.remove_range(hub, lane, row).await?;
    db.uncover(hub, lane, row.range).await?;
    for over in db.overlapping(hub, lane, row.range, OVERLAPS_MAX).await? {
        let (from, to) = (over.range.from.max(row.range.from), over.range.to.min(row.range.to));
        db.cover(hub, lane, SeqRange::new(from, to)).await?;
    }
    Ok(())
}
