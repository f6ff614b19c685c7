//! The log with its threads, on real files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hub_model::{BootId, BootStamp, Class, HubId, RangeSet, Sample, SeqRange, SeriesId, Value};
use hub_store::disk::sim::{Faults, SimDisk};
use hub_store::{
    Append, AppendError, Content, LogConfig, LogHandle, LogLimits, OpenContext, OpenError, Record, Recovery,
    RefusedAppend, SealError, Urgency,
};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("hub-store-{name}-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path).expect("an old folder goes");
        }
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

/// A clock that moves a millisecond each time it is asked, so that no test waits for a real one.
fn clock(start_ms: u64) -> Arc<dyn Fn() -> BootStamp + Send + Sync> {
    let ticks = AtomicU64::new(start_ms);
    Arc::new(move || BootStamp {
        boot: BootId::from_bytes([1; 16]),
        mono_ms: ticks.fetch_add(1, Ordering::Relaxed),
    })
}

fn open(folder: &Folder, config: LogConfig) -> Result<(LogHandle, Recovery), OpenError> {
    let clock = clock(1000);
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: clock(), seed: [7; 32] };
    hub_store::open(&folder.0, config, &context, clock)
}

fn batch(caller: u64, n: u64, urgency: Urgency) -> Append {
    let now = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: n };
    let series = SeriesId(u32::try_from(caller).expect("few callers"));
    let sample = |i| Sample::observed(series, now, Value::U64(n * 100 + i));
    Append { samples: (0..50).map(sample).collect(), urgency, ..Append::default() }
}

fn stored(log: &LogHandle) -> Vec<(u32, u64)> {
    let value = |record: Record| match record {
        Record::Sample(Sample { series, value: Some(Value::U64(n)), .. }) => (series.0, n),
        other @ (Record::Sample(_) | Record::Event(_) | Record::Definition(_)) => {
            panic!("not of this test: {other:?}")
        }
    };
    log.reader().records(Class::Telemetry, 0).map(|r| value(r.expect("it reads").1)).collect()
}

#[test]
fn many_callers_store_through_many_seals_and_all_of_it_is_there_after_a_restart() {
    const CALLERS: u64 = 6;
    const BATCHES: u64 = 120;
    let folder = Folder::new("callers");
    // Small files: each is used many times over, and appends wait for seals.
    let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
    let (log, _) = open(&folder, config).expect("it opens");
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let log = &log;
            scope.spawn(move || {
                for n in 0..BATCHES {
                    let urgency = if n % 7 == 0 { Urgency::Publisher } else { Urgency::Now };
                    let receipt = log.append_blocking(batch(caller, n, urgency)).expect("it is taken");
                    assert!(!receipt.wait().expect("it is stored").duplicate);
                }
            });
        }
    });
    log.close().expect("it closes");
    assert_eq!(log.append_blocking(batch(0, 0, Urgency::Now)).err(), Some(AppendError::Closed));
    drop(log);
    let (log, recovery) = open(&folder, config).expect("it opens again");
    assert!(recovery.clean && recovery.lost.is_empty(), "{recovery:?}");
    let all = stored(&log);
    for caller in 0..CALLERS {
        let of_caller: Vec<u64> =
            all.iter().filter(|(series, _)| u64::from(*series) == caller).map(|(_, n)| *n).collect();
        let sent: Vec<u64> = (0..BATCHES).flat_map(|n| (0..50).map(move |i| n * 100 + i)).collect();
        assert_eq!(of_caller, sent, "in the order of its calls");
    }
    assert!(log.reader().ledger().expect("it reads").classes.iter().all(|c| c.balanced()));
}

#[test]
fn readers_see_every_record_once_while_seals_go_on() {
    let folder = Folder::new("readers");
    let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
    let (log, _) = open(&folder, config).expect("it opens");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..400 {
                let receipt = log.append_blocking(batch(1, n, Urgency::Now)).expect("it is taken");
                receipt.wait().expect("it is stored");
            }
        });
        while !writing.is_finished() {
            let numbers: Vec<u64> =
                log.reader().records(Class::Telemetry, 0).map(|r| r.expect("it reads").0).collect();
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "dense, in order, each once");
            let ledger = log.reader().ledger().expect("it reads");
            assert!(ledger.classes.iter().all(|c| c.balanced()), "{ledger:?}");
        }
    });
    assert!(log.stats().seals > 0, "seals went on meanwhile");
    log.close().expect("it closes");
}

#[test]
fn a_lazy_append_is_stored_by_closing_and_a_second_process_is_refused() {
    let folder = Folder::new("lazy");
    let (log, _) = open(&folder, LogConfig::default()).expect("it opens");
    assert!(matches!(open(&folder, LogConfig::default()), Err(OpenError::Locked { .. })));
    let receipt = log.append_blocking(batch(1, 1, Urgency::Lazy)).expect("it is taken");
    log.close().expect("it closes");
    receipt.wait().expect("closing stores what waits");
    drop(log);
    let (log, _) = open(&folder, LogConfig::default()).expect("it opens again");
    assert_eq!(stored(&log).len(), 50);
    log.close().expect("it closes");
}

#[test]
fn an_append_beyond_a_commit_is_refused_and_the_next_is_taken() {
    let folder = Folder::new("large");
    let config =
        LogConfig { wal_file_bytes: 256 * 1024, seal_after: Duration::from_secs(1), ..LogConfig::default() };
    let (log, _) = open(&folder, config).expect("it opens");
    let mut large = batch(1, 1, Urgency::Now);
    large.samples = std::iter::repeat_n(large.samples[0].clone(), 10_000).collect();
    let refused = log.append_blocking(large).err();
    assert!(matches!(refused, Some(AppendError::Refused(RefusedAppend::TooLarge { .. }))), "{refused:?}");
    log.append_blocking(batch(1, 2, Urgency::Now)).expect("it is taken").wait().expect("it is stored");
    log.close().expect("it closes");
}

#[test]
fn everything_is_sealed_on_request_and_the_outbox_gives_and_confirms_while_it_is_written() {
    let folder = Folder::new("outbox");
    let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
    let (log, _) = open(&folder, config).expect("it opens");
    let outbox = log.outbox();
    let changed = outbox.changed();
    let pass = |sent: &mut u64| {
        let next = outbox.held().expect("it reads")[Class::Telemetry.index()].next;
        while *sent < next {
            let wanted = SeqRange::new(*sent, next);
            let items = outbox.items(Class::Telemetry, wanted, 100_000).expect("items read");
            for item in items {
                assert_eq!(item.range.from, *sent, "in order, without a hole");
                assert!(matches!(item.content, Content::Block(_)));
                *sent = item.range.to;
                outbox.confirm(&[(Class::Telemetry, RangeSet::from_range(item.range))]).expect("it is taken");
            }
        }
    };
    let mut sent = 0;
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..300 {
                let receipt = log.append_blocking(batch(1, n, Urgency::Now)).expect("it is taken");
                receipt.wait().expect("it is stored");
            }
        });
        while !writing.is_finished() {
            pass(&mut sent);
        }
    });
    let lazy = log.append_blocking(batch(1, 300, Urgency::Lazy)).expect("it is taken");
    log.seal_now_blocking().expect("it seals");
    lazy.wait().expect("sealing stores what waits");
    pass(&mut sent);
    assert_eq!(sent, 301 * 50);
    assert!(changed.has_changed().expect("the log is open"));
    let ledger = log.reader().ledger().expect("it reads");
    let telemetry = ledger.classes[Class::Telemetry.index()];
    assert_eq!((telemetry.stored, telemetry.tail, telemetry.confirmed), (sent, 0, sent));
    log.seal_now_blocking().expect("there is nothing to do");
    log.close().expect("it closes");
    assert_eq!(log.seal_now_blocking(), Err(SealError::Stopped));
}

/// What does not compress, so that blocks need room.
fn noise(n: u64) -> Append {
    let now = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: n };
    let mut state = n + 1;
    let mut bytes = Vec::new();
    for _ in 0..500 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 20).to_le_bytes());
    }
    let samples = vec![Sample::observed(SeriesId(1), now, Value::Bytes(bytes.into()))];
    Append { samples, urgency: Urgency::Now, ..Append::default() }
}

#[test]
fn blocks_that_cannot_be_written_are_told_and_follow_when_there_is_room_again() {
    let disk = SimDisk::new(3);
    let clock = clock(1000);
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: clock(), seed: [7; 32] };
    let config = LogConfig { seal_after: Duration::from_millis(1), ..LogConfig::default() };
    let (log, _) = hub_store::open_on(Arc::new(disk.clone()), config, &context, clock).expect("it opens");
    assert_eq!((log.seal_trouble(), log.overdue_records()), (None, 0));
    disk.set_faults(Faults { no_space_per_mille: 1000, ..Faults::default() });
    let store = |n| log.append_blocking(noise(n)).and_then(hub_store::Receipt::wait).expect("it is stored");
    let mut stored = 0;
    while log.seal_trouble().is_none() {
        assert!(stored < 20_000, "blocks are still written");
        store(stored);
        stored += 1;
        while log.stats().tail_records > 100 && log.seal_trouble().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // Commits go on, and say how long they can.
    (stored..stored + 10).for_each(|n| {
        store(n);
    });
    stored += 10;
    let trouble = log.seal_trouble().expect("it is still there");
    assert_eq!(trouble.why, "the disk is full");
    let (stats, overdue) = (log.stats(), log.overdue_records());
    assert!(trouble.since_ms >= 1000 && stats.seal_failures >= 1, "{trouble:?} {stats:?}");
    assert!(overdue > 0 && overdue <= stats.tail_records, "{overdue} {stats:?}");
    assert!((1..100).contains(&stats.wal_used_percent), "{stats:?}");
    disk.set_faults(Faults::default());
    log.seal_now_blocking().expect("it seals");
    assert_eq!((log.seal_trouble(), log.overdue_records()), (None, 0));
    assert_eq!(log.reader().records(Class::Telemetry, 0).filter(Result::is_ok).count() as u64, stored);
    log.close().expect("it closes");
}

#[test]
fn limits_change_while_the_log_is_open() {
    let folder = Folder::new("limits");
    let hour = Duration::from_secs(3600);
    let (log, _) = open(&folder, LogConfig { seal_after: hour, ..LogConfig::default() }).expect("it opens");
    let store = |n| log.append_blocking(noise(n)).and_then(hub_store::Receipt::wait).expect("it is stored");
    let wait_for = |what: &str, holds: &dyn Fn() -> bool| {
        for _ in 0..30_000 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{what}: {:?}", log.stats());
    };
    for n in 0..10 {
        (n * 40..n * 40 + 40).for_each(|n| {
            store(n);
        });
        log.seal_now_blocking().expect("it seals");
    }
    let held = log.stats().block_bytes_held;
    assert_eq!((held > 1_000_000, log.stats().blocks_evicted), (true, 0), "{:?}", log.stats());

    // A smaller quota is looked at though nothing is due for an hour.
    store(400);
    log.change(LogLimits { seal_after: hour, quota_bytes: 800_000, wear_saver: false });
    wait_for("the oldest go", &|| log.stats().block_bytes_held <= 800_000 / 20 * 17);
    assert!(log.stats().blocks_evicted > 0);
    assert!(log.reader().ledger().expect("it reads").classes.iter().all(|c| c.balanced()));

    // Shorter waits hold for what comes then: the clock moves with each look at it.
    log.change(LogLimits { seal_after: Duration::from_millis(1), quota_bytes: 1 << 30, wear_saver: false });
    store(401);
    wait_for("it is sealed by itself", &|| log.stats().tail_records == 0);
    log.close().expect("it closes");
    log.change(LogLimits { seal_after: hour, quota_bytes: 1, wear_saver: false });
}
