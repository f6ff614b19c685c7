//! The log's behaviours one by one, on a simulated disk and without threads.

use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, ClockQuality, ClockRecord, GapCause, HubId, Quality, Sample, SeqRange,
    SeriesId, Stamp, UtcMs, Value, WallSource,
};

use crate::append::{Append, PublishMark, RefusedAppend, SampleClass};
use crate::block::BLOCK_RECORDS_MAX;
use crate::disk::Disk;
use crate::disk::sim::{Faults, SimDisk};
use crate::log::{CoreConfig, Log, Staged, evict, seal};
use crate::open::{OpenContext, Recovery, open_core};
use crate::reader::{ReadError, Reader, SampleQuery};
use crate::record::{Definition, Record};
use crate::table::Tables;

const BOOT: BootId = BootId::from_bytes([1; 16]);
const CONFIG: CoreConfig =
    CoreConfig { wal_file_bytes: 512 * 1024, seal_after_ms: 60_000, quota_bytes: 1 << 40, reserve: 1 << 16 };

fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

fn open(disk: &SimDisk, now: BootStamp) -> (Log, Recovery) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now, seed: [7; 32] };
    open_core(&disk, CONFIG, &context).expect("the log opens")
}

fn sample(n: u64, now: BootStamp) -> Sample {
    Sample::observed(SeriesId(1 + u32::try_from(n % 3).unwrap()), now, Value::U64(n))
}

fn store(log: &mut Log, from: u64, to: u64, now: BootStamp) {
    let append = Append { samples: (from..to).map(|n| sample(n, now)).collect(), ..Append::default() };
    assert_eq!(log.stage(&append, now), Ok(Staged::Pending));
    commit(log, now);
}

/// The first record of a class that reserved no numbers waits for a seal.
fn commit(log: &mut Log, now: BootStamp) {
    if log.commit(now).is_err() {
        seal_all(log, now);
        log.commit(now).expect("the commit works");
    }
}

fn seal_all(log: &mut Log, now: BootStamp) {
    let plan = log.plan_seal(now.mono_ms, true).expect("there is something to seal");
    seal(&log.shared(), &plan).expect("the seal works");
    log.sealed(&plan);
}

fn values(log: &Log) -> Vec<u64> {
    let value = |record: Record| match record {
        Record::Sample(Sample { value: Some(Value::U64(n)), .. }) => n,
        other @ (Record::Sample(_) | Record::Event(_) | Record::Definition(_)) => {
            panic!("not a sample of these tests: {other:?}")
        }
    };
    let reader = Reader::new(log.shared());
    reader.records(Class::Telemetry, 0).map(|item| value(item.expect("it reads").1)).collect()
}

fn assert_balanced(log: &Log) {
    let ledger = Reader::new(log.shared()).ledger().expect("the ledger reads");
    assert!(ledger.classes.iter().all(|c| c.balanced()), "{ledger:?}");
}

#[test]
fn blocks_and_tail_read_as_one_sequence() {
    let disk = SimDisk::new(1);
    let (mut log, recovery) = open(&disk, at(0));
    assert!(recovery.is_new && recovery.clean);
    for n in 0..10 {
        store(&mut log, n * 100, n * 100 + 100, at(n));
        if n % 3 == 1 {
            seal_all(&mut log, at(n));
        }
    }
    assert_eq!(values(&log), (0..1000).collect::<Vec<_>>());
    assert_balanced(&log);
    let reader = Reader::new(log.shared());
    let from_the_middle: Vec<u64> =
        reader.records(Class::Telemetry, 150).map(|r| r.expect("it reads").0).collect();
    assert_eq!(from_the_middle, (150..1000).collect::<Vec<_>>());
}

#[test]
fn full_blocks_are_sealed_without_waiting_and_the_rest_stays() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let total = BLOCK_RECORDS_MAX as u64 + 1000;
    for from in (0..total).step_by(1000) {
        store(&mut log, from, (from + 1000).min(total), at(1));
    }
    let plan = log.plan_seal(2, false).expect("a block is full");
    seal(&log.shared(), &plan).expect("the seal works");
    log.sealed(&plan);
    let ledger = Reader::new(log.shared()).ledger().expect("the ledger reads");
    let telemetry = ledger.classes[Class::Telemetry.index()];
    assert!(telemetry.stored > 0 && telemetry.stored <= BLOCK_RECORDS_MAX as u64, "{telemetry:?}");
    assert_eq!(telemetry.stored + telemetry.tail, total);
    assert!(log.plan_seal(3, false).is_none(), "what is left waits for company");
}

#[test]
fn an_append_too_large_for_one_block_is_cut_into_several() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let mut noise = 1u64;
    let mut text = || {
        let random = (0..4000).map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.to_be_bytes()[0]
        });
        Value::bytes(&random.collect::<Vec<u8>>()).expect("4,000 bytes are allowed")
    };
    let samples: Vec<Sample> = (0..30).map(|_| Sample::observed(SeriesId(1), at(1), text())).collect();
    let append = Append { samples: samples.clone(), ..Append::default() };
    assert_eq!(log.stage(&append, at(1)), Ok(Staged::Pending));
    commit(&mut log, at(1));
    seal_all(&mut log, at(2));
    assert_balanced(&log);
    let rows = log.shared().counters.blocks_sealed.load(std::sync::atomic::Ordering::Relaxed);
    assert!(rows > 1, "120,000 bytes do not fit one block");
    let reader = Reader::new(log.shared());
    let read: Vec<(u64, Record)> =
        reader.records(Class::Telemetry, 0).map(|item| item.expect("it reads")).collect();
    assert_eq!(read, (0..).zip(samples.into_iter().map(Record::Sample)).collect::<Vec<_>>());
}

#[test]
fn an_orderly_end_leaves_no_gap_and_any_other_leaves_one_of_length_zero() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    store(&mut log, 0, 5, at(10));
    log.stage_close(at(20));
    log.commit(at(20)).expect("the commit works");
    let (mut log, recovery) = open(&disk.restart(), at(30));
    assert!(recovery.clean);
    assert_eq!(Reader::new(log.shared()).gaps().expect("gaps read"), []);
    store(&mut log, 5, 6, at(40));
    let (log, recovery) = open(&disk.restart(), at(90));
    assert!(!recovery.clean);
    let gaps = Reader::new(log.shared()).gaps().expect("gaps read");
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].cause, gaps[0].range), (GapCause::Restart, SeqRange::new(6, 6)));
    assert_eq!((gaps[0].since, gaps[0].until), (Some(at(40)), at(90)));
    assert_eq!(values(&log), [0, 1, 2, 3, 4, 5]);
    // Opened and killed without a word: unclean too, for something may have been in memory.
    let (log, recovery) = open(&disk.restart(), at(95));
    assert!(!recovery.clean);
    assert_eq!(
        Reader::new(log.shared()).gaps().expect("gaps read").len(),
        1,
        "restarts at one place share a row"
    );
}

#[test]
fn damage_in_the_wal_is_a_gap_and_the_rest_is_served() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    for n in 0..5 {
        store(&mut log, n * 10, n * 10 + 10, at(n));
    }
    drop(log);
    // Page 0 is the header, 1 the repeat, 2 the opening; commit n lies on page 3 + n.
    disk.corrupt("wal-000", (3 + 2) * 4096 + 80, 0x20);
    let (mut log, recovery) = open(&disk.restart(), at(100));
    assert_eq!(recovery.damaged, 1);
    assert_eq!(recovery.lost, [(Class::Telemetry, SeqRange::new(20, 30))]);
    let expected: Vec<u64> = (0..20).chain(30..50).collect();
    assert_eq!(values(&log), expected);
    assert_balanced(&log);
    store(&mut log, 50, 60, at(110));
    seal_all(&mut log, at(120));
    drop(log);
    let (log, recovery) = open(&disk.restart(), at(200));
    assert_eq!(recovery.lost, [], "it is told once");
    assert_eq!(values(&log), expected.into_iter().chain(50..60).collect::<Vec<_>>());
    assert_balanced(&log);
    let gaps = Reader::new(log.shared()).gaps().expect("gaps read");
    let corrupted: Vec<_> = gaps.iter().filter(|g| g.cause == GapCause::Corrupted).map(|g| g.range).collect();
    assert_eq!(corrupted, [SeqRange::new(20, 30)]);
}

#[test]
fn a_damaged_file_header_hides_nothing() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    store(&mut log, 0, 10, at(1));
    drop(log);
    disk.corrupt("wal-000", 20, 0xff);
    let (log, recovery) = open(&disk.restart(), at(2));
    assert_eq!((recovery.damaged, recovery.lost), (1, Vec::new()));
    assert_eq!(values(&log), (0..10).collect::<Vec<_>>());
}

#[test]
fn every_byte_of_the_wal_may_go_bad_without_a_panic_or_a_wrong_value() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    for n in 0..4 {
        store(&mut log, n * 10, n * 10 + 10, at(n));
    }
    drop(log);
    for offset in (0..8 * 4096).step_by(97) {
        let copy = copy_of(&disk);
        copy.corrupt("wal-000", offset, 0x41);
        let (log, _) = open(&copy, at(10));
        let found = values(&log);
        assert!(found.iter().all(|n| *n < 40), "byte {offset}: {found:?}");
        assert!(found.is_sorted(), "byte {offset}: {found:?}");
        assert_balanced(&log);
    }
}

#[test]
fn a_damaged_block_is_one_error_and_the_rest_follows() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    for n in 0..3 {
        store(&mut log, n * 10, n * 10 + 10, at(n));
        seal_all(&mut log, at(n));
    }
    drop(log);
    // redb does not check values on read; find the middle block by what it begins with.
    let bytes = disk.contents(Tables::FILE);
    let starts: Vec<usize> = (0..bytes.len() - 42)
        .filter(|&i| bytes[i..].starts_with(b"RBLK") && bytes[i + 8] == 4 && bytes[i + 34] == 10)
        .collect();
    for start in starts {
        disk.corrupt(Tables::FILE, start + 100, 0x10);
    }
    let (log, _) = open(&disk.restart(), at(9));
    let reader = Reader::new(log.shared());
    assert_eq!(reader.damaged().expect("the index reads"), []);
    let mut damaged = Vec::new();
    let mut read = Vec::new();
    for item in reader.records(Class::Telemetry, 0) {
        match item {
            Ok((seq, _)) => read.push(seq),
            Err(ReadError::Damaged { range, .. }) => damaged.push(range),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(damaged, [SeqRange::new(10, 20)]);
    assert_eq!(
        reader.damaged().expect("the index reads"),
        [(Class::Telemetry, SeqRange::new(10, 20))],
        "it is remembered"
    );
    assert_eq!(read, (0..10).chain(20..30).collect::<Vec<_>>());
}

#[test]
fn any_damage_to_the_tables_is_told_and_never_panics() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    for n in 0..40 {
        store(&mut log, n * 10, n * 10 + 10, at(n));
        if n < 38 {
            seal_all(&mut log, at(n));
        }
    }
    drop(log);
    let size = disk.contents(Tables::FILE).len();
    let mut told = 0;
    for offset in (0..size).step_by(1997) {
        let copy = copy_of(&disk);
        (0..64).for_each(|byte| copy.corrupt(Tables::FILE, offset + byte, 0xa5));
        let (log, recovery) = open(&copy, at(50));
        let reader = Reader::new(log.shared());
        let (mut found, mut errors) = (Vec::new(), 0);
        for item in reader.records(Class::Telemetry, 0) {
            match item {
                Ok((_, Record::Sample(Sample { value: Some(Value::U64(n)), .. }))) => found.push(n),
                Ok((_, other)) => panic!("a record nobody stored: {other:?}"),
                Err(_) => errors += 1,
            }
        }
        assert!(found.iter().all(|n| *n < 400), "byte {offset}: {found:?}");
        let told_of = errors > 0 || !recovery.set_aside.is_empty() || !recovery.lost.is_empty();
        assert!(found.len() == 400 || told_of, "byte {offset}: {} without a word", found.len());
        told += usize::from(told_of);
    }
    assert!(told > 0, "some of it was hit");
}

/// The same files on another disk.
fn copy_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new(2);
    for name in disk.list().expect("it lists") {
        let file = copy.open(&name).expect("it opens");
        file.write_at(0, &disk.contents(&name)).and_then(|()| file.sync_data()).expect("it copies");
    }
    copy.sync_dir().expect("it syncs");
    copy.restart()
}

#[test]
fn tables_that_do_not_open_are_set_aside_and_what_the_wal_has_is_stored_anew() {
    let disk = SimDisk::new(1);
    let (mut log, first) = open(&disk, at(0));
    store(&mut log, 0, 10, at(1));
    drop(log);
    for offset in 0..256 {
        disk.corrupt(Tables::FILE, offset, 0x5a);
    }
    let restarted: Arc<dyn Disk> = Arc::new(disk.restart());
    let context = OpenContext { hub: HubId::from_bytes([8; 16]), now: at(2), seed: [3; 32] };
    let (mut log, second) = open_core(&restarted, CONFIG, &context).expect("the hub starts");
    assert_eq!(second.hub, first.hub, "the WAL still knew");
    assert_ne!(second.epoch, first.epoch);
    assert!(second.set_aside.iter().any(|n| n.contains("telemetry.redb")), "{:?}", second.set_aside);
    assert!(!second.is_new && !second.clean && second.records > 0, "{second:?}");
    store(&mut log, 10, 13, at(3));
    assert_eq!(values(&log), (0..13).collect::<Vec<_>>());
    let gaps = Reader::new(log.shared()).gaps().expect("gaps read");
    let lost =
        |class| gaps.iter().any(|g| g.class == class && g.cause == GapCause::Corrupted && g.range.from == 0);
    assert!(lost(Class::Telemetry) && lost(Class::Alarm), "{gaps:?}");
    assert_balanced(&log);
}

#[test]
fn tables_of_a_newer_program_are_left_alone() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk, at(0));
    let shared = log.shared();
    let info = crate::table::store_info::KEY;
    shared.tables.put_info_for_test(info, &[9, 0, 0, 0]);
    drop((log, shared));
    let restarted: Arc<dyn Disk> = Arc::new(disk.kill());
    let context = OpenContext { hub: HubId::from_bytes([8; 16]), now: at(2), seed: [3; 32] };
    let refused = open_core(&restarted, CONFIG, &context).map(|_| ()).expect_err("it must not begin anew");
    assert!(refused.to_string().contains("newer program"), "{refused}");
    assert!(restarted.list().expect("it lists").iter().all(|n| !n.starts_with("damaged")));
}

#[test]
fn a_new_name_survives_a_restart_although_the_wal_repeats_the_old_one() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    let id = hub_model::DeviceId::from_bytes([4; 16]);
    let named = |name: &str| Append {
        definitions: vec![Definition::Device(hub_model::Device { id, name: name.parse().unwrap() })],
        ..Append::default()
    };
    log.stage(&named("old"), at(1)).expect("it stages");
    // Fill the first file, so that the next one begins with a repeat of the old name.
    for n in 0..60 {
        store(&mut log, n * 500, n * 500 + 500, at(n));
        if n % 10 == 9 {
            seal_all(&mut log, at(n));
        }
    }
    log.stage(&named("new"), at(100)).expect("it stages");
    log.commit(at(100)).expect("the commit works");
    seal_all(&mut log, at(100));
    drop(log);
    let (log, _) = open(&disk.restart(), at(200));
    let catalog = Reader::new(log.shared()).catalog();
    assert_eq!(catalog.device(id).map(|d| d.name.to_string()), Some("new".to_owned()));
}

#[test]
fn every_class_is_sealed_by_its_own_age() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    store(&mut log, 0, 10, at(0));
    for n in 1..=20 {
        let now = at(n * 6_000);
        let clock = Definition::Clock(ClockRecord {
            boot: BOOT,
            mono_from_ms: now.mono_ms,
            offset_ms: 1,
            quality: ClockQuality::Synced,
            revision: 0,
        });
        log.stage(&Append { definitions: vec![clock], ..Append::default() }, now).expect("it stages");
        log.commit(now).expect("the commit works");
        if let Some(plan) = log.plan_seal(now.mono_ms, false) {
            seal(&log.shared(), &plan).expect("the seal works");
            log.sealed(&plan);
        }
    }
    let ledger = Reader::new(log.shared()).ledger().expect("the ledger reads");
    assert_eq!(ledger.classes[Class::Telemetry.index()].stored, 10, "{ledger:?}");
}

#[test]
fn a_full_disk_and_a_failed_file_do_not_stop_commits_while_a_file_is_free() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    store(&mut log, 0, 10, at(1));
    // The current file is given up, and nothing can grow: the spare one has to do.
    disk.set_faults(Faults { no_space_per_mille: 1000, syncs_to_fail: 1, ..Faults::default() });
    for n in 1..20 {
        store(&mut log, n * 10, n * 10 + 10, at(n));
    }
    assert_eq!(values(&log), (0..200).collect::<Vec<_>>());
}

#[test]
fn long_texts_that_pack_well_are_sealed_into_blocks_that_read() {
    let config = CoreConfig { wal_file_bytes: 32 * 1024 * 1024, ..CONFIG };
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: at(0), seed: [7; 32] };
    let (mut log, _) = open_core(&disk, config, &context).expect("the log opens");
    for n in 0..50 {
        let text = |i: u64| Sample::observed(SeriesId(1), at(n), Value::String(format!("{i:04000}").into()));
        let append = Append { samples: (0..100).map(text).collect(), ..Append::default() };
        log.stage(&append, at(n)).expect("it stages");
        log.commit(at(n)).expect("the commit works");
    }
    seal_all(&mut log, at(60));
    let reader = Reader::new(log.shared());
    assert!(reader.records(Class::Telemetry, 0).all(|r| r.is_ok()));
    assert_eq!(reader.records(Class::Telemetry, 0).count(), 5000);
}

#[test]
fn the_weight_of_an_append_bounds_its_bytes() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let event = hub_model::EventRecord {
        device: Some(hub_model::DeviceId::from_bytes([1; 16])),
        stamp: Stamp::Wall(UtcMs(i64::MIN), WallSource::Device),
        received: at(u64::MAX >> 2),
        event: hub_model::Event {
            id: "i".repeat(64).into(),
            severity: hub_model::Severity::Alarm,
            code: "c".repeat(64).into(),
            params: vec![("n".repeat(64).into(), "v".repeat(256).into()); 32],
            text: "t".repeat(4096).into(),
        },
    };
    let device = hub_model::DeviceId::from_bytes([2; 16]);
    let key = hub_model::SeriesKey {
        device,
        metric: "m".repeat(128).parse().unwrap(),
        value_type: hub_model::ValueType::Enum,
        unit: "u".repeat(32).parse().unwrap(),
    };
    let dictionary = vec![(u32::MAX, "l".repeat(64).into()); 256];
    let series = hub_model::Series { id: SeriesId(u32::MAX), key, dictionary };
    let name = hub_model::Device { id: device, name: "n".repeat(63).parse().unwrap() };
    let sample = Sample {
        stamp: Stamp::Wall(UtcMs(i64::MIN), WallSource::Device),
        quality: Quality::new(hub_model::Level::Uncertain, hub_model::Reason::Stale, 255),
        ..Sample::observed(SeriesId(u32::MAX), at(u64::MAX), Value::Bytes(vec![1; 4096].into()))
    };
    let append = Append {
        definitions: vec![Definition::Series(series), Definition::Device(name)],
        samples: vec![sample; 3],
        events: vec![event; 2],
        mark: Some(PublishMark { incarnation: 1, packet_id: 2, content_hash: 3, dup: false }),
        ..Append::default()
    };
    log.stage(&append, at(0)).expect("it stages");
    assert!(log.pending_bytes() <= append.weight(), "{} of {}", log.pending_bytes(), append.weight());
    log.commit(at(1)).expect("the commit works");
}

#[test]
fn the_quota_evicts_the_oldest_and_says_so() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    for n in 0..20 {
        store(&mut log, n * 100, n * 100 + 100, at(n));
        seal_all(&mut log, at(n));
    }
    let shared = log.shared();
    let held = crate::shared::get(&shared.counters.block_bytes_held);
    evict(&shared, held).expect("it evicts");
    let left = crate::shared::get(&shared.counters.block_bytes_held);
    assert!(left <= held / 20 * 17 && left > held / 2, "{left} of {held}");
    let kept = values(&log);
    let first = kept[0];
    assert!(first > 0 && kept == (first..2000).collect::<Vec<_>>(), "the oldest went, the rest is whole");
    let gaps = Reader::new(shared).gaps().expect("gaps read");
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].cause, gaps[0].range), (GapCause::Evicted, SeqRange::new(0, first)));
    assert_balanced(&log);
}

#[test]
fn samples_of_an_unset_clock_get_their_time_once_it_is_known() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let clock = |mono_from_ms, offset_ms, quality| {
        Definition::Clock(ClockRecord { boot: BOOT, mono_from_ms, offset_ms, quality, revision: 0 })
    };
    let unset = Append { definitions: vec![clock(0, 0, ClockQuality::Unset)], ..Append::default() };
    log.stage(&unset, at(0)).expect("it stages");
    store(&mut log, 0, 1, at(1000));
    seal_all(&mut log, at(1000));
    let times = |log: &Log, query: &SampleQuery| -> Vec<Option<i64>> {
        let samples = Reader::new(log.shared()).samples(query);
        samples.map(|r| r.expect("it reads").time.utc.map(|t| t.0)).collect()
    };
    let all = SampleQuery::default();
    let bounded =
        SampleQuery { from: Some(UtcMs(50_900)), to: Some(UtcMs(51_001)), ..SampleQuery::default() };
    assert_eq!(times(&log, &all), [None]);
    assert!(times(&log, &bounded).is_empty());
    let synced = Append { definitions: vec![clock(5000, 50_000, ClockQuality::Synced)], ..Append::default() };
    log.stage(&synced, at(5000)).expect("it stages");
    store(&mut log, 1, 2, at(6000));
    assert_eq!(times(&log, &all), [Some(51_000), Some(56_000)]);
    assert_eq!(times(&log, &bounded), [Some(51_000)]);
}

#[test]
fn queries_find_device_times_and_single_series_in_blocks_and_tail() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let late = Sample {
        stamp: Stamp::Wall(UtcMs(7_000), WallSource::Device),
        ..Sample::observed(SeriesId(9), at(100), Value::F64(-0.0))
    };
    let append = Append { samples: vec![late.clone()], sample_class: SampleClass::Bulk, ..Append::default() };
    log.stage(&append, at(100)).expect("it stages");
    store(&mut log, 0, 30, at(200));
    seal_all(&mut log, at(300));
    store(&mut log, 30, 60, at(400));
    let reader = Reader::new(log.shared());
    let bulk = SampleQuery {
        class: SampleClass::Bulk,
        from: Some(UtcMs(7_000)),
        to: Some(UtcMs(7_001)),
        ..SampleQuery::default()
    };
    let found: Vec<Sample> = reader.samples(&bulk).map(|r| r.expect("it reads").sample).collect();
    assert_eq!(found, [late]);
    let one = SampleQuery { series: Some([SeriesId(2)].into()), ..SampleQuery::default() };
    assert_eq!(reader.samples(&one).count(), 20);
}

#[test]
fn a_resend_is_known_over_seals_and_restarts_until_its_session_is_forgotten() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, at(0));
    let publish = |dup: bool| Append {
        samples: vec![sample(1, at(1))],
        mark: Some(PublishMark { incarnation: 5, packet_id: 7, content_hash: 99, dup }),
        ..Append::default()
    };
    assert_eq!(log.stage(&publish(false), at(1)), Ok(Staged::Pending));
    assert_eq!(log.stage(&publish(true), at(1)), Ok(Staged::Duplicate), "while it is pending");
    log.commit(at(1)).expect("the commit works");
    assert_eq!(log.stage(&publish(true), at(1)), Ok(Staged::Duplicate), "from the WAL");
    drop(log);
    let (mut log, _) = open(&disk.restart(), at(2));
    assert_eq!(log.stage(&publish(true), at(1)), Ok(Staged::Duplicate), "after a restart");
    seal_all(&mut log, at(3));
    drop(log);
    let (mut log, _) = open(&disk.restart(), at(4));
    assert_eq!(log.stage(&publish(true), at(1)), Ok(Staged::Duplicate), "from the table");
    log.forget_session(5);
    assert_eq!(log.stage(&publish(true), at(1)), Ok(Staged::Pending), "a forgotten session's resend is new");
}

#[test]
fn a_packet_id_used_anew_takes_the_place_of_the_old_one_pending_or_stored() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let say = |log: &mut Log, packet_id: u16, content_hash: u64, dup: bool| {
        let mark = Some(PublishMark { incarnation: 5, packet_id, content_hash, dup });
        log.stage(&Append { samples: vec![sample(1, at(1))], mark, ..Append::default() }, at(1))
    };
    assert_eq!(say(&mut log, 7, 1, false), Ok(Staged::Pending));
    commit(&mut log, at(1));
    assert_eq!(say(&mut log, 7, 2, false), Ok(Staged::Pending), "without DUP it is always stored");
    assert_eq!(say(&mut log, 7, 2, true), Ok(Staged::Duplicate), "while it is pending");
    assert_eq!(say(&mut log, 7, 1, true), Ok(Staged::Pending), "what stood before it is not known any more");
    commit(&mut log, at(2));
    assert_eq!(say(&mut log, 7, 1, true), Ok(Staged::Duplicate), "the last use counts");
    assert_eq!(say(&mut log, 7, 2, true), Ok(Staged::Pending));
    // The last 1,024 of a session, those that are pending included.
    for n in 0..600_u16 {
        assert_eq!(say(&mut log, 1000 + n, 3, false), Ok(Staged::Pending));
    }
    commit(&mut log, at(3));
    for n in 600..1_024_u16 {
        assert_eq!(say(&mut log, 1000 + n, 3, false), Ok(Staged::Pending));
    }
    assert_eq!(say(&mut log, 1000, 3, true), Ok(Staged::Duplicate));
    assert_eq!(say(&mut log, 2023, 3, true), Ok(Staged::Duplicate));
    commit(&mut log, at(4));
    assert_eq!(say(&mut log, 1000, 3, true), Ok(Staged::Duplicate));
    assert_eq!(say(&mut log, 7, 2, true), Ok(Staged::Pending), "1,024 came behind it");
}

#[test]
fn what_breaks_a_bound_is_refused_and_numbers_nothing() {
    let (mut log, _) = open(&SimDisk::new(1), at(0));
    let mut bad = sample(1, at(1));
    bad.quality = Quality::bad(hub_model::Reason::NoAnswer);
    let other_boot = BootStamp { boot: BootId::from_bytes([2; 16]), mono_ms: 1 };
    let many = vec![sample(1, at(1)); 20_000];
    let long = Sample::observed(SeriesId(1), at(1), Value::String("x".repeat(5000).into()));
    let check = |log: &mut Log, samples: Vec<Sample>, expected: RefusedAppend| {
        let append = Append { samples, ..Append::default() };
        assert_eq!(log.stage(&append, at(1)), Err(expected));
    };
    check(&mut log, vec![bad], RefusedAppend::ValueAndQuality);
    check(&mut log, vec![sample(1, other_boot)], RefusedAppend::ForeignBoot);
    check(&mut log, many, RefusedAppend::TooManyRecords { found: 20_000 });
    check(&mut log, vec![long], RefusedAppend::TooLong { what: "value" });
    store(&mut log, 0, 1, at(2));
    assert_eq!(values(&log), [0]);
}
