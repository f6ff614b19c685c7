//! The outbox: what it answers, what central's confirmations change, and what damage becomes.

use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, GapCause, HubId, LogEpoch, RangeSet, Sample, SeqRange, SeriesId, Value,
};

use crate::append::{Append, SampleClass};
use crate::disk::Disk;
use crate::disk::sim::{Faults, SimDisk};
use crate::ledger::ClassLedger;
use crate::log::{CoreConfig, Log, Staged, evict, seal};
use crate::open::{OpenContext, open_core};
use crate::outbox::{Content, Outbox, OutboxItem, Recheck};
use crate::reader::Reader;
use crate::shared::get;
use crate::table::Tables;
use crate::table::quarantine::BLOCKS_MAX;

const BOOT: BootId = BootId::from_bytes([1; 16]);
const CONFIG: CoreConfig =
    CoreConfig { wal_file_bytes: 512 * 1024, seal_after_ms: 60_000, quota_bytes: 1 << 40, reserve: 1 << 16 };
const T: Class = Class::Telemetry;

fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

fn range(from: u64, to: u64) -> SeqRange {
    SeqRange::new(from, to)
}

fn open(disk: &SimDisk) -> Log {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: at(0), seed: [7; 32] };
    open_core(&disk, CONFIG, &context).expect("the log opens").0
}

fn outbox(log: &Log) -> Outbox {
    Outbox::new(log.shared(), Arc::new(|| at(77)))
}

fn store(log: &mut Log, sample_class: SampleClass, from: u64, to: u64) {
    let sample = |n: u64| Sample::observed(SeriesId(1), at(n), Value::U64(n));
    let append = Append { samples: (from..to).map(sample).collect(), sample_class, ..Append::default() };
    assert_eq!(log.stage(&append, at(from)), Ok(Staged::Pending));
    if log.commit(at(from)).is_err() {
        // The first record of a class that reserved no numbers waits for a seal.
        seal_all(log);
        log.commit(at(from)).expect("the commit works");
    }
}

fn seal_all(log: &mut Log) {
    let plan = log.plan_seal(0, true).expect("there is something to seal");
    seal(&log.shared(), &plan).expect("the seal works");
    log.sealed(&plan);
}

/// A log with `blocks` blocks of ten samples in a class.
fn filled(disk: &SimDisk, sample_class: SampleClass, blocks: u64) -> Log {
    let mut log = open(disk);
    for n in 0..blocks {
        store(&mut log, sample_class, n * 10, n * 10 + 10);
        seal_all(&mut log);
    }
    log
}

fn all(log: &Log, class: Class) -> Vec<OutboxItem> {
    outbox(log).items(class, range(0, u64::MAX), usize::MAX).expect("items read")
}

/// The items in short: the range, and the cause where it is a gap.
fn brief(items: &[OutboxItem]) -> Vec<(u64, u64, Option<GapCause>)> {
    let cause = |content: &Content| match content {
        Content::Block(_) => None,
        Content::Gap { cause, .. } => Some(*cause),
    };
    items.iter().map(|i| (i.range.from, i.range.to, cause(&i.content))).collect()
}

fn ledger(log: &Log, class: Class) -> ClassLedger {
    let ledger = Reader::new(log.shared()).ledger().expect("the ledger reads");
    assert!(ledger.classes.iter().all(|c| c.balanced()), "{ledger:?}");
    ledger.classes[class.index()]
}

fn confirm(log: &Log, class: Class, ranges: &[SeqRange]) {
    outbox(log).confirm(&[(class, ranges.iter().copied().collect())]).expect("it is confirmed");
}

fn confirmed(log: &Log, class: Class) -> Vec<SeqRange> {
    let held = outbox(log).held().expect("it reads");
    held[class.index()].confirmed.iter().collect()
}

/// Damages every copy of the block of telemetry that begins at `from`, `skip` bytes into it.
fn damage_block(disk: &SimDisk, from: u64, skip: usize) {
    let bytes = disk.contents(Tables::FILE);
    let mut hits = 0;
    for i in 0..bytes.len() - 42 {
        let here = &bytes[i..];
        if here.starts_with(b"RBLK") && here[8] == T.number() && here[34..42] == from.to_le_bytes() {
            disk.corrupt(Tables::FILE, i + skip, 0x10);
            hits += 1;
        }
    }
    assert!(hits > 0, "there is such a block");
}

#[test]
fn blocks_go_out_whole_in_order_and_within_the_bytes_wanted() {
    let log = filled(&SimDisk::new(1), SampleClass::Telemetry, 4);
    let outbox = outbox(&log);
    let items = all(&log, T);
    assert_eq!(brief(&items), [(0, 10, None), (10, 20, None), (20, 30, None), (30, 40, None)]);
    let Content::Block(bytes) = &items[1].content else { panic!("{items:?}") };
    assert_eq!(crate::block::decode(bytes).expect("it decodes").0.range, range(10, 20));
    let of = |from, to, bytes_max| brief(&outbox.items(T, range(from, to), bytes_max).expect("items read"));
    assert_eq!(of(15, 21, usize::MAX), [(10, 20, None), (20, 30, None)], "the first and the last are whole");
    assert_eq!(of(15, 40, 0), [(10, 20, None)], "the first goes whatever its size");
    assert_eq!(of(15, 40, bytes.len() * 2 + 20), [(10, 20, None), (20, 30, None)]);
    assert_eq!(of(15, 15, 0), [(10, 20, None)], "and whatever is wanted");
    assert_eq!(of(40, 50, 1), [], "nothing is sealed there");
    let held = outbox.held().expect("it reads");
    assert_eq!(held.iter().map(|h| h.class).collect::<Vec<_>>(), Class::ALL);
    assert_eq!((held[T.index()].first, held[T.index()].next), (0, 40));
    assert!(held.iter().all(|h| h.confirmed.is_empty()));
}

#[test]
fn a_restart_rides_with_the_block_that_holds_its_place() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk);
    store(&mut log, SampleClass::Telemetry, 0, 10);
    drop(log);
    let mut log = open(&disk.restart());
    store(&mut log, SampleClass::Telemetry, 10, 20);
    seal_all(&mut log);
    let items = all(&log, T);
    assert_eq!(brief(&items), [(0, 20, None)]);
    assert_eq!(items[0].zero_gaps.len(), 1);
    assert_eq!(
        (items[0].zero_gaps[0].cause, items[0].zero_gaps[0].range),
        (GapCause::Restart, range(10, 10))
    );
}

#[test]
fn confirmations_gather_merge_and_survive_and_can_be_taken_back() {
    let disk = SimDisk::new(1);
    let log = filled(&disk, SampleClass::Telemetry, 4);
    confirm(&log, T, &[range(0, 10), range(20, 30)]);
    assert_eq!(confirmed(&log, T), [range(0, 10), range(20, 30)]);
    confirm(&log, T, &[range(10, 20)]);
    assert_eq!(confirmed(&log, T), [range(0, 30)]);
    confirm(&log, T, &[range(35, 1000)]);
    assert_eq!(confirmed(&log, T), [range(0, 30), range(35, 40)], "what was never sealed is not confirmed");
    assert_eq!(ledger(&log, T).confirmed, 35);
    drop(log);
    let log = open(&disk.restart());
    assert_eq!(confirmed(&log, T), [range(0, 30), range(35, 40)]);
    let restored = [(T, RangeSet::from_range(range(5, 8))), (Class::Bulk, RangeSet::new())];
    outbox(&log).replace_confirmed(&restored).expect("it is replaced");
    assert_eq!(confirmed(&log, T), [range(5, 8)]);
    outbox(&log).replace_confirmed(&[(T, RangeSet::new())]).expect("it is replaced");
    assert_eq!(confirmed(&log, T), []);
}

#[test]
fn what_central_has_expires_first_and_is_no_loss() {
    let mut log = filled(&SimDisk::new(1), SampleClass::Telemetry, 20);
    for n in 0..20 {
        store(&mut log, SampleClass::Bulk, n * 10, n * 10 + 10);
        seal_all(&mut log);
    }
    confirm(&log, T, &[range(0, 35), range(40, 50)]);
    confirm(&log, Class::Bulk, &[range(100, 110)]);
    let shared = log.shared();
    let held = get(&shared.counters.block_bytes_held);
    let block = held / 40;
    // Five blocks are wholly confirmed; the quota wants six or seven gone.
    evict(&shared, held).expect("it evicts");
    let gone = 40 - (get(&shared.counters.block_bytes_held) + block / 2) / block;
    assert_eq!(get(&shared.counters.blocks_expired), 5);
    let lost = get(&shared.counters.blocks_evicted);
    assert_eq!(lost + 5, gone);
    assert!(lost > 0, "some had to go unconfirmed");
    let items = brief(&all(&log, T));
    assert_eq!(
        items[..3],
        [(0, 30, Some(GapCause::Expired)), (30, 40, None), (40, 50, Some(GapCause::Expired))],
        "a block confirmed in part stays, and telemetry goes after bulk"
    );
    let bulk = brief(&all(&log, Class::Bulk));
    assert_eq!(bulk[0], (0, lost * 10, Some(GapCause::Evicted)));
    assert!(bulk.contains(&(100, 110, Some(GapCause::Expired))));
    let gaps = Reader::new(log.shared()).gaps().expect("gaps read");
    assert!(gaps.iter().all(|g| g.cause == GapCause::Evicted), "{gaps:?}");
    assert_eq!((ledger(&log, T).expired, ledger(&log, T).gaps), (40, 0));
    assert_eq!((ledger(&log, Class::Bulk).expired, ledger(&log, Class::Bulk).gaps), (10, lost * 10));
}

#[test]
fn expired_neighbours_are_one_row_in_whatever_order_they_go() {
    let log = filled(&SimDisk::new(1), SampleClass::Telemetry, 12);
    let shared = log.shared();
    let held = get(&shared.counters.block_bytes_held);
    for (from, to) in [(10, 20), (40, 50), (30, 40), (0, 10), (20, 30)] {
        confirm(&log, T, &[range(from, to)]);
        let one = shared.tables.evict(shared.epoch, T, 1, crate::table::evict::Evicting::Confirmed);
        assert_eq!(one.expect("it evicts").expired, 1);
    }
    assert!(held > 0);
    let items = all(&log, T);
    assert_eq!(brief(&items)[..2], [(0, 50, Some(GapCause::Expired)), (50, 60, None)]);
    let Content::Gap { since, until, .. } = items[0].content else { panic!("{items:?}") };
    assert_eq!((since, until), (Some(at(0)), at(49)), "the span of all of them");
    assert_eq!(ledger(&log, T).expired, 50);
}

#[test]
fn a_damaged_block_becomes_a_gap_for_good_and_its_bytes_are_kept() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, SampleClass::Telemetry, 4));
    damage_block(&disk, 20, 110);
    let log = open(&disk.restart());
    let reader = Reader::new(log.shared());
    assert_eq!(reader.records(T, 0).filter(Result::is_err).count(), 1);
    assert_eq!(reader.damaged().expect("the index reads"), [(T, range(20, 30))]);
    let changes = *outbox(&log).changed().borrow();
    let expected = [(0, 10, None), (10, 20, None), (20, 30, Some(GapCause::Corrupted)), (30, 40, None)];
    let items = all(&log, T);
    assert_eq!(brief(&items), expected);
    let Content::Gap { since, until, .. } = items[2].content else { panic!("{items:?}") };
    assert_eq!((since, until), (Some(at(20)), at(29)));
    assert_eq!(reader.damaged().expect("the index reads"), [], "now a gap tells of it");
    drop(reader);
    assert_eq!(*outbox(&log).changed().borrow(), changes + 1);
    let shared = log.shared();
    assert_eq!((get(&shared.counters.quarantined), get(&shared.counters.damaged)), (1, 1));
    let kept = shared.tables.quarantine_for_test();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].1.class, kept[0].1.range), (T, range(20, 30)));
    assert!(kept[0].1.bytes.starts_with(b"RBLK"));
    assert_eq!((ledger(&log, T).stored, ledger(&log, T).gaps), (30, 10));
    drop((log, shared));
    let log = open(&disk.restart());
    assert_eq!(brief(&all(&log, T)), expected);
    let reader = Reader::new(log.shared());
    assert!(reader.records(T, 0).all(|r| r.is_ok()), "queries meet the gap, not the damage");
    assert_eq!(
        reader.gaps().expect("gaps read").iter().filter(|g| g.cause == GapCause::Corrupted).count(),
        1
    );
}

#[test]
fn a_refused_block_is_looked_at_again() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, SampleClass::Telemetry, 3));
    damage_block(&disk, 10, 34);
    let log = open(&disk.restart());
    let recheck = |from, to| outbox(&log).recheck(T, range(from, to)).expect("it looks");
    assert_eq!(recheck(0, 10), Recheck::Good);
    assert_eq!(recheck(10, 20), Recheck::Quarantined);
    assert_eq!(recheck(10, 20), Recheck::Quarantined, "and stays so");
    assert_eq!(brief(&all(&log, T))[1], (10, 20, Some(GapCause::Corrupted)));
}

#[test]
fn rows_that_are_missing_or_make_no_sense_are_gaps_and_the_ledger_is_exact() {
    let log = filled(&SimDisk::new(1), SampleClass::Telemetry, 8);
    let shared = log.shared();
    confirm(&log, T, &[range(60, 70)]);
    shared.tables.evict(shared.epoch, T, 1, crate::table::evict::Evicting::Confirmed).expect("it evicts");
    let tables = &shared.tables;
    tables.lose_row_for_test(shared.epoch, T, 0, "block");
    tables.lose_row_for_test(shared.epoch, T, 20, "time_index");
    tables.lose_row_for_test(shared.epoch, T, 30, "time_index");
    tables.lose_row_for_test(shared.epoch, T, 60, "gap");
    tables.garble_index_for_test(shared.epoch, T, 40);
    let corrupted = Some(GapCause::Corrupted);
    let expected = [
        (0, 10, corrupted),
        (10, 20, None),
        (20, 50, corrupted),
        (50, 60, None),
        (60, 70, corrupted),
        (70, 80, None),
    ];
    // From the middle first: the answer covers the whole hole.
    let middle = outbox(&log).items(T, range(35, 36), 0).expect("items read");
    assert_eq!(brief(&middle), [expected[2]]);
    assert_eq!(brief(&all(&log, T)), expected);
    let telemetry = ledger(&log, T);
    assert_eq!((telemetry.stored, telemetry.gaps, telemetry.expired), (30, 50, 0));
    assert_eq!(tables.quarantine_for_test().len(), 3, "blocks without a place are kept");
    assert!(outbox(&log).held().expect("it reads")[T.index()].confirmed.covers(range(60, 70)));
}

#[test]
fn the_quarantine_is_bounded_and_counts_what_it_dropped() {
    let blocks = BLOCKS_MAX + 3;
    let log = filled(&SimDisk::new(1), SampleClass::Telemetry, blocks);
    let shared = log.shared();
    for n in 0..blocks {
        shared.tables.garble_index_for_test(shared.epoch, T, n * 10);
        drop(outbox(&log).items(T, range(n * 10, n * 10 + 1), 0).expect("items read"));
    }
    let kept = shared.tables.quarantine_for_test();
    assert_eq!(kept.len() as u64, BLOCKS_MAX);
    assert_eq!(kept[0].0, 3, "the first number says how many went");
    assert_eq!(get(&shared.counters.quarantine_dropped), 3);
    assert_eq!(ledger(&log, T).gaps, blocks * 10);
    assert_eq!(get(&shared.counters.block_bytes_held), 0);
}

#[test]
fn a_seal_written_again_does_not_bring_back_what_became_a_gap_since() {
    let mut log = open(&SimDisk::new(1));
    store(&mut log, SampleClass::Telemetry, 0, 10);
    let plan = log.plan_seal(0, true).expect("there is something to seal");
    let shared = log.shared();
    seal(&shared, &plan).expect("the seal works");
    // As if its commit had failed and were on flash all the same: the writer tries the same plan again.
    shared.tables.lose_row_for_test(shared.epoch, T, 0, "block");
    assert_eq!(brief(&all(&log, T)), [(0, 10, Some(GapCause::Corrupted))]);
    seal(&shared, &plan).expect("the seal works");
    log.sealed(&plan);
    assert_eq!(brief(&all(&log, T)), [(0, 10, Some(GapCause::Corrupted))]);
    assert_eq!((ledger(&log, T).stored, ledger(&log, T).gaps), (0, 10));
}

#[test]
fn after_a_confirmation_that_failed_everything_goes_on_at_once() {
    let disk = SimDisk::new(1);
    let mut log = filled(&disk, SampleClass::Telemetry, 3);
    confirm(&log, T, &[range(0, 10)]);
    disk.set_faults(Faults { syncs_to_fail: 1, ..Faults::default() });
    let batch = [(T, RangeSet::from_range(range(10, 20)))];
    outbox(&log).confirm(&batch).expect_err("its sync failed");
    assert_eq!(brief(&all(&log, T)).len(), 3, "reads work without another write");
    assert!(confirmed(&log, T).contains(&range(0, 10)) || confirmed(&log, T) == [range(0, 20)]);
    store(&mut log, SampleClass::Telemetry, 30, 40);
    seal_all(&mut log);
    outbox(&log).confirm(&batch).expect("it is confirmed");
    assert_eq!(confirmed(&log, T), [range(0, 20)]);
    drop(log);
    let log = open(&disk.restart());
    assert_eq!(confirmed(&log, T), [range(0, 20)]);
    assert_eq!(all(&log, T).len(), 4);
    assert_eq!(ledger(&log, T).stored, 40);
}

#[test]
fn tables_older_than_the_outbox_get_their_new_tables_with_the_first_use() {
    let log = filled(&SimDisk::new(1), SampleClass::Telemetry, 2);
    log.shared().tables.drop_new_tables_for_test();
    assert_eq!(confirmed(&log, T), []);
    assert_eq!(ledger(&log, T).confirmed, 0);
    confirm(&log, T, &[range(0, 10)]);
    assert_eq!(confirmed(&log, T), [range(0, 10)]);
    assert_ne!(log.shared().epoch, LogEpoch(0));
}

#[test]
fn any_damage_to_the_tables_is_answered_with_gaps_or_an_error_and_never_panics() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, SampleClass::Telemetry, 40));
    let size = disk.contents(Tables::FILE).len();
    let (mut gaps, mut errors) = (0, 0);
    for offset in (0..size).step_by(397) {
        let copy = SimDisk::new(2);
        for name in disk.list().expect("it lists") {
            let file = copy.open(&name).expect("it opens");
            file.write_at(0, &disk.contents(&name)).and_then(|()| file.sync_data()).expect("it copies");
        }
        copy.sync_dir().expect("it syncs");
        (0..64).for_each(|byte| copy.corrupt(Tables::FILE, offset + byte, 0xa5));
        let log = open(&copy);
        let outbox = outbox(&log);
        let next = outbox.held().map(|held| held[T.index()].next).unwrap_or_default();
        match outbox.items(T, range(0, next), usize::MAX) {
            Ok(items) => {
                let ends = items.iter().scan(0, |at, item| {
                    let begins = std::mem::replace(at, item.range.to);
                    Some((begins, item.range.from))
                });
                assert!(ends.into_iter().all(|(end, from)| end == from), "byte {offset}: {items:?}");
                gaps += items.iter().filter(|i| matches!(i.content, Content::Gap { .. })).count();
            }
            Err(_) => errors += 1,
        }
        errors += usize::from(outbox.confirm(&[(T, RangeSet::from_range(range(0, 50)))]).is_err());
    }
    println!("{gaps} gaps, {errors} errors");
    assert!(gaps > 0, "some of it was hit");
}

#[test]
fn runs_are_remembered_once_in_order_and_not_without_end() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    let run = |token: u64| crate::Run { token, starts: [token; 7] };
    assert_eq!(outbox(&log).begin_run(run(1)).expect("it is written"), [run(1)]);
    assert_eq!(
        outbox(&log).begin_run(run(1)).expect("it is known"),
        [run(1)],
        "of one run it is written once"
    );
    drop(log);
    let log = open(&disk.restart());
    assert_eq!(outbox(&log).begin_run(run(2)).expect("it is written"), [run(1), run(2)]);
    for token in 3..400 {
        outbox(&log).begin_run(run(token)).expect("it is written");
    }
    let runs = outbox(&log).begin_run(run(400)).expect("it is written");
    assert_eq!((runs.len(), runs.first(), runs.last()), (crate::RUNS_MAX, Some(&run(145)), Some(&run(400))));
}
