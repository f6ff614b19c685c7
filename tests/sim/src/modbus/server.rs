//! The server: its handle, the thread behind it, and who may connect.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

use super::bus::Bus;
use super::connection;
use super::counts::Counts;
use super::fault::{Fault, Rule, Scope};
use super::lists::{Addresses, Units};
use crate::clock;
use crate::worker::Worker;

/// Reboots that wait to be begun; each has a thread that waits for it.
const COMMANDS_MAX: usize = 8;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;
/// Between two attempts to do what the system does not allow now: to accept, or to take the port again.
const RETRY: Duration = Duration::from_millis(10);

/// What the units of a server are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Values that say where and when they were read: [`pattern`](super::pattern).
    #[default]
    Pattern,
    /// A three-phase meter: [`sdm630`](super::sdm630). It has input registers only.
    Sdm630,
}

/// A device that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no device; there are: pattern, sdm630")]
pub struct UnknownDevice {
    name: String,
}

/// What a server is from its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Units that there are; requests to others are not answered. Default: 1 to 10.
    pub units: Units,
    /// Those of them that do not answer, as behind a gateway with a broken wire. Default: none.
    pub dead: Units,
    /// What the units are. Default: the pattern.
    pub device: Device,
    /// Addresses that answer exception 2, in every table. Default: none.
    pub holes: Addresses,
    /// Serves one connection at a time and closes further ones at once. Default: up to
    /// [`CONNECTIONS_MAX`](super::CONNECTIONS_MAX) at a time.
    pub one_connection: bool,
    /// Faults from the start, in order. Default: none.
    pub faults: Vec<Rule>,
}

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct StartError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// Why it cannot.
    pub source: io::Error,
}

/// A Modbus TCP server on a thread of its own. Dropping it closes everything and waits for that.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Reboot>,
    _worker: Worker,
}

/// What the handle and the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    bus: Mutex<Bus>,
    start: Instant,
}

/// Off for so long; says when everything is closed.
#[derive(Debug)]
struct Reboot {
    down: Duration,
    closed: SyncSender<()>,
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Device, UnknownDevice> {
        match name {
            "pattern" => Ok(Device::Pattern),
            "sdm630" => Ok(Device::Sdm630),
            _ => Err(UnknownDevice { name: name.to_owned() }),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            units: Units((1..=10).collect()),
            dead: Units::default(),
            device: Device::default(),
            holes: Addresses::default(),
            one_connection: false,
            faults: Vec::new(),
        }
    }
}

impl Server {
    /// Starts a server; it listens when this returns.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the system has no thread left.
    pub fn start(options: Options) -> Result<Server, StartError> {
        let listen = options.listen;
        Server::bind(options).map_err(|source| StartError { address: listen, source })
    }

    fn bind(options: Options) -> io::Result<Server> {
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { bus: Mutex::new(Bus::new(options)), start: clock::now() });
        let (commands, reboots) = mpsc::channel(COMMANDS_MAX);
        let of_worker = Arc::clone(&shared);
        let worker = Worker::start("relais-sim modbus", || {
            let listener = TcpListener::from_std(listener)?;
            Ok(serve(listener, address, of_worker, reboots))
        })?;
        Ok(Server { address, shared, commands, _worker: worker })
    }

    /// Where it listens; the same after a reboot.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets a fault. Of several, the first one set that concerns an answer and can change it is applied, alone. One
    /// with the same name and unit is replaced where it stands.
    pub fn set_fault(&self, fault: Fault, scope: Scope) {
        self.set_rule(Rule { fault, scope });
    }

    /// The same for a fault that was read: `server.set_rule("late:1500 unit=3".parse()?)`.
    pub fn set_rule(&self, rule: Rule) {
        self.shared.bus().set_rule(rule);
    }

    /// No faults any more. Answers on their way stay as they are.
    pub fn clear_faults(&self) {
        self.shared.bus().clear_rules();
    }

    /// The faults in force, first the one that is tried first.
    pub fn rules(&self) -> Vec<Rule> {
        self.shared.bus().rules()
    }

    /// Whether this unit is one of those that do not answer.
    pub fn is_dead(&self, unit: u8) -> bool {
        self.shared.bus().is_dead(unit)
    }

    /// Exactly these units do not answer.
    pub fn set_dead(&self, units: Units) {
        self.shared.bus().set_dead(units);
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.bus().counts.clone()
    }

    /// Closes every connection and refuses new ones for so long. Returns when everything is closed, not when the
    /// server is there again. A reboot during another one starts the time anew. Faults, cycles and counts stay.
    pub fn reboot(&self, down: Duration) {
        let (closed, wait) = sync_channel(1);
        if self.commands.try_send(Reboot { down, closed }).is_ok() {
            // An error: the server ended, so everything is closed.
            let _ended = wait.recv();
        }
    }
}

impl Shared {
    pub(super) fn bus(&self) -> MutexGuard<'_, Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn start(&self) -> Instant {
        self.start
    }
}

enum Event {
    Connected(TcpStream),
    CannotAccept,
    Ended,
    Reboot(Reboot),
    Over,
}

async fn serve(
    mut listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut reboots: mpsc::Receiver<Reboot>,
) {
    let mut connections = JoinSet::new();
    loop {
        match next_event(&listener, &mut connections, &mut reboots).await {
            Event::Connected(stream) => admit(stream, &mut connections, &shared).await,
            Event::CannotAccept => sleep(RETRY).await,
            Event::Ended => {}
            Event::Reboot(reboot) => {
                connections.shutdown().await;
                drop(listener);
                shared.bus().handle_reboot();
                listener = stay_down(address, reboot, &mut reboots).await;
            }
            Event::Over => return,
        }
    }
}

async fn next_event(
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    reboots: &mut mpsc::Receiver<Reboot>,
) -> Event {
    tokio::select! {
        accepted = listener.accept() => accepted.map_or(Event::CannotAccept, |(stream, _)| Event::Connected(stream)),
        Some(_) = connections.join_next() => Event::Ended,
        reboot = reboots.recv() => reboot.map_or(Event::Over, Event::Reboot),
    }
}

/// Serves a new connection, or closes it when there are enough.
async fn admit(stream: TcpStream, connections: &mut JoinSet<()>, shared: &Arc<Shared>) {
    if is_full(shared) {
        // The end of an earlier connection may have arrived together with this one: its task looks first.
        yield_now().await;
        yield_now().await;
    }
    if is_full(shared) {
        shared.bus().counts.connections.refused += 1;
        return;
    }
    let counted = Counted::new(shared);
    connections.spawn(async move { connection::serve(stream, &counted.0).await });
}

fn is_full(shared: &Shared) -> bool {
    let bus = shared.bus();
    bus.counts.connections.now >= bus.connections_max()
}

/// A connection that is counted for as long as it is served, however it ends.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Counted {
        let connections = &mut shared.bus().counts.connections;
        connections.total += 1;
        connections.now += 1;
        connections.most = connections.most.max(connections.now);
        Counted(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.bus().counts.connections.now -= 1;
    }
}

/// Waits out a reboot and those that follow during it, then listens again.
///
/// The port is held meanwhile by a socket that does not listen: connections are refused, and nobody else gets it.
async fn stay_down(
    address: SocketAddr,
    Reboot { down, closed }: Reboot,
    reboots: &mut mpsc::Receiver<Reboot>,
) -> TcpListener {
    let mut held = hold(address).await;
    let mut until = clock::now() + down;
    // An error: the caller does not wait any more.
    let _gone = closed.send(());
    loop {
        tokio::select! {
            () = sleep_until(until) => break,
            Some(Reboot { down, closed }) = reboots.recv() => {
                until = clock::now() + down;
                let _gone = closed.send(());
            }
        }
    }
    loop {
        match held.listen(BACKLOG) {
            Ok(listener) => return listener,
            Err(_) => held = hold(address).await,
        }
    }
}

async fn hold(address: SocketAddr) -> TcpSocket {
    loop {
        match bound(address) {
            Ok(socket) => return socket,
            Err(_) => sleep(RETRY).await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the former listener may linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
