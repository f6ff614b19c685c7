//! Starts the broker, and stops it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};

use super::access;
use super::config::{ListenerConfig, MqttConfig, MqttLimits};
use super::fanout::{Bus, Fanout};
use super::listener::{self, Admission, Door};
use super::metrics::{MetricRow, Metrics};
use super::registry::Registry;
use super::session_store::{SessionStore, SessionStoreError};
use crate::ingest::IngestSender;
use crate::tasks::{BoxedTask, Clock, Spawn};

/// How far the broker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything goes.
    Running,
    /// No new connections.
    NotAccepting,
    /// Nothing new from clients; what the log has is acknowledged, then connections end.
    Draining,
    /// Everything ends now.
    Closed,
}

/// What all connections use.
pub(crate) struct Shared {
    pub(crate) limits: MqttLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingest: IngestSender,
    pub(crate) bus: Arc<Bus>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Admission,
    /// A connection has ended.
    pub(crate) left: Notify,
    /// Random number of this run, for assigned client ids.
    pub(crate) run: u64,
    pub(crate) assigned_ids: AtomicU64,
}

impl Shared {
    pub(crate) fn wire_limits(&self) -> southbound_wire::Limits {
        southbound_wire::Limits {
            payload_bytes_max: self.limits.payload_bytes_max,
            ..southbound_wire::Limits::default()
        }
    }
}

/// What the broker is given by the hub.
pub struct Surroundings {
    /// Where messages of devices go.
    pub ingest: IngestSender,
    /// Where the incarnations of ended sessions go, so that the log forgets their [`crate::ingest::PublishMark`]s. A
    /// receiver that stops taking them only delays the end of further sessions.
    pub forgotten: mpsc::Sender<u64>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Who runs the tasks.
    pub tasks: Arc<dyn Spawn>,
}

/// Why the broker does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener that would let anybody in from outside the machine.
    #[error("listener {address} allows anonymous clients, which only a loopback address may")]
    AnonymousListener {
        /// The listener's address.
        address: SocketAddr,
    },
    /// An address that cannot be listened on. People read this line alone, so it has its cause in it.
    #[error("address {address} cannot be listened on: {cause}{}", advice(cause))]
    Bind {
        /// The listener's address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// A limit that cannot work.
    #[error("payload_bytes_max is {found}, at most 524288 fits the bus")]
    PayloadBytesMax {
        /// The limit as given.
        found: usize,
    },
    /// The session file cannot be opened, nor a fresh one made.
    #[error("session file in {dir} cannot be opened: {cause}")]
    Sessions {
        /// Its directory.
        dir: PathBuf,
        /// Why not.
        cause: SessionStoreError,
    },
    /// The system gives no random numbers.
    #[error("no random numbers: {cause}")]
    Random {
        /// What it said.
        cause: String,
    },
}

/// What to do about an address that cannot be listened on.
fn advice(cause: &io::Error) -> &'static str {
    let is = |kind| cause.kind() == kind;
    if is(io::ErrorKind::AddrInUse) {
        "; another MQTT broker may be running here: stop it, or choose another port under [[mqtt.listener]]"
    } else if is(io::ErrorKind::AddrNotAvailable) {
        "; no interface of this machine has it: choose another address under [[mqtt.listener]]"
    } else if is(io::ErrorKind::PermissionDenied) {
        "; ports below 1024 need a privilege: choose another port under [[mqtt.listener]]"
    } else {
        ""
    }
}

/// The running broker. Dropped, it closes all connections at once.
pub struct BrokerHandle {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    addresses: Vec<SocketAddr>,
}

/// The broker; see [`Broker::start`].
pub struct Broker;

/// Above this, a single message would not fit the bus beside its topic.
const PAYLOAD_BYTES_MAX: usize = 512 * 1024;

impl Broker {
    /// Opens the session file, binds every listener, and starts the tasks. When it fails, nothing runs.
    pub async fn start(config: MqttConfig, around: Surroundings) -> Result<BrokerHandle, StartError> {
        check(&config)?;
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            listeners.push((bind(listener).await?, listener.anonymous));
        }
        let metrics = Arc::new(Metrics::default());
        let registry = open_registry(&config, &around, &metrics).await?;
        let run = getrandom::u64().map_err(|e| StartError::Random { cause: e.to_string() })?;
        let shared = Arc::new(Shared {
            limits: config.limits,
            clock: Arc::clone(&around.clock),
            ingest: around.ingest.clone(),
            bus: Bus::new(),
            registry,
            metrics,
            admission: Admission::default(),
            left: Notify::new(),
            run,
            assigned_ids: AtomicU64::new(0),
        });
        let (phase, phases) = watch::channel(Phase::Running);
        start_tasks(&shared, &around, &phases);
        let mut addresses = Vec::with_capacity(listeners.len());
        for ((listener, address), anonymous) in listeners {
            tracing::info!(%address, anonymous, "listening for MQTT");
            addresses.push(address);
            let tasks = Arc::clone(&around.tasks);
            let task =
                listener::listen(listener, Door::new(anonymous), Arc::clone(&shared), tasks, phases.clone());
            around.tasks.spawn("mqtt-listener", Box::pin(task));
        }
        Ok(BrokerHandle { shared, phase, addresses })
    }
}

fn check(config: &MqttConfig) -> Result<(), StartError> {
    if config.limits.payload_bytes_max > PAYLOAD_BYTES_MAX {
        return Err(StartError::PayloadBytesMax { found: config.limits.payload_bytes_max });
    }
    match config.listeners.iter().find(|l| l.anonymous && !access::may_be_anonymous(&l.address)) {
        Some(listener) => Err(StartError::AnonymousListener { address: listener.address }),
        None => Ok(()),
    }
}

async fn bind(listener: &ListenerConfig) -> Result<(TcpListener, SocketAddr), StartError> {
    let fault = |cause| StartError::Bind { address: listener.address, cause };
    let socket = TcpListener::bind(listener.address).await.map_err(fault)?;
    let address = socket.local_addr().map_err(fault)?;
    Ok((socket, address))
}

async fn open_registry(
    config: &MqttConfig,
    around: &Surroundings,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Registry>, StartError> {
    let (dir, counted) = (config.dir.clone(), Arc::clone(metrics));
    let opened = tokio::task::spawn_blocking(move || SessionStore::open(&dir, counted)).await;
    let opened = opened.unwrap_or_else(|panic| Err(SessionStoreError::new(panic)));
    let fault = |cause| StartError::Sessions { dir: config.dir.clone(), cause };
    let (store, found) = opened.map_err(fault)?;
    let clock = Arc::clone(&around.clock);
    Ok(Arc::new(Registry::new(store, found, config.limits, Arc::clone(metrics), clock)))
}

fn start_tasks(shared: &Arc<Shared>, around: &Surroundings, phases: &watch::Receiver<Phase>) {
    let registry = Arc::clone(&shared.registry);
    let deliver = Box::new(move |message| registry.deliver(message));
    let bus = Arc::clone(&shared.bus);
    let fanout = Fanout::new(bus, deliver, Arc::clone(&shared.metrics), Arc::clone(&shared.clock));
    around.tasks.spawn("mqtt-fanout", until_closed(phases, fanout.run()));
    let sweep = Arc::clone(&shared.registry).sweep(around.forgotten.clone());
    around.tasks.spawn("mqtt-sessions", until_closed(phases, sweep));
}

fn until_closed(
    phases: &watch::Receiver<Phase>,
    task: impl Future<Output = ()> + Send + 'static,
) -> BoxedTask {
    let mut phases = phases.clone();
    Box::pin(async move {
        tokio::select! {
            () = task => {}
            _ = phases.wait_for(|&p| p == Phase::Closed) => {}
        }
    })
}

impl BrokerHandle {
    /// Where it listens, in the order of the configuration, with the ports that were taken for port 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Every number the broker counts, now.
    pub fn metrics(&self) -> Vec<MetricRow> {
        self.shared.metrics.rows()
    }

    /// Open connections, those still in their handshake included.
    pub fn connections(&self) -> usize {
        self.shared.admission.total()
    }

    /// Closes the listeners. Clients that are connected stay.
    pub fn stop_accepting(&self) {
        self.advance(Phase::NotAccepting);
    }

    /// Stops: takes nothing new, acknowledges what the log answers until `deadline` is over, says goodbye (version 5:
    /// 0x8B) and closes. The log must go on answering meanwhile.
    pub async fn shutdown(self, deadline: Duration) {
        self.advance(Phase::Draining);
        if tokio::time::timeout(deadline, self.all_left()).await.is_err() {
            let connections = self.connections();
            tracing::warn!(connections, "connections are closed before they were done");
        }
        self.advance(Phase::Closed);
    }

    async fn all_left(&self) {
        loop {
            let left = self.shared.left.notified();
            if self.connections() == 0 {
                return;
            }
            left.await;
        }
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            if forward {
                *phase = to;
            }
            forward
        });
    }
}

#[cfg(test)]
mod tests;
