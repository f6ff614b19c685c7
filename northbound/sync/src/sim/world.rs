//! The world of one run: the queue of what happens next, and what must hold at the end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hub_model::{GapCause, RangeSet, SeqRange, UtcMs};
use northbound_wire::{Lane, Message, RefusalCode, decode, encode};

use super::central_end::{CentralEnd, Disk};
use super::hub_end::{HubEnd, lanes};
use super::link::Weather;
use super::random::Random;
use crate::{Arrival, CentralOutput, Content, HubOutput, Item, Kind, Placed, Recheck};

/// When nothing goes wrong any more.
const CALM_FROM_MS: u64 = 3_600_000;
/// By when everything must be across.
const END_MS: u64 = CALM_FROM_MS + 3_600_000;
/// A backup of central is this old.
const BACKUP_AGE_MS: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Seal,
    Evict,
    KillHub,
    KillCentral,
    Backup,
    RestoreCentral,
    Cut,
    Connect,
    Weather,
    Calm,
    /// The core's own wish; of this life of the hub.
    HubTimeout(u64),
    /// Of this connection.
    ToHub(u64, Vec<u8>),
    ToCentral(u64, Vec<u8>),
    /// The log's answer, in this life of the hub.
    Fetched(u64, Lane, SeqRange, usize),
    Rechecked(u64, Lane, SeqRange),
    /// Small neighbours of the log become one block.
    Merge,
    /// A central takes over that reads newer blocks.
    Upgrade,
    /// The storage's answers, in this life of central; what it has is of the moment it was asked.
    Loaded(u64, Vec<(Lane, Vec<SeqRange>)>),
    Stored(u64, usize),
}

/// What happened in a run, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    sealed: u64,
    messages: u64,
    lost: u64,
    doubled: u64,
    cuts: u64,
    hub_kills: u64,
    central_kills: u64,
    restores: u64,
    rewound: u64,
    replaced: u64,
    evicted: u64,
    merged: u64,
    damaged: u64,
    too_new: u64,
    storage_failures: u64,
    stored: u64,
    gaps: u64,
    zero_gaps: u64,
    more_holes: u64,
    ended_at_ms: u64,
}

impl Outcome {
    fn counts(&self) -> [(&'static str, u64); 19] {
        [
            ("sealed", self.sealed),
            ("messages", self.messages),
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("cuts", self.cuts),
            ("hub_kills", self.hub_kills),
            ("central_kills", self.central_kills),
            ("restores", self.restores),
            ("rewound", self.rewound),
            ("replaced", self.replaced),
            ("evicted", self.evicted),
            ("merged", self.merged),
            ("damaged", self.damaged),
            ("too_new", self.too_new),
            ("storage_failures", self.storage_failures),
            ("stored", self.stored),
            ("gaps", self.gaps),
            ("zero_gaps", self.zero_gaps),
            ("more_holes", self.more_holes),
        ]
    }

    pub(super) fn add(&mut self, other: &Outcome) {
        self.sealed += other.sealed;
        self.messages += other.messages;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.cuts += other.cuts;
        self.hub_kills += other.hub_kills;
        self.central_kills += other.central_kills;
        self.restores += other.restores;
        self.rewound += other.rewound;
        self.replaced += other.replaced;
        self.evicted += other.evicted;
        self.merged += other.merged;
        self.damaged += other.damaged;
        self.too_new += other.too_new;
        self.storage_failures += other.storage_failures;
        self.stored += other.stored;
        self.gaps += other.gaps;
        self.zero_gaps += other.zero_gaps;
        self.more_holes += other.more_holes;
        self.ended_at_ms = self.ended_at_ms.max(other.ended_at_ms);
    }

    /// A simulation in which a fault never strikes proves nothing of it.
    pub(super) fn assert_that_everything_happened(&self) {
        for (name, count) in self.counts() {
            assert!(count > 0, "no run had any {name}");
        }
    }
}

pub(super) struct World {
    random: Random,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    queued: u64,
    weather: Weather,
    calm: bool,
    /// The term of the central that reads newer blocks, once there is one.
    upgraded_term: Option<u64>,
    hub: HubEnd,
    central: CentralEnd,
    /// Number of the connection, of the hub's life and of central's.
    connection: u64,
    connected: bool,
    hub_life: u64,
    central_life: u64,
    /// What waits for its commit.
    storing: Vec<Option<Arrival>>,
    backups: Vec<(u64, Disk)>,
    timer: Option<u64>,
    outcome: Outcome,
}

impl World {
    pub(super) fn new(mut random: Random) -> World {
        let weather = Weather::any(&mut random);
        World {
            random,
            now_ms: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            weather,
            calm: false,
            upgraded_term: None,
            hub: HubEnd::new(),
            central: CentralEnd::new(),
            connection: 0,
            connected: false,
            hub_life: 0,
            central_life: 0,
            storing: Vec::new(),
            backups: Vec::new(),
            timer: None,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn run(mut self) -> Result<Outcome, String> {
        self.foresee();
        while let Some(Reverse((at_ms, _, event))) = self.queue.pop() {
            self.now_ms = at_ms;
            if at_ms > END_MS {
                return Err(format!("not across after {END_MS} ms: {}", self.lack()));
            }
            self.apply(event)?;
            self.pump()?;
            if self.calm && self.is_across() {
                break;
            }
        }
        if !self.is_across() {
            return Err(format!("nothing happens any more, and it is not across: {}", self.lack()));
        }
        self.check()?;
        self.outcome.ended_at_ms = self.now_ms;
        Ok(self.outcome)
    }

    /// Everything that chance decides in advance.
    fn foresee(&mut self) {
        self.at(0, Event::Connect);
        self.at(CALM_FROM_MS - 600_000, Event::Upgrade);
        self.at(CALM_FROM_MS, Event::Calm);
        let often = |world: &mut World, event: Event, every_ms: u64| {
            let mut at_ms = 0;
            loop {
                at_ms += world.random.within(1, every_ms * 2);
                if at_ms >= CALM_FROM_MS {
                    return;
                }
                world.at(at_ms, event.clone());
            }
        };
        let rare = |world: &mut World| world.random.within(200_000, 2_000_000);
        often(self, Event::Seal, 20_000);
        for event in [
            Event::Evict,
            Event::Merge,
            Event::Weather,
            Event::KillHub,
            Event::KillCentral,
            Event::RestoreCentral,
        ] {
            let every = rare(self);
            often(self, event, every);
        }
        often(self, Event::Backup, 300_000);
        let cuts = self.random.within(20_000, 600_000);
        often(self, Event::Cut, cuts);
    }

    fn at(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at_ms, self.queued, event)));
    }

    fn soon(&mut self, delay_max_ms: u64, event: Event) {
        let at_ms = self.now_ms + self.random.within(1, delay_max_ms);
        self.at(at_ms, event);
    }

    fn apply(&mut self, event: Event) -> Result<(), String> {
        let now_ms = self.now_ms;
        match event {
            Event::Seal => {
                self.outcome.sealed += 1;
                self.hub.seal(&mut self.random);
                let held = self.hub.held();
                self.hub.core.handle_held(held, now_ms);
            }
            Event::Evict => {
                self.outcome.evicted += 1;
                self.hub.evict(&mut self.random);
                let held = self.hub.held();
                self.hub.core.handle_held(held, now_ms);
            }
            Event::Merge => {
                self.outcome.merged += u64::from(self.hub.merge(&mut self.random));
            }
            Event::Upgrade => {
                self.kill_central();
                self.central.disk.term += 1;
                self.upgraded_term = Some(self.central.disk.term);
            }
            Event::KillHub => {
                self.outcome.hub_kills += 1;
                self.cut();
                self.hub_life += 1;
                // The hub counts its lives, so no two runs have one token.
                self.hub.restart(self.hub_life + 2, now_ms);
            }
            Event::KillCentral => {
                self.outcome.central_kills += 1;
                self.kill_central();
            }
            Event::Backup => self.backups.push((now_ms, self.central.disk.clone())),
            Event::RestoreCentral => self.restore_central(),
            Event::Cut => {
                self.outcome.cuts += 1;
                self.cut();
            }
            Event::Connect => self.connect(),
            Event::Weather => self.weather = Weather::any(&mut self.random),
            Event::Calm => self.become_calm(),
            Event::HubTimeout(_)
            | Event::ToHub(..)
            | Event::ToCentral(..)
            | Event::Fetched(..)
            | Event::Rechecked(..)
            | Event::Loaded(..)
            | Event::Stored(..) => self.arrive(event)?,
        }
        Ok(())
    }

    /// What the ends have waited for. What an earlier life or connection waited for is nobody's any more.
    fn arrive(&mut self, event: Event) -> Result<(), String> {
        let now_ms = self.now_ms;
        match event {
            Event::HubTimeout(life) => {
                if life == self.hub_life && self.timer == Some(now_ms) {
                    self.timer = None;
                    self.hub.core.handle_timeout(now_ms);
                }
            }
            Event::ToHub(connection, bytes) => {
                if self.connected && connection == self.connection {
                    let message = decode(&bytes[4..]).map_err(|e| e.to_string())?;
                    self.hub.core.handle_message(message, now_ms);
                }
            }
            Event::ToCentral(connection, bytes) => {
                if self.connected
                    && connection == self.connection
                    && let Some(core) = &mut self.central.core
                {
                    core.handle_message(decode(&bytes[4..]).map_err(|e| e.to_string())?);
                }
            }
            Event::Fetched(life, lane, wanted, bytes_max) if life == self.hub_life => {
                let items: Vec<Item> = self.hub.logs[&lane].items(wanted, bytes_max);
                self.hub.core.handle_items(lane, wanted, items, now_ms);
            }
            Event::Rechecked(life, lane, range) if life == self.hub_life => self.recheck(lane, range),
            Event::Loaded(life, accounted) if life == self.central_life => {
                let set = |ranges: Vec<SeqRange>| {
                    ranges.into_iter().fold(RangeSet::new(), |mut set, range| {
                        set.insert(range);
                        set
                    })
                };
                let accounted = accounted.into_iter().map(|(lane, ranges)| (lane, set(ranges))).collect();
                if let Some(core) = &mut self.central.core {
                    core.handle_accounted(accounted, &self.central.disk.runs);
                }
            }
            Event::Stored(life, at) if life == self.central_life => self.stored(at),
            Event::Fetched(..) | Event::Rechecked(..) | Event::Loaded(..) | Event::Stored(..) => {}
            Event::Seal
            | Event::Evict
            | Event::Merge
            | Event::Upgrade
            | Event::KillHub
            | Event::KillCentral
            | Event::Backup
            | Event::RestoreCentral
            | Event::Cut
            | Event::Connect
            | Event::Weather
            | Event::Calm => {}
        }
        Ok(())
    }

    fn connect(&mut self) {
        if self.connected {
            return;
        }
        self.connection += 1;
        self.connected = true;
        self.central.connect();
        self.hub.core.handle_connected(self.now_ms, UtcMs(0));
    }

    /// Both ends notice; what is on its way is gone. Stores that were handed over go on.
    fn cut(&mut self) {
        if self.connected {
            self.connected = false;
            self.hub.core.handle_disconnected(self.now_ms);
            self.central.core = None;
            self.soon(60_000, Event::Connect);
        }
    }

    fn kill_central(&mut self) {
        self.cut();
        self.central_life += 1;
        self.storing.clear();
    }

    fn restore_central(&mut self) {
        let young = self.now_ms.saturating_sub(BACKUP_AGE_MS);
        let Some((_, disk)) = self.backups.iter().rfind(|(at_ms, _)| *at_ms <= young).cloned() else {
            return;
        };
        self.outcome.restores += 1;
        self.kill_central();
        // Half of the operators say that it is a restored copy.
        let term = if self.random.chance(500) { self.hub.term_seen.max(disk.term) + 1 } else { disk.term };
        self.central.disk =
            Disk { term: term.max(self.hub.term_seen).max(self.upgraded_term.unwrap_or(0)), ..disk };
    }

    /// The weather clears. In half of the runs the connection goes on, and has to mend by itself what it lost.
    fn become_calm(&mut self) {
        (self.weather, self.calm) = (Weather::CALM, true);
        if self.random.chance(500) {
            self.cut();
        }
    }

    fn recheck(&mut self, lane: Lane, range: SeqRange) {
        let log = self.hub.logs.get_mut(&lane).expect("a lane of the hub");
        let bad = log.items.get(&range.from).is_some_and(|(_, content)| match content {
            Content::Block(bytes) => bytes[0] == super::hub_end::DAMAGED,
            Content::Gap { .. } => true,
        });
        if bad && log.items.get(&range.from).is_some_and(|(_, content)| matches!(content, Content::Block(_)))
        {
            log.give_up(range.from, 1, GapCause::Corrupted);
        }
        let found = if bad { Recheck::Gone } else { Recheck::Good };
        self.hub.core.handle_rechecked(lane, range, found, self.now_ms);
    }

    fn stored(&mut self, at: usize) {
        let Some(arrival) = self.storing.get_mut(at).and_then(Option::take) else { return };
        let placed = if !self.calm && self.random.chance(10) {
            self.outcome.storage_failures += 1;
            Placed::Refused(RefusalCode::StorageFailed, "disk".to_owned())
        } else {
            self.central.store(&arrival, self.upgraded_term.is_some())
        };
        if let Placed::Refused(code, _) = &placed {
            self.outcome.damaged += u64::from(*code == RefusalCode::BlockDamaged);
            self.outcome.too_new += u64::from(*code == RefusalCode::BlockVersion);
        }
        if let Some(core) = &mut self.central.core {
            core.handle_placed(arrival.lane, arrival.range, placed);
        }
    }

    /// Asks both cores what to do until neither wants anything.
    fn pump(&mut self) -> Result<(), String> {
        while let Some(output) = self.hub.core.poll_output() {
            self.apply_hub(output)?;
        }
        while let Some(output) = self.central.core.as_mut().and_then(crate::CentralSync::poll_output) {
            self.apply_central(output)?;
        }
        let due = self.hub.core.poll_timeout();
        if due.is_some_and(|at| self.timer.is_none_or(|set| at < set || set <= self.now_ms)) {
            self.timer = due.map(|at| at.max(self.now_ms + 1));
            self.at(self.timer.unwrap_or(0), Event::HubTimeout(self.hub_life));
        }
        Ok(())
    }

    fn send(&mut self, event: impl Fn(u64, Vec<u8>) -> Event, message: &Message) {
        self.outcome.messages += 1;
        let arrivals = self.weather.arrivals(&mut self.random);
        match arrivals.len() {
            0 => self.outcome.lost += 1,
            1 => {}
            _ => self.outcome.doubled += 1,
        }
        for delay_ms in arrivals {
            self.at(self.now_ms + delay_ms, event(self.connection, encode(message)));
        }
    }

    fn apply_hub(&mut self, output: HubOutput) -> Result<(), String> {
        let life = self.hub_life;
        match output {
            HubOutput::Send { message, .. } => self.send(Event::ToCentral, &message),
            HubOutput::Fetch { lane, wanted, bytes_max } => {
                self.soon(30, Event::Fetched(life, lane, wanted, bytes_max));
            }
            HubOutput::Confirm { lane, ranges } => {
                self.check_confirmed(lane, &ranges)?;
                self.hub.confirmed.entry(lane).or_default().extend_from(&ranges);
            }
            HubOutput::Replace { lane, confirmed } => {
                self.outcome.replaced += 1;
                self.check_confirmed(lane, &confirmed)?;
                self.hub.confirmed.insert(lane, confirmed);
            }
            HubOutput::Term(term) => self.hub.term_seen = term,
            HubOutput::Recheck { lane, range } => self.soon(30, Event::Rechecked(life, lane, range)),
            HubOutput::Overtaken { lane, have_upto, next, .. } => {
                return Err(format!("{lane:?} overtaken: {have_upto} > {next}"));
            }
            HubOutput::Disconnect(refusal) => return Err(format!("the hub disconnects: {refusal}")),
        }
        Ok(())
    }

    fn apply_central(&mut self, output: CentralOutput) -> Result<(), String> {
        let life = self.central_life;
        match output {
            CentralOutput::Load(lanes) => {
                let accounted = self.central.accounted(&lanes);
                let accounted =
                    accounted.into_iter().map(|(lane, set)| (lane, set.iter().collect())).collect();
                self.soon(30, Event::Loaded(life, accounted));
            }
            CentralOutput::Store(arrival) => {
                self.storing.push(Some(arrival));
                self.soon(400, Event::Stored(life, self.storing.len() - 1));
            }
            CentralOutput::Send(message) => {
                self.check_said(&message)?;
                self.send(Event::ToHub, &message);
            }
            CentralOutput::Greeted(_) => {}
            CentralOutput::Run(run) => {
                self.central.disk.runs.insert(run.epoch, run.token);
            }
            CentralOutput::Rewound { .. } => self.outcome.rewound += 1,
            CentralOutput::Close(refusal) => return Err(format!("central closes: {refusal}")),
        }
        Ok(())
    }

    /// Nothing is acknowledged before it is durable.
    fn check_said(&mut self, message: &Message) -> Result<(), String> {
        match message {
            Message::Ack(ack) => {
                let upto = SeqRange::new(0, ack.upto);
                for range in ack.ranges.iter().copied().chain([upto]) {
                    if !self.central.has(ack.lane, range) {
                        return Err(format!("{:?} {range} is acknowledged and not on the disk", ack.lane));
                    }
                }
            }
            Message::Resume(resume) => {
                self.outcome.more_holes += resume.lanes.iter().filter(|lane| lane.more_holes).count() as u64;
            }
            Message::StreamHead(_)
            | Message::Hello(_)
            | Message::Block(_)
            | Message::Gap(_)
            | Message::Credit(_)
            | Message::Refusal(_)
            | Message::EnrolRequest(_)
            | Message::EnrolAnswer(_) => {}
        }
        Ok(())
    }

    /// Nothing counts as confirmed that is not durable at central.
    fn check_confirmed(&self, lane: Lane, confirmed: &RangeSet) -> Result<(), String> {
        match confirmed.iter().find(|range| !self.central.has(lane, *range)) {
            Some(range) => Err(format!("{lane:?} {range} counts as confirmed and is not on central's disk")),
            None => Ok(()),
        }
    }

    fn whole(&self, lane: Lane) -> RangeSet {
        RangeSet::from_range(SeqRange::new(0, self.hub.logs[&lane].next))
    }

    fn is_across(&self) -> bool {
        lanes().all(|lane| {
            let have = self.central.disk.lanes.get(&lane);
            let have = have.map(super::central_end::LaneDisk::accounted).unwrap_or_default();
            let confirmed = self.hub.confirmed.get(&lane).cloned().unwrap_or_default();
            have == self.whole(lane) && confirmed == have
        })
    }

    fn lack(&self) -> String {
        let lane = |lane: Lane| {
            let have = self.central.accounted(&[lane]).remove(0).1;
            let confirmed = self.hub.confirmed.get(&lane).cloned().unwrap_or_default();
            let next = self.hub.logs[&lane].next;
            format!("{} of {next}: central {have:?}, confirmed {confirmed:?}", lane.class.name())
        };
        let lanes: Vec<String> = lanes().map(lane).collect();
        format!("{}; {:?}", lanes.join("; "), self.hub.core.progress())
    }

    /// Every number once, with the bytes it was sealed with, or with the reason why there are none.
    fn check(&mut self) -> Result<(), String> {
        for lane in lanes() {
            let log = &self.hub.logs[&lane];
            let Some(disk) = self.central.disk.lanes.get(&lane) else { continue };
            let mut stored = BTreeMap::new();
            for (entry, bytes) in &disk.entries {
                match entry.kind {
                    Kind::Stored => {
                        self.outcome.stored += 1;
                        if log.truth.get(&entry.range) != bytes.as_ref() {
                            return Err(format!("{lane:?} {} is not as it was sealed", entry.range));
                        }
                        stored.insert(entry.range.from, entry.range.to);
                    }
                    Kind::Gap | Kind::Expired | Kind::Deleted => self.outcome.gaps += 1,
                }
            }
            let starts: Vec<(u64, u64)> = stored.into_iter().collect();
            let mut stored = RangeSet::new();
            starts.iter().for_each(|(from, to)| stored.insert(SeqRange::new(*from, *to)));
            if starts.windows(2).any(|pair| pair[0].1 > pair[1].0) {
                return Err(format!("{lane:?} is stored twice"));
            }
            for (from, (to, content)) in &log.items {
                if matches!(content, Content::Block(_)) && !stored.covers(SeqRange::new(*from, *to)) {
                    return Err(format!("{lane:?} {from}..{to} is at the hub and not at central"));
                }
            }
            let wanted: Vec<u64> = log.zero_gaps.range(..log.next).copied().collect();
            let have: Vec<u64> = disk.zero_gaps.iter().copied().collect();
            self.outcome.zero_gaps += have.len() as u64;
            if have != wanted {
                return Err(format!("{lane:?} zero-length gaps are {have:?} instead of {wanted:?}"));
            }
        }
        Ok(())
    }
}
