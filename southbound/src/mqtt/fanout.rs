//! Carries messages from the sessions that publish to the index of those that subscribed, through rumqttd's router.
//! The one module that names rumqttd.
//!
//! The whole broker is *one* link of the router with *one* filter, because the router never frees a filter's ring or
//! a client's entry, and a slow subscriber inside it loses data silently. Every message goes in on one constant ASCII
//! topic (other topics can kill the router), wrapped in an [`envelope`], and comes back on the same link in order.
//!
//! Invariant: bytes put in and not yet read back stay below what the ring holds, so it never overwrites anything
//! unread. Publishers wait for that credit ([`Bus::publish`]); nothing downstream of the router waits. What is
//! outstanding is kept here too, so that a router that died or fell silent is replaced without losing a message.

mod envelope;
mod link;

use std::collections::VecDeque;
use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};

use super::message::Message;
use super::metrics::Metrics;
use crate::tasks::Clock;
use envelope::Envelope;
use link::{Link, LinkDied};

/// Bytes put in and not yet read back. The ring ([`link`]) keeps at least 768 KiB; the rest is margin.
const WINDOW_BYTES: usize = 640 * 1024;
/// Wake-ups of the router that are still unanswered. Its inbox takes 1,000 and then blocks the sender's thread.
const BATCHES_MAX: usize = 200;
/// A router that gives nothing back for this long is replaced.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// An idle router is tried this often.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Messages delivered before the sessions get a turn to empty their mailboxes, which take 1,000.
const TURN_MAX: usize = 100;
/// Pause before another attempt when a router cannot be started.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The sessions' end: where messages go in.
pub(crate) struct Bus {
    /// One permit for each byte of the window.
    credit: Arc<Semaphore>,
    /// Bounded by the credit.
    inbox: Mutex<Vec<Message>>,
    filled: Notify,
    #[cfg(test)]
    sabotage: std::sync::atomic::AtomicBool,
}

impl Bus {
    pub(crate) fn new() -> Arc<Bus> {
        Arc::new(Bus {
            credit: Arc::new(Semaphore::new(WINDOW_BYTES)),
            inbox: Mutex::new(Vec::new()),
            filled: Notify::new(),
            #[cfg(test)]
            sabotage: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Hands over a message if there is credit for it; gives it back otherwise.
    pub(crate) fn try_publish(&self, message: Message) -> Result<(), Box<Message>> {
        match self.credit.try_acquire_many(permits(&message)) {
            Ok(permit) => {
                permit.forget();
                self.put(message);
                Ok(())
            }
            Err(_) => Err(Box::new(message)),
        }
    }

    /// Hands over a message once there is credit for it. Dropped before that, it hands over nothing.
    pub(crate) async fn publish(self: Arc<Self>, message: Message) {
        // The semaphore is never closed.
        if let Ok(permit) = self.credit.acquire_many(permits(&message)).await {
            permit.forget();
            self.put(message);
        }
    }

    fn put(&self, message: Message) {
        self.lock().push(message);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the router die of a message, as hostile topics did before they were wrapped.
    #[cfg(test)]
    pub(crate) fn sabotage(&self) {
        self.sabotage.store(true, std::sync::atomic::Ordering::Relaxed);
        self.filled.notify_one();
    }
}

/// What a message costs; never more than the whole window, or it would wait for ever.
fn permits(message: &Message) -> u32 {
    u32::try_from((message.cost_bytes() + envelope::OVERHEAD_BYTES).min(WINDOW_BYTES)).unwrap_or(u32::MAX)
}

/// The task behind a [`Bus`].
pub(crate) struct Fanout {
    bus: Arc<Bus>,
    deliver: Box<dyn Fn(Message) + Send + Sync>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// What instants in envelopes are counted from.
    epoch: Instant,
    next_number: u64,
    /// Put in and not read back, oldest first.
    outstanding: VecDeque<Outstanding>,
    /// Last numbers of the batches that are outstanding.
    batches: VecDeque<u64>,
    /// When the router last gave something back, or was last given something after it owed nothing.
    progress: Instant,
}

struct Outstanding {
    number: u64,
    envelope: Bytes,
    /// 0 for a probe.
    permits: u32,
}

enum Event {
    Filled,
    Returned(Result<Option<Bytes>, LinkDied>),
    Timer,
}

impl Fanout {
    pub(crate) fn new(
        bus: Arc<Bus>,
        deliver: Box<dyn Fn(Message) + Send + Sync>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Fanout {
        let epoch = clock.instant();
        Fanout {
            bus,
            deliver,
            metrics,
            clock,
            epoch,
            next_number: 0,
            outstanding: VecDeque::new(),
            batches: VecDeque::new(),
            progress: epoch,
        }
    }

    /// Runs until its task is dropped.
    pub(crate) async fn run(mut self) {
        let mut link = self.start_link().await;
        loop {
            let event = self.next_event(&mut link).await;
            if let Err(LinkDied) = self.apply(event, &mut link).await {
                tracing::error!(
                    outstanding = self.outstanding.len(),
                    "message router died or fell silent; starting another"
                );
                self.metrics.router_rebuilds.add(1);
                link = self.start_link().await;
            }
        }
    }

    async fn next_event(&self, link: &mut Link) -> Event {
        let wait = if self.outstanding.is_empty() { PROBE_INTERVAL } else { SILENCE_MAX };
        let rest = (self.progress + wait).saturating_duration_since(self.clock.instant());
        let may_send = self.batches.len() < BATCHES_MAX;
        tokio::select! {
            () = async { if may_send { self.bus.filled.notified().await } else { future::pending().await } } => Event::Filled,
            returned = link.next() => Event::Returned(returned),
            () = tokio::time::sleep(rest) => Event::Timer,
        }
    }

    async fn apply(&mut self, event: Event, link: &mut Link) -> Result<(), LinkDied> {
        match event {
            Event::Filled => {
                #[cfg(test)]
                if self.bus.sabotage.swap(false, std::sync::atomic::Ordering::Relaxed) {
                    return link.sabotage().await;
                }
                self.send_inbox(link).await
            }
            Event::Returned(returned) => {
                self.take_back(returned?)?;
                // One wake-up of the link stands for many messages.
                let mut taken = 1;
                while let Some(envelope) = link.try_next() {
                    self.take_back(envelope?)?;
                    taken += 1;
                    if taken % TURN_MAX == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                link.wake_if_asked().await
            }
            Event::Timer if self.outstanding.is_empty() => {
                let probe = Envelope::probe(self.number()).encode(self.epoch);
                self.send(link, vec![(probe, 0)]).await
            }
            Event::Timer => Err(LinkDied),
        }
    }

    async fn send_inbox(&mut self, link: &mut Link) -> Result<(), LinkDied> {
        let messages = std::mem::take(&mut *self.bus.lock());
        if messages.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(messages.len());
        for message in messages {
            let permits = permits(&message);
            let envelope = Envelope { number: self.number(), message: Some(message) };
            batch.push((envelope.encode(self.epoch), permits));
        }
        self.send(link, batch).await
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Sends envelopes whose numbers are the last ones given out.
    async fn send(&mut self, link: &mut Link, batch: Vec<(Bytes, u32)>) -> Result<(), LinkDied> {
        if self.outstanding.is_empty() {
            self.progress = self.clock.instant();
        }
        let first = self.next_number + 1 - u64::try_from(batch.len()).unwrap_or(0);
        self.batches.push_back(self.next_number);
        let envelopes: Vec<Bytes> = batch.iter().map(|(envelope, _)| envelope.clone()).collect();
        for (number, (envelope, permits)) in (first..).zip(batch) {
            self.outstanding.push_back(Outstanding { number, envelope, permits });
        }
        link.send(envelopes).await
    }

    fn take_back(&mut self, envelope: Option<Bytes>) -> Result<(), LinkDied> {
        let Some(envelope) = envelope else { return Ok(()) };
        // Anything but the next number is a router that lost or doubled something: replace it and send the rest anew.
        let envelope = Envelope::decode(envelope, self.epoch).ok_or(LinkDied)?;
        let returned = match self.outstanding.pop_front() {
            Some(oldest) if oldest.number == envelope.number => oldest,
            Some(oldest) => {
                self.outstanding.push_front(oldest);
                return Err(LinkDied);
            }
            None => return Err(LinkDied),
        };
        self.progress = self.clock.instant();
        while self.batches.front().is_some_and(|&last| last <= returned.number) {
            self.batches.pop_front();
        }
        if let Some(message) = envelope.message {
            (self.deliver)(message);
        }
        self.bus.credit.add_permits(usize::try_from(returned.permits).unwrap_or(0));
        Ok(())
    }

    /// Starts a router and gives it everything that is outstanding.
    async fn start_link(&mut self) -> Link {
        loop {
            match self.try_start_link().await {
                Ok(link) => return link,
                Err(LinkDied) => {
                    tracing::error!("message router did not start; trying again");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn try_start_link(&mut self) -> Result<Link, LinkDied> {
        let mut link = Link::start().await?;
        self.batches.clear();
        self.batches.extend(self.outstanding.back().map(|last| last.number));
        let again: Vec<Bytes> = self.outstanding.iter().map(|o| o.envelope.clone()).collect();
        if !again.is_empty() {
            link.send(again).await?;
        }
        self.progress = self.clock.instant();
        self.bus.filled.notify_one();
        Ok(link)
    }
}

#[cfg(test)]
mod tests;
