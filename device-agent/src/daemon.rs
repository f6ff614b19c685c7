//! `relais-agent run`: the shell around [`Agent`]: socket, files, signals, one poll loop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use hub_model::DeviceName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use thiserror::Error;

use crate::agent::{Agent, Output};
use crate::clock::Moment;
use crate::config::{Config, HubAddress};
use crate::hello::Identity;
use crate::host::Host;
use crate::log::{Level, Log};
use crate::mqtt::{Session, Settings};
use crate::notify::Notifier;
use crate::queue::{OpenError, Queue, QueueFile, Ring, SEGMENTS, boot_number};

/// Most time for one address of the hub to take the connection. The session gives up on all of them together.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The dialling thread's stack: name lookup of the C library wants some 64 KiB.
const DIAL_STACK_BYTES: usize = 256 * 1024;

/// Most attempts at a time. One that was given up goes on until its lookup or connect ends, which a name server that says
/// nothing can delay for half a minute. Beyond it, an attempt fails at once.
const DIALERS_MAX: usize = 2;

/// Read at once from the hub, which says four bytes at a time.
const READ_BYTES: usize = 512;

/// Most bytes that wait for the socket: everything in flight, at the longest. A hub that takes nothing is noticed by its
/// silence.
const OUTGOING_BYTES_MAX: usize = 128 * 1024;

/// Why the agent does not start, or stops.
#[derive(Debug, Error)]
pub enum RunError {
    /// Signals cannot be received.
    #[error("receive signals")]
    Signals(#[source] io::Error),
    /// Descriptors cannot be waited for.
    #[error("wait for events")]
    Wait(#[source] io::Error),
    /// Another agent has the queue.
    #[error("open the queue in {dir}: another relais-agent has it")]
    QueueTaken {
        /// Its folder.
        dir: String,
    },
    /// The queue's file is a newer program's.
    #[error(transparent)]
    QueueNewer(OpenError),
}

/// The MQTT client id of a device's agent.
pub fn client_id(name: &DeviceName) -> String {
    format!("relais-agent-{name}")
}

/// The session's words for a device.
pub fn settings(name: &DeviceName) -> Settings {
    let prefix = southbound_wire::PREFIX;
    Settings {
        client_id: client_id(name),
        telemetry_topic: format!("{prefix}{name}/telemetry"),
        event_topic: format!("{prefix}{name}/event"),
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(config: &Config, name: &DeviceName, log: Log) -> Result<(), RunError> {
    let (signals, signalled) = UnixStream::pair().map_err(RunError::Signals)?;
    for signal in [SIGTERM, SIGINT] {
        let end = signalled.try_clone().map_err(RunError::Signals)?;
        signal_hook::low_level::pipe::register(signal, end).map_err(RunError::Signals)?;
    }
    let host = Host::new("/");
    let start = Moment::read();
    let identity = Identity::read(&host);
    let ring = open_ring(config, log)?;
    let queue = Queue::new(ring, boot_number(identity.boot_id.as_deref(), start), config.queue.age_max);
    let session = Session::new(settings(name), seed(start), start.since_boot);
    log.line(
        Level::Info,
        format_args!(
            "relais-agent {} runs as {name} for the hub at {}; {} messages wait",
            env!("CARGO_PKG_VERSION"),
            config.hub,
            queue.len()
        ),
    );
    let agent = Agent::new(queue, session, config.interval, identity.to_event(), start);
    let notifier = Notifier::from_environment();
    notifier.say(&format!("READY=1\nSTATUS={}", agent.status()));
    let mut daemon = Daemon::new(agent, host, config.hub.clone(), signals, notifier, log)?;
    let ended = daemon.work();
    daemon.stop();
    ended
}

/// The queue's file, or none where there is no writing: then the agent works without one.
fn open_ring(config: &Config, log: Log) -> Result<Option<Ring<QueueFile>>, RunError> {
    let (dir, size) = (&config.queue.dir, config.queue.max_bytes);
    let in_memory = |why: &dyn std::fmt::Display| {
        let dir = dir.display();
        log.line(
            Level::Error,
            format_args!("the queue in {dir} cannot be used, messages stay in memory: {why}"),
        );
        Ok(None)
    };
    let opened = || QueueFile::open(dir, size);
    let file = match opened() {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err(RunError::QueueTaken { dir: dir.display().to_string() });
        }
        Err(error) => return in_memory(&error),
    };
    let resized = |mut ring: Ring<QueueFile>| {
        ring.medium().make(size)?;
        Ok::<_, io::Error>(ring.into_medium())
    };
    match Ring::open(file) {
        Ok(ring) if ring.is_empty() && ring.room() != size => match resized(ring) {
            Ok(file) => Ring::open(file).map(Some).or_else(|error| in_memory(&error)),
            Err(error) => in_memory(&error),
        },
        Ok(ring) => {
            let damaged = ring.unreadable_segments();
            if damaged > 0 {
                let (dir, of) = (dir.display(), SEGMENTS);
                log.line(
                    Level::Warn,
                    format_args!(
                        "{damaged} of {of} parts of the queue in {dir} are damaged, and the messages in them are lost; \
                         {} messages in the others are whole",
                        ring.len()
                    ),
                );
            }
            Ok(Some(ring))
        }
        Err(error @ OpenError::Newer { .. }) => Err(RunError::QueueNewer(error)),
        Err(OpenError::Size { found }) => {
            let remade = opened().and_then(|mut file| {
                // Blank, it was left by a crash while it was made.
                if file.is_blank()? {
                    return file.make(size).map(|()| file);
                }
                drop(file);
                QueueFile::set_aside(dir)?;
                log.line(
                    Level::Warn,
                    format_args!(
                        "the queue in {} has {found} bytes, which no queue has: it is kept as queue.damaged, and the \
                         messages in it are lost",
                        dir.display()
                    ),
                );
                opened()
            });
            match remade {
                Ok(file) => Ring::open(file).map(Some).or_else(|error| in_memory(&error)),
                Err(error) => in_memory(&error),
            }
        }
        Err(error @ OpenError::Read(_)) => in_memory(&error),
    }
}

/// Where no entropy is to be had, the clock spreads attempts well enough.
fn seed(start: Moment) -> u64 {
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    let clock = start.wall_ms.unwrap_or(0) ^ u64::from(start.since_boot.subsec_nanos());
    if read.is_ok() { u64::from_ne_bytes(bytes) } else { clock }
}

/// Everything that can happen.
enum Event {
    Stop,
    Dialed(io::Result<TcpStream>),
    Bytes(Vec<u8>),
    Closed(String),
    Writable,
    Timeout,
}

struct Link {
    stream: TcpStream,
    outgoing: Vec<u8>,
}

struct Daemon {
    agent: Agent<QueueFile>,
    host: Host,
    hub: HubAddress,
    log: Log,
    signals: UnixStream,
    notifier: Notifier,
    watchdog_due: Option<Duration>,
    link: Option<Link>,
    /// The attempt that runs. One that was given up ends by itself, into a channel nobody reads.
    dialing: Option<Receiver<io::Result<TcpStream>>>,
    /// Shared with every dialling thread that runs.
    dialers: Arc<()>,
    woken: UnixStream,
    wake: UnixStream,
}

impl Daemon {
    fn new(
        agent: Agent<QueueFile>,
        host: Host,
        hub: HubAddress,
        signals: UnixStream,
        notifier: Notifier,
        log: Log,
    ) -> Result<Daemon, RunError> {
        let (woken, wake) = UnixStream::pair().map_err(RunError::Wait)?;
        woken.set_nonblocking(true).map_err(RunError::Wait)?;
        let watchdog_due = notifier.watchdog_interval().map(|interval| Moment::read().since_boot + interval);
        let (link, dialing, dialers) = (None, None, Arc::new(()));
        Ok(Daemon {
            agent,
            host,
            hub,
            log,
            signals,
            notifier,
            watchdog_due,
            link,
            dialing,
            dialers,
            woken,
            wake,
        })
    }

    fn work(&mut self) -> Result<(), RunError> {
        loop {
            let event = self.next_event().map_err(RunError::Wait)?;
            if let Event::Stop = event {
                return Ok(());
            }
            self.apply(event, Moment::read());
        }
    }

    /// All waiting. One event at a time, signals first.
    fn next_event(&mut self) -> io::Result<Event> {
        loop {
            let now = Moment::read().since_boot;
            let due = self.watchdog_due.into_iter().fold(self.agent.poll_timeout(), Duration::min);
            if due <= now {
                return Ok(Event::Timeout);
            }
            let ready = self.wait(due - now)?;
            if ready.signal {
                return Ok(Event::Stop);
            }
            if ready.woken
                && let Some(event) = self.dialed()
            {
                return Ok(event);
            }
            if let Some(event) = ready.readable.then(|| self.read()).flatten() {
                return Ok(event);
            }
            if ready.writable {
                return Ok(Event::Writable);
            }
        }
    }

    fn wait(&self, time: Duration) -> io::Result<Ready> {
        // A millisecond more: a wait that ends early would go round once for nothing.
        let time = Timespec::try_from(time + Duration::from_millis(1)).map_err(io::Error::other)?;
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.woken.as_fd(), PollFlags::IN),
        ];
        if let Some(link) = &self.link {
            let writing = if link.outgoing.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::from_borrowed_fd(link.stream.as_fd(), PollFlags::IN | writing));
        }
        match poll(&mut fds, Some(&time)) {
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let socket = fds.get(2).map_or(PollFlags::empty(), PollFd::revents);
        let ended = PollFlags::HUP | PollFlags::ERR;
        Ok(Ready {
            signal: !fds[0].revents().is_empty(),
            woken: !fds[1].revents().is_empty(),
            readable: socket.intersects(PollFlags::IN | ended),
            writable: socket.intersects(PollFlags::OUT),
        })
    }

    /// How the attempt went, if it is the one that is waited for.
    fn dialed(&mut self) -> Option<Event> {
        // One byte for each attempt that ended.
        self.woken.read_exact(&mut [0]).ok();
        let result = match self.dialing.as_ref()?.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the dialling thread ended")),
        };
        self.dialing = None;
        Some(Event::Dialed(result))
    }

    fn read(&mut self) -> Option<Event> {
        let link = self.link.as_mut()?;
        let mut buffer = [0; READ_BYTES];
        match link.stream.read(&mut buffer) {
            Ok(0) => Some(Event::Closed("closed by the hub".to_owned())),
            Ok(length) => Some(Event::Bytes(buffer[..length].to_vec())),
            Err(error) if is_passing(&error) => None,
            Err(error) => Some(Event::Closed(error.to_string())),
        }
    }

    /// All changing, nothing that waits for the network.
    fn apply(&mut self, event: Event, now: Moment) {
        match event {
            Event::Dialed(result) => match result.and_then(prepared) {
                Ok(stream) => {
                    self.link = Some(Link { stream, outgoing: Vec::new() });
                    self.agent.handle_dialed(now);
                }
                Err(error) => self.agent.handle_dial_failed(error.to_string(), now),
            },
            Event::Bytes(bytes) => self.agent.handle_bytes(&bytes, now),
            Event::Closed(why) => {
                self.link = None;
                self.agent.handle_closed(why, now);
            }
            Event::Writable => self.write(now),
            Event::Timeout => {
                self.pet_watchdog(now.since_boot);
                self.agent.handle_timeout(now);
            }
            Event::Stop => {}
        }
        self.do_outputs();
    }

    fn pet_watchdog(&mut self, now: Duration) {
        if let (Some(due), Some(interval)) = (self.watchdog_due, self.notifier.watchdog_interval())
            && due <= now
        {
            self.notifier.say(&format!("WATCHDOG=1\nSTATUS={}", one_line(&self.agent.status())));
            self.watchdog_due = Some(now + interval);
        }
    }

    fn do_outputs(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Read => {
                    let facts = self.host.read();
                    self.agent.handle_facts(&facts, Moment::read());
                }
                Output::Dial => self.dial(),
                Output::Send(bytes) => self.send(&bytes),
                Output::Close => (self.link, self.dialing) = (None, None),
                Output::Log(level, text) => self.log.line(level, text),
            }
        }
    }

    fn dial(&mut self) {
        if Arc::strong_count(&self.dialers) > DIALERS_MAX {
            let why = "earlier attempts still wait for the name server or the network";
            return self.agent.handle_dial_failed(why.to_owned(), Moment::read());
        }
        let (sender, receiver) = sync_channel(1);
        let (hub, dialer) = (self.hub.clone(), self.dialers.clone());
        let started = self.wake.try_clone().and_then(|wake| {
            let work = move || {
                dial(&hub, &sender, wake);
                drop(dialer);
            };
            thread::Builder::new().name("dial".into()).stack_size(DIAL_STACK_BYTES).spawn(work)
        });
        match started {
            Ok(_detached) => self.dialing = Some(receiver),
            Err(error) => self.agent.handle_dial_failed(error.to_string(), Moment::read()),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let Some(link) = &mut self.link else { return };
        if link.outgoing.len() + bytes.len() > OUTGOING_BYTES_MAX {
            return self.agent.handle_closed("the hub takes nothing".to_owned(), Moment::read());
        }
        link.outgoing.extend_from_slice(bytes);
        self.write(Moment::read());
    }

    fn write(&mut self, now: Moment) {
        let Some(link) = &mut self.link else { return };
        while !link.outgoing.is_empty() {
            match link.stream.write(&link.outgoing) {
                Ok(written) => drop(link.outgoing.drain(..written)),
                Err(error) if is_passing(&error) => return,
                Err(error) => return self.agent.handle_closed(error.to_string(), now),
            }
        }
    }

    /// What is not acknowledged goes to the file; goodbye to the hub.
    fn stop(&mut self) {
        self.notifier.say("STOPPING=1");
        self.agent.handle_stop(Moment::read());
        self.do_outputs();
        let waiting = self.agent.queue().len();
        self.log.line(Level::Info, format_args!("stopped; {waiting} messages wait"));
    }
}

/// What the network said may hold anything, and a line feed would begin another word for the service manager.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[derive(Clone, Copy, Default)]
struct Ready {
    signal: bool,
    woken: bool,
    readable: bool,
    writable: bool,
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Runs on a thread of its own: lookups and connects wait.
fn dial(hub: &HubAddress, result: &SyncSender<io::Result<TcpStream>>, mut wake: UnixStream) {
    // Nobody listens any more when the attempt was given up.
    result.try_send(connect(hub)).ok();
    wake.write_all(&[1]).ok();
}

/// Tries every address of the hub's name.
pub(crate) fn connect(hub: &HubAddress) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the hub's name has no address");
    for address in (hub.host.as_str(), hub.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
