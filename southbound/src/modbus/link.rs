//! One task for each endpoint: does what the schedule says, and hands readings to the hub. The shell around the cores.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_chassis::supervisor::stopped;
use hub_model::BootStamp;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::client::{Connection, Outcome, Read, connect};
use super::decode::{Reading, decode};
use super::device::{Device, Endpoint};
use super::plan::Block;
use super::register::Register;
use super::report::Reported;
use super::resolve::Lookups;
use super::schedule::{Ask, Event, JobId, Schedule, Step};
use super::test::{Exchanged, TestReport, TestRequest, Tested};
use super::view::LinkShared;
use crate::ingest::{Content, DevicePublish, IngestSender, Polled};
use crate::tasks::Clock;

/// How long a connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What a link needs from the hub.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) ingest: IngestSender,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seed: u64,
    pub(super) lookups: Lookups,
}

/// The task of one endpoint.
pub(super) struct Link {
    endpoint: Endpoint,
    around: Around,
    schedule: Schedule,
    connection: Option<Connection>,
    /// What the endpoint's name meant last.
    addresses: Vec<SocketAddr>,
    /// Of the next request; begins anywhere, so that an answer to an earlier run is none to this one.
    transaction: u16,
    reported: BTreeMap<(JobId, usize), Reported>,
    /// Samples of cycles that go on.
    gathered: BTreeMap<JobId, Vec<Polled>>,
    shared: Arc<LinkShared>,
    tests: mpsc::Receiver<TestRequest>,
    was_reachable: bool,
}

impl Link {
    pub(super) fn new(
        endpoint: Endpoint,
        devices: Vec<Device>,
        around: Around,
        shared: Arc<LinkShared>,
        tests: mpsc::Receiver<TestRequest>,
    ) -> Link {
        let now = around.clock.instant();
        let seed = around.seed ^ u64::from(endpoint_hash(&endpoint));
        let transaction = u16::try_from(seed & 0xffff).unwrap_or(0);
        Link {
            schedule: Schedule::new(devices, seed, now),
            endpoint,
            around,
            connection: None,
            addresses: Vec::new(),
            transaction,
            reported: BTreeMap::new(),
            gathered: BTreeMap::new(),
            shared,
            tests,
            was_reachable: true,
        }
    }

    /// Runs until the stop signal. Dropping it at any point loses the cycle that goes on and nothing else.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn work(&mut self) {
        loop {
            while let Ok(test) = self.tests.try_recv() {
                self.test(test).await;
            }
            let step = self.schedule.next(self.around.clock.instant());
            self.deliver().await;
            match step {
                Step::Connect => self.connect().await,
                Step::Ask(ask) => self.ask(ask).await,
                Step::Wait(until) => {
                    let wait = until.saturating_duration_since(self.around.clock.instant());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        Some(test) = self.tests.recv() => self.test(test).await,
                    }
                }
            }
            self.deliver().await;
            self.shared.update(&self.schedule);
        }
    }

    async fn connect(&mut self) {
        let found = self.around.lookups.resolve(&self.endpoint).await;
        // What a name meant last time is better than nothing while the resolver is away.
        let known = found
            .or_else(|error| if self.addresses.is_empty() { Err(error) } else { Ok(self.addresses.clone()) });
        let connecting = match known {
            Ok(addresses) => {
                self.addresses = addresses;
                tokio::time::timeout(CONNECT_TIMEOUT, connect(&self.addresses)).await
            }
            Err(error) => Ok(Err(error)),
        };
        let now = self.around.clock.instant();
        let endpoint = &self.endpoint;
        match connecting {
            Ok(Ok(connection)) => {
                self.connection = Some(connection);
                self.schedule.handle_connected(now);
                self.shared.connected();
                if !std::mem::replace(&mut self.was_reachable, true) {
                    info!(%endpoint, "the endpoint is there again");
                }
            }
            failed => {
                let why = failed.map_or_else(
                    |_| format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
                    |result| result.err().map_or_else(String::new, |error| error.to_string()),
                );
                if std::mem::replace(&mut self.was_reachable, false) {
                    warn!(%endpoint, why, "the endpoint is out of reach; its devices cannot be read");
                }
                self.schedule.handle_connect_failed(now);
                self.shared.connect_failed(why);
            }
        }
    }

    async fn ask(&mut self, ask: Ask) {
        let sent = self.around.clock.instant();
        let read = self.next_read(ask.unit, &block_of(ask));
        let (outcome, trace) = self.exchange(read, ask.timeout).await;
        let now = self.around.clock.instant();
        if let Outcome::Mismatch(why) = &outcome {
            let (endpoint, unit) = (&self.endpoint, ask.unit);
            debug!(%endpoint, unit, %why, answer = %super::frame::Hex(&trace.answer), "not the answer to the request");
        }
        self.shared.asked(ask, &outcome, now.saturating_duration_since(sent));
        self.schedule.handle_outcome(outcome, sent, now);
    }

    fn next_read(&mut self, unit: u8, block: &Block) -> Read {
        self.transaction = self.transaction.wrapping_add(1);
        Read {
            transaction: self.transaction,
            unit,
            table: block.table,
            start: block.start,
            count: block.count,
        }
    }

    /// Sends a request. The connection lives on only after an answer of the device.
    async fn exchange(&mut self, read: Read, timeout: Duration) -> (Outcome, super::transport::Trace) {
        let Some(mut connection) = self.connection.take() else {
            return (Outcome::Closed(std::io::ErrorKind::NotConnected), super::transport::Trace::default());
        };
        let (outcome, trace) = connection.read(read, timeout).await;
        if matches!(outcome, Outcome::Answer(_) | Outcome::Exception(_)) {
            self.connection = Some(connection);
        }
        (outcome, trace)
    }

    /// Hands over what the schedule has to tell: the samples of a cycle as one message. Waits while the hub cannot take
    /// them; cycles that pass meanwhile are skipped and counted.
    async fn deliver(&mut self) {
        while let Some(event) = self.schedule.poll_event() {
            match event {
                Event::Read { job, registers, start, data, at } => {
                    self.shared.read(job, stamp(&*self.around.clock, at));
                    for register_at in registers {
                        let reading = decode(self.register(job, register_at), &data, start);
                        self.gather(job, register_at, reading, true, at);
                    }
                }
                Event::Failed { job, registers, quality, was_asked, at } => {
                    self.shared.failed(job, quality, stamp(&*self.around.clock, at));
                    for register_at in registers {
                        self.gather(job, register_at, Reading::failed(quality), was_asked, at);
                    }
                }
                Event::CycleEnd { job } => self.publish(job).await,
            }
        }
    }

    fn register(&self, job: JobId, at: usize) -> &Register {
        &self.schedule.devices()[job.device].groups[job.group].registers[at]
    }

    fn gather(&mut self, job: JobId, register_at: usize, reading: Reading, was_asked: bool, at: Instant) {
        let register = &self.schedule.devices()[job.device].groups[job.group].registers[register_at];
        let reported = self.reported.entry((job, register_at)).or_default();
        if !reported.observe(&register.report, &reading, was_asked, at) {
            return;
        }
        let polled = Polled {
            metric: register.metric.clone(),
            unit: register.unit.clone(),
            value_type: register.value_type(),
            value: reading.value,
            quality: reading.quality,
            at: stamp(&*self.around.clock, at),
        };
        self.gathered.entry(job).or_default().push(polled);
    }

    async fn publish(&mut self, job: JobId) {
        let Some(readings) = self.gathered.remove(&job).filter(|readings| !readings.is_empty()) else {
            return;
        };
        let publish = DevicePublish {
            device: self.schedule.devices()[job.device].name.clone(),
            content: Content::Polled(readings),
            received: self.around.clock.now(),
            mark: None,
            stored: None,
            publisher: None,
        };
        if self.around.ingest.send(publish).await.is_err() {
            debug!(endpoint = %self.endpoint, "the hub is stopping: readings of a cycle are not stored");
        }
    }

    /// One live read of a device, out of turn, with the bytes.
    async fn test(&mut self, request: TestRequest) {
        let TestRequest { device, answer } = request;
        let Some(at) = self.schedule.devices().iter().position(|known| known.name == device) else { return };
        let report = self.run_test(at).await;
        // Whoever asked may have gone.
        let _gone = answer.send(report);
    }

    async fn run_test(&mut self, device: usize) -> TestReport {
        let known = self.schedule.devices()[device].clone();
        let mut report = TestReport { exchanges: Vec::new(), stopped: None };
        for (group, block) in self.schedule.blocks(device) {
            if self.connection.is_none() {
                self.connect().await;
            }
            if self.connection.is_none() {
                report.stopped =
                    Some(format!("{} is out of reach: {}", self.endpoint, self.shared.last_error()));
                return report;
            }
            let timeout = self.schedule.patience(device);
            let read = self.next_read(known.unit, &block);
            let before = self.around.clock.instant();
            let (outcome, trace) = self.exchange(read, timeout).await;
            let took = self.around.clock.instant().saturating_duration_since(before);
            if self.connection.is_none() {
                self.schedule.handle_dropped();
            }
            let is_silent = matches!(outcome, Outcome::Timeout);
            let registers = &known.groups[group].registers;
            let readings =
                block.registers.iter().map(|&at| Tested::of(&registers[at], &outcome, block.start)).collect();
            report.exchanges.push(Exchanged {
                table: block.table,
                start: block.start,
                count: block.count,
                request: trace.request,
                answer: trace.answer,
                took,
                outcome: Exchanged::outcome_text(&outcome, timeout),
                readings,
            });
            if is_silent {
                let why = "the unit does not answer; further requests would only keep the others waiting";
                report.stopped = Some(why.to_owned());
                return report;
            }
        }
        report
    }
}

/// The moment of a reading as samples are stamped: as long ago as it is.
fn stamp(clock: &dyn Clock, at: Instant) -> BootStamp {
    let ago = clock.instant().saturating_duration_since(at);
    let now = clock.now();
    let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    BootStamp { mono_ms: now.mono_ms.saturating_sub(ago_ms), ..now }
}

fn block_of(ask: Ask) -> Block {
    Block { table: ask.table, start: ask.start, count: ask.count, registers: Vec::new() }
}

/// FNV-1a: tells endpoints apart, and nothing more rests on it.
fn endpoint_hash(endpoint: &Endpoint) -> u32 {
    endpoint
        .to_string()
        .bytes()
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
