//! What clients send, decoded.

use bytes::Bytes;

use super::read::Text;

/// The protocol of a connection, settled by its CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// Quality of service, as far as this server goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// At most once.
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
}

/// A packet a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT.
    Connect(Box<Connect>),
    /// PUBLISH of QoS 0 or 1.
    Publish(Publish),
    /// PUBACK: a subscriber has the message.
    PubAck {
        /// The packet identifier.
        id: u16,
    },
    /// PUBREL: the client remembers a QoS 2 message that some server took.
    PubRel {
        /// The packet identifier.
        id: u16,
    },
    /// PUBREC or PUBCOMP, which only answer QoS 2 messages of a server.
    Qos2Ack {
        /// The packet identifier.
        id: u16,
    },
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe),
    /// PINGREQ.
    PingReq,
    /// DISCONNECT.
    Disconnect(Disconnect),
    /// AUTH, version 5 only.
    Auth,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Which protocol.
    pub version: Version,
    /// May be empty: then the server chooses one.
    pub client_id: Text,
    /// Clean session (3.1.1) or clean start (5).
    pub clean: bool,
    /// Seconds; 0 turns it off.
    pub keep_alive_s: u16,
    /// Whether a user name or a password was given.
    pub has_credentials: bool,
    /// Whether extended authentication was asked for.
    pub has_authentication_method: bool,
    /// What to publish when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// Version 5: seconds the session outlives its connection; `u32::MAX` is for ever.
    pub session_expiry_s: u32,
    /// Most QoS 1 messages the client takes unacknowledged.
    pub receive_maximum: u16,
    /// Longest packet the client takes, in bytes.
    pub packet_bytes_max: Option<u32>,
    /// Whether the client wants reason strings.
    pub problem_information: bool,
}

/// A will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// The message; its packet identifier is 0.
    pub message: Publish,
}

/// PUBLISH, and what else carries a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// A resend.
    pub dup: bool,
    /// Quality of service.
    pub qos: Qos,
    /// Asked to be retained.
    pub retain: bool,
    /// Without wildcards.
    pub topic: Text,
    /// 0 at QoS 0.
    pub id: u16,
    /// The payload.
    pub payload: Bytes,
    /// Version 5: seconds after which nobody wants it.
    pub expiry_s: Option<u32>,
    /// Version 5: the properties that travel with it, in wire form without their length.
    pub properties: Bytes,
}

/// SUBSCRIBE. Never without filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The packet identifier.
    pub id: u16,
    /// Whether a subscription identifier was given.
    pub has_identifier: bool,
    /// What is asked for.
    pub filters: Vec<FilterRequest>,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterRequest {
    /// Not checked yet.
    pub filter: Text,
    /// QoS 0, 1 or 2 as asked for.
    pub qos: u8,
    /// Not to get one's own messages.
    pub no_local: bool,
}

/// UNSUBSCRIBE. Never without filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// The packet identifier.
    pub id: u16,
    /// Not checked yet.
    pub filters: Vec<Text>,
}

/// DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Whether the will is to be forgotten.
    pub forget_will: bool,
    /// Version 5: a new session expiry in seconds.
    pub session_expiry_s: Option<u32>,
}
