//! The seam between drivers and the hub: what a device said goes in, "stored" comes back.

use hub_model::{BootStamp, DeviceName, MetricName, Quality, Unit, Value, ValueType};
use southbound_wire::DeviceMessage;
use tokio::sync::{mpsc, oneshot};

/// What a device said in one PUBLISH, or what one cycle of a poller found: an atomic group, stored whole or not at all.
#[derive(Debug)]
pub struct DevicePublish {
    /// The device, by the name in the topic.
    pub device: DeviceName,
    /// What it said.
    pub content: Content,
    /// When the hub had it.
    pub received: BootStamp,
    /// Lets the log recognise a QoS 1 resend after a crash; `None` for QoS 0.
    pub mark: Option<PublishMark>,
    /// Answered after the log's commit. `None` when nobody waits (QoS 0).
    pub stored: Option<oneshot::Sender<Stored>>,
}

/// What a device said, or was found to have.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A message of its own making.
    Message(DeviceMessage),
    /// Readings that the hub asked for, failed ones included; at least one.
    Polled(Vec<Polled>),
}

/// A reading that the hub asked for. What it is, is known whether it worked or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Polled {
    /// The metric.
    pub metric: MetricName,
    /// Of its values.
    pub unit: Unit,
    /// Of its values.
    pub value_type: ValueType,
    /// `None` when the reading failed; else of `value_type`.
    pub value: Option<Value>,
    /// Says why it failed.
    pub quality: Quality,
    /// When it was taken.
    pub at: BootStamp,
}

/// Identifies a QoS 1 PUBLISH of a persistent session across a crash of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishMark {
    /// The session's random number, on flash before its CONNACK.
    pub incarnation: u64,
    /// The packet identifier.
    pub packet_id: u16,
    /// A hash of topic and payload (and nothing else), the same for the same bytes in every run and version.
    pub content_hash: u64,
    /// The DUP flag: only a resend may be recognised; a fresh PUBLISH is always stored.
    pub dup: bool,
}

/// What became of a [`DevicePublish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// On flash, fsynced (also when it had been before: a recognised resend).
    OnFlash,
    /// Understood, but refused by the hub for good (counted there): acknowledge, it would be refused again.
    Refused,
}

/// Where drivers send to. Bounded: a full hub makes `send` wait, and so withholds acknowledgements. The receiver going
/// away, or dropping [`DevicePublish::stored`] without an answer, means nothing was stored: never acknowledge then.
pub type IngestSender = mpsc::Sender<DevicePublish>;
