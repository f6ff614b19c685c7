//! What a verification finds, and that it finds nothing where nothing is wrong.

use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, ClockQuality, ClockRecord, DeviceId, HubId, Sample, SeqRange, Series, SeriesId,
    SeriesKey, Unit, Value, ValueType,
};

use crate::append::Append;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::log::{CoreConfig, Log, seal};
use crate::open::{OpenContext, open_core};
use crate::reader::Reader;
use crate::record::Definition;
use crate::table::Tables;
use crate::verify::{Finding, FindingKind, Verified};

const BOOT: BootId = BootId::from_bytes([1; 16]);
const CONFIG: CoreConfig =
    CoreConfig { wal_file_bytes: 512 * 1024, seal_after_ms: 60_000, quota_bytes: 1 << 40, reserve: 1 << 16 };
const T: Class = Class::Telemetry;

fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

fn open(disk: &SimDisk) -> Log {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: at(0), seed: [7; 32] };
    open_core(&disk, CONFIG, &context).expect("the log opens").0
}

fn definitions() -> Vec<Definition> {
    let (boot, quality) = (BOOT, ClockQuality::Synced);
    let clock = ClockRecord { boot, mono_from_ms: 0, offset_ms: 5, quality, revision: 0 };
    let metric = "temp".parse().expect("a metric's name");
    let device = DeviceId::from_bytes([2; 16]);
    let key = SeriesKey { device, metric, value_type: ValueType::U64, unit: Unit::none() };
    let series = Series { id: SeriesId(1), key, dictionary: Vec::new() };
    vec![Definition::Clock(clock), Definition::Series(series)]
}

fn append(log: &mut Log, append: &Append) {
    log.stage(append, at(1)).expect("it is taken");
    if log.commit(at(1)).is_err() {
        // The first record of a class that reserved no numbers waits for a seal.
        seal_all(log);
        log.commit(at(1)).expect("the commit works");
    }
}

fn store(log: &mut Log, series: u32, from: u64, to: u64) {
    let sample = |n: u64| Sample::observed(SeriesId(series), at(n), Value::U64(n));
    append(log, &Append { samples: (from..to).map(sample).collect(), ..Append::default() });
}

fn seal_all(log: &mut Log) {
    let plan = log.plan_seal(0, true).expect("there is something to seal");
    seal(&log.shared(), &plan).expect("the seal works");
    log.sealed(&plan);
}

/// Three blocks of ten readings, and five in the tail.
fn written(disk: &SimDisk) -> Log {
    let mut log = open(disk);
    append(&mut log, &Append { definitions: definitions(), ..Append::default() });
    for from in [0, 10, 20] {
        store(&mut log, 1, from, from + 10);
        seal_all(&mut log);
    }
    store(&mut log, 1, 30, 35);
    log
}

fn verify(log: &Log) -> (Vec<Finding>, Verified) {
    let mut verification = Reader::new(log.shared()).verification().expect("it begins");
    let (mut found, numbers) = (Vec::new(), verification.numbers());
    while verification.step(&mut found).expect("it reads") {}
    let verified = verification.verified();
    assert_eq!(verified.findings, found.len() as u64);
    assert_eq!(verified.numbers, numbers, "every number is passed once");
    assert!(!verification.step(&mut found).expect("it stays at its end"));
    (found, verified)
}

/// Changes a table behind the log's back.
fn meddle(disk: &SimDisk, log: Log, change: impl FnOnce(&Tables, hub_model::LogEpoch)) -> Log {
    let epoch = log.shared().epoch;
    drop(log);
    let tables = Tables::open(Arc::new(disk.clone())).expect("it opens");
    change(&tables, epoch);
    drop(tables);
    open(&disk.restart())
}

#[test]
fn a_whole_log_has_no_findings() {
    let log = written(&SimDisk::new(1));
    let (found, verified) = verify(&log);
    assert_eq!(found, []);
    assert_eq!((verified.blocks, verified.records), (4, 2 + 35), "{verified:?}");
    assert!(verified.block_bytes > 4 * 98);
    let empty = open(&SimDisk::new(2));
    assert_eq!(verify(&empty).0, []);
}

#[test]
fn a_series_without_a_definition_is_told_for_block_and_tail() {
    let mut log = written(&SimDisk::new(1));
    store(&mut log, 9, 35, 40);
    let undefined = |range| Finding { class: T, range, kind: FindingKind::Undefined(SeriesId(9)) };
    assert_eq!(verify(&log).0, [undefined(SeqRange::new(35, 40))]);
    seal_all(&mut log);
    assert_eq!(verify(&log).0, [undefined(SeqRange::new(30, 40))]);
}

#[test]
fn a_bad_byte_is_found_wherever_it_is_in_a_block() {
    for offset in [20, 60, 97, 105] {
        let disk = SimDisk::new(1);
        let log = written(&disk);
        let block =
            log.shared().tables.block(log.shared().epoch, T, 10).expect("it reads").expect("it is there");
        drop(log);
        let bytes = disk.contents(Tables::FILE);
        let places: Vec<usize> =
            bytes.windows(block.len()).enumerate().filter(|(_, w)| *w == block).map(|(at, _)| at).collect();
        assert!(!places.is_empty() && offset < block.len());
        for place in places {
            disk.corrupt(Tables::FILE, place + offset, 0x10);
        }
        let log = open(&disk.restart());
        let (found, _) = verify(&log);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].class, found[0].range), (T, SeqRange::new(10, 20)));
        assert!(matches!(&found[0].kind, FindingKind::Damaged(why) if why.contains("checksum")), "{found:?}");
        let told = Reader::new(log.shared()).damaged().expect("the index reads");
        assert_eq!(told, [(T, SeqRange::new(10, 20))], "from now on it is told everywhere");
    }
}

#[test]
fn a_lost_row_leaves_numbers_without_an_answer_and_a_wrong_count() {
    let disk = SimDisk::new(1);
    let log = written(&disk);
    let log = meddle(&disk, log, |tables, epoch| tables.lose_row_for_test(epoch, T, 10, "time_index"));
    let (found, _) = verify(&log);
    let kinds: Vec<_> = found.iter().map(|finding| (finding.range, &finding.kind)).collect();
    let miscounted = FindingKind::Miscounted { what: "stored", stated: 30, counted: 20 };
    assert_eq!(
        kinds,
        [(SeqRange::new(10, 20), &FindingKind::Uncovered), (SeqRange::new(0, 35), &miscounted)]
    );
}

#[test]
fn a_lost_block_is_found() {
    let disk = SimDisk::new(1);
    let log = written(&disk);
    let log = meddle(&disk, log, |tables, epoch| tables.lose_row_for_test(epoch, T, 20, "block"));
    let (found, _) = verify(&log);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].range, SeqRange::new(20, 30));
    assert!(matches!(&found[0].kind, FindingKind::Damaged(why) if why.contains("missing")), "{found:?}");
}
