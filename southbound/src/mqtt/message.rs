//! A message inside the broker, between the session that published it and those that get it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::codec::{Publish, Qos, Text};

/// A message every subscriber shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Which subscriber it came from, for no-local.
    pub(crate) origin: u64,
    pub(crate) qos: Qos,
    pub(crate) topic: Text,
    /// Properties of MQTT 5 in wire form.
    pub(crate) properties: Bytes,
    pub(crate) payload: Bytes,
    /// When it expires, if ever.
    pub(crate) expires: Option<Instant>,
}

impl Message {
    pub(crate) fn new(origin: u64, publish: Publish, now: Instant) -> Message {
        let expires = publish.expiry_s.map(|s| now + Duration::from_secs(u64::from(s)));
        Message {
            origin,
            qos: publish.qos,
            topic: publish.topic,
            properties: publish.properties,
            payload: publish.payload,
            expires,
        }
    }

    /// Bytes it holds: what queues and credits are counted in. The constant stands for the structs around it.
    pub(crate) fn cost_bytes(&self) -> usize {
        self.topic.bytes().len() + self.properties.len() + self.payload.len() + 64
    }
}
