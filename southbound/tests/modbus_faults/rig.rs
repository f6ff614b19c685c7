//! Two simulated endpoints, the poller that reads them, and a reader of every sample that knows what it must be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hub_model::{BootId, BootStamp, Unit, Value};
use relais_sim::modbus::{Options, Server, Units, pattern};
use southbound::ingest::{Content, DevicePublish, Polled, ingest};
use southbound::modbus::address::{Place, Table};
use southbound::modbus::device::{Device, Endpoint, RequestLimits};
use southbound::modbus::order::ByteOrder;
use southbound::modbus::register::{DataType, Group, Limits, Register};
use southbound::modbus::report::ReportRule;
use southbound::modbus::scale::Scale;
use southbound::modbus::schedule::JobCounts;
use southbound::modbus::{DeviceView, Poller};
use southbound::tasks::Clock;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Of every device: short, so that many cycles pass in little time.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
/// Of every device: long enough for a busy machine, short against [`INTERVAL`].
pub(crate) const TIMEOUT: Duration = Duration::from_millis(250);
/// On each endpoint.
pub(crate) const UNITS: [u8; 3] = [1, 2, 3];
/// For anything that should come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Three requests: two of the same shape, so that each could be taken for the other, and one of another table.
const REGISTERS: [(Table, u16); 7] = [
    (Table::Input, 0),
    (Table::Input, 4),
    (Table::Input, 8),
    (Table::Input, 40),
    (Table::Input, 44),
    (Table::Input, 48),
    (Table::Holding, 100),
];
/// Messages of cycles that wait to be looked at.
const MESSAGES_MAX: usize = 64;

/// The machine's clock.
struct MachineClock(Instant);

impl Clock for MachineClock {
    fn now(&self) -> BootStamp {
        let mono_ms = u64::try_from(self.0.elapsed().as_millis()).expect("not that long");
        BootStamp { boot: BootId::from_bytes([7; 16]), mono_ms }
    }

    fn instant(&self) -> Instant {
        now()
    }
}

#[expect(clippy::disallowed_methods, reason = "the poller runs against real sockets, so in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A runtime for the pollers of a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A poller that reads two endpoints of three units.
pub(crate) struct Rig {
    /// The endpoint that misbehaves.
    pub(crate) faulty: Server,
    /// The endpoint that never does.
    _sound: Server,
    poller: Poller,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    _stop: watch::Sender<bool>,
}

/// What samples of a device said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Values that are of another register or unit, or not newer than those before.
    pub(crate) wrong: Vec<String>,
    /// Every quality that was not good.
    pub(crate) bad: BTreeSet<String>,
    /// The last quality of each metric.
    pub(crate) now: BTreeMap<String, String>,
    /// The newest cycle.
    cycle: u32,
}

impl Rig {
    /// Starts everything and waits until every unit was read twice.
    pub(crate) fn start(runtime: &Runtime, options: Options) -> Rig {
        let rig = Rig::start_cold(runtime, options);
        wait("every unit to be read twice", || {
            let slowest = rig.poller.devices().iter().map(|view| view.cycles.complete).min();
            if slowest >= Some(2) { Ok(()) } else { Err(format!("{:?}", rig.all_cycles())) }
        });
        rig
    }

    /// Starts everything.
    pub(crate) fn start_cold(runtime: &Runtime, options: Options) -> Rig {
        let units: Units = UNITS.into();
        let faulty = Server::start(Options { units: units.clone(), ..options }).expect("a free port");
        let sound = Server::start(Options { units, ..Options::default() }).expect("a free port");
        let endpoints = [("faulty", faulty.address()), ("sound", sound.address())];
        let devices =
            endpoints.iter().flat_map(|(name, at)| UNITS.map(|unit| device(name, *at, unit))).collect();
        let (ingest, mut messages) = ingest(MESSAGES_MAX);
        let poller = Poller::new(ingest, Arc::new(MachineClock(now())), 5, devices);
        let seen = Arc::<Mutex<BTreeMap<String, Seen>>>::default();
        let (stop, stopping) = watch::channel(false);
        let book = seen.clone();
        drop(runtime.spawn(poller.clone().run(stopping)));
        drop(runtime.spawn(async move {
            while let Some(message) = messages.recv(true).await {
                let name = message.device.to_string();
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                book.entry(name).or_default().take(&message);
            }
        }));
        Rig { faulty, _sound: sound, poller, seen, _stop: stop }
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen of a device so far.
    pub(crate) fn seen(&self, device: &str) -> Seen {
        self.book().get(device).cloned().unwrap_or_default()
    }

    /// Gives the poller the same devices with another tag, so that their links are begun anew.
    pub(crate) fn change_devices(&self, tag: usize) {
        let mut devices: Vec<Device> =
            self.poller.devices().into_iter().map(|view| Device::clone(&view.device)).collect();
        for device in &mut devices {
            device.tags.insert("change".to_owned(), tag.to_string());
        }
        self.poller.apply(devices);
        wait("the devices to be changed", || {
            let tags = self.view("faulty-1").device.tags.clone();
            if tags.get("change") == Some(&tag.to_string()) { Ok(()) } else { Err(format!("{tags:?}")) }
        });
    }

    /// Forgets what was bad before.
    pub(crate) fn forget_bad(&self) {
        self.book().values_mut().for_each(|seen| seen.bad.clear());
    }

    fn view(&self, device: &str) -> DeviceView {
        let views = self.poller.devices();
        views.into_iter().find(|view| view.device.name.as_str() == device).expect("it is among the poller's")
    }

    /// The cycles of a device.
    pub(crate) fn cycles(&self, device: &str) -> JobCounts {
        self.view(device).cycles
    }

    /// The cycles of every device.
    pub(crate) fn all_cycles(&self) -> BTreeMap<String, JobCounts> {
        let views = self.poller.devices();
        views.into_iter().map(|view| (view.device.name.to_string(), view.cycles)).collect()
    }

    /// Bus time in which nothing came of it, in whole intervals, rounded up: what it may cost the others.
    pub(crate) fn intervals_lost(&self) -> u64 {
        let endpoint = format!("tcp://{}", self.faulty.address());
        let of_unit = |row: &&hub_chassis::metrics::MetricRow| {
            row.name == "relais_modbus_timeouts_total"
                && row.labels.contains(&("endpoint", endpoint.clone()))
                && row.labels.contains(&("unit", "2".to_owned()))
        };
        let timeouts = self.poller.metrics().iter().filter(of_unit).map(|row| row.count()).sum::<u64>();
        let lost = TIMEOUT * u32::try_from(timeouts).expect("few");
        u64::try_from(lost.as_millis().div_ceil(INTERVAL.as_millis())).expect("few")
    }
}

/// All cycles, however they ended.
pub(crate) const fn passed(counts: JobCounts) -> u64 {
    counts.complete + counts.failed + counts.skipped
}

/// Looks every few milliseconds until it is so.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) if began.elapsed() > DEADLINE => panic!("waited for {what}; last look: {instead}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

impl Seen {
    fn take(&mut self, message: &DevicePublish) {
        let Content::Polled(readings) = &message.content else { panic!("{message:?}") };
        let unit: u16 =
            message.device.as_str().rsplit('-').next().and_then(|unit| unit.parse().ok()).expect("its unit");
        let before = self.cycle;
        for reading in readings {
            let quality = reading.quality.to_string();
            if let Some(value) = &reading.value {
                let cycle = self.judge(unit, reading, value, before);
                self.cycle = self.cycle.max(cycle);
            }
            if quality != "good" {
                self.bad.insert(quality.clone());
            }
            self.now.insert(reading.metric.to_string(), quality);
        }
    }

    /// Compares a value with what its register says, and finds the cycle in it.
    fn judge(&mut self, unit: u16, reading: &Polled, value: &Value, before: u32) -> u32 {
        let Value::U64(raw) = value else { panic!("{reading:?}") };
        let said = pattern::decode(*raw);
        let (table, address) = reading.metric.as_str().split_once('_').expect("table and address");
        let expected = pattern::Seen {
            table: if table == "holding" { 3 } else { 4 },
            unit,
            address: address.parse().expect("an address"),
            cycle: said.cycle,
        };
        if said != expected || said.cycle <= before || reading.quality.is_bad() {
            self.wrong.push(format!("{reading:?} is {said:?}, after cycle {before}"));
        }
        said.cycle
    }
}

fn device(endpoint: &str, address: SocketAddr, unit: u8) -> Device {
    Device {
        name: format!("{endpoint}-{unit}").parse().expect("a name"),
        endpoint: Endpoint::Tcp { host: address.ip().to_string(), port: address.port() },
        unit,
        groups: vec![Group {
            name: "main".to_owned(),
            interval: INTERVAL,
            phase: None,
            registers: REGISTERS.iter().map(|(table, address)| register(*table, *address)).collect(),
        }],
        limits: RequestLimits { timeout: TIMEOUT, ..RequestLimits::default() },
        profile: None,
        tags: BTreeMap::new(),
    }
}

/// A group of the pattern, read as one number.
fn register(table: Table, address: u16) -> Register {
    Register {
        metric: format!("{table}_{address}").parse().expect("a metric"),
        place: Place { table, address },
        data: DataType::U64,
        order: ByteOrder::BIG,
        unit: Unit::none(),
        scale: Scale::new(1.0, 0.0),
        invalid: Vec::new(),
        limits: Limits::default(),
        report: ReportRule::default(),
    }
}
