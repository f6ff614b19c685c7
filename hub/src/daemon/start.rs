//! Wires the hub up, in the order in which the parts need each other. Reads top to bottom.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hub_chassis::http::{Acceptor, Server, ServerLimits};
use hub_chassis::metrics::{MetricKind, MetricRow, float};
use hub_chassis::service_manager::ServiceManager;
use hub_chassis::supervisor::{Ended, Rule, Supervisor, stopped};
use hub_model::{ClockQuality, HubId, Ulid, UtcMs};
use hub_store::{
    LogConfig, LogHandle, LogLimits, OpenContext, OpenError, Reader, Recovery, SampleClass, SampleQuery,
};
use hub_ui::live::Live;
use southbound::ingest::{IngestSender, ingest};
use southbound::mqtt::{Broker, BrokerHandle, ListenerConfig, MqttConfig, MqttLimits, Surroundings};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::reload::{Reach, Reloader};
use super::{clock_task, files};
use crate::clock::{Clock, EARLIEST_PLAUSIBLE};
use crate::config::{Config, DevicesConfig, Source, StorageConfig};
use crate::devices::Devices;
use crate::driver_tasks::DriverTasks;
use crate::intake::{INBOX_MESSAGES, Intake, IntakeProbe, Limits, Registry, SharedRegistry};
use crate::north::{self, Who};
use crate::room::{QUOTA_RESERVE_BYTES, SAMPLE_EVERY};
use crate::settings::{Reloads, Settings, SettingsReader};
use crate::socket::{self, SocketFile};
use crate::web::{Api, Facts, Listener, LiveHub, Sides, Surface, router};

/// Ended sessions on their way to the log. Full delays the end of further sessions, and nothing else.
const FORGOTTEN_QUEUE: usize = 64;

/// How far back the start looks for last values: about a block, some milliseconds.
const RECALLED_RECORDS: u64 = 20_000;

/// What `statfs` calls tmpfs and ramfs.
const RAM_DISKS: [i128; 2] = [0x0102_1994, 0x8584_58f6];

/// Why the hub does not start: what, why, what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// No runtime.
    #[error("the system gives the hub no threads or signals: {0}")]
    Runtime(#[source] io::Error),
    /// No entropy.
    #[error("the system gives no random numbers: {0}")]
    Entropy(getrandom::Error),
    /// The storage folder cannot be made.
    #[error("storage.dir {} cannot be made: {source}; make it, or name a folder this user may write to", dir.display())]
    StorageDir {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A second hub.
    #[error("storage.dir {} is in use: another relais-hub runs with it; stop that one, or give this one its own", dir.display())]
    LogInUse {
        /// The folder.
        dir: PathBuf,
    },
    /// Central's folder.
    #[error("storage.dir {} holds central's data: give the hub a folder of its own", dir.display())]
    ForeignDir {
        /// The folder.
        dir: PathBuf,
    },
    /// The log does not open.
    #[error("the telemetry log in {} does not open: {source}", dir.display())]
    Log {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The log opened and then refused the first record.
    #[error("the telemetry log takes no records: {0}")]
    FirstRecord(hub_store::AppendError),
    /// The broker does not start.
    #[error("the MQTT broker does not start: {0}")]
    Broker(#[from] southbound::mqtt::StartError),
    /// The web port.
    #[error(
        "web.listen {address} cannot be listened on: {source}; choose another port, or stop what uses it"
    )]
    Web {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The local socket.
    #[error("the local socket: {0}")]
    Socket(#[from] socket::SocketError),
}

/// The running parts, as the stop needs them.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) log: LogHandle,
    pub(super) broker: SharedBroker,
    pub(super) reloader: Reloader,
    pub(super) supervisor: Supervisor,
    pub(super) socket: SocketFile,
    /// For the pulse, and what it tells.
    pub(super) intake: IntakeProbe,
    pub(super) api: Arc<Api>,
    pub(super) manager: ServiceManager,
}

/// The broker, shared with the API, which reads its numbers until the stop takes it out.
pub(super) type SharedBroker = Arc<Mutex<Option<BrokerHandle>>>;

/// Starts everything. When it fails, the log is closed in order, and the rest ends with the runtime.
pub(super) async fn start(
    config: Config,
    source: Source,
) -> Result<(Parts, mpsc::Receiver<Ended>), StartError> {
    let clock = Clock::new();
    let (log, recovery) = open_log(&config.storage, clock).await?;
    tell_recovery(&config.storage.dir, &recovery);
    if on_ram_disk(&config.storage.dir) {
        let dir = config.storage.dir.display();
        warn!(%dir, "storage.dir is on a RAM disk: acknowledged data will not survive a power cut");
    }
    let (supervisor, ended) = Supervisor::new(tokio::runtime::Handle::current());
    let started = wire(config, source, clock, log.clone(), &recovery, supervisor).await;
    if started.is_err() {
        let closed = tokio::task::spawn_blocking(move || log.close()).await;
        if let Ok(Err(error)) = closed {
            warn!(%error, "the telemetry log did not close in order");
        }
    }
    started.map(|parts| (parts, ended))
}

async fn wire(
    config: Config,
    source: Source,
    clock: Clock,
    log: LogHandle,
    recovery: &Recovery,
    supervisor: Supervisor,
) -> Result<Parts, StartError> {
    let run = this_run(&log).await?;
    let registry = SharedRegistry::new(Registry::new(log.catalog(), Limits::default()));
    recall(&registry, log.reader()).await;
    let mut watcher = clock_task::watcher(&clock, &registry);
    clock_task::observe(&mut watcher, &clock, &registry, &log).await.map_err(StartError::FirstRecord)?;

    let web = listen_web(config.web.listen).await?;
    let web_address =
        web.local_addr().map_err(|source| StartError::Web { address: config.web.listen, source })?;
    let (local, socket) = socket::bind(&config.socket.path)?;

    let (ingest, inbox) = ingest(INBOX_MESSAGES);
    let (forgotten, mut forget) = mpsc::channel(FORGOTTEN_QUEUE);
    let forgetting = log.clone();
    supervisor.spawn("forget sessions", Rule::Passing, async move {
        while let Some(incarnation) = forget.recv().await {
            forgetting.forget_session(incarnation);
        }
    });
    let tasks = Arc::new(DriverTasks(supervisor.clone()));
    let devices = devices(&config.devices, ingest.clone(), clock).await?;
    let around = Surroundings { ingest, forgotten, clock: Arc::new(clock), tasks };
    let broker = Broker::start(mqtt_config(&config), around).await?;
    // After the last thing that can fail: an intake without drivers ends, and its end would be told as a fault.
    let intake = Intake::new(registry.clone(), log.clone(), clock, last_known_good(&registry), inbox);
    let probe = intake.probe();
    supervisor.spawn("intake", Rule::Vital, intake.run(supervisor.stop_signal()));

    let listeners = listeners(&broker, web_address, &config.socket.path);
    let broker: SharedBroker = Arc::new(Mutex::new(Some(broker)));
    let (settings, read_settings) = Settings::of(&config).shared();
    let told = read_settings.clone();
    let facts = facts(&config, recovery, listeners, read_settings);
    let who = who(recovery, clock, &registry, run)?;
    let link = north::link(&config.north, &config.storage.dir, who, &log, clock, &supervisor);
    let sides = Sides { link: link.clone(), devices: devices.clone() };
    let reach = Reach { clock, settings, log: log.clone(), link: link.clone(), devices: devices.clone() };
    let mut api = Api::new(facts, clock, log.clone(), registry.clone(), supervisor.clone(), sides);
    let polled = devices.modbus().clone();
    api.metric_sources.push(Arc::new(move || polled.metrics()));
    api.metric_sources.push(Arc::new(move || reload_metrics(&told.reloads())));
    let (numbers, health) = (broker.clone(), broker.clone());
    api.metric_sources.push(Arc::new(move || broker_metrics(&numbers)));
    let status = link.status();
    api.metric_sources.push(Arc::new(move || status.borrow().rows().iter().map(link_metric).collect()));
    let watched = supervisor.clone();
    api.health_sources.push(Arc::new(move || broker_trouble(&health, &watched)));
    let api = Arc::new(api);
    spawn_surfaces(web, local, &api, &supervisor)?;
    spawn_clock(clock, registry, log.clone(), &supervisor);
    // Without an address too: a reload may bring one.
    supervisor.spawn_restarting("link", move || {
        let link = link.clone();
        async move { link.run().await }
    });

    let (poller, polling) = (devices.modbus().clone(), supervisor.clone());
    supervisor.spawn_restarting("modbus", move || poller.clone().run(polling.stop_signal()));

    tell_listening(&config, web_address);
    let manager = ServiceManager::from_environment();
    let reloader = Reloader::new(source, config, reach);
    Ok(Parts { clock, log, broker, reloader, supervisor, socket, intake: probe, api, manager })
}

/// The devices of the files. Reading them is blocking work.
async fn devices(config: &DevicesConfig, ingest: IngestSender, clock: Clock) -> Result<Devices, StartError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(StartError::Entropy)?;
    let folders = config.clone();
    let reading = tokio::task::spawn_blocking(move || crate::devices::read(&folders));
    let found = reading.await.map_err(|error| StartError::Runtime(io::Error::other(error)))?;
    Ok(Devices::new(config, found, ingest, Arc::new(clock), u64::from_le_bytes(seed)))
}

/// This run of the hub, as central tells it from those of a copy of the folder. Before anything is appended: what it
/// begins with is what the runs before it gave out.
async fn this_run(log: &LogHandle) -> Result<hub_store::Run, StartError> {
    let mut token = [0; 8];
    getrandom::fill(&mut token).map_err(StartError::Entropy)?;
    let reader = log.reader();
    let reading = tokio::task::spawn_blocking(move || reader.ledger());
    let ledger = reading.await.map_err(|error| StartError::Runtime(io::Error::other(error)))?;
    let mut starts = [0; 7];
    match ledger {
        Ok(ledger) => ledger.classes.iter().for_each(|class| starts[class.class.index()] = class.next),
        // The site goes on. With these numbers, central is believed to have only what this run brings itself.
        Err(error) => {
            error!(%error, "the telemetry log does not say what it holds: the link may rest until a restart")
        }
    }
    // 0 would mean that no run is known.
    Ok(hub_store::Run { token: u64::from_le_bytes(token).max(1), starts })
}

/// Who this hub is, for the link.
fn who(
    recovery: &Recovery,
    clock: Clock,
    registry: &SharedRegistry,
    run: hub_store::Run,
) -> Result<Who, StartError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(StartError::Entropy)?;
    Ok(Who {
        hub: recovery.hub,
        boot: clock.now().boot,
        last_known_good: last_known_good(registry),
        seed: u64::from_le_bytes(seed),
        run,
    })
}

fn link_metric(row: &northbound::CounterRow) -> MetricRow {
    let made = if row.is_counter {
        MetricRow::counter(row.name, row.help, row.value)
    } else {
        MetricRow::gauge(row.name, row.help, row.value)
    };
    match row.label {
        Some((name, value)) => made.label(name, value),
        None => made,
    }
}

/// Fills in what devices said last before this start. What cannot be read is left out: queries will tell of it.
async fn recall(registry: &SharedRegistry, reader: Reader) {
    let filling = registry.clone();
    let recalled = tokio::task::spawn_blocking(move || {
        let ledger = reader.ledger().map(|ledger| ledger.classes).unwrap_or_default();
        for class in [SampleClass::Bulk, SampleClass::Telemetry] {
            let next = ledger.iter().find(|l| l.class == class.class()).map_or(0, |l| l.next);
            let from_seq = next.saturating_sub(RECALLED_RECORDS);
            let samples = reader.samples(&SampleQuery { class, from_seq, ..SampleQuery::default() });
            let mut registry = filling.lock();
            samples.flatten().for_each(|reading| registry.recall(&reading.sample));
        }
    });
    if let Err(error) = recalled.await {
        warn!(%error, "last values of the time before this start are not known");
    }
}

/// Opening reads the whole write-ahead log, which is blocking work.
async fn open_log(storage: &StorageConfig, clock: Clock) -> Result<(LogHandle, Recovery), StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Entropy)?;
    let mut id = [0; 10];
    getrandom::fill(&mut id).map_err(StartError::Entropy)?;
    let id_time = u64::try_from(clock.utc().max(EARLIEST_PLAUSIBLE).0).unwrap_or(0);
    let context = OpenContext { hub: HubId::new(Ulid::new(id_time, id)), now: clock.now(), seed };
    let LogLimits { quota_bytes, seal_after, wear_saver } = log_limits(storage);
    let config = LogConfig { quota_bytes, seal_after, wear_saver, ..LogConfig::default() };
    let dir = storage.dir.clone();
    let opening = tokio::task::spawn_blocking(move || {
        if dir.join("central.db").exists() {
            return Err(StartError::ForeignDir { dir });
        }
        make_dir(&dir)?;
        let now = Arc::new(move || clock.now());
        hub_store::open(&dir, config, &context, now).map_err(|source| open_failed(dir, source))
    });
    opening.await.map_err(|error| StartError::Runtime(io::Error::other(error)))?
}

/// What the log may keep and how long it may wait, as the configuration has it.
pub(super) fn log_limits(storage: &StorageConfig) -> LogLimits {
    let quota_bytes = storage.quota.bytes().saturating_sub(QUOTA_RESERVE_BYTES);
    LogLimits { seal_after: storage.seal_after, quota_bytes, wear_saver: storage.wear_saver }
}

fn open_failed(dir: PathBuf, source: OpenError) -> StartError {
    match source {
        OpenError::Locked { .. } => StartError::LogInUse { dir },
        source @ (OpenError::Io(_) | OpenError::Tables(_) | OpenError::Thread(_)) => {
            StartError::Log { dir, source }
        }
    }
}

fn make_dir(dir: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| StartError::StorageDir { dir: dir.to_owned(), source })
}

/// Whether what is written to a folder stays in memory. A folder that cannot be asked is not.
fn on_ram_disk(dir: &Path) -> bool {
    // The kind has another type on every architecture, and some sign-extend it.
    rustix::fs::statfs(dir).is_ok_and(|stat| RAM_DISKS.contains(&(i128::from(stat.f_type) & 0xffff_ffff)))
}

fn tell_recovery(dir: &Path, recovery: &Recovery) {
    let (hub, took_ms) = (recovery.hub, recovery.duration.as_millis());
    let (dir, records) = (dir.display(), recovery.records);
    if recovery.is_new {
        info!(%hub, %dir, "a new telemetry log was made");
    } else if recovery.clean {
        info!(%hub, %dir, records, took_ms, "the telemetry log is open");
    } else {
        let torn_tail = recovery.torn_tail;
        warn!(%hub, %dir, records, took_ms, torn_tail, "the last run did not end in order; the telemetry log is recovered");
    }
    for (class, range) in &recovery.lost {
        warn!(class = class.name(), %range, "records were damaged on disk and are lost, with a gap row");
    }
    for file in &recovery.set_aside {
        warn!(file, "a file could not be opened and was set aside");
    }
}

/// The latest time an earlier run was sure of.
fn last_known_good(registry: &SharedRegistry) -> UtcMs {
    let registry = registry.lock();
    let set = registry.catalog().clock().records().filter(|record| record.quality != ClockQuality::Unset);
    let times = set.map(|record| record.offset_ms.saturating_add_unsigned(record.mono_from_ms));
    UtcMs(times.max().unwrap_or(EARLIEST_PLAUSIBLE.0))
}

async fn listen_web(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Web { address, source })
}

fn mqtt_config(config: &Config) -> MqttConfig {
    let listener =
        |l: &crate::config::MqttListener| ListenerConfig { address: l.address, anonymous: l.anonymous };
    let limits = MqttLimits::default();
    let connections_max = files::mqtt_connections(limits.connections_max);
    MqttConfig {
        listeners: config.mqtt.listeners.iter().map(listener).collect(),
        dir: config.storage.dir.clone(),
        limits: MqttLimits { connections_max, ..limits },
    }
}

fn listeners(broker: &BrokerHandle, web: SocketAddr, socket: &Path) -> Vec<Listener> {
    let named = |kind: &str, address: String| Listener { kind: kind.to_owned(), address };
    let mut all: Vec<Listener> = broker.local_addrs().iter().map(|a| named("mqtt", a.to_string())).collect();
    all.push(named("web", web.to_string()));
    all.push(named("socket", socket.display().to_string()));
    all
}

fn facts(config: &Config, recovery: &Recovery, listeners: Vec<Listener>, settings: SettingsReader) -> Facts {
    Facts {
        hub: recovery.hub,
        storage_dir: config.storage.dir.clone(),
        listeners,
        started_clean: recovery.clean || recovery.is_new,
        epoch: recovery.epoch,
        settings,
    }
}

/// Both surfaces, the stream of the page, and the samples behind its pace of writing.
fn spawn_surfaces(
    web: TcpListener,
    local: UnixListener,
    api: &Arc<Api>,
    supervisor: &Supervisor,
) -> Result<(), StartError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(StartError::Entropy)?;
    let hub = Arc::new(LiveHub::new(api.clone()));
    let live = Live::new(hub, u64::from_le_bytes(seed), supervisor.stop_signal());
    spawn_api(web, Surface::Web, (api, &live), supervisor);
    spawn_api(local, Surface::Socket, (api, &live), supervisor);
    supervisor.spawn_restarting("live", move || live.clone().run());
    let (sampled, stop) = (api.clone(), supervisor.clone());
    supervisor.spawn_restarting("room", move || sample_written(sampled.clone(), stop.stop_signal()));
    Ok(())
}

/// Notes what was written, until the stop signal.
async fn sample_written(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    // Not before everything has started: files that are made once are not the pace of a day.
    api.begin_wear();
    loop {
        tokio::select! {
            () = tokio::time::sleep(SAMPLE_EVERY) => api.note_written(),
            () = stopped(&mut stop) => return,
        }
    }
}

fn spawn_api<A: Acceptor>(
    acceptor: A,
    surface: Surface,
    (api, live): (&Arc<Api>, &Live),
    supervisor: &Supervisor,
) {
    let server = Arc::new(Server {
        name: surface.name(),
        connection_task: surface.connection_task(),
        acceptor,
        router: router(api.clone(), live.clone(), surface),
        limits: ServerLimits::default(),
        counts: api.clone(),
    });
    let owner = supervisor.clone();
    supervisor.spawn_restarting(surface.name(), move || server.clone().serve(owner.clone()));
}

fn spawn_clock(clock: Clock, registry: SharedRegistry, log: LogHandle, supervisor: &Supervisor) {
    let owner = supervisor.clone();
    supervisor.spawn_restarting("clock", move || {
        clock_task::watch(clock, registry.clone(), log.clone(), owner.clone())
    });
}

fn reload_metrics(reloads: &Reloads) -> Vec<MetricRow> {
    let help = "Times the configuration was read again: taken over, or refused, which changes nothing.";
    let row = |result, count| {
        MetricRow::counter("relais_config_reloads_total", help, count).label("result", result)
    };
    let in_force = u64::from(reloads.last.is_none_or(|(_, is_taken)| is_taken));
    let help = "1 where the files, as they were read last, are in force; 0 after a refused reload.";
    let in_force = MetricRow::gauge("relais_config_in_force", help, in_force);
    vec![row("done", reloads.done), row("refused", reloads.refused), in_force]
}

fn broker_metrics(broker: &SharedBroker) -> Vec<MetricRow> {
    let broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = broker.as_ref().map(BrokerHandle::metrics).unwrap_or_default();
    let convert = |row: &southbound::mqtt::MetricRow| MetricRow {
        name: row.name.to_owned(),
        help: row.help,
        kind: if row.name.ends_with("_total") { MetricKind::Counter } else { MetricKind::Gauge },
        labels: row.label.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        value: float(row.value),
    };
    rows.iter().map(convert).collect()
}

fn broker_trouble(broker: &SharedBroker, supervisor: &Supervisor) -> Option<String> {
    let stopping = broker.lock().unwrap_or_else(PoisonError::into_inner).is_none();
    if stopping {
        return Some("the hub is stopping".to_owned());
    }
    let missing = supervisor.missing()?;
    Some(format!("a part of the MQTT broker has ended ({missing}); restart the hub and report its log"))
}

fn tell_listening(config: &Config, web: SocketAddr) {
    if config.mqtt.listeners.is_empty() {
        warn!("no [[mqtt.listener]] is configured: devices cannot connect");
    }
    info!(address = %web, "listening for HTTP");
    info!(path = %config.socket.path.display(), "listening for the command line");
    let (dir, quota) = (config.storage.dir.display(), config.storage.quota);
    info!(site = config.site.name, %dir, %quota, version = env!("CARGO_PKG_VERSION"), "the hub runs");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MqttListener;
    use hub_chassis::config::Layers;

    /// A configuration in a folder of its own, on free ports.
    fn config(name: &str) -> Config {
        let dir = std::env::temp_dir().join(format!("relais-start-{}-{name}", std::process::id()));
        let mut config = Layers::default().load::<Config>().unwrap().config;
        config.socket.path = dir.join("hub.sock");
        config.storage.dir = dir;
        config.web.listen.set_port(0);
        config.mqtt.listeners[0].address.set_port(0);
        config
    }

    #[tokio::test]
    async fn a_failed_start_leaves_no_socket_and_starts_nothing() {
        let mut config = config("failed");
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        config.mqtt.listeners.push(MqttListener { address, anonymous: true });
        let clock = Clock::new();
        let (log, recovery) = open_log(&config.storage, clock).await.unwrap();
        let (supervisor, mut ended) = Supervisor::new(tokio::runtime::Handle::current());
        let failed =
            wire(config.clone(), Source::default(), clock, log.clone(), &recovery, supervisor.clone()).await;
        let why = failed.err().unwrap().to_string();
        assert!(why.contains(&address.to_string()), "{why}");
        assert!(!config.socket.path.exists());
        while supervisor.running() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(ended.try_recv().is_err(), "the end of no task is told");
        tokio::task::spawn_blocking(move || log.close()).await.unwrap().unwrap();
        std::fs::remove_dir_all(config.storage.dir).unwrap();
    }

    #[test]
    fn a_ram_disk_is_known_by_its_kind() {
        assert!(!on_ram_disk(Path::new("/proc")));
        assert!(!on_ram_disk(Path::new("/nowhere at all")));
    }

    #[tokio::test]
    async fn the_parts_of_the_broker_are_those_whose_end_is_seen() {
        let config = config("standing");
        let (parts, _ended) = start(config.clone(), Source::default()).await.unwrap();
        assert_eq!(parts.supervisor.missing(), None);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let tasks = parts.supervisor.task_names();
        for name in crate::driver_tasks::DRIVER_TASKS {
            assert!(tasks.contains(&name), "{name} is not among {tasks:?}");
        }
        let broker = parts.broker.clone();
        // Dropped without an order to stop, the broker ends by itself, which nobody wanted.
        drop(broker.lock().unwrap().take());
        while parts.supervisor.missing().is_none() {
            tokio::task::yield_now().await;
        }
        parts.supervisor.stop();
        let log = parts.log.clone();
        drop(parts);
        tokio::task::spawn_blocking(move || log.close()).await.unwrap().unwrap();
        assert!(!config.socket.path.exists());
        std::fs::remove_dir_all(config.storage.dir).unwrap();
    }
}
