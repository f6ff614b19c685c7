//! One client's connection: the shell around [`Session`].
//!
//! One task, no further ones: it reads, decodes what is complete, hands messages to the log and the bus, collects the
//! log's answers in order, and writes once for each wake-up. Reading pauses while anything it handed over waits, so a
//! full log or bus slows the clients that fill it and nobody else.

mod drain;
mod intake;

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::access::Role;
use super::broker::{Phase, Shared};
use super::codec::{Publish, Version, decode};
use super::handshake::Opened;
use super::listener::Door;
use super::log_quota::Shown;
use super::message::Message;
use super::registry::Claim;
use super::session::{Delivered, Ending, Outcome, Session};
use crate::ingest::{DevicePublish, Stored};

/// Room for one read. Held only while there is something in it.
const READ_BYTES: usize = 8 * 1024;
/// Filling `out` pauses here; a single message may go beyond it.
const OUT_BYTES_MAX: usize = 64 * 1024;
/// With nothing else to wait for, a connection looks around this often.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// See the module.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    door: Arc<Door>,
    stream: TcpStream,
    claim: Claim,
    role: Role,
    session: Session,
    will: Option<Publish>,
    /// Seconds the session outlives the connection.
    expiry_s: u32,
    input: BytesMut,
    out: BytesMut,
    /// When `out` last got shorter or began to fill.
    out_since: Instant,
    /// To be handed over, in order. Short: reading pauses until it is empty.
    work: VecDeque<Work>,
    /// The one being handed over to somebody who is full.
    stalled: Option<Stalled>,
    /// Handed to the log, not answered yet; at most the receive maximum.
    waits: VecDeque<Wait>,
    phase: watch::Receiver<Phase>,
    /// A refusal was logged: one line for each connection is enough.
    warned: bool,
}

enum Work {
    /// To the log.
    Ingest(Box<DevicePublish>),
    /// To the bus; then the PUBLISH of this serial is done.
    Fan(Message, Option<u64>),
}

struct Stalled {
    /// Ends with false when the receiver is gone.
    handover: Pin<Box<dyn Future<Output = bool> + Send>>,
    serial: Option<u64>,
}

/// A PUBLISH in the log's hands.
struct Wait {
    serial: u64,
    stored: oneshot::Receiver<Stored>,
    message: Message,
}

enum Event {
    Kicked,
    Phase,
    Stored(Option<Stored>),
    HandedOver(bool),
    Writable,
    Readable,
    Mail,
    Timeout,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        door: Arc<Door>,
        stream: TcpStream,
        opened: Opened,
        phase: watch::Receiver<Phase>,
    ) -> Connection {
        let now = shared.clock.instant();
        let connect = *opened.connect;
        Connection {
            session: Session::new(&connect, now),
            shared,
            door,
            stream,
            claim: opened.claim,
            role: opened.role,
            will: connect.will.map(|will| will.message),
            expiry_s: opened.expiry_s,
            input: opened.input,
            out: BytesMut::new(),
            out_since: now,
            work: VecDeque::new(),
            stalled: None,
            waits: VecDeque::new(),
            phase,
            warned: false,
        }
    }

    /// Serves the client until its connection ends, and cleans up behind it.
    pub(crate) async fn run(mut self) {
        let ending = loop {
            if let Err(ending) = self.turn().await {
                break ending;
            }
        };
        self.log_end(ending);
        self.shared.metrics.disconnects.add(ending.reason);
        self.finish(ending).await;
    }

    fn log_end(&self, ending: Ending) {
        let (client, reason) = (Shown(self.claim.client()), ending.reason);
        if reason == "qos2-not-supported" && self.may_warn() {
            // 3.1.1 cannot tell the client, so its owner has to read it here.
            tracing::warn!(?client, "client publishes at QoS 2, which is not supported yet; set it to QoS 1");
        } else {
            tracing::debug!(?client, reason, "connection ended");
        }
    }

    /// Whether the listener's quota has room for a line that the client caused.
    fn may_warn(&self) -> bool {
        self.door.log.refusals.admits(self.shared.clock.instant())
    }

    /// Does what can be done, writes, and waits for the next event.
    async fn turn(&mut self) -> Result<(), Ending> {
        self.hand_over()?;
        self.decode_input().await?;
        let now = self.shared.clock.instant();
        self.collect_mail(now);
        self.write(now)?;
        if *self.phase.borrow() >= Phase::Draining && !self.is_busy() && self.out.is_empty() {
            return Err(Ending::told("shutdown", 0x8b));
        }
        let event = self.next_event(now).await;
        self.apply(event)
    }

    async fn next_event(&mut self, now: Instant) -> Event {
        let timeout = self.poll_timeout(now).saturating_duration_since(now);
        let (may_read, must_write, may_fill) =
            (self.may_read(), !self.out.is_empty(), self.out.len() < OUT_BYTES_MAX);
        let Connection { stream, claim, phase, waits, stalled, .. } = self;
        let mailbox = Arc::clone(claim.mailbox());
        tokio::select! {
            biased;
            () = claim.kicked() => Event::Kicked,
            _ = phase.changed() => Event::Phase,
            stored = next_stored(waits) => Event::Stored(stored),
            done = handed_over(stalled) => Event::HandedOver(done),
            _ = stream.writable(), if must_write => Event::Writable,
            _ = stream.readable(), if may_read => Event::Readable,
            () = mailbox.filled(), if may_fill => Event::Mail,
            () = tokio::time::sleep(timeout) => Event::Timeout,
        }
    }

    fn apply(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Kicked => Err(Ending::told("taken-over", 0x8e)),
            Event::Phase if *self.phase.borrow() == Phase::Closed || self.phase.has_changed().is_err() => {
                Err(Ending::told("shutdown", 0x8b))
            }
            Event::Stored(stored) => self.stored(stored),
            Event::HandedOver(true) => {
                let serial = self.stalled.take().and_then(|s| s.serial);
                self.handed_over(serial);
                Ok(())
            }
            Event::HandedOver(false) => {
                self.stalled = None;
                Err(INGEST_GONE)
            }
            Event::Readable => self.read(),
            Event::Timeout => self.check_timeouts(),
            // The next turn does what these allow.
            Event::Phase | Event::Writable | Event::Mail => Ok(()),
        }
    }

    /// Whether something is in the hands of the log or the bus, or on its way there.
    fn is_busy(&self) -> bool {
        self.stalled.is_some() || !self.work.is_empty() || self.session.owes_acks()
    }

    fn may_read(&self) -> bool {
        self.may_decode() && *self.phase.borrow() < Phase::Draining
    }

    /// Version 5 may not exceed the receive maximum and is told so; 3.1.1 does not know of it and has to wait.
    fn may_decode(&self) -> bool {
        let full = self.session.version() == Version::V4 && self.session.acks_full();
        self.work.is_empty() && self.stalled.is_none() && !full && self.out.len() < OUT_BYTES_MAX
    }

    async fn decode_input(&mut self) -> Result<(), Ending> {
        if *self.phase.borrow() >= Phase::Draining {
            return Ok(());
        }
        while self.may_decode() && !self.input.is_empty() {
            let version = Some(self.session.version());
            let Some(packet) = decode(&mut self.input, version, self.shared.limits.packet_bytes_max())?
            else {
                break;
            };
            let now = self.shared.clock.instant();
            if let Some(request) = self.session.handle(packet, now, &mut self.out)? {
                self.request(request).await?;
                self.hand_over()?;
            }
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), Ending> {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => Err(Ending::silent("closed-by-client")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(Ending::silent("socket-error")),
        }
    }

    fn write(&mut self, now: Instant) -> Result<(), Ending> {
        if self.out.is_empty() {
            self.out_since = now;
            return Ok(());
        }
        match self.stream.try_write(&self.out) {
            Ok(written) => {
                self.out.advance(written);
                self.out_since = now;
                if self.out.is_empty() {
                    self.out = BytesMut::new();
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(Ending::silent("socket-error")),
        }
    }

    fn collect_mail(&mut self, now: Instant) {
        while self.out.len() < OUT_BYTES_MAX {
            let session = &mut self.session;
            let metrics = &self.shared.metrics;
            let taken = self.claim.mailbox().take_if(metrics, |qos| session.may_send(qos));
            let Some(delivery) = taken else { return };
            match session.deliver(&delivery, now, &mut self.out) {
                Delivered::Sent => {
                    metrics.delivered.add(1);
                    metrics.delivered_bytes.add(delivery.message.payload.len());
                }
                Delivered::TooLarge => metrics.dropped.add("packet-too-large"),
                Delivered::Expired => metrics.dropped.add("expired"),
            }
        }
    }

    fn poll_timeout(&self, now: Instant) -> Instant {
        let mut next = now + TIMEOUT_MAX;
        if !self.out.is_empty() {
            next = next.min(self.out_since + self.shared.limits.write_timeout);
        }
        match self.session.poll_timeout() {
            Some(silent_until) if self.may_read() => next.min(silent_until),
            Some(_) | None => next,
        }
    }

    fn check_timeouts(&mut self) -> Result<(), Ending> {
        let now = self.shared.clock.instant();
        if !self.out.is_empty() && now >= self.out_since + self.shared.limits.write_timeout {
            return Err(Ending::silent("write-timeout"));
        }
        match self.session.poll_timeout() {
            Some(silent_until) if now >= silent_until && self.may_read() => {
                Err(Ending::told("keep-alive-timeout", 0x8d))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn stored(&mut self, stored: Option<Stored>) -> Result<(), Ending> {
        let mut stored = stored;
        // The log answers many at once: take them all before writing.
        loop {
            let (Some(wait), Some(answer)) = (self.waits.pop_front(), stored) else {
                return Err(INGEST_GONE);
            };
            self.settle(wait, answer);
            stored = match self.waits.front_mut().map(|w| w.stored.try_recv()) {
                None | Some(Err(oneshot::error::TryRecvError::Empty)) => return Ok(()),
                Some(Err(oneshot::error::TryRecvError::Closed)) => None,
                Some(Ok(answer)) => Some(answer),
            };
        }
    }

    fn settle(&mut self, wait: Wait, answer: Stored) {
        let outcome = match answer {
            Stored::OnFlash => {
                self.shared.metrics.stored.add(1);
                self.work.push_back(Work::Fan(wait.message, None));
                Outcome::success()
            }
            Stored::Refused => {
                self.shared.metrics.refused_publishes.add("refused-by-hub");
                Outcome { code: 0x83, text: "the hub cannot store this".into() }
            }
        };
        self.session.resolve(wait.serial, outcome, &mut self.out);
    }
}

/// Nothing was stored, so nothing may be acknowledged; the client tries again later.
const INGEST_GONE: Ending = Ending::told("ingest-gone", 0x88);

/// The answer for the oldest message the log has; `None` when it will never come. Cancel-safe.
async fn next_stored(waits: &mut VecDeque<Wait>) -> Option<Stored> {
    match waits.front_mut() {
        Some(wait) => (&mut wait.stored).await.ok(),
        None => pending().await,
    }
}

/// Cancel-safe: the handover stays where it is.
async fn handed_over(stalled: &mut Option<Stalled>) -> bool {
    match stalled {
        Some(stalled) => stalled.handover.as_mut().await,
        None => pending().await,
    }
}
