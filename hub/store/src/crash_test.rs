//! The log against a disk that fails, by seed: power cut at every operation, forgotten and torn writes, failed syncs,
//! no space anywhere. The model is a plain list of what was acknowledged.
//!
//! `RELAIS_SEEDS=n` sets how many seeds run, `RELAIS_SEED=s` replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, ClockQuality, ClockRecord, Device, DeviceId, Event, EventRecord, GapCause,
    HubId, Quality, Reason, Sample, Series, SeriesId, SeriesKey, Severity, Stamp, Unit, UtcMs, Value,
    ValueType, WallSource,
};

use crate::append::{Append, PublishMark, SampleClass, Urgency};
use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::disk::sim::{Faults, Rng, SimDisk};
use crate::log::{CoreConfig, Log, Staged, seal};
use crate::open::{OpenContext, Recovery, open_core};
use crate::reader::Reader;
use crate::record::{Definition, Record};
use crate::seal::SealPlan;

const CONFIG: CoreConfig =
    CoreConfig { wal_file_bytes: 64 * 1024, seal_after_ms: 3_000, quota_bytes: 1 << 40, reserve: 512 };

/// What one run of the script did; equal for equal seeds.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Tally {
    operations: u64,
    acked: usize,
    crashes: u64,
    commit_errors: u64,
    seal_errors: u64,
    resends: u64,
    duplicates: u64,
}

/// A publish as its client remembers it until it is acknowledged.
#[derive(Clone, Debug)]
struct Publish {
    id: u64,
    append: Append,
}

struct Site {
    rng: Rng,
    disk: SimDisk,
    log: Option<Log>,
    plan: Option<SealPlan>,
    now: BootStamp,
    next_id: u64,
    next_packet: u16,
    /// Acknowledged: everything below must be there exactly once, for ever.
    acked: BTreeMap<u64, Append>,
    /// Sent since the last commit.
    in_flight: Vec<Publish>,
    /// Where each record of an acknowledged append was seen: numbers never change.
    places: BTreeMap<(Class, u64), String>,
    tally: Tally,
}

impl Site {
    fn new(seed: u64) -> Site {
        let now = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: 1000 };
        Site {
            rng: Rng::new(seed),
            disk: SimDisk::new(seed ^ 0x5eed),
            log: None,
            plan: None,
            now,
            next_id: 0,
            next_packet: 0,
            acked: BTreeMap::new(),
            in_flight: Vec::new(),
            places: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn open(&mut self) -> Option<Recovery> {
        let mut seed = [7; 32];
        seed[0] = 1;
        let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: self.now, seed };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        match open_core(&disk, CONFIG, &context) {
            Ok((log, recovery)) => {
                self.log = Some(log);
                Some(recovery)
            }
            Err(_) => None,
        }
    }

    /// The machine or only the process dies (if the machine has not) and comes back, sometimes as another boot.
    fn crash(&mut self) {
        self.tally.crashes += 1;
        self.log = None;
        self.plan = None;
        let power_cut = self.disk.is_off() || self.rng.below(2) == 0;
        self.disk = if power_cut { self.disk.restart() } else { self.disk.kill() };
        if power_cut && self.rng.below(2) == 0 {
            let boot = u8::try_from(2 + self.rng.below(200)).unwrap();
            self.now = BootStamp { boot: BootId::from_bytes([boot; 16]), mono_ms: self.rng.below(5000) };
        }
        let recovery = self.open().expect("without faults a log opens");
        assert!(recovery.lost.is_empty(), "a crash loses nothing that was numbered: {recovery:?}");
        let fresh = self.acked.is_empty();
        assert!(
            fresh || (!recovery.is_new && recovery.set_aside.is_empty()),
            "an old log is opened: {recovery:?}"
        );
        assert!(recovery.is_new || !recovery.clean, "nothing was closed in order: {recovery:?}");
        assert_eq!(recovery.damaged, 0, "a crash damages nothing: {recovery:?}");
        self.resend();
        let gaps = Reader::new(self.log.as_ref().unwrap().shared()).gaps().expect("gaps read");
        let told = gaps.iter().any(|g| g.cause == GapCause::Restart && g.until == self.now);
        assert!(recovery.is_new || told, "a restart leaves a gap: {gaps:?}");
        self.check();
    }

    /// What the clients do after a crash: everything not acknowledged is sent again with DUP, in order.
    fn resend(&mut self) {
        for mut publish in std::mem::take(&mut self.in_flight) {
            let now = self.now;
            restamp(&mut publish.append, now);
            if let Some(mark) = &mut publish.append.mark {
                mark.dup = true;
                self.tally.resends += 1;
                self.stage(publish);
            } else {
                // A lazy reading that was not acknowledged may be there or not; its source does not send it again.
                self.forget_if_absent(publish);
            }
        }
        while let Err(error) = self.log.as_mut().unwrap().commit(self.now) {
            assert!(matches!(error, crate::wal::WalError::Full), "without faults a commit works: {error}");
            let before = self.tally.seal_errors;
            self.plan =
                self.plan.take().or_else(|| self.log.as_mut().unwrap().plan_seal(self.now.mono_ms, true));
            self.seal();
            assert_eq!(self.tally.seal_errors, before, "without faults a seal works");
        }
        self.acknowledge();
    }

    fn forget_if_absent(&mut self, publish: Publish) {
        let reader = Reader::new(self.log.as_ref().unwrap().shared());
        let there = contents(&reader).keys().any(|(_, text)| text.contains(&tag(publish.id)));
        if there {
            self.acked.insert(publish.id, publish.append);
        }
    }

    fn stage(&mut self, publish: Publish) {
        let log = self.log.as_mut().unwrap();
        if !log.admits(publish.append.weight()) {
            return;
        }
        match log.stage(&publish.append, self.now).expect("the script keeps the bounds") {
            Staged::Pending => {}
            Staged::Duplicate => self.tally.duplicates += 1,
        }
        self.in_flight.push(publish);
    }

    fn acknowledge(&mut self) {
        for publish in std::mem::take(&mut self.in_flight) {
            self.acked.insert(publish.id, publish.append);
        }
    }

    fn step(&mut self) {
        self.now.mono_ms += self.rng.below(400);
        match self.rng.below(10) {
            0..=4 => {
                let publish = self.publish();
                self.stage(publish);
            }
            5..=7 => self.commit(),
            8 => self.seal(),
            _ => {
                let seal_all = self.rng.below(3) == 0;
                if seal_all && self.plan.is_none() {
                    self.plan = self.log.as_mut().unwrap().plan_seal(self.now.mono_ms, true);
                }
                self.seal();
            }
        }
    }

    fn commit(&mut self) {
        match self.log.as_mut().unwrap().commit(self.now) {
            Ok(()) => self.acknowledge(),
            Err(_) => self.tally.commit_errors += 1,
        }
    }

    /// When the disk works again, so must the log, without a restart.
    fn recover_in_place(&mut self) {
        self.disk.set_faults(Faults::default());
        let publish = self.publish();
        self.stage(publish);
        for _ in 0..20 {
            let errors = self.tally.commit_errors;
            self.commit();
            if self.tally.commit_errors == errors {
                return;
            }
            self.plan =
                self.plan.take().or_else(|| self.log.as_mut().unwrap().plan_seal(self.now.mono_ms, true));
            self.seal();
        }
        panic!("the disk works again and commits still fail");
    }

    fn seal(&mut self) {
        let log = self.log.as_mut().unwrap();
        let plan = self.plan.take().or_else(|| log.plan_seal(self.now.mono_ms, false));
        if let Some(plan) = plan {
            match seal(&log.shared(), &plan) {
                Ok(()) => log.sealed(&plan),
                Err(_) => {
                    self.tally.seal_errors += 1;
                    self.plan = Some(plan);
                }
            }
        }
    }

    fn publish(&mut self) -> Publish {
        let id = self.next_id;
        self.next_id += 1;
        let mut append = Append { urgency: Urgency::Publisher, ..Append::default() };
        let kind = self.rng.below(10);
        if kind == 0 || id == 0 {
            append.definitions = definitions(id, self.now);
        }
        if kind == 1 {
            append.events = vec![event(id, self.now, self.rng.below(2) == 0)];
        }
        if kind == 2 {
            append.sample_class = SampleClass::Bulk;
        }
        let count = if self.rng.below(8) == 0 { 100 + self.rng.below(100) } else { self.rng.below(6) };
        for n in 0..=count {
            append.samples.push(sample(id, n, self.now, &mut self.rng));
        }
        if self.rng.below(4) > 0 {
            self.next_packet = self.next_packet % 200 + 1;
            let incarnation = 1 + id % 3;
            append.mark =
                Some(PublishMark { incarnation, packet_id: self.next_packet, content_hash: id, dup: false });
        }
        Publish { id, append }
    }

    /// The whole promise, checked by reading everything.
    fn check(&mut self) {
        let reader = Reader::new(self.log.as_ref().unwrap().shared());
        let found = contents(&reader);
        let mut owners: BTreeMap<u64, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for ((place, text), record) in &found {
            assert!(seen.insert(text.clone()), "stored twice: {text}");
            let id = id_of(record);
            *owners.entry(id).or_default() += 1;
            if self.acked.contains_key(&id) {
                // (A record's place is remembered from when it was first seen acknowledged.)
                let known = self.places.entry(*place).or_insert_with(|| text.clone());
                assert_eq!(known, text, "a number changed its record");
            }
        }
        let mut by_owner: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for record in found.values() {
            by_owner.entry(id_of(record)).or_default().push(timeless(record));
        }
        for (id, append) in &self.acked {
            let count = owners.get(id).copied().unwrap_or_default();
            let mut stored = by_owner.remove(id).unwrap_or_default();
            let mut sent: Vec<String> = records_of(append).iter().map(timeless).collect();
            stored.sort();
            sent.sort();
            assert_eq!(stored, sent, "append {id} came back changed");
            assert_eq!(count, append.len(), "append {id} was acknowledged and is not there whole");
        }
        for (id, count) in owners {
            let sent =
                self.acked.get(&id).or_else(|| self.in_flight.iter().find(|p| p.id == id).map(|p| &p.append));
            let whole = sent.map(Append::len);
            assert_eq!(Some(count), whole, "append {id} is there in part, or was never sent");
        }
        let mut defined = Catalog::default();
        for record in found.values() {
            if let Record::Definition(definition) = record {
                defined.insert(definition);
            }
        }
        let known: Vec<Definition> = reader.catalog().definitions().collect();
        assert_eq!(known, defined.definitions().collect::<Vec<_>>(), "the catalog is what was defined");
        let ledger = reader.ledger().expect("the ledger reads");
        assert!(ledger.classes.iter().all(|c| c.balanced()), "{ledger:?}");
        let gaps = reader.gaps().expect("gaps read");
        assert!(gaps.iter().all(|g| g.cause == GapCause::Restart && g.range.is_empty()), "{gaps:?}");
        self.tally.acked = self.acked.len();
        self.tally.operations = self.disk.operations();
    }
}

/// The records an append should leave.
fn records_of(append: &Append) -> Vec<Record> {
    let definitions = append.definitions.iter().cloned().map(Record::Definition);
    let samples = append.samples.iter().cloned().map(Record::Sample);
    definitions.chain(samples).chain(append.events.iter().cloned().map(Record::Event)).collect()
}

/// A record without the moments that a resend changes.
fn timeless(record: &Record) -> String {
    let moment = BootStamp { boot: BootId::from_bytes([0; 16]), mono_ms: 0 };
    let still = |stamp: Stamp| if matches!(stamp, Stamp::Boot(_)) { Stamp::Boot(moment) } else { stamp };
    match record.clone() {
        Record::Sample(s) => format!("{:?}", Sample { stamp: still(s.stamp), received: moment, ..s }),
        Record::Event(e) => {
            format!("{:?}", EventRecord { stamp: Stamp::Boot(moment), received: moment, ..e })
        }
        Record::Definition(definition) => format!("{definition:?}"),
    }
}

/// Everything in the log, by place and text.
fn contents(reader: &Reader) -> BTreeMap<((Class, u64), String), Record> {
    let mut found = BTreeMap::new();
    for class in Class::ALL {
        let mut expected = 0;
        for item in reader.records(class, 0) {
            let (seq, record) = item.expect("what is in the log reads");
            assert_eq!(seq, expected, "numbers of {} are dense", class.name());
            expected = seq + 1;
            found.insert(((class, seq), format!("{}{record:?}", tag(id_of(&record)))), record);
        }
    }
    found
}

fn tag(id: u64) -> String {
    format!("<{id}>")
}

/// Every record of the script says which append it is of.
fn id_of(record: &Record) -> u64 {
    match record {
        Record::Sample(sample) => u64::from(sample.series.0 / 1000),
        Record::Event(event) => event.event.id.parse().unwrap(),
        Record::Definition(Definition::Device(device)) => device.name.as_str()[1..].parse().unwrap(),
        Record::Definition(Definition::Series(series)) => u64::from(series.id.0 / 1000),
        Record::Definition(Definition::Clock(clock)) => u64::from(clock.revision),
    }
}

fn sample(id: u64, n: u64, now: BootStamp, rng: &mut Rng) -> Sample {
    let series = SeriesId(u32::try_from(id * 1000 + n).unwrap());
    let (value, quality) = match rng.below(6) {
        0 => (Some(Value::F64(f64::from_bits(rng.next()))), Quality::GOOD),
        1 => (Some(Value::U64(rng.next())), Quality::GOOD),
        2 => (Some(Value::String("x".repeat(usize::try_from(rng.below(40)).unwrap()).into())), Quality::GOOD),
        3 => (None, Quality::bad(Reason::NoAnswer)),
        4 => (Some(Value::Bool(true)), Quality::new(hub_model::Level::Uncertain, Reason::Stale, 3)),
        _ => (Some(Value::I64(rng.next().cast_signed())), Quality::GOOD),
    };
    let wall = Stamp::Wall(UtcMs(rng.next().cast_signed()), WallSource::Device);
    let stamp = if rng.below(3) == 0 { wall } else { Stamp::Boot(now) };
    Sample { series, stamp, received: now, value, quality }
}

fn event(id: u64, now: BootStamp, alarm: bool) -> EventRecord {
    let severity = if alarm { Severity::Alarm } else { Severity::Info };
    let event = Event {
        id: id.to_string().into(),
        severity,
        code: "c".into(),
        params: vec![("p".into(), "v".into())],
        text: "t".into(),
    };
    EventRecord { device: None, stamp: Stamp::Boot(now), received: now, event }
}

fn definitions(id: u64, now: BootStamp) -> Vec<Definition> {
    let device = DeviceId::from_bytes([3; 16]);
    let key = SeriesKey {
        device,
        metric: format!("m{id}").parse().unwrap(),
        value_type: ValueType::F64,
        unit: Unit::none(),
    };
    vec![
        Definition::Device(Device { id: device, name: format!("d{id}").parse().unwrap() }),
        Definition::Series(Series {
            id: SeriesId(u32::try_from(id * 1000).unwrap()),
            key,
            dictionary: Vec::new(),
        }),
        Definition::Clock(ClockRecord {
            boot: now.boot,
            mono_from_ms: now.mono_ms,
            offset_ms: 5,
            quality: ClockQuality::Synced,
            revision: u32::try_from(id).unwrap(),
        }),
    ]
}

/// A resend is received later, perhaps in another boot.
fn restamp(append: &mut Append, now: BootStamp) {
    for sample in &mut append.samples {
        sample.received = now;
        if matches!(sample.stamp, Stamp::Boot(_)) {
            sample.stamp = Stamp::Boot(now);
        }
    }
    for event in &mut append.events {
        event.received = now;
        event.stamp = Stamp::Boot(now);
    }
}

/// Runs a script of `steps` with random misfortunes.
fn run(seed: u64, steps: u64) -> Tally {
    let mut site = Site::new(seed);
    site.open().expect("a new log opens");
    let mut plan = Rng::new(seed ^ 0xfau64);
    for _ in 0..steps {
        if plan.below(25) == 0 {
            let ahead = 1 + plan.below(60);
            site.disk.set_faults(Faults {
                power_off_at: (plan.below(2) == 0).then(|| site.disk.operations() + ahead),
                no_space_per_mille: if plan.below(3) == 0 { 300 } else { 0 },
                copy_on_write: plan.below(2) == 0,
                syncs_to_fail: 0,
                sync_fails_per_mille: if plan.below(3) == 0 { 300 } else { 0 },
            });
        }
        site.step();
        if site.disk.is_off() || plan.below(60) == 0 {
            site.crash();
        }
    }
    site.recover_in_place();
    site.crash();
    site.tally
}

/// The same short script, with the power going at every single operation of it.
fn run_every_operation(seed: u64) -> u64 {
    let mut at = 0;
    loop {
        let mut site = Site::new(seed);
        site.disk.set_faults(Faults { power_off_at: Some(at), ..Faults::default() });
        let opened = site.open().is_some();
        if opened {
            for _ in 0..40 {
                if site.disk.is_off() {
                    break;
                }
                site.step();
            }
        }
        let finished = !site.disk.is_off();
        site.crash();
        if finished {
            return at;
        }
        at += 1;
    }
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|v| v.parse::<u64>().expect("a number"));
    match number("RELAIS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RELAIS_SEEDS").unwrap_or(default),
    }
}

#[test]
fn the_log_keeps_what_it_acknowledged_through_any_misfortune() {
    let mut total = Tally::default();
    for seed in seeds(150) {
        let tally = std::panic::catch_unwind(|| run(seed, 250))
            .unwrap_or_else(|_| panic!("seed {seed} failed: replay with RELAIS_SEED={seed}"));
        total.operations += tally.operations;
        total.acked += tally.acked;
        total.crashes += tally.crashes;
        total.commit_errors += tally.commit_errors;
        total.seal_errors += tally.seal_errors;
        total.resends += tally.resends;
        total.duplicates += tally.duplicates;
    }
    println!("{total:?}");
    let several = seeds(150).count() > 20;
    let met = total.duplicates > 0 && total.commit_errors > 0 && total.seal_errors > 0;
    assert!(total.crashes > 0 && total.acked > 0 && (met || !several), "the script met what it is about");
}

#[test]
fn the_power_may_go_at_every_operation() {
    let mut cuts = 0;
    for seed in seeds(150).take(std::cmp::max(3, seeds(150).count() / 50)) {
        cuts += std::panic::catch_unwind(|| run_every_operation(seed))
            .unwrap_or_else(|_| panic!("seed {seed} failed: replay with RELAIS_SEED={seed}"));
    }
    println!("power cut at {cuts} operations");
    assert!(cuts > 100, "the script has operations to cut");
}

#[test]
fn a_seed_replays_exactly() {
    assert_eq!(run(4711, 150), run(4711, 150));
}
