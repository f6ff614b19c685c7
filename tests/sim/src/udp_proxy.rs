//! A relay for datagrams between hub and central, so that a link can be cut, slowed and made lossy without root.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Random, clock};

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// While datagrams are held back, how long a thread waits for another one before it looks at what is due.
const LOOK: Duration = Duration::from_millis(2);

/// Otherwise, how long it waits before it looks whether it should end: rarely enough to cost nothing.
const IDLE_LOOK: Duration = Duration::from_millis(50);

/// Datagrams on their way in one direction; more are dropped, as a router does.
const QUEUE_MAX: usize = 20_000;

/// Clients at once. A hub takes another port when it starts anew, so the one that was silent longest makes room.
const CLIENTS_MAX: usize = 64;

/// A relay in front of one UDP address. Each client gets a socket of its own behind it. Dropping it ends its threads.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What went through since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Datagrams from clients.
    pub up: u64,
    /// Datagrams to clients.
    pub down: u64,
    /// Dropped while the link was cut, or lost at random.
    pub dropped: u64,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    from: IpAddr,
    cut: AtomicBool,
    loss_per_mille: AtomicU32,
    delay_ms: AtomicU64,
    over: AtomicBool,
    up: AtomicU64,
    down: AtomicU64,
    dropped: AtomicU64,
    random: Mutex<Random>,
}

impl UdpProxy {
    /// Relays to this address from the machine's loopback address.
    pub fn start(target: SocketAddr) -> UdpProxy {
        UdpProxy::start_from(target, Ipv4Addr::LOCALHOST.into())
    }

    /// Relays so that everything seems to come from this address, such as 127.0.0.7.
    ///
    /// # Panics
    /// When no loopback port is free: it is for tests.
    pub fn start_from(target: SocketAddr, from: IpAddr) -> UdpProxy {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        UdpProxy::bind(any, target, from).expect("a loopback port is free")
    }

    /// Relays from this address to that one.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the system has no thread left.
    pub fn listen(listen: SocketAddr, target: SocketAddr) -> io::Result<UdpProxy> {
        UdpProxy::bind(listen, target, Ipv4Addr::LOCALHOST.into())
    }

    fn bind(listen: SocketAddr, target: SocketAddr, from: IpAddr) -> io::Result<UdpProxy> {
        let listen = UdpSocket::bind(listen)?;
        let address = listen.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            from,
            cut: AtomicBool::new(false),
            loss_per_mille: AtomicU32::new(0),
            delay_ms: AtomicU64::new(0),
            over: AtomicBool::new(false),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            random: Mutex::new(Random::new(u64::from(address.port()))),
        });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("relais-sim link".to_owned())
            .spawn(move || relay(&Arc::new(listen), &own))?;
        Ok(UdpProxy { address, shared, thread: Some(thread) })
    }

    /// Where clients send to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing goes through from now on, in either direction.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
    }

    /// Everything goes through again.
    pub fn heal(&self) {
        self.shared.cut.store(false, Ordering::Relaxed);
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        self.shared.cut.load(Ordering::Relaxed)
    }

    /// Loses so many datagrams of a thousand, in each direction.
    pub fn lose(&self, per_mille: u32) {
        self.shared.loss_per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// Holds every datagram back for so long, in each direction.
    pub fn delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).expect("a delay is short");
        self.shared.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// What went through.
    pub fn relayed(&self) -> Relayed {
        let Shared { up, down, dropped, .. } = self.shared.as_ref();
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Relayed { up: get(up), down: get(down), dropped: get(dropped) }
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the relay of {} panicked", self.shared.target);
        }
    }
}

impl Shared {
    fn is_lost(&self) -> bool {
        let per_mille = self.loss_per_mille.load(Ordering::Relaxed);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.cut.load(Ordering::Relaxed) || random.below(1000) < u64::from(per_mille);
        if lost {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }
}

/// Datagrams that wait until they are due.
struct Delayed<'a> {
    shared: &'a Shared,
    waiting: VecDeque<(Instant, Vec<u8>, Arc<UdpSocket>, SocketAddr)>,
}

impl<'a> Delayed<'a> {
    const fn new(shared: &'a Shared) -> Delayed<'a> {
        Delayed { shared, waiting: VecDeque::new() }
    }

    fn take(&mut self, bytes: &[u8], socket: &Arc<UdpSocket>, to: SocketAddr) {
        if self.shared.is_lost() || self.waiting.len() >= QUEUE_MAX {
            return;
        }
        let delay = Duration::from_millis(self.shared.delay_ms.load(Ordering::Relaxed));
        if delay.is_zero() && self.waiting.is_empty() {
            send(socket, bytes, to);
        } else {
            self.waiting.push_back((clock::now() + delay, bytes.to_vec(), Arc::clone(socket), to));
        }
    }

    /// Sends what is due; how long to wait for the next look.
    fn send_due(&mut self) -> Duration {
        let now = clock::now();
        while self.waiting.front().is_some_and(|(due, ..)| *due <= now)
            && let Some((_, bytes, socket, to)) = self.waiting.pop_front()
        {
            send(&socket, &bytes, to);
        }
        if self.waiting.is_empty() { IDLE_LOOK } else { LOOK }
    }
}

/// What the network does not take is lost, as datagrams are: nobody may listen at the other end.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _lost = socket.send_to(bytes, to);
}

/// Someone in front of the relay. Dropping it ends the thread behind it.
struct Client {
    socket: Arc<UdpSocket>,
    heard: Instant,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    fn start(listen: &Arc<UdpSocket>, client: SocketAddr, shared: &Arc<Shared>) -> io::Result<Client> {
        let socket = Arc::new(UdpSocket::bind((shared.from, 0))?);
        let over = Arc::new(AtomicBool::new(false));
        let (behind, listen, shared) = (Arc::clone(&socket), Arc::clone(listen), Arc::clone(shared));
        let is_over = Arc::clone(&over);
        let thread = thread::Builder::new()
            .name("relais-sim link back".to_owned())
            .spawn(move || relay_back(&behind, &listen, client, &shared, &is_over))?;
        Ok(Client { socket, heard: clock::now(), over, thread: Some(thread) })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a thread of the link panicked");
        }
    }
}

fn relay(listen: &Arc<UdpSocket>, shared: &Arc<Shared>) {
    let mut clients: BTreeMap<SocketAddr, Client> = BTreeMap::new();
    let mut delayed = Delayed::new(shared);
    let over = || shared.over.load(Ordering::Relaxed);
    receive(listen, over, |arrived| {
        if let Some((bytes, from)) = arrived
            && let Some(client) = client_of(&mut clients, from, listen, shared)
        {
            client.heard = clock::now();
            shared.up.fetch_add(1, Ordering::Relaxed);
            delayed.take(bytes, &client.socket, shared.target);
        }
        delayed.send_due()
    });
}

/// The client at this address, which may be new; `None` when the system has no socket or thread for it, so that the
/// datagram is lost.
fn client_of<'a>(
    clients: &'a mut BTreeMap<SocketAddr, Client>,
    from: SocketAddr,
    listen: &Arc<UdpSocket>,
    shared: &Arc<Shared>,
) -> Option<&'a mut Client> {
    if !clients.contains_key(&from) {
        if clients.len() >= CLIENTS_MAX
            && let Some(silent) = clients.iter().min_by_key(|(_, client)| client.heard).map(|(at, _)| *at)
        {
            clients.remove(&silent);
        }
        clients.insert(from, Client::start(listen, from, shared).ok()?);
    }
    clients.get_mut(&from)
}

/// What comes back for one client.
fn relay_back(
    socket: &UdpSocket,
    listen: &Arc<UdpSocket>,
    client: SocketAddr,
    shared: &Shared,
    over: &AtomicBool,
) {
    let mut delayed = Delayed::new(shared);
    let over = || over.load(Ordering::Relaxed);
    receive(socket, over, |arrived| {
        if let Some((bytes, _)) = arrived {
            shared.down.fetch_add(1, Ordering::Relaxed);
            delayed.take(bytes, listen, client);
        }
        delayed.send_due()
    });
}

/// Calls `each` with every datagram, and with none when it has asked to be called again by now, until it is over.
fn receive(
    socket: &UdpSocket,
    is_over: impl Fn() -> bool,
    mut each: impl FnMut(Option<(&[u8], SocketAddr)>) -> Duration,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut set = Duration::ZERO;
    let mut look = IDLE_LOOK;
    while !is_over() {
        if look != set {
            socket.set_read_timeout(Some(look)).expect("a timeout that is not zero can be set");
            set = look;
        }
        look = match socket.recv_from(&mut buffer) {
            Ok((length, from)) => each(Some((&buffer[..length], from))),
            Err(error) if is_silence(&error) => each(None),
            Err(error) => panic!("a loopback socket fails: {error}"),
        };
    }
}

/// Nothing came, or the system says that an earlier datagram met nobody.
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ends {
        client: UdpSocket,
        server: UdpSocket,
        proxy: UdpProxy,
    }

    fn ends() -> Ends {
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket
        };
        let (client, server) = (open(), open());
        let proxy = UdpProxy::start_from(server.local_addr().unwrap(), "127.0.0.9".parse().unwrap());
        client.connect(proxy.address()).unwrap();
        Ends { client, server, proxy }
    }

    /// Sends until something arrives; where it came from.
    fn arrives(ends: &Ends) -> SocketAddr {
        let mut buffer = [0; 16];
        let start = clock::now();
        while start.elapsed() < Duration::from_secs(5) {
            ends.client.send(b"up").unwrap();
            if let Ok((_, from)) = ends.server.recv_from(&mut buffer) {
                return from;
            }
        }
        panic!("no datagram arrives");
    }

    #[test]
    fn datagrams_go_both_ways_and_come_from_the_address_that_was_chosen() {
        let ends = ends();
        let from = arrives(&ends);
        assert_eq!(from.ip(), "127.0.0.9".parse::<IpAddr>().unwrap());
        ends.server.send_to(b"down", from).unwrap();
        let mut buffer = [0; 16];
        let length = ends.client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"down");
        assert_eq!(ends.proxy.relayed().down, 1);
    }

    #[test]
    fn a_cut_link_carries_nothing_until_it_is_healed() {
        let ends = ends();
        ends.proxy.cut();
        assert!(ends.proxy.is_cut());
        ends.client.send(b"lost").unwrap();
        assert!(ends.server.recv(&mut [0; 16]).is_err());
        assert_eq!(ends.proxy.relayed().dropped, 1);
        ends.proxy.heal();
        arrives(&ends);
    }

    #[test]
    fn a_slow_link_keeps_the_order() {
        let ends = ends();
        ends.proxy.delay(Duration::from_millis(30));
        let start = clock::now();
        (0..50u8).for_each(|n| assert_eq!(ends.client.send(&[n]).unwrap(), 1));
        let mut buffer = [0; 16];
        let numbers = (0..50).map(|_| ends.server.recv(&mut buffer).map(|_| buffer[0]).unwrap());
        assert!(numbers.eq(0..50u8));
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_new_client_takes_the_place_of_the_one_that_was_silent_longest() {
        let ends = ends();
        let first = arrives(&ends);
        let clients: Vec<UdpSocket> =
            (0..CLIENTS_MAX).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for client in &clients {
            client.send_to(b"up", ends.proxy.address()).unwrap();
            assert!(ends.server.recv_from(&mut [0; 16]).is_ok());
        }
        // It is let in again, behind another socket.
        assert_ne!(arrives(&ends), first);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        let ends = ends();
        assert!(UdpProxy::listen(ends.proxy.address(), ends.server.local_addr().unwrap()).is_err());
    }
}
