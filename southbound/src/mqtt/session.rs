//! One connection's protocol state, without I/O: packet identifiers, acknowledgements in order, in-flight limits and
//! keep-alive.
//!
//! What comes in goes through [`Session::handle`], which writes answers into `out` and returns what needs the world.
//! Invariant: PUBACKs leave in the order of their PUBLISHes, and none before its outcome is known.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::codec::encode::{self, Outgoing};
use super::codec::{Connect, DecodeError, Disconnect, Packet, Publish, Qos, Subscribe, Unsubscribe, Version};
use super::mailbox::Delivery;

/// Most QoS 1 messages of one client that wait for the log. Announced on version 5; on 3.1.1, which cannot be told,
/// reading pauses.
pub(crate) const RECEIVE_MAXIMUM: u16 = 64;
/// Most QoS 1 messages on their way to one client, whatever it would take.
const IN_FLIGHT_MAX: u16 = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    version: Version,
    problem_information: bool,
    in_flight_max: usize,
    packet_bytes_max: usize,
    keep_alive: Option<Duration>,
    last_heard: Instant,
    acks: VecDeque<Ack>,
    /// Serial of the first of `acks`.
    first_serial: u64,
    last_id: u16,
    in_flight: BTreeSet<u16>,
}

#[derive(Debug)]
struct Ack {
    id: u16,
    outcome: Option<Outcome>,
}

/// How a PUBLISH is answered: a reason code of version 5 (0 for success) and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) text: Box<str>,
}

impl Outcome {
    pub(crate) fn success() -> Outcome {
        Outcome { code: 0, text: "".into() }
    }
}

/// What a packet asks of the world.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Take a message; with a serial, tell [`Session::resolve`] how it went.
    Publish(Publish, Option<u64>),
    /// Answer with [`Session::suback`].
    Subscribe(Subscribe),
    /// Answer with [`Session::unsuback`].
    Unsubscribe(Unsubscribe),
    /// The client leaves.
    Disconnect(Disconnect),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// For metrics and logs.
    pub(crate) reason: &'static str,
    /// What a version 5 client is told, if anything.
    pub(crate) code: Option<u8>,
    /// Whether the will is published.
    pub(crate) will: bool,
}

impl Ending {
    /// Without a word: the client left, or nothing can be said any more.
    pub(crate) const fn silent(reason: &'static str) -> Ending {
        Ending { reason, code: None, will: true }
    }

    /// With a DISCONNECT for version 5.
    pub(crate) const fn told(reason: &'static str, code: u8) -> Ending {
        Ending { reason, code: Some(code), will: true }
    }
}

impl From<DecodeError> for Ending {
    fn from(error: DecodeError) -> Ending {
        Ending::told(error.reason(), error.code())
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Written.
    Sent,
    /// Longer than the client takes.
    TooLarge,
    /// Too late.
    Expired,
}

impl Session {
    pub(crate) fn new(connect: &Connect, now: Instant) -> Session {
        let keep_alive = match connect.keep_alive_s {
            0 => None,
            seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
        };
        let packet_bytes_max = connect.packet_bytes_max.map(usize::try_from);
        Session {
            version: connect.version,
            problem_information: connect.problem_information,
            in_flight_max: usize::from(connect.receive_maximum.min(IN_FLIGHT_MAX)),
            packet_bytes_max: packet_bytes_max.and_then(Result::ok).unwrap_or(usize::MAX),
            keep_alive,
            last_heard: now,
            acks: VecDeque::new(),
            first_serial: 0,
            last_id: 0,
            in_flight: BTreeSet::new(),
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Takes one packet.
    pub(crate) fn handle(
        &mut self,
        packet: Packet,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<Request>, Ending> {
        self.last_heard = now;
        match packet {
            Packet::Publish(publish) => self.publish(publish).map(Some),
            Packet::PubAck { id } => {
                // An unknown one is an answer from before a reconnect, and harmless.
                self.in_flight.remove(&id);
                Ok(None)
            }
            Packet::PubRel { id } => {
                // No message waits for it here; the answer lets a client end what it began with another server.
                encode::pubcomp(out, self.version, id);
                Ok(None)
            }
            Packet::PingReq => {
                encode::pingresp(out);
                Ok(None)
            }
            Packet::Subscribe(subscribe) if subscribe.has_identifier => {
                Err(Ending::told("subscription-identifier", 0xa1))
            }
            Packet::Subscribe(subscribe) => Ok(Some(Request::Subscribe(subscribe))),
            Packet::Unsubscribe(unsubscribe) => Ok(Some(Request::Unsubscribe(unsubscribe))),
            Packet::Disconnect(disconnect) => Ok(Some(Request::Disconnect(disconnect))),
            Packet::Connect(_) | Packet::Qos2Ack { .. } | Packet::Auth => {
                Err(Ending::told("protocol-error", 0x82))
            }
        }
    }

    fn publish(&mut self, publish: Publish) -> Result<Request, Ending> {
        if publish.qos == Qos::AtMostOnce {
            return Ok(Request::Publish(publish, None));
        }
        if self.version == Version::V5 && self.acks_full() {
            return Err(Ending::told("receive-maximum-exceeded", 0x93));
        }
        let serial = self.first_serial + u64::try_from(self.acks.len()).unwrap_or(0);
        self.acks.push_back(Ack { id: publish.id, outcome: None });
        Ok(Request::Publish(publish, Some(serial)))
    }

    /// Whether as many messages wait for their outcome as may.
    pub(crate) fn acks_full(&self) -> bool {
        self.acks.len() >= usize::from(RECEIVE_MAXIMUM)
    }

    /// Whether a message waits for its outcome.
    pub(crate) fn owes_acks(&self) -> bool {
        !self.acks.is_empty()
    }

    /// Sets the outcome of a message and writes every PUBACK whose turn has come.
    pub(crate) fn resolve(&mut self, serial: u64, outcome: Outcome, out: &mut BytesMut) {
        let at = usize::try_from(serial - self.first_serial).unwrap_or(usize::MAX);
        let ack = self.acks.get_mut(at).expect("a serial is resolved once, and before its PUBACK has left");
        ack.outcome = Some(outcome);
        while let Some(Ack { id, outcome: Some(outcome) }) = self.acks.front() {
            let text = if self.problem_information { &*outcome.text } else { "" };
            encode::puback(out, self.version, *id, outcome.code, text);
            self.acks.pop_front();
            self.first_serial += 1;
        }
    }

    /// Writes SUBACK. `codes` are those of version 5; 3.1.1 knows one failure only.
    pub(crate) fn suback(&self, id: u16, codes: &[u8], out: &mut BytesMut) {
        match self.version {
            Version::V5 => encode::suback(out, self.version, id, codes),
            Version::V4 => {
                let codes: Vec<u8> = codes.iter().map(|&c| if c < 0x80 { c } else { 0x80 }).collect();
                encode::suback(out, self.version, id, &codes);
            }
        }
    }

    /// Writes UNSUBACK.
    pub(crate) fn unsuback(&self, id: u16, codes: &[u8], out: &mut BytesMut) {
        encode::unsuback(out, self.version, id, codes);
    }

    /// Whether a delivery of this QoS may be sent now.
    pub(crate) fn may_send(&self, qos: Qos) -> bool {
        qos == Qos::AtMostOnce || self.in_flight.len() < self.in_flight_max
    }

    /// Messages sent to the client that it has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.in_flight.len()
    }

    /// Writes a message that [`Session::may_send`] allows.
    pub(crate) fn deliver(&mut self, delivery: &Delivery, now: Instant, out: &mut BytesMut) -> Delivered {
        let message = &delivery.message;
        if message.expires.is_some_and(|at| at <= now) {
            return Delivered::Expired;
        }
        let mut outgoing = Outgoing {
            qos: delivery.qos,
            id: 0,
            topic: message.topic.as_str(),
            expiry: message.expires.map(|at| at.saturating_duration_since(now)),
            properties: &message.properties,
            payload: &message.payload,
        };
        if outgoing.encoded_bytes(self.version) > self.packet_bytes_max {
            return Delivered::TooLarge;
        }
        if delivery.qos == Qos::AtLeastOnce {
            outgoing.id = self.next_id();
            self.in_flight.insert(outgoing.id);
        }
        encode::publish(out, self.version, &outgoing);
        Delivered::Sent
    }

    /// The next identifier that is neither 0 nor in flight.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// When the client must have been heard from again: 1.5 times its keep-alive after its last packet.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.keep_alive.map(|k| self.last_heard + k)
    }

    /// The client could not be listened to until now, so its silence says nothing.
    pub(crate) fn excuse_silence(&mut self, now: Instant) {
        self.last_heard = now;
    }
}

#[cfg(test)]
mod tests;
