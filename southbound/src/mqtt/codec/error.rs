//! What can be wrong with the bytes a client sends.

use thiserror::Error;

/// Why bytes are not a packet this server accepts. The connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A length, flag or field that no packet can have, or a packet that ends too early or too late.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// Well-formed, but not allowed here.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// A packet type that only servers send.
    #[error("packet type {0} is sent by servers only")]
    ServerOnly(u8),
    /// Longer than the announced maximum packet size.
    #[error("packet of {found} bytes is over the maximum packet size")]
    TooLarge {
        /// Bytes announced by its header.
        found: usize,
    },
    /// CONNECT with a protocol this server does not speak.
    #[error("protocol level {level} is not supported")]
    UnsupportedProtocol {
        /// The level byte.
        level: u8,
    },
    /// A topic name with a wildcard, empty, or with a NUL.
    #[error("topic name is not valid")]
    TopicName,
    /// A topic filter that is not valid.
    #[error("topic filter is not valid")]
    TopicFilter,
    /// Quality of service 2, which this server announces not to support.
    #[error("quality of service 2 is not supported")]
    Qos2,
    /// A topic alias, though this server announces to take none.
    #[error("topic alias, though none is allowed")]
    TopicAlias,
}

impl DecodeError {
    /// The reason code of MQTT 5, for CONNACK and DISCONNECT.
    pub const fn code(&self) -> u8 {
        match self {
            DecodeError::Malformed(_) => 0x81,
            DecodeError::Protocol(_) | DecodeError::ServerOnly(_) => 0x82,
            DecodeError::TooLarge { .. } => 0x95,
            DecodeError::UnsupportedProtocol { .. } => 0x84,
            DecodeError::TopicName => 0x90,
            DecodeError::TopicFilter => 0x8f,
            DecodeError::Qos2 => 0x9b,
            DecodeError::TopicAlias => 0x94,
        }
    }

    /// Stable word for metric labels.
    pub const fn reason(&self) -> &'static str {
        match self {
            DecodeError::Malformed(_) => "malformed-packet",
            DecodeError::Protocol(_) => "protocol-error",
            DecodeError::ServerOnly(_) => "server-only-packet",
            DecodeError::TooLarge { .. } => "packet-too-large",
            DecodeError::UnsupportedProtocol { .. } => "unsupported-protocol",
            DecodeError::TopicName => "topic-name-invalid",
            DecodeError::TopicFilter => "topic-filter-invalid",
            DecodeError::Qos2 => "qos2-not-supported",
            DecodeError::TopicAlias => "topic-alias-invalid",
        }
    }
}
