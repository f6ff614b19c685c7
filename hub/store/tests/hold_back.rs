//! Blocks cannot be written and the WAL fills: samples are held back in time, alarms go through until the WAL is really
//! full, and everything goes on when the disk works again. Nothing acknowledged is lost, whatever happens in between.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hub_model::{
    BootId, BootStamp, Class, Event, EventRecord, HubId, Sample, SeriesId, Severity, Stamp, Value,
};
use hub_store::disk::sim::{Faults, SimDisk};
use hub_store::{
    Append, AppendError, LogConfig, LogHandle, LogStats, OpenContext, Record, Stored, Urgency, open_on,
};

const BOOT: BootId = BootId::from_bytes([1; 16]);

/// The tables cannot be written, as on a full disk; the WAL, which has its room, can.
const FULL: Faults = Faults {
    refuses: Some(".redb"),
    power_off_at: None,
    no_space_per_mille: 0,
    copy_on_write: false,
    syncs_to_fail: 0,
    sync_fails_per_mille: 0,
};

type Answer = Pin<Box<dyn Future<Output = Result<Stored, AppendError>>>>;

/// A log, what it was given, and what it has acknowledged of that.
struct Site {
    disk: SimDisk,
    log: LogHandle,
    /// By class and number of the append.
    unanswered: Vec<(Class, u64, Answer)>,
    acknowledged: BTreeSet<(Class, u64)>,
    next: u64,
}

fn open(disk: &SimDisk) -> LogHandle {
    let ticks = AtomicU64::new(1_000);
    let now = move || BootStamp { boot: BOOT, mono_ms: ticks.fetch_add(1, Ordering::Relaxed) };
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: now(), seed: [7; 32] };
    let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
    open_on(Arc::new(disk.clone()), config, &context, Arc::new(now)).expect("the log opens").0
}

impl Site {
    fn new(seed: u64) -> Site {
        let disk = SimDisk::new(seed);
        let log = open(&disk);
        Site { disk, log, unanswered: Vec::new(), acknowledged: BTreeSet::new(), next: 0 }
    }

    fn say(&mut self, class: Class) {
        let append = append(class, self.next);
        let log = self.log.clone();
        let answer = Box::pin(async move { log.append(append).await?.stored().await });
        self.unanswered.push((class, self.next, answer));
        self.next += 1;
        self.listen();
    }

    /// Takes in what was answered meanwhile.
    fn listen(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let acknowledged = &mut self.acknowledged;
        self.unanswered.retain_mut(|(class, n, answer)| match answer.as_mut().poll(&mut context) {
            Poll::Ready(stored) => {
                stored.expect("nothing here is refused");
                acknowledged.insert((*class, *n));
                false
            }
            Poll::Pending => true,
        });
    }

    fn waits(&self, class: Class) -> usize {
        self.unanswered.iter().filter(|(of, ..)| *of == class).count()
    }

    fn stats(&self) -> LogStats {
        self.log.stats()
    }

    /// Listens until something holds; a test that waits for nothing ends with a word.
    fn until(&mut self, what: &str, holds: impl Fn(&Site) -> bool) {
        for _ in 0..20_000 {
            self.listen();
            if holds(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("it was not so in time: {what}; {:?}", self.stats());
    }

    /// Readings until they are held back, alarms until nothing fits any more. Returns how many alarms were stored
    /// while readings waited.
    fn fill(&mut self) -> usize {
        // Of a class that was never used, few numbers are reserved ahead.
        self.say(Class::Alarm);
        self.until("the first alarm is stored", |site| site.unanswered.is_empty());
        self.log.seal_now_blocking().expect("everything is sealed");
        self.disk.set_faults(FULL);
        while self.stats().held_since_ms == 0 {
            self.say(Class::Telemetry);
            self.until("it is stored or held back", |site| {
                site.unanswered.is_empty() || site.stats().held_since_ms > 0
            });
        }
        let used = self.stats().wal_used_percent;
        assert!((70..=88).contains(&used), "the last 15 % are kept, {used} % are used");
        // More of them than there is room for: the appender waits.
        (0..2_000).for_each(|_| self.say(Class::Telemetry));
        assert_eq!(self.waits(Class::Telemetry), 2_001, "none is taken");
        let before = self.acknowledged.len();
        loop {
            self.say(if self.next.is_multiple_of(5) { Class::Meta } else { Class::Alarm });
            self.until("it is stored, or nothing is", |site| {
                site.waits(Class::Alarm) + site.waits(Class::Meta) == 0 || site.stats().blocked_since_ms > 0
            });
            if self.stats().blocked_since_ms > 0 {
                break;
            }
        }
        assert_eq!(self.waits(Class::Telemetry), 2_001, "not one has passed");
        assert!(self.stats().wal_used_percent >= 98, "{:?}", self.stats());
        self.acknowledged.len() - before
    }

    /// What the log has, each once, against what it must have.
    fn check(&self) {
        let mut found = BTreeSet::new();
        let reader = self.log.reader();
        for class in [Class::Alarm, Class::Meta, Class::Telemetry] {
            for item in reader.records(class, 0) {
                let n = number(&item.expect("it reads").1);
                assert!(found.insert((class, n)), "{class:?} {n} is there twice");
            }
        }
        let lost: Vec<_> = self.acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        assert!(reader.ledger().expect("it reads").classes.iter().all(|class| class.balanced()));
    }
}

/// One record that says its number: readings of 1 KiB.
fn append(class: Class, n: u64) -> Append {
    let at = BootStamp { boot: BOOT, mono_ms: n };
    let mut append = Append { urgency: Urgency::Now, ..Append::default() };
    match class {
        Class::Alarm => {
            let event = Event {
                id: n.to_string().into(),
                severity: Severity::Alarm,
                code: "hot".into(),
                params: Vec::new(),
                text: "it is hot".into(),
            };
            append.events = vec![EventRecord { device: None, stamp: Stamp::Boot(at), received: at, event }];
        }
        Class::Meta => {
            let clock = hub_model::ClockRecord {
                boot: BOOT,
                mono_from_ms: n,
                offset_ms: 0,
                quality: hub_model::ClockQuality::Synced,
                revision: u32::try_from(n).expect("few"),
            };
            append.definitions = vec![hub_store::Definition::Clock(clock)];
        }
        Class::Event | Class::Audit | Class::Telemetry | Class::Bulk | Class::Rollup => {
            let text = format!("{n} {}", "x".repeat(1_000));
            append.samples = vec![Sample::observed(SeriesId(1), at, Value::String(text.into()))];
        }
    }
    append
}

fn number(record: &Record) -> u64 {
    let text = match record {
        Record::Sample(Sample { value: Some(Value::String(text)), .. }) => {
            text.split(' ').next().unwrap_or_default().to_owned()
        }
        Record::Event(event) => event.event.id.to_string(),
        Record::Definition(hub_store::Definition::Clock(clock)) => clock.revision.to_string(),
        other @ (Record::Sample(_) | Record::Definition(_)) => panic!("not of this test: {other:?}"),
    };
    text.parse().expect("a number")
}

#[test]
fn readings_are_held_back_alarms_pass_and_everything_follows_when_the_disk_works_again() {
    let mut site = Site::new(1);
    let alarms = site.fill();
    assert!(alarms >= 10, "the reserve took {alarms}");
    site.disk.set_faults(Faults::default());
    site.until("everything is stored", |site| site.unanswered.is_empty());
    site.until("nothing is held back", |site| {
        site.stats().held_since_ms == 0 && site.stats().blocked_since_ms == 0
    });
    site.check();
    assert_eq!(site.acknowledged.len() as u64, site.next);
    site.log.close().expect("it closes");
    site.log = open(&site.disk);
    site.check();
    site.log.close().expect("it closes");
}

#[test]
fn a_power_cut_while_readings_are_held_back_takes_nothing_that_was_acknowledged() {
    for seed in 0..4 {
        let mut site = Site::new(seed);
        site.fill();
        let disk = site.disk.restart();
        site.unanswered.clear();
        let old = std::mem::replace(&mut site.log, open(&disk));
        drop(old);
        site.check();
        site.say(Class::Telemetry);
        site.until("readings are taken again", |site| site.unanswered.is_empty());
        site.check();
        site.log.close().expect("it closes");
    }
}

#[test]
fn an_end_in_order_stores_what_was_held_back() {
    let mut site = Site::new(9);
    site.say(Class::Telemetry);
    site.until("it is stored", |site| site.unanswered.is_empty());
    site.disk.set_faults(FULL);
    while site.stats().held_since_ms == 0 {
        site.say(Class::Telemetry);
        site.until("it is stored or held back", |site| {
            site.unanswered.is_empty() || site.stats().held_since_ms > 0
        });
    }
    (0..10).for_each(|_| site.say(Class::Telemetry));
    site.log.close().expect("what is kept for alarms is used at the end");
    site.until("all is stored", |site| site.unanswered.is_empty());
    site.disk.set_faults(Faults::default());
    site.log = open(&site.disk);
    site.check();
    site.log.close().expect("it closes");
}
