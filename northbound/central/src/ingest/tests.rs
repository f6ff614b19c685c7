//! Batches against a model, through failures and ends at every step, and folders that are not as they were left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hub_chassis::supervisor::{Rule, Supervisor};
use hub_model::{Class, GapCause, HubId, RangeSet, SeqRange, UtcMs};
use northbound_sync::{Arrival, Content, Entry, Kind, Placed, place};
use northbound_wire::{Lane, RefusalCode, ZeroGap};
use proptest::prelude::*;
use tokio::sync::Notify;

use super::commit::Step;
use super::{Ingest, repair};
use crate::clock::Clock;
use crate::counts::Counts;
use crate::storage::{RangeRow, Storage, StorageError};
use crate::testing::{Folder, NOW, Running, TestHub, hub_id, lane, made_block, stamp};

const TELEMETRY: Lane = lane(0xfeed_0000_0000_0001, Class::Telemetry);
const HUB: HubId = hub_id(7);

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The disk fails.
    Fail,
    /// The process is killed.
    Die,
}

/// Lets a step go wrong, once.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: Option<(Step, Mishap)>,
    is_dead: bool,
}

impl Fault {
    fn set(&self, step: Step, mishap: Mishap) {
        self.lock().next = Some((step, mishap));
    }

    fn forget(&self) {
        self.lock().next = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    pub(super) fn reach(&self, step: Step) -> Result<(), StorageError> {
        let mut state = self.lock();
        let Some((at, mishap)) = state.next else { return Ok(()) };
        if at != step {
            return Ok(());
        }
        *state = State { next: None, is_dead: mishap == Mishap::Die };
        Err(StorageError::file("test", std::io::Error::other("as the test wants")))
    }
}

fn block(range: SeqRange) -> Arrival {
    let bytes = made_block(TELEMETRY, range, 7);
    Arrival { lane: TELEMETRY, range, content: Content::Block(bytes), zero_gaps: Vec::new() }
}

fn gap(range: SeqRange, cause: GapCause) -> Arrival {
    let content = Content::Gap { cause, since: None, until: stamp(5) };
    Arrival { lane: TELEMETRY, range, content, zero_gaps: Vec::new() }
}

const fn r(from: u64, to: u64) -> SeqRange {
    SeqRange { from, to }
}

async fn rows(storage: &Storage) -> Vec<RangeRow> {
    let mut reading = storage.read().await.unwrap();
    let mut rows = reading.db().overlapping(HUB, TELEMETRY, r(0, 1 << 40), 100_000).await.unwrap();
    rows.sort_by_key(|row| (row.range, row.kind()));
    rows
}

async fn accounted(storage: &Storage) -> RangeSet {
    storage.accounted(HUB, &[TELEMETRY]).await.unwrap().remove(0).1
}

/// The bytes of every block are where its row says.
async fn check_bytes(storage: &Storage) {
    for row in rows(storage).await {
        if let Some(found) = row.block() {
            let bytes = storage.packs().get(found.object, found.offset, found.length).await.unwrap();
            assert_eq!(bytes, made_block(TELEMETRY, row.range, 7));
        }
    }
}

/// Objects on disk are those that rows name, and coverage is what the rows cover.
async fn check_whole(storage: &Storage) {
    check_bytes(storage).await;
    let named: RangeSet = rows(storage).await.iter().map(|row| row.range).collect();
    assert_eq!(accounted(storage).await, named);
    let known = storage.read().await.unwrap().db().objects_after(None, 10_000).await.unwrap();
    assert_eq!(storage.packs().list().unwrap(), known);
    let used: std::collections::BTreeSet<_> =
        rows(storage).await.iter().filter_map(|row| row.block().map(|b| b.object)).collect();
    assert_eq!(used.len(), known.len());
    assert_eq!(storage.integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_block_is_kept_through_a_restart_and_known_when_it_comes_again() {
    let folder = Folder::new("restart");
    let running = Running::start(folder.path()).await;
    let zero = ZeroGap { at: 12, cause: GapCause::Restart, since: None, until: stamp(9) };
    let arrival = Arrival { zero_gaps: vec![zero], ..block(r(10, 20)) };
    assert_eq!(running.ingest.store(HUB, arrival.clone()).await, Placed::Accounted);
    assert_eq!(running.ingest.store(HUB, gap(r(0, 10), GapCause::Evicted)).await, Placed::Accounted);
    running.stop().await;
    let running = Running::start(folder.path()).await;
    assert_eq!(accounted(&running.storage).await, RangeSet::from_range(r(0, 20)));
    let zeros = running.storage.read().await.unwrap().db().zero_gaps(HUB, TELEMETRY, 0, 10).await.unwrap();
    assert_eq!(zeros, [zero]);
    assert_eq!(running.ingest.store(HUB, arrival).await, Placed::Accounted);
    assert_eq!((running.counts.known.get(), running.counts.commits.get()), (1, 1));
    check_whole(&running.storage).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_block_or_another_is_refused() {
    let folder = Folder::new("refused");
    let running = Running::start(folder.path()).await;
    let refused = async |arrival: Arrival| match running.ingest.store(HUB, arrival).await {
        Placed::Refused(code, _) => code,
        Placed::Accounted => panic!("it was taken"),
    };
    let mut damaged = block(r(0, 10));
    if let Content::Block(bytes) = &mut damaged.content {
        bytes[110] ^= 1;
    }
    assert_eq!(refused(damaged).await, RefusalCode::BlockDamaged);
    let mut newer = block(r(0, 10));
    if let Content::Block(bytes) = &mut newer.content {
        bytes[4] = 9;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..94]), &bytes[98..]);
        bytes[94..98].copy_from_slice(&crc.to_le_bytes());
    }
    assert_eq!(refused(newer).await, RefusalCode::BlockVersion);
    assert_eq!(refused(Arrival { range: r(0, 11), ..block(r(0, 10)) }).await, RefusalCode::BlockDamaged);
    let elsewhere = lane(3, Class::Telemetry);
    assert_eq!(refused(Arrival { lane: elsewhere, ..block(r(0, 10)) }).await, RefusalCode::BlockDamaged);
    assert_eq!(refused(gap(r(5, 5), GapCause::Evicted)).await, RefusalCode::Malformed);
    assert_eq!(refused(gap(r(5, u64::MAX), GapCause::Evicted)).await, RefusalCode::Malformed);
    assert_eq!(running.ingest.store(HUB, block(r(0, 10))).await, Placed::Accounted);
    assert_eq!(refused(block(r(5, 15))).await, RefusalCode::BlockCrossing);
    // The lane goes on behind what was refused.
    assert_eq!(running.ingest.store(HUB, block(r(10, 15))).await, Placed::Accounted);
    check_whole(&running.storage).await;
    running.stop().await;
}

#[tokio::test]
async fn many_hubs_share_objects() {
    let folder = Folder::new("many");
    let running = Running::start(folder.path()).await;
    let mut pending = Vec::new();
    for hub in 0..50 {
        for n in 0..4 {
            pending.push(running.ingest.submit(hub_id(hub), block(r(n * 10, n * 10 + 10))).await);
        }
    }
    for pending in pending {
        assert_eq!(pending.placed().await, Placed::Accounted);
    }
    assert_eq!(running.counts.blocks.get(), 200);
    assert!(running.counts.commits.get() < 20, "{}", running.counts.commits.get());
    check_whole_of(&running.storage, 50).await;
    running.stop().await;
}

async fn check_whole_of(storage: &Storage, hubs: u8) {
    for hub in 0..hubs {
        let accounted = storage.accounted(hub_id(hub), &[TELEMETRY]).await.unwrap().remove(0).1;
        assert_eq!(accounted, RangeSet::from_range(r(0, 40)));
    }
}

#[tokio::test]
async fn a_superset_takes_the_place_of_its_parts_and_their_object_goes() {
    let folder = Folder::new("superset");
    let running = Running::start(folder.path()).await;
    for arrival in [block(r(0, 5)), block(r(6, 10)), block(r(0, 10))] {
        assert_eq!(running.ingest.store(HUB, arrival).await, Placed::Accounted);
    }
    let rows = rows(&running.storage).await;
    assert_eq!(rows.iter().map(|row| row.range).collect::<Vec<_>>(), [r(0, 10)]);
    assert_eq!(running.counts.objects_collected.get(), 2);
    check_whole(&running.storage).await;
    running.stop().await;
}

#[tokio::test]
async fn objects_that_are_gone_or_cut_become_holes_and_are_filled_again() {
    let folder = Folder::new("gone");
    let running = Running::start(folder.path()).await;
    for n in 0..4 {
        assert_eq!(running.ingest.store(HUB, block(r(n * 10, n * 10 + 10))).await, Placed::Accounted);
    }
    assert_eq!(running.ingest.store(HUB, gap(r(32, 34), GapCause::Deleted)).await, Placed::Accounted);
    let objects: Vec<_> =
        rows(&running.storage).await.iter().filter_map(|row| row.block().map(|b| b.object)).collect();
    let packs = running.storage.packs().clone();
    running.stop().await;
    packs.remove(objects[1]).await.unwrap();
    packs.put(objects[3], [bytes::Bytes::from_static(b"short")]).await.unwrap();

    let running = Running::start(folder.path()).await;
    let have: Vec<_> = accounted(&running.storage).await.iter().collect();
    assert_eq!(have, [r(0, 10), r(20, 30), r(32, 34)], "what is deleted stays so");
    assert_eq!(running.counts.objects_lost.get(), 2);
    let audit = running.storage.audit_rows(None, 10).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.entry.action == "object.lost").count(), 2);
    check_whole(&running.storage).await;
    for n in [1, 3] {
        assert_eq!(running.ingest.store(HUB, block(r(n * 10, n * 10 + 10))).await, Placed::Accounted);
    }
    assert_eq!(accounted(&running.storage).await, RangeSet::from_range(r(0, 40)));
    check_whole(&running.storage).await;
    running.stop().await;
}

#[tokio::test]
async fn a_folder_from_an_older_copy_is_whole_and_lacks_what_came_later() {
    let folder = Folder::new("copied");
    let copy = Folder::new("copy");
    let running = Running::start(folder.path()).await;
    assert_eq!(running.ingest.store(HUB, block(r(0, 10))).await, Placed::Accounted);
    running.stop().await;
    let database = |folder: &Folder| folder.path().join("central.db");
    std::fs::copy(database(&folder), database(&copy)).unwrap();
    let running = Running::start(folder.path()).await;
    assert_eq!(running.ingest.store(HUB, block(r(10, 20))).await, Placed::Accounted);
    running.stop().await;
    // The database is put back; objects are as they were left, which is newer.
    std::fs::copy(database(&copy), database(&folder)).unwrap();
    let running = Running::start(folder.path()).await;
    assert_eq!(accounted(&running.storage).await, RangeSet::from_range(r(0, 10)));
    assert_eq!(running.counts.objects_collected.get(), 1);
    let term = running.storage.raise_term(NOW).await.unwrap();
    assert_eq!(term, u64::try_from(NOW.0 / 1000).unwrap());
    assert_eq!(running.storage.raise_term(UtcMs(0)).await.unwrap(), term + 1, "it only rises");
    check_whole(&running.storage).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_half_written_is_removed_at_the_start() {
    let folder = Folder::new("half");
    let running = Running::start(folder.path()).await;
    assert_eq!(running.ingest.store(HUB, block(r(0, 10))).await, Placed::Accounted);
    let object = rows(&running.storage).await[0].block().unwrap().object;
    let org = running.storage.org().to_string();
    let storage = running.storage.clone();
    running.stop().await;
    let shards = std::fs::read_dir(folder.path().join("objects").join(org)).unwrap();
    let shard = shards.map(|entry| entry.unwrap().path()).next().unwrap();
    assert!(shard.join(object.to_string()).exists());
    std::fs::write(shard.join(format!("{object}#1")), "half").unwrap();
    drop(storage);
    let running = Running::start(folder.path()).await;
    assert_eq!(std::fs::read_dir(shard).unwrap().count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_block_is_given_up_once() {
    let folder = Folder::new("forget");
    let running = Running::start(folder.path()).await;
    assert_eq!(running.ingest.store(HUB, block(r(0, 10))).await, Placed::Accounted);
    let row = rows(&running.storage).await[0];
    assert!(running.ingest.forget(HUB, TELEMETRY, row, "checksum mismatch").await);
    assert!(!running.ingest.forget(HUB, TELEMETRY, row, "checksum mismatch").await);
    assert!(accounted(&running.storage).await.is_empty());
    check_whole(&running.storage).await;
    let holes = tokio::time::timeout(Duration::from_secs(5), running.ingest.holes().next()).await;
    assert_eq!(holes.unwrap().into_iter().collect::<Vec<_>>(), [HUB], "its hub is to be asked again");
    let damaged =
        async || running.storage.read().await.unwrap().db().damaged(HUB, TELEMETRY, 0, 10).await.unwrap();
    assert_eq!(damaged().await, [r(0, 10)]);
    assert_eq!(running.ingest.store(HUB, block(r(20, 30))).await, Placed::Accounted);
    assert_eq!(damaged().await, [r(0, 10)], "another block changes nothing");
    assert_eq!(running.ingest.store(HUB, block(r(0, 10))).await, Placed::Accounted);
    assert_eq!(damaged().await, []);
    assert_eq!(running.storage.read().await.unwrap().db().damaged_count().await.unwrap(), 0);
    running.stop().await;
}

#[tokio::test]
async fn room_that_is_there_again_is_found_without_any_hub() {
    let folder = Folder::new("probe");
    let faulty = Faulty::probing(&folder, Duration::from_millis(20)).await;
    let fails = |faulty: &Faulty| faulty.counts.storing_fails.load(std::sync::atomic::Ordering::Relaxed);
    faulty.fault.set(Step::BeforeObject, Mishap::Fail);
    assert!(matches!(faulty.store(&[block(r(0, 10))]).await[0], Some(Placed::Refused(..))));
    // The first try finds the disk still full, the second does not.
    faulty.fault.set(Step::BeforeObject, Mishap::Fail);
    assert!(fails(&faulty));
    let recovered = async {
        while fails(&faulty) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recovered).await.expect("it is tried by itself");
    assert_eq!(faulty.counts.commits.get(), 0);
    while !faulty.storage.packs().list().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check_whole(&faulty.storage).await;
    assert_eq!(faulty.store(&[block(r(0, 10))]).await, [Some(Placed::Accounted)]);
    faulty.end().await;
}

#[tokio::test]
async fn a_full_database_is_told_and_blocks_go_on_when_there_is_room() {
    let folder = Folder::new("full-database");
    let faulty = Faulty::probing(&folder, Duration::from_millis(20)).await;
    let fails = |faulty: &Faulty| faulty.counts.storing_fails.load(std::sync::atomic::Ordering::Relaxed);
    let becomes = async |faulty: &Faulty, wanted: bool| {
        let turned = async {
            while fails(faulty) != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), turned).await.expect("it is found out by itself");
    };
    faulty.storage.set_full(true);
    let mut next = 0;
    while faulty.store(&[block(r(next, next + 10))]).await[0] == Some(Placed::Accounted) {
        next += 10;
        assert!(next < 10_000, "there is always room");
    }
    becomes(&faulty, true).await;
    faulty.storage.set_full(false);
    assert_eq!(faulty.store(&[block(r(next, next + 10))]).await, [Some(Placed::Accounted)]);
    becomes(&faulty, false).await;

    // A write of another kind that failed: whether blocks can be stored is looked at.
    faulty.fault.set(Step::BeforeObject, Mishap::Fail);
    drop(faulty.storage.write().await.unwrap());
    becomes(&faulty, true).await;
    becomes(&faulty, false).await;
    assert_eq!(faulty.store(&[block(r(20_000, 20_010))]).await, [Some(Placed::Accounted)]);
    faulty.end().await;
}

/// An ingest whose steps can be made to go wrong.
struct Faulty {
    storage: Storage,
    ingest: Ingest,
    fault: Fault,
    counts: Arc<Counts>,
    supervisor: Supervisor,
}

impl Faulty {
    /// Blocks are all that is ever written.
    async fn start(folder: &Folder) -> Faulty {
        Faulty::probing(folder, Duration::from_secs(3_600)).await
    }

    /// Looks so often whether anything can be stored.
    async fn probing(folder: &Folder, every: Duration) -> Faulty {
        let (storage, _) = Storage::create(folder.path(), "Test", NOW).await.unwrap();
        let counts = Arc::new(Counts::default());
        repair(&storage, &counts, NOW).await.unwrap();
        let (ingest, mut task) =
            Ingest::new(storage.clone(), Clock::new(), counts.clone(), Arc::new(Notify::new()));
        let fault = task.committer.fault.clone();
        (task.probe_every, task.doubt_every) = (every, every);
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        supervisor.spawn("ingest", Rule::Passing, task.run(supervisor.stop_signal()));
        Faulty { storage, ingest, fault, counts, supervisor }
    }

    /// All answers; `None` where the process died first.
    async fn store(&self, arrivals: &[Arrival]) -> Vec<Option<Placed>> {
        let mut pending = Vec::new();
        for arrival in arrivals {
            pending.push(self.ingest.submit(HUB, arrival.clone()).await);
        }
        let mut answers = Vec::new();
        for pending in pending {
            let mut placed = std::pin::pin!(pending.placed());
            answers.push(loop {
                tokio::select! {
                    placed = placed.as_mut() => break Some(placed),
                    () = tokio::time::sleep(Duration::from_millis(1)) => {
                        if self.fault.is_dead() {
                            break None;
                        }
                    }
                }
            });
        }
        answers
    }

    async fn end(self) {
        self.supervisor.stop();
        self.supervisor
            .wait_for_ends(0, Duration::from_millis(if self.fault.is_dead() { 1 } else { 5_000 }))
            .await;
        self.storage.close().await;
    }
}

#[tokio::test]
async fn a_failing_disk_is_told_to_all_and_leaves_nothing_half_done() {
    for step in [Step::BeforeObject, Step::AfterObject, Step::BeforeCommit] {
        let folder = Folder::new("failing");
        let faulty = Faulty::start(&folder).await;
        faulty.fault.set(step, Mishap::Fail);
        let answers = faulty.store(&[block(r(0, 10)), block(r(10, 20))]).await;
        let failed = |placed: &Option<Placed>| matches!(placed, Some(Placed::Refused(code, _)) if *code == RefusalCode::StorageFailed && code.is_transient());
        assert!(failed(&answers[0]), "{step:?} {answers:?}");
        assert_eq!(faulty.counts.commit_failures.get(), 1);
        check_whole(&faulty.storage).await;
        let answers = faulty.store(&[block(r(0, 10)), block(r(10, 20))]).await;
        assert_eq!(answers, [Some(Placed::Accounted), Some(Placed::Accounted)], "it goes on");
        check_whole(&faulty.storage).await;
        faulty.end().await;
    }
}

#[tokio::test]
async fn a_commit_whose_end_is_not_known_is_sorted_out() {
    let folder = Folder::new("unknown");
    let faulty = Faulty::start(&folder).await;
    faulty.fault.set(Step::AfterCommit, Mishap::Fail);
    let answers = faulty.store(&[block(r(0, 10))]).await;
    assert!(matches!(answers[0], Some(Placed::Refused(RefusalCode::StorageFailed, _))));
    // It is there all the same, with its object: the hub sends it again and hears that it is known.
    check_whole(&faulty.storage).await;
    assert_eq!(faulty.store(&[block(r(0, 10))]).await, [Some(Placed::Accounted)]);
    assert_eq!(faulty.counts.known.get(), 1);
    faulty.end().await;
}

/// Gaps that share no number with each other and leave a hole between them.
fn tiny_gaps(count: u64) -> impl Iterator<Item = Arrival> {
    (0..count).map(|n| gap(r(2 * n, 2 * n + 1), GapCause::Evicted))
}

#[tokio::test]
async fn a_hub_with_thousands_of_gaps_holds_nobody_up() {
    let folder = Folder::new("hostile-gaps");
    let running = Running::start(folder.path()).await;
    let (hostile, told) = (running.ingest.clone(), tokio::sync::oneshot::channel());
    let (half, submitted) = told;
    let hostile = async {
        let (mut pending, mut half) = (Vec::new(), Some(half));
        for (n, gap) in tiny_gaps(20_000).enumerate() {
            pending.push(hostile.submit(HUB, gap).await);
            if n == 4_000 {
                half.take().unwrap().send(()).unwrap();
            }
        }
        for pending in pending {
            assert_eq!(pending.placed().await, Placed::Accounted);
        }
    };
    let other = async {
        submitted.await.unwrap();
        for n in 0..5 {
            let before = running.counts.commits.get();
            let placed = running.ingest.store(hub_id(8), block(r(n * 10, n * 10 + 10))).await;
            assert_eq!(placed, Placed::Accounted);
            let waited = running.counts.commits.get() - before;
            assert!(waited <= 4, "a block waited for {waited} batches");
        }
    };
    tokio::join!(hostile, other);
    assert_eq!(accounted(&running.storage).await.iter().count(), 20_000);
    running.stop().await;
}

#[tokio::test]
async fn wide_gaps_wait_for_each_other_and_for_nobody_else() {
    let folder = Folder::new("wide-gaps");
    let running = Running::start(folder.path()).await;
    let mut pending = Vec::new();
    for gap in tiny_gaps(3_000) {
        pending.push(running.ingest.submit(HUB, gap).await);
    }
    // Each over all of what is there, and none over quite the same.
    let wide =
        |n: u64| gap(r(n, 6_000), if n.is_multiple_of(2) { GapCause::Expired } else { GapCause::Deleted });
    for n in 0..100 {
        pending.push(running.ingest.submit(HUB, wide(n)).await);
    }
    let before = running.counts.commits.get();
    assert_eq!(running.ingest.store(hub_id(8), block(r(0, 10))).await, Placed::Accounted);
    let waited = running.counts.commits.get() - before;
    assert!(waited <= 3, "a block waited for {waited} batches");
    for pending in pending {
        assert_eq!(pending.placed().await, Placed::Accounted);
    }
    let expected = BTreeMap::from([((r(0, 1), Kind::Expired), ()), ((r(1, 6_000), Kind::Deleted), ())]);
    assert_eq!(found(&running.storage).await, expected);
    assert_eq!(accounted(&running.storage).await, RangeSet::from_range(r(0, 6_000)));
    running.stop().await;
}

#[derive(Clone, Debug)]
enum Op {
    Arrive(Vec<(u8, u64, u64)>),
    Mishap(u8, bool, Vec<(u8, u64, u64)>),
    Restart,
}

fn any_op() -> impl Strategy<Value = Op> {
    let arrivals = || proptest::collection::vec((1u8..=4, 0u64..60, 1u64..20), 1..8);
    prop_oneof![
        4 => arrivals().prop_map(Op::Arrive),
        2 => (0u8..4, any::<bool>(), arrivals()).prop_map(|(step, dies, arrivals)| Op::Mishap(step, dies, arrivals)),
        1 => Just(Op::Restart),
    ]
}

fn arrival(kind: u8, from: u64, len: u64) -> Arrival {
    let range = r(from, from + len);
    match Kind::from_number(kind).unwrap() {
        Kind::Stored => block(range),
        Kind::Gap => gap(range, GapCause::Evicted),
        Kind::Expired => gap(range, GapCause::Expired),
        Kind::Deleted => gap(range, GapCause::Deleted),
    }
}

/// What the rules of placement make of arrivals.
#[derive(Clone, Debug, Default)]
struct Model(Vec<Entry>);

impl Model {
    fn take(&mut self, kind: Kind, range: SeqRange) -> bool {
        let Ok(placement) = place(kind, range, &self.0) else { return false };
        let kept: Vec<Entry> = placement
            .keep
            .iter()
            .map(|(at, range)| Entry { range: *range, kind: self.0[*at].kind })
            .collect();
        let mut at = 0;
        self.0.retain(|_| {
            at += 1;
            !placement.remove.contains(&(at - 1))
        });
        self.0.extend(kept);
        self.0.extend(placement.insert.iter().map(|range| Entry { range: *range, kind }));
        true
    }

    fn rows(&self) -> BTreeMap<(SeqRange, Kind), ()> {
        self.0.iter().map(|entry| ((entry.range, entry.kind), ())).collect()
    }
}

async fn found(storage: &Storage) -> BTreeMap<(SeqRange, Kind), ()> {
    rows(storage).await.iter().map(|row| ((row.range, row.kind()), ())).collect()
}

async fn run(ops: Vec<Op>) {
    let folder = Folder::new("model");
    let mut faulty = Faulty::start(&folder).await;
    let mut model = Model::default();
    for op in ops {
        match op {
            Op::Restart => {
                faulty.end().await;
                faulty = Faulty::start(&folder).await;
            }
            Op::Arrive(arrivals) => {
                let sent: Vec<Arrival> = arrivals.iter().map(|&(k, f, l)| arrival(k, f, l)).collect();
                for (answer, &(kind, from, len)) in faulty.store(&sent).await.iter().zip(&arrivals) {
                    let taken = model.take(Kind::from_number(kind).unwrap(), r(from, from + len));
                    assert_eq!(*answer == Some(Placed::Accounted), taken, "{answer:?}");
                }
            }
            Op::Mishap(step, dies, arrivals) => {
                let step = [Step::BeforeObject, Step::AfterObject, Step::BeforeCommit, Step::AfterCommit]
                    [usize::from(step)];
                faulty.fault.set(step, if dies { Mishap::Die } else { Mishap::Fail });
                let sent: Vec<Arrival> = arrivals.iter().map(|&(k, f, l)| arrival(k, f, l)).collect();
                let answers = faulty.store(&sent).await;
                if faulty.fault.is_dead() {
                    faulty.end().await;
                    faulty = Faulty::start(&folder).await;
                }
                // What was not answered may be there or not, batch by batch: it is sent again, as hubs do.
                let again: Vec<Arrival> = sent
                    .iter()
                    .zip(&answers)
                    .filter(|(_, answer)| !matches!(answer, Some(Placed::Accounted)))
                    .map(|(arrival, _)| arrival.clone())
                    .collect();
                faulty.fault.forget();
                faulty.store(&again).await;
                model = Model::default();
                for row in rows(&faulty.storage).await {
                    model.0.push(Entry { range: row.range, kind: row.kind() });
                }
                let have = accounted(&faulty.storage).await;
                for (arrival, answer) in sent.iter().zip(&answers) {
                    if *answer == Some(Placed::Accounted) {
                        assert!(have.covers(arrival.range), "acknowledged and gone: {}", arrival.range);
                    }
                }
            }
        }
        assert_eq!(found(&faulty.storage).await, model.rows());
        check_whole(&faulty.storage).await;
    }
    faulty.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn batches_do_what_the_rules_say_through_failures_and_kills(ops in proptest::collection::vec(any_op(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(ops));
    }
}

#[tokio::test]
async fn real_blocks_of_a_hub_arrive_whole() {
    let folder = Folder::new("real");
    let hub = TestHub::new(9);
    hub.define(&[("temperature", hub_model::ValueType::F64)]).readings(1, 1_000, 0..500).seal();
    let running = Running::start(folder.path()).await;
    for class in [Class::Meta, Class::Telemetry] {
        for arrival in hub.arrivals(class) {
            assert_eq!(running.ingest.store(hub.id, arrival).await, Placed::Accounted);
        }
    }
    let have = running.storage.accounted(hub.id, &[hub.lane(Class::Telemetry)]).await.unwrap();
    assert_eq!(have[0].1, RangeSet::from_range(r(0, 500)));
    running.stop().await;
}

#[tokio::test]
async fn it_gives_a_sign_of_life_but_not_while_a_write_takes_its_time() {
    let folder = Folder::new("sign-of-life");
    let running = Running::start(folder.path()).await;
    let ingest = running.ingest.clone();
    assert!(ingest.answers().await);
    assert_eq!(ingest.writing_since_ms(), 0);
    // Whoever else writes holds the ingest's next write up.
    let other = running.storage.write().await.unwrap();
    let pending = ingest.submit(HUB, block(r(0, 10))).await;
    while ingest.writing_since_ms() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut asked = std::pin::pin!(ingest.answers());
    assert!(tokio::time::timeout(Duration::from_millis(100), asked.as_mut()).await.is_err());
    other.take_back().await.unwrap();
    assert_eq!(pending.placed().await, Placed::Accounted);
    assert!(asked.await);
    while ingest.writing_since_ms() != 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stop().await;
    assert!(!ingest.answers().await, "it has ended");
}
