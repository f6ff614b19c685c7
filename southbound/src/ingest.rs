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
    /// Who waits, where it is known whether it can send more meanwhile.
    pub publisher: Option<Publisher>,
}

/// A client that waits for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Tells it from the other clients there are now.
    pub id: u64,
    /// Whether as many of its messages wait as may: nothing more comes from it before one is acknowledged.
    pub at_limit: bool,
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

/// Where drivers send to: two bounded lanes, one for events and one for readings, so that an alarm passes readings that
/// have to wait. A full lane makes `send` wait, and so withholds acknowledgements. The receiver going away, or dropping
/// [`DevicePublish::stored`] without an answer, means nothing was stored: never acknowledge then.
#[derive(Clone, Debug)]
pub struct IngestSender {
    events: mpsc::Sender<DevicePublish>,
    readings: mpsc::Sender<DevicePublish>,
}

/// The other end. Each lane keeps its order.
#[derive(Debug)]
pub struct IngestReceiver {
    events: mpsc::Receiver<DevicePublish>,
    readings: mpsc::Receiver<DevicePublish>,
}

/// Both ends, with so many places in each lane.
pub fn ingest(places: usize) -> (IngestSender, IngestReceiver) {
    let (events, events_out) = mpsc::channel(places);
    let (readings, readings_out) = mpsc::channel(places);
    (IngestSender { events, readings }, IngestReceiver { events: events_out, readings: readings_out })
}

impl IngestSender {
    /// Hands a message over, as soon as there is room. An error: the receiver is gone.
    pub async fn send(&self, publish: DevicePublish) -> Result<(), mpsc::error::SendError<DevicePublish>> {
        self.lane(&publish).send(publish).await
    }

    /// Hands a message over if there is room.
    #[expect(clippy::result_large_err, reason = "the message comes back, as from any channel")]
    pub fn try_send(&self, publish: DevicePublish) -> Result<(), mpsc::error::TrySendError<DevicePublish>> {
        self.lane(&publish).try_send(publish)
    }

    const fn lane(&self, publish: &DevicePublish) -> &mpsc::Sender<DevicePublish> {
        match &publish.content {
            Content::Message(DeviceMessage::Event(_)) => &self.events,
            Content::Message(DeviceMessage::Telemetry(_)) | Content::Polled(_) => &self.readings,
        }
    }
}

impl IngestReceiver {
    /// The next message, events first; readings only if asked for. `None` when every sender is gone and what is listened
    /// to is empty. Cancel-safe.
    pub async fn recv(&mut self, with_readings: bool) -> Option<DevicePublish> {
        tokio::select! {
            biased;
            Some(publish) = self.events.recv() => Some(publish),
            Some(publish) = self.readings.recv(), if with_readings => Some(publish),
            else => None,
        }
    }

    /// Takes no more; what is there can still be received.
    pub fn close(&mut self) {
        self.events.close();
        self.readings.close();
    }

    /// Whether it takes no more.
    pub fn is_closed(&self) -> bool {
        self.events.is_closed()
    }
}
