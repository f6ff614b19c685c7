//! Who is asked next on one endpoint, and what follows from the answer. A core: `now` comes in, requests come out.
//!
//! One request is out at a time. Groups are due at their interval, spread over it by a phase; a group that could not be
//! served in time skips and never queues. Whoever is due longest goes first, so that all keep their share when the bus is
//! full. A unit that does not answer is asked once for each cycle, then only by probes, and these get at most a tenth of
//! the bus while other units answer. Every register is accounted for in every cycle: read, or failed with a quality that
//! says why.

mod line;
mod random;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hub_model::{Quality, Reason};

use super::address::Table;
use super::client::Outcome;
use super::decode::Data;
use super::device::Device;
use super::plan::{Block, plan};
use super::test::is_gateway_exception;
use line::Line;
use random::Random;
use unit::{NO_ANSWER, Unit};

/// Second requests of a block in one cycle, after a timeout, a mismatch or a closed connection.
const RETRIES_MAX: u8 = 1;

/// Second requests after "busy" and "acknowledge" (exceptions 6 and 5), and the pause before each.
const BUSY_RETRIES_MAX: u8 = 3;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// While other units answer, a probe that cost one part of time is followed by nine without.
const PROBE_PAUSE_FACTOR: u32 = 9;

/// A probe that has waited this long goes before cycles that are due, or a full bus would never find a unit again.
const PROBE_OVERDUE: Duration = Duration::from_secs(10);

/// What a device refused is asked for in whole blocks again after this long: it may have got new firmware.
const REPLAN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The first cycles of an endpoint are spread over this much, so that people see values soon.
const FIRST_SPREAD: Duration = Duration::from_secs(1);

/// The shortest wait.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// One group of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId {
    /// The device, by its place in the endpoint's list.
    pub device: usize,
    /// The group, by its place in the device.
    pub group: usize,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Open a connection; then [`Schedule::handle_connected`] or [`Schedule::handle_connect_failed`].
    Connect,
    /// Send this; then [`Schedule::handle_outcome`].
    Ask(Ask),
    /// Nothing before this moment.
    Wait(Instant),
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The unit.
    pub unit: u8,
    /// The table.
    pub table: Table,
    /// The first address.
    pub start: u16,
    /// Bits or words.
    pub count: u16,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Asks a unit that was silent.
    pub is_probe: bool,
}

/// What came of a cycle, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Registers were read.
    Read {
        /// Whose.
        job: JobId,
        /// By their place in the group.
        registers: Vec<usize>,
        /// The address of the first bit or word in `data`.
        start: u16,
        /// What they hold.
        data: Data,
        /// Half way between request and answer.
        at: Instant,
    },
    /// Registers were not read.
    Failed {
        /// Whose.
        job: JobId,
        /// By their place in the group.
        registers: Vec<usize>,
        /// Why.
        quality: Quality,
        /// Whether they were asked for; false when that would have been in vain.
        was_asked: bool,
        /// When.
        at: Instant,
    },
    /// All registers of the group are accounted for.
    CycleEnd {
        /// Whose.
        job: JobId,
    },
}

/// What was done for one job, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Cycles in which everything was read.
    pub complete: u64,
    /// Cycles in which something failed.
    pub failed: u64,
    /// Cycles left out because the bus was busy for an interval or longer.
    pub skipped: u64,
}

#[derive(Clone, Debug)]
struct Job {
    id: JobId,
    unit: u8,
    interval: Duration,
    /// Where the regular cycles lie.
    grid: Instant,
    due: Instant,
    /// As first planned.
    whole: Vec<Block>,
    /// As learned.
    blocks: Vec<Block>,
    learned_at: Option<Instant>,
    cycle: Option<Cycle>,
    is_first: bool,
    counts: JobCounts,
}

/// A job being served.
#[derive(Clone, Debug)]
struct Cycle {
    pending: VecDeque<Pending>,
    resume_at: Instant,
    is_complete: bool,
    is_probe: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    block: Block,
    retries: u8,
    busy: u8,
}

/// The schedule of one endpoint.
#[derive(Debug)]
pub struct Schedule {
    devices: Vec<Device>,
    jobs: Vec<Job>,
    units: BTreeMap<u8, Unit>,
    line: Line,
    /// The job whose request is out.
    asked: Option<usize>,
    /// The job whose cycle goes on.
    current: Option<usize>,
    probes_from: Instant,
    /// The unit at whose request the other side ended the last connection, until one is answered.
    closed_at: Option<u8>,
    random: Random,
    events: VecDeque<Event>,
}

impl Schedule {
    /// A schedule for the devices of one endpoint.
    ///
    /// # Panics
    /// When there is no device.
    pub fn new(devices: Vec<Device>, seed: u64, now: Instant) -> Schedule {
        let mut units: BTreeMap<u8, Unit> = BTreeMap::new();
        let mut jobs = Vec::new();
        let group_count = devices.iter().map(|device| device.groups.len()).sum::<usize>().max(1);
        for (at, device) in devices.iter().enumerate() {
            for (group_at, group) in device.groups.iter().enumerate() {
                let id = JobId { device: at, group: group_at };
                let timeout = device.limits.timeout;
                let known = units.entry(device.unit).or_insert_with(|| Unit::new(timeout, group.interval));
                known.also(timeout, group.interval);
                let share = |time: Duration| time.mul_f64(ratio(jobs.len(), group_count));
                let first = group.phase.unwrap_or_else(|| share(group.interval.min(FIRST_SPREAD)));
                let grid = now + group.phase.unwrap_or_else(|| share(group.interval));
                let whole = plan(&group.registers, device.limits);
                jobs.push(Job {
                    id,
                    unit: device.unit,
                    interval: group.interval,
                    grid,
                    due: now + first,
                    blocks: whole.clone(),
                    whole,
                    learned_at: None,
                    cycle: None,
                    is_first: true,
                    counts: JobCounts::default(),
                });
            }
        }
        let fastest =
            jobs.iter().map(|job| job.interval).min().expect("an endpoint is there for its devices");
        Schedule {
            devices,
            jobs,
            units,
            line: Line::new(fastest),
            asked: None,
            current: None,
            probes_from: now,
            closed_at: None,
            random: Random::new(seed),
            events: VecDeque::new(),
        }
    }

    /// The devices, in the order of [`JobId::device`].
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// What was done for each job.
    pub fn counts(&self) -> impl Iterator<Item = (JobId, JobCounts)> + '_ {
        self.jobs.iter().map(|job| (job.id, job.counts))
    }

    /// Whether a device's unit answers: `None` until that is known.
    pub fn is_answering(&self, device: usize) -> Option<bool> {
        let unit = self.units.get(&self.devices.get(device)?.unit)?;
        if unit.offline.is_some() {
            return Some(false);
        }
        unit.is_well().then_some(true)
    }

    /// How long a device's answers take.
    pub fn latency(&self, device: usize) -> Option<Duration> {
        self.units.get(&self.devices.get(device)?.unit)?.latency()
    }

    /// How long to wait for an answer of this device, asked out of turn.
    pub fn patience(&self, device: usize) -> Duration {
        let unit = self.devices.get(device).and_then(|device| self.units.get(&device.unit));
        unit.map_or(unit::TIMEOUT_MAX, |unit| unit.timeout(None))
    }

    /// The requests that read a device as a whole, with the group of each.
    pub fn blocks(&self, device: usize) -> Vec<(usize, Block)> {
        let jobs = self.jobs.iter().filter(|job| job.id.device == device);
        jobs.flat_map(|job| job.blocks.iter().map(|block| (job.id.group, block.clone()))).collect()
    }

    /// What came of cycles, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be done at `now`. Ask again after whatever was done, and at the moment to wait for.
    ///
    /// # Panics
    /// While a request is out.
    pub fn next(&mut self, now: Instant) -> Step {
        assert!(self.asked.is_none(), "one request is out at a time");
        self.account_for_unreachable(now);
        let Some(job) = self.choose(now) else { return Step::Wait(self.wake_at(now)) };
        if !self.line.is_open() {
            return Step::Connect;
        }
        let cycle = self.jobs[job].cycle.take();
        let cycle = cycle.unwrap_or_else(|| self.begin_cycle(job, now));
        let ask = self.ask(job, &cycle);
        self.jobs[job].cycle = Some(cycle);
        self.current = Some(job);
        self.asked = Some(job);
        Step::Ask(ask)
    }

    /// The connection is open.
    pub fn handle_connected(&mut self, now: Instant) {
        if self.line.is_failing() {
            self.units.values_mut().for_each(|unit| unit.give_a_chance(now));
        }
        self.line.opened();
    }

    /// Nobody took the connection.
    pub fn handle_connect_failed(&mut self, now: Instant) {
        self.line.failed(now, &mut self.random);
        self.fail_cycles(Quality::bad(Reason::NotConnected), now);
    }

    /// The connection was closed by us, for something outside of this schedule.
    pub fn handle_dropped(&mut self) {
        self.line.drop_ours();
    }

    /// What became of the request that was out since `sent`.
    ///
    /// # Panics
    /// When none was.
    pub fn handle_outcome(&mut self, outcome: Outcome, sent: Instant, now: Instant) {
        let job = self.asked.take().expect("an outcome belongs to a request");
        let took = now.saturating_duration_since(sent);
        let is_probe = self.jobs[job].cycle.as_ref().is_some_and(|cycle| cycle.is_probe);
        let unit = self.jobs[job].unit;
        match outcome {
            Outcome::Answer(data) => {
                self.heard(unit, took, now);
                self.read(job, data, sent + took / 2);
            }
            // The gateway answers for a unit that does not.
            Outcome::Exception(code) if is_gateway_exception(code) => {
                self.line.answered();
                self.closed_at = None;
                let quality = exception(code);
                self.fail_cycle(job, quality, now);
                self.unit_failed(unit, quality, is_probe.then_some(took), now);
            }
            Outcome::Exception(code) => {
                self.heard(unit, took, now);
                self.excepted(job, code, now);
            }
            Outcome::Timeout => {
                if let Some(unit) = self.units.get_mut(&unit) {
                    unit.timed_out();
                }
                self.line.drop_ours();
                self.retry_or_fail(job, NO_ANSWER, took, now);
            }
            Outcome::Mismatch(_) => {
                self.line.drop_ours();
                self.retry_or_fail(job, Quality::bad(Reason::Malformed), took, now);
            }
            Outcome::Closed(_) => self.closed(job, took, now),
        }
    }

    /// The other side ended the connection. Twice in a row at requests to one unit, while others answer: the gateway
    /// does so for this unit, and the others must not pay for it. Else it says nothing about units.
    fn closed(&mut self, job: usize, took: Duration, now: Instant) {
        let quality = Quality::bad(Reason::NotConnected);
        let unit = self.jobs[job].unit;
        let is_same = self.closed_at.replace(unit) == Some(unit);
        if is_same && !self.line.has_answered() && self.neighbours(Some(unit)).is_some() {
            self.closed_at = None;
            self.line.drop_ours();
            self.fail_cycle(job, quality, now);
            self.unit_failed(unit, quality, Some(took), now);
            return;
        }
        let worth_another = self.line.closed_by_peer(now, &mut self.random);
        if worth_another && self.retry(job) {
            return;
        }
        // With the line down nobody can go on.
        if worth_another { self.fail_cycle(job, quality, now) } else { self.fail_cycles(quality, now) }
    }

    /// Registers that are due and cannot be asked for: the endpoint is out of reach, or their unit is offline.
    fn account_for_unreachable(&mut self, now: Instant) {
        let is_down = self.line.down_until(now).is_some();
        for at in 0..self.jobs.len() {
            let offline = self.units.get(&self.jobs[at].unit).and_then(|unit| unit.offline);
            let quality = match offline {
                Some(offline) => offline.quality,
                None if is_down => Quality::bad(Reason::NotConnected),
                None => continue,
            };
            if self.jobs[at].due > now || self.jobs[at].cycle.is_some() {
                continue;
            }
            let id = self.jobs[at].id;
            let registers = all_registers(&self.jobs[at].blocks);
            self.events.push_back(Event::Failed { job: id, registers, quality, was_asked: false, at: now });
            self.events.push_back(Event::CycleEnd { job: id });
            self.jobs[at].counts.failed += 1;
            self.jobs[at].advance(now);
        }
    }

    /// Whose turn it is.
    fn choose(&self, now: Instant) -> Option<usize> {
        if self.line.down_until(now).is_some() {
            return None;
        }
        let probe = self.choose_probe(now);
        if let Some((at, waited)) = probe
            && waited >= PROBE_OVERDUE
        {
            return Some(at);
        }
        let goes_on = |at: &usize| self.jobs[*at].cycle.as_ref().is_some_and(|cycle| cycle.resume_at <= now);
        if let Some(at) = self.current.filter(goes_on) {
            return Some(at);
        }
        let turn = |at: &usize| {
            let job = &self.jobs[*at];
            match &job.cycle {
                Some(cycle) => (cycle.resume_at <= now).then_some(job.due),
                None => (job.due <= now && !self.is_offline(job.unit)).then_some(job.due),
            }
        };
        let living = (0..self.jobs.len()).filter_map(|at| turn(&at).map(|due| (due, at))).min();
        living.map(|(_, at)| at).or(probe.map(|(at, _)| at))
    }

    /// The silent unit that has waited longest for its probe, and how long.
    fn choose_probe(&self, now: Instant) -> Option<(usize, Duration)> {
        if self.probes_from > now && self.neighbours(None).is_some() {
            return None;
        }
        let probe_at =
            |unit: u8| self.units.get(&unit).and_then(|unit| unit.offline).map(|offline| offline.probe_at);
        let waiting = (0..self.jobs.len()).filter(|&at| self.jobs[at].cycle.is_none());
        let due = waiting.filter_map(|at| Some((probe_at(self.jobs[at].unit).filter(|at| *at <= now)?, at)));
        due.min().map(|(since, at)| (at, now.saturating_duration_since(since)))
    }

    fn is_offline(&self, unit: u8) -> bool {
        self.units.get(&unit).is_some_and(|unit| unit.offline.is_some())
    }

    /// The pace of the slowest unit that answers, one aside.
    fn neighbours(&self, but: Option<u8>) -> Option<Duration> {
        let others = self.units.iter().filter(|(unit, known)| Some(**unit) != but && known.is_well());
        others.filter_map(|(_, known)| known.latency()).max()
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let mut moments: Vec<Instant> = Vec::new();
        for job in &self.jobs {
            match &job.cycle {
                Some(cycle) => moments.push(cycle.resume_at),
                None => moments.push(job.due),
            }
        }
        for unit in self.units.values() {
            if let Some(offline) = unit.offline {
                let budget = if self.neighbours(None).is_some() { self.probes_from } else { now };
                moments.push(offline.probe_at.max(budget));
            }
        }
        let wanted = moments.into_iter().min().unwrap_or(now + unit::PROBE_AFTER_MAX);
        match self.line.down_until(now) {
            // What is due meanwhile is accounted for without the line.
            Some(until) => {
                self.jobs.iter().map(|job| job.due).filter(|due| *due > now).fold(until, Instant::min)
            }
            // A probe may have to wait for a cycle of its unit that pauses: look again soon, and not at once.
            None => wanted.max(now + LOOK_AGAIN),
        }
    }

    fn begin_cycle(&mut self, at: usize, now: Instant) -> Cycle {
        let is_probe = self.is_offline(self.jobs[at].unit);
        let job = &mut self.jobs[at];
        if job.learned_at.is_some_and(|learned| now.saturating_duration_since(learned) >= REPLAN_AFTER) {
            job.blocks.clone_from(&job.whole);
            job.learned_at = None;
        }
        let pending =
            job.blocks.iter().map(|block| Pending { block: block.clone(), retries: 0, busy: 0 }).collect();
        if !is_probe {
            job.advance(now);
        }
        Cycle { pending, resume_at: now, is_complete: true, is_probe }
    }

    fn ask(&self, at: usize, cycle: &Cycle) -> Ask {
        let job = &self.jobs[at];
        let Pending { block, retries, .. } = cycle.pending.front().expect("a cycle ends with its last block");
        let neighbours = self.neighbours(Some(job.unit));
        let timeout = match self.units.get(&job.unit) {
            Some(unit) if *retries > 0 => unit.retry_timeout(neighbours),
            Some(unit) => unit.timeout(neighbours),
            None => unit::TIMEOUT_MAX,
        };
        Ask {
            unit: job.unit,
            table: block.table,
            start: block.start,
            count: block.count,
            timeout,
            is_probe: cycle.is_probe,
        }
    }

    /// The unit answered.
    fn heard(&mut self, unit: u8, took: Duration, now: Instant) {
        self.line.answered();
        self.closed_at = None;
        let Some(known) = self.units.get_mut(&unit) else { return };
        let was_offline = known.offline.is_some();
        known.answered(took);
        if was_offline {
            // All that was refused before may have been another device, or the same one half started.
            for job in self.jobs.iter_mut().filter(|job| job.unit == unit) {
                job.blocks.clone_from(&job.whole);
                if job.cycle.is_none() {
                    job.due = now;
                } else if let Some(cycle) = &mut job.cycle {
                    cycle.is_probe = false;
                }
            }
        }
    }

    fn read(&mut self, at: usize, data: Data, middle: Instant) {
        let id = self.jobs[at].id;
        let Some(pending) = self.jobs[at].take_pending() else { return };
        let Pending { block, .. } = pending;
        self.events.push_back(Event::Read {
            job: id,
            registers: block.registers,
            start: block.start,
            data,
            at: middle,
        });
        self.end_if_done(at);
    }

    /// An exception that the unit itself answered with.
    fn excepted(&mut self, at: usize, code: u8, now: Instant) {
        let job = &mut self.jobs[at];
        let Some(mut pending) = job.take_pending() else { return };
        let Some(cycle) = &mut job.cycle else { return };
        if matches!(code, 5 | 6) && pending.busy < BUSY_RETRIES_MAX {
            pending.busy += 1;
            cycle.resume_at = now + BUSY_PAUSE;
            cycle.pending.push_front(pending);
            return;
        }
        let registers = &self.devices[job.id.device].groups[job.id.group].registers;
        if matches!(code, 2 | 3)
            && let Some((low, high)) = pending.block.split(registers)
        {
            job.learn(&pending.block, [low.clone(), high.clone()], now);
            if let Some(cycle) = &mut job.cycle {
                for block in [high, low] {
                    cycle.pending.push_front(Pending { block, retries: 0, busy: 0 });
                }
            }
            return;
        }
        cycle.is_complete = false;
        let (id, quality) = (job.id, exception(code));
        let registers = pending.block.registers;
        self.events.push_back(Event::Failed { job: id, registers, quality, was_asked: true, at: now });
        self.end_if_done(at);
    }

    fn retry_or_fail(&mut self, at: usize, quality: Quality, took: Duration, now: Instant) {
        let unit = self.jobs[at].unit;
        let was_well = self.units.get(&unit).is_some_and(Unit::is_well);
        if was_well && self.retry(at) {
            return;
        }
        let is_silent = self.units.get(&unit).is_some_and(|unit| !unit.is_well());
        self.fail_cycle(at, quality, now);
        self.unit_failed(unit, quality, is_silent.then_some(took), now);
    }

    /// Asks for the same block once more in this cycle, if it has not been asked twice.
    fn retry(&mut self, at: usize) -> bool {
        let front = self.jobs[at].cycle.as_mut().and_then(|cycle| cycle.pending.front_mut());
        match front {
            Some(front) if front.retries < RETRIES_MAX => {
                front.retries += 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// A cycle of this unit came to nothing; `wasted` is bus time that others may have wanted.
    fn unit_failed(&mut self, unit: u8, quality: Quality, wasted: Option<Duration>, now: Instant) {
        if let Some(wasted) = wasted {
            self.probes_from = self.probes_from.max(now + wasted * PROBE_PAUSE_FACTOR);
        }
        if let Some(known) = self.units.get_mut(&unit) {
            known.failed(quality, now, &mut self.random);
        }
    }

    /// Ends every cycle that has begun.
    fn fail_cycles(&mut self, quality: Quality, now: Instant) {
        for at in 0..self.jobs.len() {
            self.fail_cycle(at, quality, now);
        }
    }

    /// Ends a cycle that has begun: what is pending has failed.
    fn fail_cycle(&mut self, at: usize, quality: Quality, now: Instant) {
        let Some(cycle) = self.jobs[at].cycle.take() else { return };
        let id = self.jobs[at].id;
        let registers = cycle.pending.into_iter().flat_map(|pending| pending.block.registers).collect();
        self.events.push_back(Event::Failed { job: id, registers, quality, was_asked: true, at: now });
        self.events.push_back(Event::CycleEnd { job: id });
        self.jobs[at].counts.failed += 1;
        if self.current == Some(at) {
            self.current = None;
        }
    }

    fn end_if_done(&mut self, at: usize) {
        let job = &mut self.jobs[at];
        let Some(cycle) = job.cycle.take_if(|cycle| cycle.pending.is_empty()) else { return };
        if cycle.is_complete {
            job.counts.complete += 1;
        } else {
            job.counts.failed += 1;
        }
        self.events.push_back(Event::CycleEnd { job: job.id });
        if self.current == Some(at) {
            self.current = None;
        }
    }
}

impl Job {
    /// To the next cycle of the grid; those that are over are skipped.
    fn advance(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_first) {
            // From the early first cycle to the grid: at least half an interval, at most one and a half.
            self.due = after(self.grid, self.interval, now + self.interval / 2);
            return;
        }
        let next = after(self.grid, self.interval, now);
        let passed = next.saturating_duration_since(self.due).as_nanos() / self.interval.as_nanos().max(1);
        self.counts.skipped += u64::try_from(passed.saturating_sub(1)).unwrap_or(u64::MAX);
        self.due = next;
    }

    fn take_pending(&mut self) -> Option<Pending> {
        self.cycle.as_mut()?.pending.pop_front()
    }

    /// From now on asks for two halves in place of a block.
    fn learn(&mut self, refused: &Block, halves: [Block; 2], now: Instant) {
        let Some(at) = self.blocks.iter().position(|block| block == refused) else { return };
        self.blocks.splice(at..=at, halves);
        self.learned_at.get_or_insert(now);
    }
}

/// The first moment of a grid behind `now`.
fn after(grid: Instant, interval: Duration, now: Instant) -> Instant {
    let Some(gone) = now.checked_duration_since(grid) else { return grid };
    let interval_ns = interval.as_nanos().max(1);
    let over = gone.as_nanos() % interval_ns;
    now + Duration::from_nanos(u64::try_from(interval_ns - over).unwrap_or(u64::MAX))
}

fn exception(code: u8) -> Quality {
    Quality::new(hub_model::Level::Bad, Reason::Exception, code)
}

fn all_registers(blocks: &[Block]) -> Vec<usize> {
    blocks.iter().flat_map(|block| block.registers.iter().copied()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share of the interval need not be exact")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
