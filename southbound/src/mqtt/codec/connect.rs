//! CONNECT, which settles the version.

use super::DecodeError;
use super::packet::{Connect, Publish, Qos, Version, Will};
use super::properties::{self, Place, Properties};
use super::read::Reader;
use crate::mqtt::filter;

/// Reads the body of a CONNECT.
pub(crate) fn read(mut reader: Reader) -> Result<Connect, DecodeError> {
    let version = version(&mut reader)?;
    let flags = reader.u8()?;
    check_flags(flags, version)?;
    let keep_alive_s = reader.u16()?;
    let found = match version {
        Version::V4 => Properties::default(),
        Version::V5 => properties::read(&mut reader, Place::Connect)?,
    };
    let client_id = reader.string()?;
    let will = if flags & 4 == 0 { None } else { Some(will(&mut reader, flags, version)?) };
    if flags & 0x80 != 0 {
        reader.string()?;
    }
    if flags & 0x40 != 0 {
        reader.binary()?;
    }
    reader.end()?;
    Ok(Connect {
        version,
        client_id,
        clean: flags & 2 != 0,
        keep_alive_s,
        has_credentials: flags & 0xc0 != 0,
        has_authentication_method: found.authentication,
        will,
        session_expiry_s: found.session_expiry_s.unwrap_or(0),
        receive_maximum: found.receive_maximum.unwrap_or(u16::MAX),
        packet_bytes_max: found.packet_bytes_max,
        problem_information: found.problem_information.unwrap_or(true),
    })
}

fn version(reader: &mut Reader) -> Result<Version, DecodeError> {
    let name = reader.string()?;
    let level = reader.u8()?;
    match (name.as_str(), level) {
        ("MQTT", 4) => Ok(Version::V4),
        ("MQTT", 5) => Ok(Version::V5),
        // 3.1 and versions to come; bit 7 marks a bridge in some implementations.
        ("MQTT" | "MQIsdp", _) => Err(DecodeError::UnsupportedProtocol { level }),
        (_, _) => Err(DecodeError::Malformed("protocol name is not MQTT")),
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    if flags & 1 != 0 {
        return Err(DecodeError::Malformed("reserved flag of CONNECT"));
    }
    if flags & 0x18 == 0x18 || (flags & 4 == 0 && flags & 0x38 != 0) {
        return Err(DecodeError::Malformed("will flags of CONNECT"));
    }
    if version == Version::V4 && flags & 0xc0 == 0x40 {
        return Err(DecodeError::Malformed("password without user name"));
    }
    Ok(())
}

fn will(reader: &mut Reader, flags: u8, version: Version) -> Result<Will, DecodeError> {
    let found = match version {
        Version::V4 => Properties::default(),
        Version::V5 => properties::read(reader, Place::Will)?,
    };
    let topic = reader.string()?;
    let payload = reader.binary()?;
    if !filter::is_topic_name(topic.as_str()) {
        return Err(DecodeError::TopicName);
    }
    let qos = match flags & 0x18 {
        0 => Qos::AtMostOnce,
        8 => Qos::AtLeastOnce,
        _ => return Err(DecodeError::Qos2),
    };
    Ok(Will {
        message: Publish {
            dup: false,
            qos,
            retain: flags & 0x20 != 0,
            topic,
            id: 0,
            payload,
            expiry_s: found.message_expiry_s,
            properties: found.forward.freeze(),
        },
    })
}
