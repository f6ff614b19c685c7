//! The bounded queue between the bus and one session. Filling it never waits, so a slow subscriber costs nobody but
//! itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::codec::Qos;
use super::message::Message;
use super::metrics::Metrics;

/// A message for one session, at the lower of its own and the subscription's QoS.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: Qos,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    filled: Notify,
}

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Delivery>,
    bytes: usize,
    /// Deliveries of QoS 0 in the queue: they give way first.
    qos0: usize,
    online: bool,
}

/// 1,000 messages and 1 MiB: minutes of telemetry of one device, seconds of a busy site.
const QUEUE_MAX: usize = 1000;
const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// When all mailboxes together hold more than this, each is bound to its share: so subscribers that read nothing, even
/// a thousand of them, cannot use up the machine's memory. Those that keep up never get near their share.
const QUEUES_BYTES_MAX: u64 = 64 * 1024 * 1024;
const SHARE_BYTES_MAX: usize = 64 * 1024;

impl Mailbox {
    /// A mailbox whose session is offline.
    pub(crate) fn offline() -> Arc<Mailbox> {
        let inner = Inner { queue: VecDeque::new(), bytes: 0, qos0: 0, online: false };
        Arc::new(Mailbox { inner: Mutex::new(inner), filled: Notify::new() })
    }

    /// Puts a message in. When full, the oldest of QoS 0 goes; when there is none, this one does not get in. Either is
    /// counted, and so is a message for a session that is offline. It is full sooner while all mailboxes together hold
    /// too much.
    pub(crate) fn put(&self, delivery: Delivery, metrics: &Metrics) {
        let mut inner = self.lock();
        if !inner.online {
            metrics.dropped.add("offline");
            return;
        }
        let cost = delivery.message.cost_bytes();
        let crowded = metrics.queued_bytes.get() > QUEUES_BYTES_MAX;
        let bytes_max = if crowded { SHARE_BYTES_MAX } else { QUEUE_BYTES_MAX };
        while inner.queue.len() >= QUEUE_MAX || inner.bytes + cost > bytes_max {
            if !inner.drop_oldest_qos0(metrics) {
                let reason = match delivery.qos {
                    Qos::AtMostOnce => "queue-full-qos0",
                    Qos::AtLeastOnce => "queue-full-qos1",
                };
                metrics.dropped.add(reason);
                return;
            }
            metrics.dropped.add("queue-full-qos0");
        }
        inner.bytes += cost;
        metrics.queued_bytes.rise(cost);
        inner.qos0 += usize::from(delivery.qos == Qos::AtMostOnce);
        inner.queue.push_back(delivery);
        drop(inner);
        self.filled.notify_one();
    }

    /// Takes the oldest message that `fits`; nothing when it does not, so that the order stays.
    pub(crate) fn take_if(&self, metrics: &Metrics, fits: impl FnOnce(Qos) -> bool) -> Option<Delivery> {
        let mut inner = self.lock();
        if !fits(inner.queue.front()?.qos) {
            return None;
        }
        let delivery = inner.queue.pop_front()?;
        inner.bytes -= delivery.message.cost_bytes();
        metrics.queued_bytes.fall(delivery.message.cost_bytes());
        inner.qos0 -= usize::from(delivery.qos == Qos::AtMostOnce);
        if inner.queue.is_empty() {
            // An idle session holds no memory for its busy past.
            inner.queue = VecDeque::new();
        }
        Some(delivery)
    }

    /// Opens it for a connection.
    pub(crate) fn go_online(&self) {
        self.lock().online = true;
    }

    /// Closes it and drops what is in it: queues for absent sessions come with a later version.
    pub(crate) fn go_offline(&self, metrics: &Metrics) {
        let mut inner = self.lock();
        inner.online = false;
        metrics.dropped.add_many("disconnected", inner.queue.len());
        metrics.queued_bytes.fall(inner.bytes);
        inner.queue = VecDeque::new();
        inner.bytes = 0;
        inner.qos0 = 0;
    }

    /// Waits until something was put in. Cancel-safe.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn drop_oldest_qos0(&mut self, metrics: &Metrics) -> bool {
        if self.qos0 == 0 {
            return false;
        }
        let oldest = self.queue.iter().position(|d| d.qos == Qos::AtMostOnce);
        let Some(dropped) = oldest.and_then(|at| self.queue.remove(at)) else { return false };
        self.bytes -= dropped.message.cost_bytes();
        metrics.queued_bytes.fall(dropped.message.cost_bytes());
        self.qos0 -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn delivery(qos: Qos, number: usize) -> Delivery {
        let message = Message {
            origin: 0,
            qos,
            topic: "t".into(),
            properties: Bytes::new(),
            payload: Bytes::from(number.to_string()),
            expires: None,
        };
        Delivery { message: Arc::new(message), qos }
    }

    #[test]
    fn qos0_gives_way_oldest_first() {
        let (mailbox, metrics) = (Mailbox::offline(), Metrics::default());
        mailbox.go_online();
        for number in 0..QUEUE_MAX {
            let qos = if number < 2 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
            mailbox.put(delivery(qos, number), &metrics);
        }
        for number in 0..3 {
            mailbox.put(delivery(Qos::AtLeastOnce, 2000 + number), &metrics);
        }
        assert_eq!(metrics.dropped.get("queue-full-qos0"), 2);
        assert_eq!(metrics.dropped.get("queue-full-qos1"), 1);
        assert_eq!(&*mailbox.take_if(&metrics, |_| true).unwrap().message.payload, b"2");
    }

    #[test]
    fn all_mailboxes_together_are_bounded() {
        let metrics = Metrics::default();
        let mailboxes: Vec<_> = (0..200).map(|_| Mailbox::offline()).collect();
        let large = |qos| {
            let mut message = Message::clone(&delivery(qos, 0).message);
            message.payload = Bytes::from(vec![0; 10_000]);
            Delivery { message: Arc::new(message), qos }
        };
        for mailbox in &mailboxes {
            mailbox.go_online();
            for _ in 0..QUEUE_MAX {
                mailbox.put(large(Qos::AtLeastOnce), &metrics);
            }
        }
        let share = u64::try_from(mailboxes.len() * SHARE_BYTES_MAX).unwrap();
        let held = metrics.queued_bytes.get();
        assert!(held > QUEUES_BYTES_MAX && held <= QUEUES_BYTES_MAX + share, "{held}");
        // One that keeps up loses nothing.
        let quick = Mailbox::offline();
        quick.go_online();
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            quick.put(large(qos), &metrics);
            assert!(quick.take_if(&metrics, |_| true).is_some());
        }
        mailboxes.iter().for_each(|mailbox| mailbox.go_offline(&metrics));
        assert_eq!(metrics.queued_bytes.get(), 0);
    }

    #[test]
    fn order_holds_when_the_front_does_not_fit() {
        let (mailbox, metrics) = (Mailbox::offline(), Metrics::default());
        mailbox.go_online();
        mailbox.put(delivery(Qos::AtLeastOnce, 1), &metrics);
        mailbox.put(delivery(Qos::AtMostOnce, 2), &metrics);
        assert!(mailbox.take_if(&metrics, |qos| qos == Qos::AtMostOnce).is_none());
        assert_eq!(&*mailbox.take_if(&metrics, |_| true).unwrap().message.payload, b"1");
    }

    #[test]
    fn an_absent_session_keeps_nothing() {
        let (mailbox, metrics) = (Mailbox::offline(), Metrics::default());
        mailbox.put(delivery(Qos::AtLeastOnce, 1), &metrics);
        mailbox.go_online();
        assert!(mailbox.take_if(&metrics, |_| true).is_none());
        assert_eq!(metrics.dropped.get("offline"), 1);
    }
}
