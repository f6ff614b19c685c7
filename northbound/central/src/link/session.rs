//! One hub's sync: the shell around [`CentralSync`]. All waiting is in `next_event`, all changing in `apply` and what
//! the core then asks for.

use std::net::SocketAddr;
use std::time::Duration;

use hub_chassis::supervisor::{Rule, stopped};
use hub_model::{HubId, SeqRange};
use northbound_sync::{CentralConfig, CentralOutput, CentralSync, Placed};
use northbound_trust::HubName;
use northbound_wire::{Lane, Message, Refusal, RefusalCode, StreamKind, Versions, encode};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, watch};

use super::connection::{Told, answer_enrolment};
use super::reader::{Arrived, Reader};
use super::sessions::Connected;
use super::{Surroundings, enrol};
use crate::ingest::Pending;
use crate::storage::{AuditEntry, HubSeen, Outcome};

/// Messages read ahead of the session, all streams together: blocks of 64 KiB at most, so half a megabyte.
const ARRIVED_QUEUE: usize = 8;

/// Arrivals handed to the ingest whose commit is awaited. Full: the session waits, which the ingest never does for it.
const PENDING_QUEUE: usize = 4_096;

/// A hub opens its control stream and says Hello at once.
const HELLO_MAX: Duration = Duration::from_secs(30);

/// A hub that does not read what it is told for this long is gone.
const WRITE_MAX: Duration = Duration::from_secs(60);

/// Rewinds written to log and audit per session: seven classes of two epochs. A hub that says more is not believed.
const REWINDS_TOLD_MAX: u32 = 14;

/// Refused blocks and gaps told in the log one by one, per session; further ones are told as a sum at its end.
const REFUSALS_TOLD_MAX: u64 = 16;

/// Streams that may wait for their head.
const STREAMS_MAX: usize = 32;

/// An arrival that waits for its commit.
type Waiting = (Lane, SeqRange, Pending);
/// One that has been answered.
type Answered = (Lane, SeqRange, Placed);

/// Everything that can happen to a session.
enum Event {
    Arrived(Arrived),
    Placed(Answered),
    Opened(RecvStream),
    OpenedBoth(SendStream, RecvStream),
    Replaced,
    /// Blocks of the hub went bad here.
    AskAgain,
    /// A Hello that was put off may be answered.
    HelloDue,
    Stopping,
    /// The connection is gone.
    Gone,
}

struct Session<'a> {
    around: &'a Surroundings,
    connection: &'a Connection,
    name: HubName,
    address: SocketAddr,
    core: CentralSync,
    control: SendStream,
    arrived: mpsc::Receiver<Arrived>,
    arrivals: mpsc::Sender<Arrived>,
    placed: mpsc::Receiver<Answered>,
    waiting: mpsc::Sender<Waiting>,
    replaced: watch::Receiver<bool>,
    again: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    streams: usize,
    /// Lanes told to be older than the hub remembers.
    rewinds: u32,
    /// A Hello that is put off, and until when.
    hello: Option<(Message, u64)>,
    /// Blocks and gaps refused.
    refused: u64,
    is_asked_again: bool,
}

/// Runs a session to its end. The error is a refusal that the peer is to be told.
pub(super) async fn run(
    around: &Surroundings,
    connection: &Connection,
    name: HubName,
    address: SocketAddr,
) -> Result<(), Told> {
    let told = |refusal| Told::new(name.hub.to_string(), "hub.sync", refusal);
    let Ok(opened) = tokio::time::timeout(HELLO_MAX, connection.accept_bi()).await else {
        return Err(told(Refusal::ending(RefusalCode::Unexpected, "no Hello came")));
    };
    let Ok((control, receive)) = opened else { return Ok(()) };
    let (arrivals, arrived) = mpsc::channel(ARRIVED_QUEUE);
    let (waiting, to_await) = mpsc::channel(PENDING_QUEUE);
    let (answer, placed) = mpsc::channel(PENDING_QUEUE);
    let term = around.term;
    let since_ms = around.clock.mono_ms();
    let place = around.sessions.enter(name.hub, Connected { address, since_ms });
    around.supervisor.spawn("hub commits", Rule::Passing, await_commits(to_await, answer));
    let mut session = Session {
        around,
        connection,
        name,
        address,
        core: CentralSync::new(CentralConfig::new(name.hub, term)),
        control,
        arrived,
        arrivals,
        placed,
        waiting,
        replaced: place.replaced.clone(),
        again: place.again.clone(),
        stop: around.supervisor.stop_signal(),
        streams: 0,
        rewinds: 0,
        hello: None,
        refused: 0,
        is_asked_again: false,
    };
    tracing::info!(hub = %name.hub, %address, "a hub has connected");
    session.read(receive, Some(StreamKind::Control));
    let ended = session.converse().await;
    let untold = session.refused.saturating_sub(REFUSALS_TOLD_MAX);
    if untold > 0 {
        tracing::warn!(hub = %name.hub, untold, "further blocks were refused on this connection");
    }
    tracing::info!(hub = %name.hub, %address, "a hub has disconnected");
    match ended {
        Ok(()) => Ok(()),
        Err(refusal) => Err(told(refusal).normal(session.is_asked_again).on(session.control)),
    }
}

/// Waits for commits in the order in which they were asked for, which is the order in which they happen.
async fn await_commits(mut waiting: mpsc::Receiver<Waiting>, answer: mpsc::Sender<Answered>) {
    while let Some((lane, range, pending)) = waiting.recv().await {
        let placed = pending.placed().await;
        if answer.send((lane, range, placed)).await.is_err() {
            // The session is gone; what was handed over is stored all the same.
            return;
        }
    }
}

impl Session<'_> {
    async fn converse(&mut self) -> Result<(), Refusal> {
        loop {
            let event = self.next_event().await;
            if !self.apply(event)? {
                return Ok(());
            }
            // What else was answered meanwhile goes into the same acknowledgement.
            while let Ok((lane, range, placed)) = self.placed.try_recv() {
                self.core.handle_placed(lane, range, placed);
            }
            if !self.pump().await? {
                return Ok(());
            }
        }
    }

    /// All waiting.
    async fn next_event(&mut self) -> Event {
        let hello = self.hello.as_ref().map(|(_, due_ms)| due_ms.saturating_sub(self.around.clock.mono_ms()));
        let hello_due = async {
            match hello {
                Some(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hello_due => Event::HelloDue,
            // Without an order, the place of the session is gone.
            () = stopped(&mut self.again) => if *self.again.borrow() { Event::AskAgain } else { Event::Replaced },
            Some(arrived) = self.arrived.recv() => Event::Arrived(arrived),
            Some(answered) = self.placed.recv() => Event::Placed(answered),
            opened = self.connection.accept_uni() => opened.map_or(Event::Gone, Event::Opened),
            opened = self.connection.accept_bi() => opened.map_or(Event::Gone, |(s, r)| Event::OpenedBoth(s, r)),
            () = stopped(&mut self.replaced) => Event::Replaced,
            () = stopped(&mut self.stop) => Event::Stopping,
        }
    }

    /// Whether the session goes on.
    fn apply(&mut self, event: Event) -> Result<bool, Refusal> {
        match event {
            Event::Arrived(Arrived::Message(hello @ Message::Hello(_))) => self.hear_hello(hello),
            Event::HelloDue => {
                if let Some((hello, _)) = self.hello.take() {
                    self.core.handle_message(hello);
                }
            }
            Event::AskAgain => {
                self.is_asked_again = true;
                self.around.counts.link_asked_again.add(1);
                let detail = "blocks of this hub went bad here; come back, and they are asked for again";
                return Err(Refusal::ending(RefusalCode::Busy, detail));
            }
            Event::Arrived(Arrived::Message(message)) => self.core.handle_message(message),
            Event::Arrived(Arrived::Broken(refusal)) => return Err(refusal),
            Event::Arrived(Arrived::Left) | Event::Gone => return Ok(false),
            Event::Placed((lane, range, placed)) => self.core.handle_placed(lane, range, placed),
            Event::Opened(stream) => self.read(stream, None),
            Event::OpenedBoth(send, receive) => self.renew(send, receive),
            Event::Replaced => {
                return Err(Refusal::ending(RefusalCode::Replaced, "this hub has connected again elsewhere"));
            }
            Event::Stopping => {
                return Err(Refusal::ending(RefusalCode::Stopping, "central stops; come back in a moment"));
            }
        }
        if self.streams > STREAMS_MAX {
            return Err(Refusal::ending(RefusalCode::Unexpected, "too many streams were opened"));
        }
        Ok(true)
    }

    /// A hub that says Hello all the time is answered no more often than others; of what it says meanwhile, the last
    /// holds.
    fn hear_hello(&mut self, hello: Message) {
        if let Some((waiting, _)) = &mut self.hello {
            *waiting = hello;
            return self.around.counts.link_hellos_put_off.add(1);
        }
        let now_ms = self.around.clock.mono_ms();
        match self.around.sessions.hello(self.name.hub, now_ms) {
            0 => self.core.handle_message(hello),
            wait_ms => {
                self.around.counts.link_hellos_put_off.add(1);
                self.hello = Some((hello, now_ms + wait_ms));
            }
        }
    }

    /// Reads a stream in a task of its own. Without a kind, its head must say that it is backlog.
    fn read(&mut self, stream: RecvStream, expected: Option<StreamKind>) {
        self.streams += 1;
        let out = self.arrivals.clone();
        let mut reader = Reader::new(stream);
        self.around.supervisor.spawn("hub stream", Rule::Passing, async move {
            let kind = match reader.head().await {
                Ok(kind) => kind,
                Err(None) => return,
                Err(Some(refusal)) => return told(&out, refusal).await,
            };
            let fits = match expected {
                Some(expected) => kind == expected,
                None => matches!(kind, StreamKind::Backlog(_)),
            };
            if fits {
                reader.run(kind, out).await;
            } else {
                let detail = "a stream of this kind has no place here";
                told(&out, Refusal::ending(RefusalCode::Unexpected, detail)).await;
            }
        });
    }

    /// A hub asks for its next certificate on a stream beside the others.
    fn renew(&mut self, send: SendStream, receive: RecvStream) {
        self.streams += 1;
        let (around, name, address) = (self.around.clone(), self.name, self.address);
        let out = self.arrivals.clone();
        self.around.supervisor.spawn("hub renewal", Rule::Passing, async move {
            let mut reader = Reader::new(receive);
            match reader.head().await {
                Ok(StreamKind::Enrol) => {}
                Ok(_) | Err(Some(_)) => {
                    let detail = "a stream of this kind has no place here";
                    return told(&out, Refusal::ending(RefusalCode::Unexpected, detail)).await;
                }
                Err(None) => return,
            }
            if let Err(refused) = answer_enrolment(&around, reader, send, Some(name), address).await {
                refused.note_and_tell(&around, address).await;
            }
        });
    }

    /// Does what the core asks for. Whether the session goes on.
    async fn pump(&mut self) -> Result<bool, Refusal> {
        while let Some(output) = self.core.poll_output() {
            match output {
                CentralOutput::Load(lanes) => {
                    let accounted = self.around.storage.accounted(self.name.hub, &lanes).await;
                    let accounted = accounted.map_err(|error| enrol::storage_failed(&error))?;
                    let known = self.around.storage.known_runs(self.name.hub).await;
                    let known = known.map_err(|error| enrol::storage_failed(&error))?;
                    self.core.handle_accounted(accounted, &known);
                }
                CentralOutput::Store(arrival) => {
                    let (lane, range) = (arrival.lane, arrival.range);
                    let pending = self.around.ingest.submit(self.name.hub, arrival).await;
                    if self.waiting.send((lane, range, pending)).await.is_err() {
                        return Ok(false);
                    }
                }
                CentralOutput::Send(message) => {
                    if !self.say(&message).await {
                        return Ok(false);
                    }
                }
                CentralOutput::Run(run) => {
                    let noted = self.around.storage.note_run(self.name.hub, run).await;
                    noted.map_err(|error| enrol::storage_failed(&error))?;
                }
                CentralOutput::Greeted(hello) => self.greeted(&hello).await?,
                CentralOutput::Rewound { lane, confirmed_upto, have_upto } => {
                    self.rewound(lane, confirmed_upto, have_upto).await;
                }
                CentralOutput::Close(refusal) => return Err(refusal),
            }
        }
        Ok(true)
    }

    async fn say(&mut self, message: &Message) -> bool {
        let bytes = encode(message);
        if let Message::Refusal(refusal) = message {
            self.refused += 1;
            if self.refused <= REFUSALS_TOLD_MAX {
                let (hub, code) = (self.name.hub, refusal.code.name());
                let item = refusal.item.map(|item| format!("{} {}", item.lane.class.name(), item.range));
                tracing::warn!(%hub, code, item, "a block was refused: {}", refusal.detail);
            }
        }
        matches!(tokio::time::timeout(WRITE_MAX, self.control.write_all(&bytes)).await, Ok(Ok(())))
    }

    async fn greeted(&self, hello: &northbound_wire::Hello) -> Result<(), Refusal> {
        let protocol = Versions::OURS.agree(hello.versions).unwrap_or(Versions::OURS.max);
        let seen = HubSeen {
            program: hub_chassis::cli::output::printable(&hello.program).to_string(),
            protocol,
            boot: hello.boot,
            address: self.address.to_string(),
        };
        let now = self.around.clock.utc();
        let noted = self.around.storage.hub_seen(self.name.hub, &seen, now).await;
        noted.map_err(|error| enrol::storage_failed(&error))
    }

    /// This folder lacks what the hub was told it has: it is an older copy, or blocks went bad. It is filled up again.
    async fn rewound(&mut self, lane: Lane, confirmed_upto: u64, have_upto: u64) {
        self.around.counts.link_rewound.add(1);
        self.rewinds += 1;
        if self.rewinds > REWINDS_TOLD_MAX {
            return;
        }
        let class = lane.class.name();
        let detail = format!(
            "epoch {} class {class}: the hub was told that everything below {confirmed_upto} is here, and only what \
             is below {have_upto} is; the rest is asked for again",
            lane.epoch
        );
        tracing::warn!(hub = %self.name.hub, class, confirmed_upto, have_upto, "this folder lacks what it had: {detail}");
        let entry = audit(self.name.hub, self.address, detail);
        let written = async {
            let mut tx = self.around.storage.write().await?;
            tx.db().append_audit(&entry, self.around.clock.utc()).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "a rewind could not be written to the audit");
        }
    }
}

fn audit(hub: HubId, address: SocketAddr, detail: String) -> AuditEntry {
    AuditEntry {
        actor: "system".to_owned(),
        action: "sync.rewind".to_owned(),
        target: hub.to_string(),
        outcome: Outcome::Done,
        address: address.ip().to_string(),
        detail,
    }
}

/// Hands a refusal to the session, which ends with it.
async fn told(out: &mpsc::Sender<Arrived>, refusal: Refusal) {
    if out.send(Arrived::Broken(refusal)).await.is_err() {
        tracing::trace!("a session ended before its stream was refused");
    }
}
