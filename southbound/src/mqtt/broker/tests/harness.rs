//! A broker with a log that answers as told, and clients that speak raw bytes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::*;
use crate::ingest::{IngestReceiver, Stored};
use crate::mqtt::codec::testing::{connect, encode};
use crate::mqtt::codec::{Connect, FilterRequest, Packet, Publish, Qos, Subscribe, Version};
use crate::mqtt::testing::{TestClock, TestSpawn};

/// Longer than anything takes here.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of one test.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Dir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("relais-mqtt-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A broker, and the hub's ends of its channels.
pub(super) struct Site {
    pub(super) handle: BrokerHandle,
    pub(super) ingest: IngestReceiver,
    pub(super) forgotten: mpsc::Receiver<u64>,
    pub(super) clock: Arc<TestClock>,
}

impl Site {
    pub(super) async fn start(dir: &Dir) -> Site {
        Site::with(dir, MqttLimits::default()).await
    }

    pub(super) async fn with(dir: &Dir, limits: MqttLimits) -> Site {
        let (ingest, publishes) = crate::ingest::ingest(64);
        let (forgotten, incarnations) = mpsc::channel(64);
        let clock = Arc::new(TestClock::default());
        let around = Surroundings { ingest, forgotten, clock: clock.clone(), tasks: Arc::new(TestSpawn) };
        let listeners = vec![ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), anonymous: true }];
        let config = MqttConfig { listeners, dir: dir.0.clone(), limits };
        let handle = Broker::start(config, around).await.unwrap();
        Site { handle, ingest: publishes, forgotten: incarnations, clock }
    }

    /// A broker whose log stores everything at once.
    pub(super) async fn storing(dir: &Dir) -> BrokerHandle {
        let mut site = Site::start(dir).await;
        TestSpawn.spawn(
            "log",
            Box::pin(async move {
                while let Some(publish) = site.ingest.recv(true).await {
                    if let Some(stored) = publish.stored {
                        // A connection that ended does not listen any more.
                        stored.send(Stored::OnFlash).ok();
                    }
                }
            }),
        );
        site.handle
    }
}

/// The count of a metric, by its label when it has one.
pub(super) fn count(handle: &BrokerHandle, name: &str, reason: Option<&str>) -> u64 {
    let rows = handle.metrics();
    let row = rows.iter().find(|r| r.name == name && r.label.map(|l| l.1) == reason);
    row.map_or(0, |r| r.value)
}

/// Waits until `holds`.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// A packet from the server: its first byte and its body.
pub(super) type Frame = (u8, Bytes);

pub(super) struct Client {
    pub(super) stream: TcpStream,
    buffer: BytesMut,
    pub(super) version: Version,
}

impl Client {
    /// A socket that has said nothing.
    pub(super) async fn raw(handle: &BrokerHandle, version: Version) -> Client {
        let stream = TcpStream::connect(handle.local_addrs()[0]).await.unwrap();
        Client { stream, buffer: BytesMut::new(), version }
    }

    /// A client that was let in; also says whether its session was present.
    pub(super) async fn connect(handle: &BrokerHandle, connect: Connect) -> (Client, bool) {
        let mut client = Client::raw(handle, connect.version).await;
        client.send(&Packet::Connect(Box::new(connect))).await;
        let (first, body) = client.recv().await;
        assert_eq!((first, body[1]), (0x20, 0), "{body:02x?}");
        (client, body[0] == 1)
    }

    pub(super) async fn v4(handle: &BrokerHandle, id: &str) -> Client {
        Client::connect(handle, connect(Version::V4, id, true)).await.0
    }

    pub(super) async fn v5(handle: &BrokerHandle, id: &str) -> Client {
        Client::connect(handle, connect(Version::V5, id, true)).await.0
    }

    pub(super) async fn send(&mut self, packet: &Packet) {
        self.send_bytes(&encode(packet, self.version)).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn publish(&mut self, id: u16, topic: &str, payload: &str) {
        self.send(&Packet::Publish(publish(id, topic, payload))).await;
    }

    /// Subscribes and returns the codes of SUBACK.
    pub(super) async fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        let filters =
            filters.iter().map(|&(f, qos)| FilterRequest { filter: f.into(), qos, no_local: false });
        self.send(&Packet::Subscribe(Subscribe { id: 1, has_identifier: false, filters: filters.collect() }))
            .await;
        let (first, body) = self.recv().await;
        assert_eq!(first, 0x90);
        body[if self.version == Version::V5 { 3 } else { 2 }..].to_vec()
    }

    /// The next packet, or `None` when the server closed.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frame() {
                return Some(frame);
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            match read.expect("the server neither sends nor closes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(super) async fn recv(&mut self) -> Frame {
        self.next().await.expect("the server closed")
    }

    /// Reads until the server closes; returns its last packet.
    pub(super) async fn until_closed(&mut self) -> Option<Frame> {
        let mut last = None;
        while let Some(frame) = self.next().await {
            last = Some(frame);
        }
        last
    }

    /// Checks that nothing comes for a while.
    pub(super) async fn silent(&mut self) {
        let wait = Duration::from_millis(100);
        let read = tokio::time::timeout(wait, self.stream.read_buf(&mut self.buffer)).await;
        assert!(read.is_err() && self.buffer.is_empty(), "{:02x?}", self.buffer);
    }

    fn frame(&mut self) -> Option<Frame> {
        let (mut len, mut at, mut shift) = (0usize, 1, 0);
        loop {
            let byte = *self.buffer.get(at)?;
            len |= usize::from(byte & 0x7f) << shift;
            (at, shift) = (at + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        if self.buffer.len() < at + len {
            return None;
        }
        let frame = self.buffer.split_to(at + len).freeze();
        Some((frame[0], frame.slice(at..)))
    }
}

pub(super) fn publish(id: u16, topic: &str, payload: &str) -> Publish {
    Publish {
        dup: false,
        qos: if id == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce },
        retain: false,
        topic: topic.into(),
        id,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        expiry_s: None,
        properties: Bytes::new(),
    }
}

/// Topic and payload of a PUBLISH frame, and its packet identifier (0 at QoS 0).
pub(super) fn message(frame: &Frame, version: Version) -> (String, String, u16) {
    let (first, body) = frame;
    assert_eq!(first & 0xf0, 0x30, "{frame:02x?}");
    let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let mut at = 2 + topic_len;
    let mut id = 0;
    if first & 6 != 0 {
        id = u16::from_be_bytes([body[at], body[at + 1]]);
        at += 2;
    }
    if version == Version::V5 {
        at += 1 + usize::from(body[at]);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&body[2..2 + topic_len]), text(&body[at..]), id)
}

/// Checks that a fresh pair of clients can still talk.
pub(super) async fn still_works(handle: &BrokerHandle) {
    let mut subscriber = Client::v5(handle, "still-works-subscriber").await;
    assert_eq!(subscriber.subscribe(&[("relais/v1/still/state", 0)]).await, [0]);
    let mut publisher = Client::v4(handle, "still-works-publisher").await;
    publisher.publish(5, "relais/v1/still/state", "yes").await;
    assert_eq!(publisher.recv().await, (0x40, Bytes::from_static(&[0, 5])));
    let frame = subscriber.recv().await;
    assert_eq!(message(&frame, Version::V5).1, "yes");
}
