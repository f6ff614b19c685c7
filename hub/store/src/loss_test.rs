//! WAL files deleted, cut and emptied by hand: it is told, blocks stay, and no number is given out twice.
//!
//! `RELAIS_SEEDS=n` sets how many seeds run, `RELAIS_SEED=s` replays one.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, Event, EventRecord, GapCause, HubId, Sample, SeriesId, Severity, Stamp, Value,
};

use crate::append::{Append, SampleClass};
use crate::disk::Disk;
use crate::disk::sim::{Faults, Rng, SimDisk};
use crate::log::{CoreConfig, Log, seal};
use crate::open::{OpenContext, Recovery, open_core};
use crate::reader::Reader;
use crate::record::Record;

const BOOT: BootId = BootId::from_bytes([1; 16]);
const CONFIG: CoreConfig =
    CoreConfig { wal_file_bytes: 64 * 1024, seal_after_ms: 60_000, quota_bytes: 1 << 40, reserve: 4096 };

/// A log and what was acknowledged of it.
struct Bench {
    disk: SimDisk,
    log: Option<Log>,
    stored: u64,
    /// What each number was acknowledged with.
    given: BTreeMap<(Class, u64), String>,
}

fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

impl Bench {
    fn new(seed: u64) -> Bench {
        Bench { disk: SimDisk::new(seed), log: None, stored: 0, given: BTreeMap::new() }
    }

    fn open(&mut self) -> Option<Recovery> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: at(self.stored), seed: [7; 32] };
        let (log, recovery) = open_core(&disk, CONFIG, &context).ok()?;
        self.log = Some(log);
        Some(recovery)
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it is open")
    }

    fn store(&mut self, sample_class: SampleClass, count: u64, alarm: bool) {
        let now = at(self.stored);
        let values = self.stored..self.stored + count;
        self.stored += count;
        let sample = |n: u64| Sample::observed(SeriesId(1), now, Value::U64(n));
        let event = Event {
            id: format!("e{}", self.stored).into(),
            severity: Severity::Alarm,
            code: "c".into(),
            params: Vec::new(),
            text: "t".into(),
        };
        let event = EventRecord { device: None, stamp: Stamp::Boot(now), received: now, event };
        let events = if alarm { vec![event] } else { Vec::new() };
        let append =
            Append { samples: values.map(sample).collect(), sample_class, events, ..Append::default() };
        self.log().stage(&append, now).expect("it stages");
        while self.log().commit(now).is_err() {
            self.seal();
        }
        self.remember();
    }

    fn seal(&mut self) {
        if let Some(plan) = self.log().plan_seal(0, true) {
            seal(&self.log().shared(), &plan).expect("the seal works");
            self.log().sealed(&plan);
        }
    }

    /// Every record there is has a number that was never another's.
    fn remember(&mut self) {
        let reader = Reader::new(self.log().shared());
        for class in Class::ALL {
            let from = self.given.range(..=(class, u64::MAX)).next_back();
            let from = from.filter(|((c, _), _)| *c == class).map_or(0, |((_, seq), _)| *seq);
            self.compare(&reader, class, from);
        }
    }

    fn compare(&mut self, reader: &Reader, class: Class, from: u64) {
        for item in reader.records(class, from) {
            let (seq, record) = item.expect("it reads");
            let text = match record {
                Record::Sample(sample) => format!("{:?}", sample.value),
                Record::Event(event) => event.event.id.to_string(),
                Record::Definition(definition) => format!("{definition:?}"),
            };
            let known = self.given.entry((class, seq)).or_insert_with(|| text.clone());
            assert_eq!(*known, text, "number {seq} of {} was given out twice", class.name());
        }
    }

    /// What must hold after any loss.
    fn check(&mut self) {
        let reader = Reader::new(self.log().shared());
        Class::ALL.into_iter().for_each(|class| self.compare(&reader, class, 0));
        let ledger = reader.ledger().expect("the ledger reads");
        assert!(ledger.classes.iter().all(|c| c.balanced()), "{ledger:?}");
        for (class, seq) in self.given.keys() {
            assert!(*seq < ledger.classes[class.index()].next, "{} goes on before {seq}", class.name());
        }
        let gaps = reader.gaps().expect("gaps read");
        let told = |class: Class, seq: u64| {
            let covers = |g: &&hub_model::Gap| g.class == class && g.range.from <= seq && seq < g.range.to;
            gaps.iter()
                .find(covers)
                .is_some_and(|g| matches!(g.cause, GapCause::Corrupted | GapCause::Missing))
        };
        for class in Class::ALL {
            let there: std::collections::BTreeSet<u64> =
                reader.records(class, 0).map(|r| r.expect("it reads").0).collect();
            let given = self.given.keys().filter(|(c, _)| *c == class);
            let untold: Vec<u64> =
                given.map(|(_, seq)| *seq).filter(|seq| !there.contains(seq) && !told(class, *seq)).collect();
            assert!(untold.is_empty(), "{} lacks {untold:?} without a word", class.name());
        }
    }

    fn wal_files(&self) -> Vec<String> {
        self.disk.list().expect("it lists").into_iter().filter(|n| n.starts_with("wal-")).collect()
    }

    fn harm(&self, name: &str, harm: Harm) {
        match harm {
            Harm::Deleted => self.disk.remove(name).and_then(|()| self.disk.sync_dir()).expect("it goes"),
            Harm::Cut(len) => {
                let file = self.disk.open(name).expect("it opens");
                let len = len.min(file.size().expect("it has a size"));
                file.set_len(len).and_then(|()| file.sync_data()).expect("it is cut");
            }
            Harm::Zeroed => {
                let file = self.disk.open(name).expect("it opens");
                let size = usize::try_from(file.size().expect("it has a size")).expect("it is small");
                file.write_at(0, &vec![0; size]).and_then(|()| file.sync_data()).expect("it is zeroed");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Deleted,
    Cut(u64),
    /// Noticed only when the tables know of a commit inside.
    Zeroed,
}

/// Some sealed, then as much unsealed as two files hold, alarms only at the very end.
fn filled(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    bench.open().expect("it opens");
    bench.store(SampleClass::Telemetry, 100, true);
    bench.store(SampleClass::Bulk, 50, false);
    bench.seal();
    for n in 0..20 {
        bench.store(SampleClass::Telemetry, 100, n == 19);
    }
    bench
}

#[track_caller]
fn check_harm(which: impl Fn(&[String]) -> Vec<String>, harm: Harm) {
    let mut bench = filled(1);
    bench.log = None;
    for name in which(&bench.wal_files()) {
        bench.harm(&name, harm);
    }
    bench.disk = bench.disk.restart();
    let recovery = bench.open().expect("it opens");
    assert!(!recovery.missing.is_empty() && !recovery.clean && recovery.damaged > 0, "{recovery:?}");
    assert!(recovery.set_aside.is_empty());
    bench.check();
    let reader = Reader::new(bench.log().shared());
    let bulk: Vec<_> = reader.records(Class::Bulk, 0).map(|r| r.expect("it reads").0).collect();
    assert_eq!(bulk, (0..50).collect::<Vec<_>>(), "blocks stay readable");
    // It goes on, before and after the next starts, and is told once.
    for _ in 0..2 {
        bench.store(SampleClass::Telemetry, 30, true);
        bench.log = None;
        bench.disk = bench.disk.restart();
        let recovery = bench.open().expect("it opens");
        assert!(recovery.missing.is_empty() && recovery.lost.is_empty(), "{recovery:?}");
        bench.check();
    }
}

#[test]
fn deleted_wal_files_are_noticed() {
    check_harm(<[String]>::to_vec, Harm::Deleted);
    check_harm(|names| names[..1].to_vec(), Harm::Deleted);
    check_harm(|names| names[1..].to_vec(), Harm::Deleted);
}

#[test]
fn cut_wal_files_are_noticed() {
    for len in [0, 10, 4096, 5000, 20_000, 64 * 1024 - 1] {
        check_harm(<[String]>::to_vec, Harm::Cut(len));
        check_harm(|names| names[..1].to_vec(), Harm::Cut(len));
        check_harm(|names| names[1..].to_vec(), Harm::Cut(len));
    }
}

#[test]
fn a_file_known_to_hold_commits_that_holds_none_is_noticed() {
    // The first file was in use at the last seal.
    check_harm(|names| names[..1].to_vec(), Harm::Zeroed);
}

#[test]
fn a_file_that_was_made_and_never_used_is_missed_too() {
    let mut bench = Bench::new(1);
    bench.open().expect("it opens");
    bench.store(SampleClass::Telemetry, 10, false);
    bench.log = None;
    bench.harm("wal-001", Harm::Deleted);
    bench.disk = bench.disk.restart();
    let recovery = bench.open().expect("it opens");
    // It cannot be told from one that was used since the last seal.
    assert_eq!(recovery.missing, ["wal-001"]);
    bench.check();
}

/// Stores, seals, crashes and loses files at random; the power may go in the middle of the start that notices.
fn run(seed: u64) -> (u64, u64) {
    let mut bench = Bench::new(seed);
    let mut rng = Rng::new(seed ^ 0x1055);
    bench.open().expect("it opens");
    let (mut harms, mut noticed) = (0, 0);
    for _ in 0..60 {
        match rng.below(8) {
            0 => bench.seal(),
            1 => {
                bench.log = None;
                bench.disk = bench.disk.restart();
                if rng.below(2) == 0 {
                    harms += 1;
                    let names = bench.wal_files();
                    let count = 1 + rng.below(names.len() as u64);
                    for name in names.iter().take(usize::try_from(count).expect("few")) {
                        let cut = Harm::Cut(rng.below(64 * 1024));
                        bench.harm(name, if rng.below(2) == 0 { Harm::Deleted } else { cut });
                    }
                }
                // The start may be cut short, again and again; the loss is noticed until it is settled. (Not every harm
                // is one: a file may have been cut before, or be no longer on the list.)
                while rng.below(2) == 0 {
                    let power_off_at = Some(bench.disk.operations() + rng.below(40));
                    bench.disk.set_faults(Faults { power_off_at, ..Faults::default() });
                    noticed += bench.open().map_or(0, |r| u64::from(!r.missing.is_empty()));
                    bench.log = None;
                    bench.disk = bench.disk.restart();
                }
                let recovery = bench.open().expect("without faults it opens");
                noticed += u64::from(!recovery.missing.is_empty());
                bench.check();
            }
            kind => {
                let class = if kind == 2 { SampleClass::Bulk } else { SampleClass::Telemetry };
                bench.store(class, 1 + rng.below(300), rng.below(5) == 0);
            }
        }
    }
    bench.check();
    (harms, noticed)
}

#[test]
fn whatever_files_go_no_number_is_given_out_twice() {
    let number = |name: &str| std::env::var(name).ok().map(|v| v.parse::<u64>().expect("a number"));
    let seeds = match number("RELAIS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RELAIS_SEEDS").unwrap_or(60),
    };
    let (mut harms, mut noticed) = (0, 0);
    for seed in seeds {
        let (h, n) = std::panic::catch_unwind(|| run(seed))
            .unwrap_or_else(|_| panic!("seed {seed} failed: replay with RELAIS_SEED={seed}"));
        harms += h;
        noticed += n;
    }
    println!("files harmed {harms} times, noticed {noticed} times");
    assert!(noticed > harms / 2);
}

/// What is told as lost of each class that lost something.
fn told(bench: &mut Bench) -> Vec<(Class, u64, GapCause)> {
    let gaps = Reader::new(bench.log().shared()).gaps().expect("gaps read");
    let gaps = gaps.iter().filter(|gap| gap.cause != GapCause::Restart);
    gaps.map(|gap| (gap.class, gap.range.len(), gap.cause)).collect()
}

#[test]
fn no_more_is_told_as_lost_than_the_files_can_have_held() {
    // 40 records in the tables, then one that is lost with the file it is in.
    let lose = |harm: Harm| {
        let mut bench = Bench::new(1);
        bench.open().expect("it opens");
        bench.store(SampleClass::Telemetry, 40, false);
        bench.seal();
        bench.store(SampleClass::Telemetry, 1, false);
        bench.log = None;
        bench.harm("wal-000", harm);
        bench.disk = bench.disk.restart();
        let recovery = bench.open().expect("it opens");
        assert_eq!(recovery.missing, ["wal-000"]);
        bench.check();
        told(&mut bench)
    };
    // Alarms reserve a few numbers from the beginning; bulk and the others, which had no record, none.
    let reserved = [(Class::Alarm, 64, GapCause::Missing), (Class::Event, 64, GapCause::Missing)];
    let meta = (Class::Meta, 64, GapCause::Missing);
    let telemetry = |count| (Class::Telemetry, count, GapCause::Missing);
    let [alarm, event] = reserved;
    assert_eq!(lose(Harm::Deleted), [alarm, event, meta, telemetry(4096)]);
    // Some pages of zeros are left: it was cut behind all that was written.
    assert_eq!(lose(Harm::Cut(10 * 4096)), []);
    let cut = (64 * 1024 - 4096 * 2) / 4;
    assert_eq!(lose(Harm::Cut(4096 * 2)).last(), Some(&telemetry(cut.min(4096))));
}

#[test]
fn after_an_end_in_order_the_loss_is_known_exactly() {
    for (unsealed, told_lost) in [(0, vec![]), (7, vec![(Class::Telemetry, 7, GapCause::Missing)])] {
        let mut bench = Bench::new(1);
        bench.open().expect("it opens");
        bench.store(SampleClass::Telemetry, 40, true);
        bench.seal();
        if unsealed > 0 {
            bench.store(SampleClass::Telemetry, unsealed, false);
        }
        let now = at(bench.stored);
        bench.log().stage_close(now);
        bench.log().commit(now).expect("the commit works");
        bench.log().store_end().expect("the tables take it");
        bench.log = None;
        for name in bench.wal_files() {
            bench.harm(&name, Harm::Deleted);
        }
        bench.disk = bench.disk.restart();
        let recovery = bench.open().expect("it opens");
        assert_eq!(recovery.missing.len(), 2);
        bench.check();
        assert_eq!(told(&mut bench), told_lost);
        // It goes on as ever.
        bench.store(SampleClass::Bulk, 30, true);
        bench.check();
    }
}
