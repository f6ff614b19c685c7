//! The log against a disk that fails, by seed: power cut at every operation, forgotten and torn writes, failed syncs,
//! no space anywhere. The model is a plain list of what was acknowledged; meanwhile central confirms at random, and
//! every other run has so small a quota that blocks go.
//!
//! `RELAIS_SEEDS=n` sets how many seeds run, `RELAIS_SEED=s` replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_model::{
    BootId, BootStamp, Class, ClockQuality, ClockRecord, Device, DeviceId, Event, EventRecord, Gap, GapCause,
    HubId, Quality, RangeSet, Reason, Sample, SeqRange, Series, SeriesId, SeriesKey, Severity, Stamp, Unit,
    UtcMs, Value, ValueType, WallSource,
};

use crate::append::{Append, PublishMark, SampleClass, Urgency};
use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::disk::sim::{Faults, Rng, SimDisk};
use crate::log::{CoreConfig, Log, Staged, evict, seal};
use crate::open::{OpenContext, Recovery, open_core};
use crate::outbox::{Content, HeldClass, Outbox, OutboxItem, Recheck};
use crate::reader::Reader;
use crate::record::{Definition, Record};
use crate::seal::SealPlan;
use crate::shared::get;

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
    confirm_errors: u64,
    expired: u64,
    evicted: u64,
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
    config: CoreConfig,
    now: BootStamp,
    next_id: u64,
    next_packet: u16,
    /// Acknowledged: everything below must be there exactly once, for ever.
    acked: BTreeMap<u64, Append>,
    /// Sent since the last commit.
    in_flight: Vec<Publish>,
    /// Where each record of an acknowledged append was seen: numbers never change.
    places: BTreeMap<(Class, u64), String>,
    /// Every block the outbox gave, by where it begins.
    given: BTreeMap<(Class, u64), (SeqRange, Vec<u8>)>,
    /// What central has surely confirmed, and what it may have: a confirmation that failed may be on flash.
    confirmed: BTreeMap<Class, (RangeSet, RangeSet)>,
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
            config: CoreConfig {
                quota_bytes: if seed.is_multiple_of(2) { 1 << 40 } else { 12_000 },
                ..CONFIG
            },
            now,
            next_id: 0,
            next_packet: 0,
            acked: BTreeMap::new(),
            in_flight: Vec::new(),
            places: BTreeMap::new(),
            given: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn open(&mut self) -> Option<Recovery> {
        let mut seed = [7; 32];
        seed[0] = 1;
        let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: self.now, seed };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        match open_core(&disk, self.config, &context) {
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
        assert!(recovery.missing.is_empty(), "a crash takes no files away: {recovery:?}");
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
        let gone = self.gone_numbers();
        let there = contents(&reader, &gone).keys().any(|(_, text)| text.contains(&tag(publish.id)));
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
        match self.rng.below(12) {
            0..=4 => {
                let publish = self.publish();
                self.stage(publish);
            }
            5..=7 => self.commit(),
            8 => self.seal(),
            10 => self.confirm(),
            11 => self.look_at_outbox(),
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
                Ok(()) => {
                    if evict(&log.shared(), self.config.quota_bytes).is_err() {
                        // As the sealer does; what does not work now is tried before the next write.
                        log.shared().tables.reopen().ok();
                    }
                    log.sealed(&plan);
                }
                Err(_) => {
                    self.tally.seal_errors += 1;
                    self.plan = Some(plan);
                }
            }
        }
    }

    fn outbox(&self) -> Outbox {
        let now = self.now;
        Outbox::new(self.log.as_ref().unwrap().shared(), Arc::new(move || now))
    }

    /// Central confirms some range, or everything it has after it was restored.
    fn confirm(&mut self) {
        let outbox = self.outbox();
        let Ok(held) = outbox.held() else { return };
        let class = [Class::Telemetry, Class::Telemetry, Class::Bulk, Class::Meta]
            [usize::try_from(self.rng.below(4)).unwrap()];
        let next = held[class.index()].next;
        let from = self.rng.below(next + 1) / 2;
        let some = SeqRange::new(from, from + self.rng.below(next + 1));
        let mut new = RangeSet::from_range(some);
        let replaces = self.rng.below(6) == 0;
        let batch = [(class, new.clone())];
        let done = if replaces { outbox.replace_confirmed(&batch) } else { outbox.confirm(&batch) };
        new.remove(SeqRange::new(next, u64::MAX));
        let (sure, possible) = self.confirmed.entry(class).or_default();
        match (done.is_ok(), replaces) {
            (true, true) => (*sure, *possible) = (new.clone(), new),
            (true, false) => {
                sure.extend_from(&new);
                possible.extend_from(&new);
            }
            (false, replaces) => {
                self.tally.confirm_errors += 1;
                if replaces {
                    let lost: Vec<SeqRange> = new.missing_within(SeqRange::new(0, u64::MAX)).collect();
                    lost.into_iter().for_each(|range| sure.remove(range));
                }
                possible.extend_from(&new);
            }
        }
    }

    /// Asks for anything at any time: on a failing disk there may be no answer, and never one with a hole.
    fn look_at_outbox(&mut self) {
        let outbox = self.outbox();
        let class = if self.rng.below(2) == 0 { Class::Telemetry } else { Class::Bulk };
        let from = self.rng.below(400);
        let wanted = SeqRange::new(from, from + self.rng.below(400));
        let bytes_max = usize::try_from(self.rng.below(3000)).unwrap();
        let Ok(items) = outbox.items(class, wanted, bytes_max) else { return };
        if let Some(first) = items.first() {
            assert!(first.range.from <= from && from < first.range.to, "{wanted} begins in {items:?}");
        }
        assert!(items.windows(2).all(|pair| pair[0].range.to == pair[1].range.from), "without a hole");
        let bytes = |item: &OutboxItem| if let Content::Block(b) = &item.content { b.len() } else { 0 };
        let rest: usize = items.iter().skip(1).map(bytes).sum();
        assert!(rest == 0 || items.iter().map(bytes).sum::<usize>() <= bytes_max);
    }

    /// Every item there is, in pieces of any size, checked to answer for every number exactly once.
    fn all_items(&mut self, class: Class) -> Vec<OutboxItem> {
        let outbox = self.outbox();
        let next = outbox.held().expect("it reads")[class.index()].next;
        let (mut items, mut at) = (Vec::new(), 0);
        while at < next {
            let bytes_max = usize::try_from(self.rng.below(5000)).unwrap();
            let piece = outbox.items(class, SeqRange::new(at, next), bytes_max).expect("items read");
            assert!(!piece.is_empty(), "every number has an answer");
            for item in piece {
                assert_eq!(item.range.from, at, "every number has one answer");
                at = item.range.to;
                items.push(item);
            }
        }
        assert_eq!(at, next, "nothing is sealed beyond what is told");
        items
    }

    /// The numbers whose records went for the quota.
    fn gone_numbers(&mut self) -> BTreeMap<Class, RangeSet> {
        let gone = |class: Class| {
            let items = self.all_items(class).into_iter();
            let gaps = items.filter(|item| matches!(item.content, Content::Gap { .. }));
            (class, gaps.map(|item| item.range).collect())
        };
        Class::ALL.into_iter().map(gone).collect()
    }

    /// Blocks are what they were, or expired, or evicted; restarts ride along; confirmations are what they may be.
    fn check_outbox(&mut self) {
        let outbox = self.outbox();
        let gaps = Reader::new(self.log.as_ref().unwrap().shared()).gaps().expect("gaps read");
        for HeldClass { class, next, confirmed, .. } in outbox.held().expect("it reads") {
            let items = self.all_items(class);
            self.check_given(class, &items);
            let riding: Vec<SeqRange> = items.iter().flat_map(|i| &i.zero_gaps).map(|g| g.range).collect();
            let restart = |g: &&Gap| g.class == class && g.range.is_empty() && g.range.from < next;
            assert_eq!(riding, gaps.iter().filter(restart).map(|g| g.range).collect::<Vec<_>>());
            let (sure, possible) = self.confirmed.entry(class).or_default();
            assert!(
                sure.iter().all(|r| confirmed.covers(r)),
                "confirmed and forgotten: {sure:?} {confirmed:?}"
            );
            assert!(
                confirmed.iter().all(|r| possible.covers(r)),
                "nobody confirmed {confirmed:?}: {possible:?}"
            );
            // What is on flash now is what there is.
            (*sure, *possible) = (confirmed.clone(), confirmed);
        }
        let counters = &self.log.as_ref().unwrap().shared().counters;
        assert_eq!(get(&counters.quarantined), 0, "a crash damages no block");
    }

    fn check_given(&mut self, class: Class, items: &[OutboxItem]) {
        for ((_, from), (range, bytes)) in self.given.range((class, 0)..=(class, u64::MAX)) {
            let item = items.iter().find(|i| i.range.to > *from).expect("what was sealed stays sealed");
            match &item.content {
                Content::Block(now) => assert_eq!((item.range, now), (*range, bytes), "a block changed"),
                Content::Gap { cause, .. } => {
                    assert!(matches!(cause, GapCause::Expired | GapCause::Evicted), "{item:?}");
                    assert!(item.range.covers(*range), "a block went in part: {item:?}");
                }
            }
        }
        for item in items {
            if let Content::Block(bytes) = &item.content {
                self.given.insert((class, item.range.from), (item.range, bytes.clone()));
                let again = self.outbox().recheck(class, item.range).expect("it looks");
                assert_eq!(again, Recheck::Good);
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
        self.check_outbox();
        let gone = self.gone_numbers();
        let reader = Reader::new(self.log.as_ref().unwrap().shared());
        let found = contents(&reader, &gone);
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
        let mut missing = 0;
        for (id, append) in &self.acked {
            let mut unseen: Vec<String> = records_of(append).iter().map(timeless).collect();
            for stored in by_owner.remove(id).unwrap_or_default() {
                let at = unseen.iter().position(|sent| *sent == stored);
                unseen.swap_remove(at.unwrap_or_else(|| panic!("append {id} came back changed: {stored}")));
            }
            missing += unseen.len() as u64;
        }
        let told: u64 = gone.values().map(RangeSet::len).sum();
        assert_eq!(missing, told, "what was acknowledged and is not there is what went for the quota");
        for (id, count) in owners.into_iter().filter(|(id, _)| !self.acked.contains_key(id)) {
            let sent = self.in_flight.iter().find(|p| p.id == id).map(|p| &p.append);
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
        let evicted = |g: &Gap| g.cause == GapCause::Evicted && gone[&g.class].covers(g.range);
        let expected = |g: &Gap| g.cause == GapCause::Restart && g.range.is_empty() || evicted(g);
        assert!(gaps.iter().all(expected), "{gaps:?}");
        self.tally.expired = ledger.classes.iter().map(|c| c.expired).sum();
        self.tally.evicted = ledger.classes.iter().map(|c| c.gaps).sum();
        assert_eq!(self.tally.expired + self.tally.evicted, told);
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
fn contents(reader: &Reader, gone: &BTreeMap<Class, RangeSet>) -> BTreeMap<((Class, u64), String), Record> {
    let mut found = BTreeMap::new();
    for class in Class::ALL {
        let mut expected = 0;
        for item in reader.records(class, 0) {
            let (seq, record) = item.expect("what is in the log reads");
            expected = gone[&class].upto(expected);
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
                ..Faults::default()
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
        total.confirm_errors += tally.confirm_errors;
        total.expired += tally.expired;
        total.evicted += tally.evicted;
    }
    println!("{total:?}");
    let several = seeds(150).count() > 20;
    let met = total.duplicates > 0 && total.commit_errors > 0 && total.seal_errors > 0;
    let met = met && total.confirm_errors > 0 && total.expired > 0 && total.evicted > 0;
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
