//! The properties of MQTT 5 that a client may send, each only where the standard allows it and only once.

use bytes::{Bytes, BytesMut};

use super::DecodeError;
use super::read::{Reader, Text};

/// Where a list of properties stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Connect,
    Will,
    Publish,
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    Ack,
    Subscribe,
    Unsubscribe,
    Disconnect,
    Auth,
}

/// What the properties said, as far as this server uses it.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) packet_bytes_max: Option<u32>,
    pub(crate) problem_information: Option<bool>,
    pub(crate) authentication: bool,
    pub(crate) will_delay_s: Option<u32>,
    pub(crate) message_expiry_s: Option<u32>,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) subscription_id: bool,
    /// What travels on to subscribers, as it came: all properties of the message but expiry and alias.
    pub(crate) forward: Forward,
}

/// The properties a message carries through the broker, in their wire form.
#[derive(Debug, Default)]
pub(crate) struct Forward(BytesMut);

impl Forward {
    pub(crate) fn freeze(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads one list of properties with its length.
pub(crate) fn read(packet: &mut Reader, place: Place) -> Result<Properties, DecodeError> {
    let len = packet.varint()?;
    let mut list = packet.part(len)?;
    let mut found = Properties::default();
    let mut seen = 0u64;
    while !list.is_empty() {
        let before = list.peek();
        let id = list.varint()?;
        if !allowed(id, place) {
            return Err(DecodeError::Protocol("property that this packet cannot have"));
        }
        // User properties (38) may repeat; every known id is below 64.
        if id != 38 && seen & (1 << id) != 0 {
            return Err(DecodeError::Protocol("property given twice"));
        }
        seen |= 1 << id;
        one(id, &mut list, &mut found)?;
        if matches!(place, Place::Publish | Place::Will) && !matches!(id, 2 | 11 | 24 | 35) {
            found.forward.0.extend_from_slice(&before[..before.len() - list.len()]);
        }
    }
    if place == Place::Connect && seen & (1 << 22) != 0 && seen & (1 << 21) == 0 {
        return Err(DecodeError::Protocol("authentication data without a method"));
    }
    Ok(found)
}

/// Section 2.2.2.2 of the standard, for packets sent by clients.
fn allowed(id: u32, place: Place) -> bool {
    use Place::{Ack, Auth, Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will};
    match id {
        1 | 2 | 3 | 8 | 9 => matches!(place, Publish | Will),
        11 => place == Subscribe,
        17 => matches!(place, Connect | Disconnect),
        21 | 22 => matches!(place, Connect | Auth),
        23 | 25 | 33 | 34 | 39 => place == Connect,
        24 => place == Will,
        31 => matches!(place, Ack | Disconnect | Auth),
        35 => place == Publish,
        38 => match place {
            Connect | Will | Publish | Ack | Subscribe | Unsubscribe | Disconnect | Auth => true,
        },
        _ => false,
    }
}

fn one(id: u32, list: &mut Reader, found: &mut Properties) -> Result<(), DecodeError> {
    match id {
        1 => drop(flag(list)?),
        2 => found.message_expiry_s = Some(list.u32()?),
        3 | 31 => drop(list.string()?),
        8 => response_topic(&list.string()?)?,
        9 => drop(list.binary()?),
        11 => {
            if list.varint()? == 0 {
                return Err(DecodeError::Protocol("subscription identifier 0"));
            }
            found.subscription_id = true;
        }
        17 => found.session_expiry_s = Some(list.u32()?),
        21 => {
            list.string()?;
            found.authentication = true;
        }
        22 => drop(list.binary()?),
        23 => found.problem_information = Some(flag(list)?),
        24 => found.will_delay_s = Some(list.u32()?),
        25 => drop(flag(list)?),
        33 => found.receive_maximum = Some(not_zero(list.u16()?)?),
        34 => drop(list.u16()?),
        35 => found.topic_alias = Some(list.u16()?),
        38 => {
            list.string()?;
            list.string()?;
        }
        39 => match list.u32()? {
            0 => return Err(DecodeError::Protocol("maximum packet size 0")),
            max => found.packet_bytes_max = Some(max),
        },
        _ => return Err(DecodeError::Malformed("unknown property")),
    }
    Ok(())
}

fn flag(list: &mut Reader) -> Result<bool, DecodeError> {
    match list.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Protocol("property is neither 0 nor 1")),
    }
}

fn not_zero(value: u16) -> Result<u16, DecodeError> {
    if value == 0 { Err(DecodeError::Protocol("receive maximum 0")) } else { Ok(value) }
}

fn response_topic(topic: &Text) -> Result<(), DecodeError> {
    if crate::mqtt::filter::is_topic_name(topic.as_str()) { Ok(()) } else { Err(DecodeError::TopicName) }
}
