//! What a client asks for: messages to the log and the bus, subscriptions, goodbye.

use std::sync::Arc;

use southbound_wire::RefusedReading;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::{Connection, INGEST_GONE, Stalled, Wait, Work};
use crate::ingest::{Content, DevicePublish, PublishMark, Publisher};
use crate::mqtt::access;
use crate::mqtt::codec::{Disconnect, Publish, Qos, Subscribe, Unsubscribe, Version};
use crate::mqtt::filter;
use crate::mqtt::index::Wish;
use crate::mqtt::log_quota::Shown;
use crate::mqtt::message::Message;
use crate::mqtt::route::{Refusal, Route, content_hash, route};
use crate::mqtt::session::{Ending, Outcome, Request};

impl Connection {
    pub(super) async fn request(&mut self, request: Request) -> Result<(), Ending> {
        match request {
            Request::Publish(publish, serial) => {
                self.publish(publish, serial);
                Ok(())
            }
            Request::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Request::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe).await,
            Request::Disconnect(disconnect) => Err(self.disconnect(disconnect).await),
        }
    }

    fn publish(&mut self, publish: Publish, serial: Option<u64>) {
        let metrics = &self.shared.metrics;
        metrics.published.add(1);
        metrics.published_bytes.add(publish.payload.len());
        if publish.retain {
            metrics.retain_ignored.add(1);
        }
        match route(self.role, &publish, &self.shared.wire_limits()) {
            Route::Refused(refusal) => self.refuse(&publish, serial, refusal),
            Route::Broker => {
                let message = self.message(publish);
                self.work.push_back(Work::Fan(message, serial));
            }
            Route::Ingest { device, message, refused } => {
                self.leave_out(&publish, &refused);
                let mark = serial.and_then(|_| self.mark(&publish));
                let outgoing = self.message(publish);
                let stored = match serial {
                    Some(serial) => {
                        let (answer, stored) = oneshot::channel();
                        self.waits.push_back(Wait { serial, stored, message: outgoing });
                        Some(answer)
                    }
                    None => {
                        self.work.push_back(Work::Fan(outgoing, None));
                        None
                    }
                };
                let received = self.shared.clock.now();
                let content = Content::Message(message);
                let publisher = serial.map(|_| Publisher {
                    id: self.claim.subscriber(),
                    // The client of version 3.1.1 does not know of this bound, but is not read beyond it either.
                    at_limit: self.session.acks_full(),
                });
                let publish = DevicePublish { device, content, received, mark, stored, publisher };
                // Before its own fan-out, which must not overtake it.
                self.work.push_front(Work::Ingest(Box::new(publish)));
            }
        }
    }

    fn message(&self, publish: Publish) -> Message {
        Message::new(self.claim.subscriber(), publish, self.shared.clock.instant())
    }

    /// What lets the log recognise a resend: only a session that outlives its connection can send one.
    fn mark(&self, publish: &Publish) -> Option<PublishMark> {
        self.claim.incarnation().map(|incarnation| PublishMark {
            incarnation,
            packet_id: publish.id,
            content_hash: content_hash(publish),
            dup: publish.dup,
        })
    }

    /// Version 5 hears why. A 3.1.1 client gets its PUBACK all the same: there is no other answer, and without one
    /// it would send the same again for ever.
    fn refuse(&mut self, publish: &Publish, serial: Option<u64>, refusal: Refusal) {
        self.shared.metrics.refused_publishes.add(refusal.reason);
        self.count_readings(&refusal.readings);
        if !self.warned && self.may_warn() {
            self.warned = true;
            let (client, topic) = (Shown(self.claim.client()), Shown(publish.topic.as_str()));
            tracing::warn!(
                ?client,
                ?topic,
                reason = refusal.reason,
                "message refused: {}; further refusals of this connection are only counted",
                refusal.text
            );
        }
        if let Some(serial) = serial {
            let outcome = Outcome { code: refusal.code, text: refusal.text };
            self.session.resolve(serial, outcome, &mut self.out);
        }
    }

    /// Accounts for the readings that are missing from a message that stands.
    fn leave_out(&mut self, publish: &Publish, refused: &[RefusedReading]) {
        self.count_readings(refused);
        let Some(first) = refused.first() else { return };
        if !self.warned && self.may_warn() {
            self.warned = true;
            let (client, topic) = (Shown(self.claim.client()), Shown(publish.topic.as_str()));
            tracing::warn!(
                ?client,
                ?topic,
                metric = ?Shown(&first.metric),
                reason = first.error.reason(),
                "reading refused: {}; further refusals of this connection are only counted",
                first.error
            );
        }
    }

    fn count_readings(&self, refused: &[RefusedReading]) {
        for reading in refused {
            self.shared.metrics.refused_readings.add(reading.error.reason());
        }
    }

    /// Hands over what can be; stops at the first one that has to wait.
    pub(super) fn hand_over(&mut self) -> Result<(), Ending> {
        while self.stalled.is_none()
            && let Some(work) = self.work.pop_front()
        {
            match work {
                Work::Ingest(publish) => self.hand_to_log(*publish)?,
                Work::Fan(message, serial) => match self.shared.bus.try_publish(message) {
                    Ok(()) => self.handed_over(serial),
                    Err(message) => {
                        let handover = Arc::clone(&self.shared.bus).publish(*message);
                        let handover = Box::pin(async move {
                            handover.await;
                            true
                        });
                        self.stalled = Some(Stalled { handover, serial });
                    }
                },
            }
        }
        Ok(())
    }

    fn hand_to_log(&mut self, publish: DevicePublish) -> Result<(), Ending> {
        match self.shared.ingest.try_send(publish) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(INGEST_GONE),
            Err(TrySendError::Full(publish)) => {
                let ingest = self.shared.ingest.clone();
                let handover = Box::pin(async move { ingest.send(publish).await.is_ok() });
                self.stalled = Some(Stalled { handover, serial: None });
                Ok(())
            }
        }
    }

    /// A message is with the bus, or with the log (which answers by itself).
    pub(super) fn handed_over(&mut self, serial: Option<u64>) {
        if let Some(serial) = serial {
            self.session.resolve(serial, Outcome::success(), &mut self.out);
        }
        if self.work.is_empty() && self.stalled.is_none() {
            self.session.excuse_silence(self.shared.clock.instant());
        }
    }

    async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), Ending> {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut wishes = Vec::new();
        for request in &subscribe.filters {
            let wanted = request.filter.as_str();
            if request.no_local && filter::is_shared(wanted) {
                return Err(Ending::told("protocol-error", 0x82));
            }
            let code = access::refusal(self.role, wanted);
            codes.push(code);
            if code.is_none() {
                let qos = if request.qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
                wishes.push((wanted.into(), Wish { qos, no_local: request.no_local }));
            }
        }
        let mut fits = self.store_subscriptions(wishes).await.into_iter();
        let codes: Vec<u8> = codes
            .into_iter()
            .zip(&subscribe.filters)
            .map(|(refused, request)| match refused {
                Some(code) => code,
                None => fits.next().flatten().unwrap_or(request.qos.min(1)),
            })
            .collect();
        for &code in codes.iter().filter(|&&code| code >= 0x80) {
            self.shared.metrics.refused_subscriptions.add(subscription_reason(code));
        }
        self.session.suback(subscribe.id, &codes, &mut self.out);
        Ok(())
    }

    /// For each wish the code of its failure, if it failed.
    async fn store_subscriptions(&mut self, wishes: Vec<(Box<str>, Wish)>) -> Vec<Option<u8>> {
        let count = wishes.len();
        if count == 0 {
            return Vec::new();
        }
        match self.claim.subscribe(wishes).await {
            Ok(fits) => fits.into_iter().map(|fit| if fit { None } else { Some(0x97) }).collect(),
            Err(_) => vec![Some(0x80); count],
        }
    }

    async fn unsubscribe(&mut self, unsubscribe: Unsubscribe) -> Result<(), Ending> {
        let filters: Vec<&str> = unsubscribe.filters.iter().map(|f| f.as_str()).collect();
        let codes: Vec<u8> = match self.claim.unsubscribe(&filters).await {
            Ok(removed) => removed.into_iter().map(|was| if was { 0 } else { 0x11 }).collect(),
            // 3.1.1 has no way to say that it failed.
            Err(_) if self.session.version() == Version::V4 => {
                return Err(Ending::told("session-store", 0x88));
            }
            Err(_) => vec![0x80; filters.len()],
        };
        self.session.unsuback(unsubscribe.id, &codes, &mut self.out);
        Ok(())
    }

    async fn disconnect(&mut self, disconnect: Disconnect) -> Ending {
        let asked = disconnect.session_expiry_s.unwrap_or(self.expiry_s);
        if self.expiry_s == 0 && asked > 0 {
            return Ending::told("protocol-error", 0x82);
        }
        let max = self.shared.limits.session_expiry_max.as_secs();
        let expiry_s = asked.min(u32::try_from(max).unwrap_or(u32::MAX));
        let changed = expiry_s != self.expiry_s;
        if changed && self.claim.set_expiry(expiry_s).await.is_err() && self.may_warn() {
            tracing::warn!(
                client = ?Shown(self.claim.client()),
                "session expiry could not be written; the session keeps the old one on flash"
            );
        }
        Ending { reason: "disconnect", code: None, will: !disconnect.forget_will }
    }
}

const fn subscription_reason(code: u8) -> &'static str {
    match code {
        0x87 => "not-authorized",
        0x8f => "topic-filter-invalid",
        0x97 => "quota-exceeded",
        0x9e => "shared-not-supported",
        _ => "session-store",
    }
}
