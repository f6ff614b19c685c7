//! A message as the router carries it: opaque bytes. Lives in this process only, so it has no version.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::mqtt::codec::{Qos, Text};
use crate::mqtt::message::Message;

/// At least what an envelope adds to its message, the router's topic included.
pub(super) const OVERHEAD_BYTES: usize = 64;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) number: u64,
    /// `None` for a probe.
    pub(super) message: Option<Message>,
}

const PROBE: u8 = 2;
const NEVER: u64 = u64::MAX;

impl Envelope {
    pub(super) fn probe(number: u64) -> Envelope {
        Envelope { number, message: None }
    }

    /// One allocation, which everything read back from it shares; so a message never pins a connection's buffer.
    pub(super) fn encode(&self, epoch: Instant) -> Bytes {
        let Some(message) = &self.message else {
            let mut out = BytesMut::with_capacity(9);
            out.put_u64(self.number);
            out.put_u8(PROBE);
            return out.freeze();
        };
        let mut out = BytesMut::with_capacity(message.cost_bytes());
        out.put_u64(self.number);
        out.put_u8(if message.qos == Qos::AtMostOnce { 0 } else { 1 });
        out.put_u64(message.origin);
        let expires = message.expires.map(|at| at.saturating_duration_since(epoch).as_millis());
        out.put_u64(expires.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(NEVER));
        put_part(&mut out, message.topic.bytes());
        put_part(&mut out, &message.properties);
        out.put_slice(&message.payload);
        out.freeze()
    }

    /// `None` for bytes that are no envelope.
    pub(super) fn decode(mut bytes: Bytes, epoch: Instant) -> Option<Envelope> {
        let number = bytes.try_get_u64().ok()?;
        let qos = match bytes.try_get_u8().ok()? {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            PROBE => return Some(Envelope::probe(number)),
            _ => return None,
        };
        let origin = bytes.try_get_u64().ok()?;
        let expires = match bytes.try_get_u64().ok()? {
            NEVER => None,
            ms => Some(epoch + Duration::from_millis(ms)),
        };
        let topic = Text::from_utf8(take_part(&mut bytes)?)?;
        let properties = take_part(&mut bytes)?;
        Some(Envelope {
            number,
            message: Some(Message { origin, qos, topic, properties, payload: bytes, expires }),
        })
    }
}

fn put_part(out: &mut BytesMut, part: &[u8]) {
    out.put_u32(u32::try_from(part.len()).expect("a part of a packet is shorter than 4 GiB"));
    out.put_slice(part);
}

fn take_part(bytes: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    (len <= bytes.len()).then(|| bytes.split_to(len))
}
