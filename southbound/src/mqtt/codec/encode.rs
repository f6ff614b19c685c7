//! What the server sends, into bytes.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::packet::{Qos, Version};

/// What CONNACK announces on version 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether an old session goes on.
    pub session_present: bool,
    /// 0 for success; else the version's own code.
    pub code: u8,
    /// Why not, for people.
    pub reason: &'static str,
    /// The client id the server chose.
    pub assigned_id: Option<Box<str>>,
    /// The session expiry when it is less than what was asked for, in seconds.
    pub session_expiry_s: Option<u32>,
    /// Most QoS 1 messages taken unacknowledged.
    pub receive_maximum: u16,
    /// Longest packet taken, in bytes.
    pub packet_bytes_max: u32,
}

/// Writes CONNACK.
pub fn connack(out: &mut BytesMut, version: Version, ack: &ConnAck) {
    let mut properties = BytesMut::new();
    if version == Version::V5 {
        if ack.code == 0 {
            announce(&mut properties, ack);
        } else {
            string_property(&mut properties, 31, ack.reason);
        }
    }
    let properties_bytes = if version == Version::V5 { with_length(properties.len()) } else { 0 };
    header(out, 0x20, 2 + properties_bytes);
    out.put_u8(u8::from(ack.session_present && ack.code == 0));
    out.put_u8(ack.code);
    if version == Version::V5 {
        put_properties(out, &properties);
    }
}

fn announce(properties: &mut BytesMut, ack: &ConnAck) {
    if let Some(expiry_s) = ack.session_expiry_s {
        properties.put_u8(17);
        properties.put_u32(expiry_s);
    }
    properties.put_u8(33);
    properties.put_u16(ack.receive_maximum);
    // Maximum QoS 1; retain, subscription identifiers and shared subscriptions not available. Topic alias maximum is
    // 0 when it is not named.
    properties.put_slice(&[36, 1, 37, 0, 41, 0, 42, 0]);
    properties.put_u8(39);
    properties.put_u32(ack.packet_bytes_max);
    if let Some(id) = &ack.assigned_id {
        string_property(properties, 18, id);
    }
}

/// A message on its way to a subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Quality of service of this delivery.
    pub qos: Qos,
    /// Its packet identifier; ignored at QoS 0.
    pub id: u16,
    /// The topic.
    pub topic: &'a str,
    /// What is left of its expiry; version 5 only.
    pub expiry: Option<Duration>,
    /// Its other properties in wire form, without their length; version 5 only.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

impl Outgoing<'_> {
    /// Bytes of the whole packet.
    pub fn encoded_bytes(&self, version: Version) -> usize {
        with_length(self.body_bytes(version)) + 1
    }

    fn body_bytes(&self, version: Version) -> usize {
        let id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let properties = match version {
            Version::V4 => 0,
            Version::V5 => with_length(self.properties_bytes()),
        };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    fn properties_bytes(&self) -> usize {
        self.properties.len() + if self.expiry.is_some() { 5 } else { 0 }
    }
}

/// Writes PUBLISH.
pub fn publish(out: &mut BytesMut, version: Version, message: &Outgoing<'_>) {
    let flags = if message.qos == Qos::AtMostOnce { 0x30 } else { 0x32 };
    header(out, flags, message.body_bytes(version));
    put_string(out, message.topic);
    if message.qos == Qos::AtLeastOnce {
        out.put_u16(message.id);
    }
    if version == Version::V5 {
        put_varint(out, message.properties_bytes());
        if let Some(left) = message.expiry {
            out.put_u8(2);
            // At least one second, or it would be gone already.
            out.put_u32(u32::try_from(left.as_secs().max(1)).unwrap_or(u32::MAX));
        }
        out.put_slice(message.properties);
    }
    out.put_slice(message.payload);
}

/// Writes PUBACK. `code` and `reason` (left out when empty) reach version 5 only.
pub fn puback(out: &mut BytesMut, version: Version, id: u16, code: u8, reason: &str) {
    if version == Version::V4 || code == 0 {
        out.put_slice(&[0x40, 2]);
        out.put_u16(id);
        return;
    }
    let mut properties = BytesMut::new();
    if !reason.is_empty() {
        string_property(&mut properties, 31, reason);
    }
    header(out, 0x40, 3 + with_length(properties.len()));
    out.put_u16(id);
    out.put_u8(code);
    put_properties(out, &properties);
}

/// Writes PUBCOMP for a PUBREL nobody waits for.
pub fn pubcomp(out: &mut BytesMut, version: Version, id: u16) {
    match version {
        Version::V4 => out.put_slice(&[0x70, 2]),
        Version::V5 => out.put_slice(&[0x70, 3]),
    }
    out.put_u16(id);
    if version == Version::V5 {
        out.put_u8(0x92);
    }
}

/// Writes SUBACK, one code for each filter.
pub fn suback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    acks(out, 0x90, version, id, codes);
}

/// Writes UNSUBACK. Version 3.1.1 has no codes in it.
pub fn unsuback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    acks(out, 0xb0, version, id, if version == Version::V4 { &[] } else { codes });
}

fn acks(out: &mut BytesMut, first: u8, version: Version, id: u16, codes: &[u8]) {
    let properties = if version == Version::V5 { 1 } else { 0 };
    header(out, first, 2 + properties + codes.len());
    out.put_u16(id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    out.put_slice(codes);
}

/// Writes PINGRESP.
pub fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// Writes DISCONNECT; only version 5 has one from the server.
pub fn disconnect(out: &mut BytesMut, code: u8, reason: &str) {
    let mut properties = BytesMut::new();
    if !reason.is_empty() {
        string_property(&mut properties, 31, reason);
    }
    header(out, 0xe0, 1 + with_length(properties.len()));
    out.put_u8(code);
    put_properties(out, &properties);
}

fn header(out: &mut BytesMut, first: u8, remaining: usize) {
    out.reserve(remaining + 5);
    out.put_u8(first);
    put_varint(out, remaining);
}

fn put_varint(out: &mut BytesMut, value: usize) {
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        out.put_u8(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            return;
        }
    }
}

/// `len` plus the bytes of its variable byte integer.
fn with_length(len: usize) -> usize {
    len + match len {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

fn put_properties(out: &mut BytesMut, properties: &[u8]) {
    put_varint(out, properties.len());
    out.put_slice(properties);
}

fn string_property(properties: &mut BytesMut, id: u8, text: &str) {
    properties.put_u8(id);
    put_string(properties, text);
}

fn put_string(out: &mut BytesMut, text: &str) {
    // Every string here came from a two-byte length or from this program.
    let len = u16::try_from(text.len()).expect("a string of the protocol fits its length");
    out.put_u16(len);
    out.put_slice(text.as_bytes());
}
