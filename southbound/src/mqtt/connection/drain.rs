//! The end of a connection: a word to the client, then what it left in other hands, then its will.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use super::{Connection, Stalled, Work};
use crate::ingest::{Content, DevicePublish, Stored};
use crate::mqtt::access::Role;
use crate::mqtt::broker::Phase;
use crate::mqtt::codec::{Publish, Version, encode};
use crate::mqtt::log_quota::Shown;
use crate::mqtt::message::Message;
use crate::mqtt::route::{Route, route};
use crate::mqtt::session::Ending;

/// For the last bytes into the socket.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// For the log's and the bus's last answers. Whoever takes over waits this long at most.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

impl Connection {
    pub(super) async fn finish(mut self, ending: Ending) {
        // The client has gone or will hear nothing more: nothing else goes into its mailbox.
        self.claim.mailbox().go_offline(&self.shared.metrics);
        self.shared.metrics.dropped.add_many("unacknowledged", self.session.unacknowledged());
        let goodbye = tokio::time::timeout(GOODBYE_TIMEOUT, self.say_goodbye(ending)).await;
        if goodbye.is_err() {
            tracing::debug!("client does not take its last packets");
        }
        let is_closed = *self.phase.borrow() == Phase::Closed;
        if is_closed {
            return;
        }
        let will = self.will.take().filter(|_| ending.will && ending.reason != "shutdown");
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, self.drain(will)).await;
        if drained.is_err() {
            self.shared.metrics.dropped.add("drain-timeout");
        }
    }

    async fn say_goodbye(&mut self, ending: Ending) {
        let mut out = std::mem::replace(&mut self.out, BytesMut::new());
        if let (Some(code), Version::V5) = (ending.code, self.session.version()) {
            encode::disconnect(&mut out, code, ending.reason);
        }
        if ending.code.is_none() && ending.reason != "disconnect" {
            return;
        }
        // Without these errors the connection would end just the same.
        drop(self.stream.write_all(&out).await);
        drop(self.stream.shutdown().await);
    }

    /// Subscribers get what the log has taken; nobody is acknowledged any more.
    async fn drain(&mut self, will: Option<Publish>) {
        if let Some(Stalled { handover, .. }) = self.stalled.take() {
            handover.await;
        }
        for work in std::mem::take(&mut self.work) {
            match work {
                Work::Ingest(publish) => drop(self.shared.ingest.send(*publish).await),
                Work::Fan(message, _) => self.shared.bus.clone().publish(message).await,
            }
        }
        for wait in std::mem::take(&mut self.waits) {
            if wait.stored.await == Ok(Stored::OnFlash) {
                self.shared.bus.clone().publish(wait.message).await;
            }
        }
        if let Some(will) = will {
            self.publish_will(will).await;
        }
    }

    /// A will is a message like any other; nobody waits for it, so it is handed over as if at QoS 0.
    async fn publish_will(&mut self, will: Publish) {
        let metrics = &self.shared.metrics;
        let role: Role = self.role;
        match route(role, &will, &self.shared.wire_limits()) {
            Route::Refused(refusal) => {
                if self.may_warn() {
                    let (client, topic) = (Shown(self.claim.client()), Shown(will.topic.as_str()));
                    tracing::warn!(?client, ?topic, reason = refusal.reason, "will refused");
                }
                metrics.refused_publishes.add(refusal.reason);
                return;
            }
            Route::Broker => {}
            Route::Ingest { device, message, .. } => {
                let received = self.shared.clock.now();
                let content = Content::Message(message);
                let publish =
                    DevicePublish { device, content, received, mark: None, stored: None, publisher: None };
                drop(self.shared.ingest.send(publish).await);
            }
        }
        let message = Message::new(self.claim.subscriber(), will, self.shared.clock.instant());
        self.shared.bus.clone().publish(message).await;
    }
}
