//! The session with the hub, without its socket.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::codec::{self, DecodeError, Incoming};
use crate::queue::Outgoing;

/// Most messages in flight. Enough to empty a queue of 1,000 in seconds at a hub that syncs every 50 ms, and little
/// enough for the hub: it takes 64 of one client.
pub const IN_FLIGHT_MAX: usize = 8;

/// What the hub is told: it ends the connection after 1.5 times that without a packet from here. More than
/// [`SILENCE_MAX`], at which this end gives up anyway.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// After so long without a byte from the hub it is asked for one.
const PING_AFTER: Duration = Duration::from_secs(20);

/// After so long without a byte from the hub the connection is given up. A slow disk at the hub delays acknowledgements,
/// not answers to a ping.
pub const SILENCE_MAX: Duration = Duration::from_secs(35);

/// Most time for name lookup, TCP and greeting together.
const GREETING_MAX: Duration = Duration::from_secs(20);

/// The first pause after a connection ended.
const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// The longest pause between attempts: a hub that restarts is found again within a minute.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A connection that lived this long resets the back-off. Two agents of one name push each other off the hub at once, and
/// must not do so every second.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// What identifies this device.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Stable for the life of the device: the hub knows resends by it.
    pub client_id: String,
    /// Of messages of [`crate::queue::Kind::Telemetry`].
    pub telemetry_topic: String,
    /// Of messages of [`crate::queue::Kind::Event`].
    pub event_topic: String,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// It could not be made; the system's words.
    NotReached(String),
    /// It could not be made in time.
    GreetingTimeout,
    /// The hub said no, with this code of CONNACK.
    Refused(u8),
    /// It ended; the system's words.
    Lost(String),
    /// The hub said nothing for [`SILENCE_MAX`].
    Silent,
    /// The hub said what a hub does not say.
    Protocol(DecodeError),
    /// An acknowledgement of something that is not in flight, or a second greeting.
    OutOfTurn,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::NotReached(why) => write!(f, "not reached: {why}"),
            DownReason::GreetingTimeout => write!(f, "no answer within {} s", GREETING_MAX.as_secs()),
            DownReason::Refused(code) => write!(f, "refused, code {code}: {}", refusal(*code)),
            DownReason::Lost(why) => write!(f, "connection lost: {why}"),
            DownReason::Silent => write!(f, "silent for {} s", SILENCE_MAX.as_secs()),
            DownReason::Protocol(error) => write!(f, "not MQTT 3.1.1: {error}"),
            DownReason::OutOfTurn => f.write_str("not MQTT 3.1.1: an answer without a question"),
        }
    }
}

fn refusal(code: u8) -> &'static str {
    match code {
        1 => "it does not speak MQTT 3.1.1",
        2 => "it does not take the client id",
        3 => "it is not available, or has too many sessions",
        4 => "user name or password",
        5 => "not authorized; does its listener take anonymous clients from here?",
        _ => "unknown code",
    }
}

/// What the shell, or the agent around, is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make a connection, and say [`Session::handle_dialed`] or [`Session::handle_dial_failed`].
    Dial,
    /// Write these bytes.
    Send(Vec<u8>),
    /// Close the connection, or give up making it.
    Close,
    /// The hub took the session up; messages may go.
    Up {
        /// Whether it still knew it.
        session_present: bool,
    },
    /// There is no connection any more, or none could be made; what was in flight is to be sent again.
    Down {
        /// Why.
        reason: DownReason,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// Everything below this number is acknowledged.
    DeliveredBelow(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until: Duration },
    Dialing { since: Duration },
    Greeting { since: Duration },
    Up { since: Duration, heard: Duration, pinged: bool },
    Stopped,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    number: u64,
    acknowledged: bool,
}

/// One session over any number of connections.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    phase: Phase,
    outputs: VecDeque<Output>,
    received: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    window: usize,
    backoff: Duration,
    random: u64,
}

impl Session {
    /// A session that dials at once. `seed` spreads the attempts of many devices.
    pub fn new(settings: Settings, seed: u64, now: Duration) -> Session {
        Session {
            settings,
            phase: Phase::Waiting { until: now },
            outputs: VecDeque::new(),
            received: Vec::new(),
            in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
            window: 1,
            backoff: BACKOFF_MIN,
            random: seed | 1,
        }
    }

    /// The connection is there.
    pub fn handle_dialed(&mut self) {
        let Phase::Dialing { since } = self.phase else { return };
        let mut bytes = Vec::new();
        let keep_alive = u16::try_from(KEEP_ALIVE.as_secs()).expect("a minute");
        codec::connect(&self.settings.client_id, false, keep_alive, &mut bytes);
        self.phase = Phase::Greeting { since };
        self.received.clear();
        self.outputs.push_back(Output::Send(bytes));
    }

    /// There will be no connection this time.
    pub fn handle_dial_failed(&mut self, why: String, now: Duration) {
        if let Phase::Dialing { .. } = self.phase {
            self.down(DownReason::NotReached(why), now);
        }
    }

    /// The connection ended.
    pub fn handle_closed(&mut self, why: String, now: Duration) {
        if let Phase::Greeting { .. } | Phase::Up { .. } = self.phase {
            self.down(DownReason::Lost(why), now);
        }
    }

    /// The hub said something.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Duration) {
        if let Phase::Up { heard, pinged, .. } = &mut self.phase {
            (*heard, *pinged) = (now, false);
        }
        self.received.extend_from_slice(bytes);
        let mut at = 0;
        while let Phase::Greeting { .. } | Phase::Up { .. } = self.phase {
            match codec::decode(&self.received[at..]) {
                Ok(Some((incoming, length))) => {
                    at += length;
                    self.incoming(incoming, now);
                }
                Ok(None) => break,
                Err(error) => self.down(DownReason::Protocol(error), now),
            }
        }
        self.received.drain(..at.min(self.received.len()));
    }

    fn incoming(&mut self, incoming: Incoming, now: Duration) {
        match (self.phase, incoming) {
            (Phase::Greeting { .. }, Incoming::Connected { session_present, code: 0 }) => {
                self.phase = Phase::Up { since: now, heard: now, pinged: false };
                self.window = 1;
                self.outputs.push_back(Output::Up { session_present });
            }
            (Phase::Greeting { .. }, Incoming::Connected { code, .. }) => {
                self.down(DownReason::Refused(code), now);
            }
            (Phase::Up { .. }, Incoming::Pong) => {}
            (Phase::Up { .. }, Incoming::Acknowledged { packet_id }) => self.acknowledged(packet_id, now),
            (_, _) => self.down(DownReason::OutOfTurn, now),
        }
    }

    /// Messages are delivered in their order, whatever the order of acknowledgements.
    fn acknowledged(&mut self, id: u16, now: Duration) {
        let waiting = |sent: &&mut InFlight| packet_id(sent.number) == id && !sent.acknowledged;
        let Some(sent) = self.in_flight.iter_mut().find(waiting) else {
            return self.down(DownReason::OutOfTurn, now);
        };
        sent.acknowledged = true;
        let mut below = None;
        while self.in_flight.front().is_some_and(|sent| sent.acknowledged) {
            below = self.in_flight.pop_front().map(|sent| sent.number + 1);
        }
        if let Some(below) = below {
            self.outputs.push_back(Output::DeliveredBelow(below));
        }
        self.window = (self.window + 1).min(IN_FLIGHT_MAX);
    }

    /// Whether a message may go now. The window opens with each acknowledgement: a hub that comes back after an outage
    /// is not met by everything at once.
    pub fn can_send(&self) -> bool {
        matches!(self.phase, Phase::Up { .. }) && self.in_flight.len() < self.window
    }

    /// Sends a message, with DUP when it may have been sent before. Only after [`Session::can_send`].
    pub fn send(&mut self, message: &Outgoing) {
        assert!(self.can_send(), "the caller asks first");
        let topic = match message.kind {
            crate::queue::Kind::Telemetry => &self.settings.telemetry_topic,
            crate::queue::Kind::Event => &self.settings.event_topic,
        };
        let mut bytes = Vec::new();
        codec::publish(topic, packet_id(message.number), message.again, &message.payload, &mut bytes);
        self.in_flight.push_back(InFlight { number: message.number, acknowledged: false });
        self.outputs.push_back(Output::Send(bytes));
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Dialing { since } | Phase::Greeting { since } => Some(since + GREETING_MAX),
            Phase::Up { heard, pinged: false, .. } => Some(heard + PING_AFTER),
            Phase::Up { heard, pinged: true, .. } => Some(heard + SILENCE_MAX),
            Phase::Stopped => None,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.phase {
            Phase::Waiting { .. } => {
                self.phase = Phase::Dialing { since: now };
                self.outputs.push_back(Output::Dial);
            }
            Phase::Dialing { .. } | Phase::Greeting { .. } => self.down(DownReason::GreetingTimeout, now),
            Phase::Up { pinged: pinged @ false, .. } => {
                *pinged = true;
                let mut bytes = Vec::new();
                codec::ping(&mut bytes);
                self.outputs.push_back(Output::Send(bytes));
            }
            Phase::Up { .. } => self.down(DownReason::Silent, now),
            Phase::Stopped => {}
        }
    }

    /// Says goodbye; nothing is sent after it.
    pub fn handle_stop(&mut self) {
        if let Phase::Up { .. } = self.phase {
            let mut bytes = Vec::new();
            codec::disconnect(&mut bytes);
            self.outputs.push_back(Output::Send(bytes));
        }
        self.phase = Phase::Stopped;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn down(&mut self, reason: DownReason, now: Duration) {
        if let Phase::Up { since, .. } = self.phase
            && now.saturating_sub(since) >= GOOD_AFTER
        {
            self.backoff = BACKOFF_MIN;
        }
        let retry_in = self.jittered(self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.phase = Phase::Waiting { until: now + retry_in };
        self.received.clear();
        self.in_flight.clear();
        self.outputs.push_back(Output::Close);
        self.outputs.push_back(Output::Down { reason, retry_in });
    }

    /// Half of the pause to all of it.
    fn jittered(&mut self, pause: Duration) -> Duration {
        // xorshift64: any spread will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let half_ms = u64::try_from(pause.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half_ms + self.random % (half_ms + 1))
    }
}

/// A message's packet identifier follows from its number: after a restart of the agent a resend has the same one, by which
/// the hub recognises it. Those in flight are told apart as long as their numbers lie closer than 65,535.
pub fn packet_id(number: u64) -> u16 {
    u16::try_from(number % u64::from(u16::MAX)).expect("a remainder of 65,535 fits") + 1
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
