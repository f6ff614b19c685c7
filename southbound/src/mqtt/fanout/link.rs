//! One router of rumqttd with one link to it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Packet, Publish};
use rumqttd::{Notification, Router, RouterConfig};

/// The topic and filter of everything: constant and ASCII, because the router slices topics at byte 1.
const TOPIC: &str = "r/m";

/// The ring of [`TOPIC`]: when the active segment is full and there are `SEGMENTS`, the oldest is dropped. So the
/// last `SEGMENTS - 1` times `SEGMENT_BYTES` are always there: 768 KiB.
const SEGMENT_BYTES: usize = 256 * 1024;
const SEGMENTS: usize = 4;

/// A thread and two channels are all there is to start.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The router does not answer any more.
#[derive(Debug)]
pub(super) struct LinkDied;

/// See the module.
pub(super) struct Link {
    tx: LinkTx,
    rx: LinkRx,
    /// The router stopped sending until it is told to go on.
    wake_asked: bool,
}

impl Link {
    /// Starts a router thread and subscribes. The thread of a router that only hangs cannot be stopped and stays
    /// behind, idle.
    pub(super) async fn start() -> Result<Link, LinkDied> {
        let started = tokio::task::spawn_blocking(|| {
            let router = Router::new(0, config()).spawn();
            LinkBuilder::new("hub", router).clean_session(true).build().ok()
        });
        let built = tokio::time::timeout(START_TIMEOUT, started).await;
        let Ok(Ok(Some((mut tx, rx, _ack)))) = built else { return Err(LinkDied) };
        tx.subscribe(TOPIC).map_err(|_| LinkDied)?;
        Ok(Link { tx, rx, wake_asked: false })
    }

    /// Puts messages in, in order, with one wake-up.
    pub(super) async fn send(&mut self, envelopes: Vec<Bytes>) -> Result<(), LinkDied> {
        let mut packets = envelopes
            .into_iter()
            .map(|e| Packet::Publish(Publish::new(Bytes::from_static(TOPIC.as_bytes()), e, false), None));
        let Some(last) = packets.next_back() else { return Ok(()) };
        self.tx.buffer().extend(packets);
        self.tx.send(last).await.map(drop).map_err(|_| LinkDied)
    }

    /// What came back; `None` for the router's own affairs. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, LinkDied> {
        match self.rx.next().await {
            Ok(notification) => self.sort(notification),
            Err(_) => Err(LinkDied),
        }
    }

    /// Something that came back and needs no waiting; `None` when there is nothing.
    pub(super) fn try_next(&mut self) -> Option<Result<Option<Bytes>, LinkDied>> {
        let polled = {
            let mut context = Context::from_waker(Waker::noop());
            pin!(self.rx.next()).poll(&mut context)
        };
        match polled {
            Poll::Ready(Ok(notification)) => Some(self.sort(notification)),
            Poll::Ready(Err(_)) => Some(Err(LinkDied)),
            Poll::Pending => None,
        }
    }

    /// Tells the router to go on, if it waits for that.
    pub(super) async fn wake_if_asked(&mut self) -> Result<(), LinkDied> {
        if !std::mem::take(&mut self.wake_asked) {
            return Ok(());
        }
        self.rx.wake().await.map_err(|_| LinkDied)
    }

    fn sort(&mut self, notification: Option<Notification>) -> Result<Option<Bytes>, LinkDied> {
        match notification {
            Some(Notification::Forward(forward)) => Ok(Some(forward.publish.payload)),
            Some(Notification::Unschedule) => {
                self.wake_asked = true;
                Ok(None)
            }
            Some(Notification::Disconnect(..)) => Err(LinkDied),
            Some(
                Notification::DeviceAck(_)
                | Notification::ReplicaData { .. }
                | Notification::ReplicaAcks { .. }
                | Notification::Shadow(_),
            )
            | None => Ok(None),
        }
    }

    /// Sends what kills this version of the router.
    #[cfg(test)]
    pub(super) async fn sabotage(&mut self) -> Result<(), LinkDied> {
        let deadly = Publish::new(Bytes::from_static("é".as_bytes()), Bytes::from_static(b"x"), false);
        self.tx.send(Packet::Publish(deadly, None)).await.map(drop).map_err(|_| LinkDied)
    }
}

fn config() -> RouterConfig {
    RouterConfig {
        max_connections: 2,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        ..RouterConfig::default()
    }
}
