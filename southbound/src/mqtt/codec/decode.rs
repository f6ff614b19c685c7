//! From bytes to packets, incrementally.

use bytes::{Buf, BytesMut};

use super::packet::{Disconnect, FilterRequest, Packet, Publish, Qos, Subscribe, Unsubscribe, Version};
use super::properties::{self, Place};
use super::read::Reader;
use super::{DecodeError, connect};
use crate::mqtt::filter;

/// Takes one packet off the front of `buffer`; `Ok(None)` when more bytes are needed.
///
/// `version` is `None` until CONNECT. `packet_bytes_max` bounds the whole packet, header included, and is enforced as
/// soon as the header is there, so a lying length costs nothing.
pub fn decode(
    buffer: &mut BytesMut,
    version: Option<Version>,
    packet_bytes_max: usize,
) -> Result<Option<Packet>, DecodeError> {
    let Some(&first) = buffer.first() else { return Ok(None) };
    check_type(first, version)?;
    let Some((remaining, header_bytes)) = remaining_length(&buffer[1..])? else { return Ok(None) };
    let whole = 1 + header_bytes + remaining;
    if whole > packet_bytes_max {
        return Err(DecodeError::TooLarge { found: whole });
    }
    if buffer.len() < whole {
        return Ok(None);
    }
    let mut packet = buffer.split_to(whole);
    packet.advance(1 + header_bytes);
    body(first, Reader::new(packet.freeze()), version).map(Some)
}

/// The version of the CONNECT at the front of `buffer`, once its bytes are there; also of one that is not valid. `None`
/// for versions this server does not speak, and for anything else.
pub(crate) fn connect_version(buffer: &[u8]) -> Option<Version> {
    let (&first, rest) = buffer.split_first()?;
    let (remaining, header_bytes) = remaining_length(rest).ok()??;
    let body = rest.get(header_bytes..)?.get(..7)?;
    match (first >> 4, remaining, body) {
        (1, 7.., b"\0\x04MQTT\x04") => Some(Version::V4),
        (1, 7.., b"\0\x04MQTT\x05") => Some(Version::V5),
        _ => None,
    }
}

/// Refuses by the first byte what no later byte can mend.
fn check_type(first: u8, version: Option<Version>) -> Result<(), DecodeError> {
    let flags = first & 0x0f;
    match (first >> 4, version) {
        (2 | 9 | 11 | 13, _) => return Err(DecodeError::ServerOnly(first >> 4)),
        (0, _) | (15, Some(Version::V4)) => return Err(DecodeError::Malformed("packet type is reserved")),
        (1, Some(_)) => return Err(DecodeError::Protocol("second CONNECT")),
        (kind, None) if kind != 1 => return Err(DecodeError::Protocol("first packet is not CONNECT")),
        (_, _) => {}
    }
    let expected = match first >> 4 {
        3 => return publish_flags(flags),
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if flags == expected { Ok(()) } else { Err(DecodeError::Malformed("reserved flags of the fixed header")) }
}

fn publish_flags(flags: u8) -> Result<(), DecodeError> {
    match (flags >> 1) & 3 {
        3 => Err(DecodeError::Malformed("quality of service 3")),
        2 => Err(DecodeError::Qos2),
        0 if flags & 8 != 0 => Err(DecodeError::Malformed("DUP at quality of service 0")),
        _ => Ok(()),
    }
}

/// The remaining length and how many bytes told it.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            if at > 0 && byte == 0 {
                return Err(DecodeError::Malformed("remaining length is not in its shortest form"));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 4 { Err(DecodeError::Malformed("remaining length is too long")) } else { Ok(None) }
}

fn body(first: u8, mut reader: Reader, version: Option<Version>) -> Result<Packet, DecodeError> {
    let Some(version) = version else {
        return connect::read(reader).map(|c| Packet::Connect(Box::new(c)));
    };
    match first >> 4 {
        3 => publish(first & 0x0f, reader, version).map(Packet::Publish),
        4 => ack(reader, version).map(|id| Packet::PubAck { id }),
        6 => ack(reader, version).map(|id| Packet::PubRel { id }),
        5 | 7 => ack(reader, version).map(|id| Packet::Qos2Ack { id }),
        8 => subscribe(reader, version).map(Packet::Subscribe),
        10 => unsubscribe(reader, version).map(Packet::Unsubscribe),
        12 => reader.end().map(|()| Packet::PingReq),
        14 => disconnect(reader, version).map(Packet::Disconnect),
        15 => {
            if !reader.is_empty() {
                reader.u8()?;
                if !reader.is_empty() {
                    properties::read(&mut reader, Place::Auth)?;
                }
            }
            reader.end().map(|()| Packet::Auth)
        }
        _ => Err(DecodeError::Malformed("packet type is reserved")),
    }
}

fn publish(flags: u8, mut reader: Reader, version: Version) -> Result<Publish, DecodeError> {
    let qos = if flags & 2 == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
    let topic = reader.string()?;
    let id = match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => reader.packet_id()?,
    };
    let mut expiry_s = None;
    let mut forward = bytes::Bytes::new();
    if version == Version::V5 {
        let found = properties::read(&mut reader, Place::Publish)?;
        if found.topic_alias.is_some() {
            return Err(DecodeError::TopicAlias);
        }
        expiry_s = found.message_expiry_s;
        forward = found.forward.freeze();
    }
    if !filter::is_topic_name(topic.as_str()) {
        return Err(DecodeError::TopicName);
    }
    Ok(Publish {
        dup: flags & 8 != 0,
        qos,
        retain: flags & 1 != 0,
        topic,
        id,
        payload: reader.rest(),
        expiry_s,
        properties: forward,
    })
}

fn ack(mut reader: Reader, version: Version) -> Result<u16, DecodeError> {
    let id = reader.packet_id()?;
    if version == Version::V5 && !reader.is_empty() {
        reader.u8()?;
        if !reader.is_empty() {
            properties::read(&mut reader, Place::Ack)?;
        }
    }
    reader.end().map(|()| id)
}

fn subscribe(mut reader: Reader, version: Version) -> Result<Subscribe, DecodeError> {
    let id = reader.packet_id()?;
    let has_identifier = match version {
        Version::V4 => false,
        Version::V5 => properties::read(&mut reader, Place::Subscribe)?.subscription_id,
    };
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = reader.string()?;
        let options = reader.u8()?;
        let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
        if options & reserved != 0 || options & 3 == 3 || options & 0x30 == 0x30 {
            return Err(DecodeError::Malformed("subscription options"));
        }
        filters.push(FilterRequest { filter, qos: options & 3, no_local: options & 4 != 0 });
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("SUBSCRIBE without filters"));
    }
    Ok(Subscribe { id, has_identifier, filters })
}

fn unsubscribe(mut reader: Reader, version: Version) -> Result<Unsubscribe, DecodeError> {
    let id = reader.packet_id()?;
    if version == Version::V5 {
        properties::read(&mut reader, Place::Unsubscribe)?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.string()?);
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("UNSUBSCRIBE without filters"));
    }
    Ok(Unsubscribe { id, filters })
}

fn disconnect(mut reader: Reader, version: Version) -> Result<Disconnect, DecodeError> {
    let mut found = Disconnect { forget_will: true, session_expiry_s: None };
    if version == Version::V5 && !reader.is_empty() {
        found.forget_will = reader.u8()? == 0;
        if !reader.is_empty() {
            found.session_expiry_s = properties::read(&mut reader, Place::Disconnect)?.session_expiry_s;
        }
    }
    reader.end().map(|()| found)
}
