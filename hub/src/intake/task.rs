//! The task around the registry: takes messages, appends them, and answers when they are on flash.
//!
//! Two lanes, as in the log: readings may have to wait for room, and events pass them meanwhile.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hub_chassis::supervisor::stopped;
use hub_model::{DeviceName, UtcMs};
use hub_store::{Append, AppendError, Definition, LogHandle, Receipt, RefusedAppend};
use southbound::ingest::{DevicePublish, IngestReceiver, Stored};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::refusal::{Refusal, Told};
use super::registry::{Accepted, Entropy, Plan, Registry};
use crate::clock::Clock;

/// Messages between drivers and intake. A commit takes some milliseconds, so a few hundred keep the disk busy; more
/// would only be memory. When it is full, drivers wait, and so do their acknowledgements.
pub const INBOX_MESSAGES: usize = 256;

/// Messages handed to the log and not answered by it yet. Each costs some 200 bytes and its last values. The log holds
/// 4,096 at most, so this is reached only when it answers faster than the intake listens; then no more are taken.
const WAITING_MAX: usize = 8_192;

/// Questions for a sign of life that may wait: there is one who asks, and it waits for the answer.
const PROBES_MAX: usize = 1;

/// The registry, shared with the API. Locked for a few synchronous lines only.
#[derive(Clone, Debug)]
pub struct SharedRegistry(Arc<Mutex<Registry>>);

impl SharedRegistry {
    /// Shares a registry.
    pub fn new(registry: Registry) -> SharedRegistry {
        SharedRegistry(Arc::new(Mutex::new(registry)))
    }

    /// Looks into it. Never hold the guard across an `.await`.
    pub fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The intake task. It ends when every driver is gone and everything they said is on flash, or when the log dies.
pub struct Intake {
    log: LogHandle,
    clock: Clock,
    last_known_good: UtcMs,
    inbox: IngestReceiver,
    /// Readings on their way into the log: those behind wait in the inbox, events do not.
    entering: Option<Entering>,
    probe: IntakeProbe,
    probes: mpsc::Receiver<oneshot::Sender<Progress>>,
    outstanding: Outstanding,
}

/// Asks the intake for a sign of life.
#[derive(Clone, Debug)]
pub struct IntakeProbe(mpsc::Sender<oneshot::Sender<Progress>>);

impl IntakeProbe {
    /// How far the intake is. It answers at once whatever the log and the disk do; `None`: it has ended.
    pub async fn ask(&self) -> Option<Progress> {
        let (tell, told) = oneshot::channel();
        self.0.send(tell).await.ok()?;
        told.await.ok()
    }
}

/// How far the intake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages that the log has not answered yet.
    pub waiting: usize,
    /// Messages that it has answered since the start.
    pub answered: u64,
}

/// What the log has and has not answered, and what follows from its answers.
struct Outstanding {
    registry: SharedRegistry,
    waiting: Lanes,
    told: Told,
    /// Definitions whose append came to nothing. The registry gives out their ids, so they must be stored all the same.
    unexplained: Vec<Definition>,
    answered: u64,
}

/// Messages the log has not answered. It answers each lane in the order of the appends.
#[derive(Default)]
struct Lanes {
    precious: VecDeque<Waiting>,
    readings: VecDeque<Waiting>,
}

/// An append that waits for room, and what is to be done when it has found it.
struct Entering {
    appending: Pin<Box<dyn Future<Output = Result<Receipt, AppendError>> + Send>>,
    message: Message,
}

/// What is known of a message until it is stored.
struct Message {
    device: DeviceName,
    accepted: Accepted,
    definitions: Vec<Definition>,
    answer: Option<oneshot::Sender<Stored>>,
    /// Whether it goes in the lane that passes readings.
    is_precious: bool,
}

/// A message on its way to flash, with its publisher where one waits.
struct Waiting {
    stored: Pin<Box<dyn Future<Output = Result<hub_store::Stored, AppendError>> + Send>>,
    message: Message,
}

/// The log's writer has stopped. Publishers without an answer must not get one.
struct LogIsDead;

enum Next {
    Publish(DevicePublish),
    /// Of the lanes that are listened to.
    NoMore,
    Entered(Result<Receipt, AppendError>),
    Answered(Result<(), LogIsDead>),
}

impl Intake {
    /// An intake over this registry and log. `last_known_good` is the latest time an earlier run was sure of.
    pub fn new(
        registry: SharedRegistry,
        log: LogHandle,
        clock: Clock,
        last_known_good: UtcMs,
        inbox: IngestReceiver,
    ) -> Intake {
        let outstanding = Outstanding {
            registry,
            waiting: Lanes::default(),
            told: Told::default(),
            unexplained: Vec::new(),
            answered: 0,
        };
        let (asks, probes) = mpsc::channel(PROBES_MAX);
        let probe = IntakeProbe(asks);
        Intake { log, clock, last_known_good, inbox, entering: None, probe, probes, outstanding }
    }

    /// For who watches it.
    pub fn probe(&self) -> IntakeProbe {
        self.probe.clone()
    }

    /// Runs to the end of the drivers or of the log. At the stop signal it takes what is in the inbox and no more.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let result = match self.next(&mut stop).await {
                Next::Publish(publish) => self.take(publish).await,
                Next::NoMore => match self.entering.take() {
                    Some(Entering { appending, message }) => {
                        let entered = self.wait_for(appending).await;
                        self.entered(entered, message)
                    }
                    None => break,
                },
                Next::Entered(entered) => match self.entering.take() {
                    Some(Entering { message, .. }) => self.entered(entered, message),
                    None => Ok(()),
                },
                Next::Answered(result) => result,
            };
            if result.is_err() || self.explain().await.is_err() {
                // Dropping the waiting publishers' channels tells the drivers that nothing was stored.
                error!(
                    unanswered = self.outstanding.waiting.len(),
                    "the telemetry log has stopped: nothing can be stored"
                );
                return;
            }
        }
        while !self.outstanding.waiting.is_empty() {
            if self.outstanding.answer_next().await.is_err() || self.explain().await.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self, stop: &mut watch::Receiver<bool>) -> Next {
        loop {
            let has_place = self.outstanding.waiting.len() < WAITING_MAX;
            let is_entering = self.entering.is_some();
            tokio::select! {
                entered = enter(&mut self.entering), if is_entering => return Next::Entered(entered),
                publish = self.inbox.recv(!is_entering), if has_place => {
                    return publish.map_or(Next::NoMore, Next::Publish);
                }
                result = self.outstanding.answer_next(), if !self.outstanding.waiting.is_empty() => {
                    return Next::Answered(result);
                }
                Some(tell) = self.probes.recv() => self.outstanding.tell_progress(tell),
                () = stopped(stop), if !self.inbox.is_closed() => self.inbox.close(),
            }
        }
    }

    async fn take(&mut self, publish: DevicePublish) -> Result<(), LogIsDead> {
        let wall = self.clock.utc().max(self.last_known_good);
        let plan = self.outstanding.registry.lock().plan(&publish, wall, &mut entropy);
        self.outstanding.tell_refused(&publish.device, &plan);
        if !plan.holds_message() {
            answer(publish.stored, Stored::Refused);
            self.outstanding.unexplained.extend(plan.append.definitions);
            return Ok(());
        }
        let message = Message {
            accepted: Accepted::from(&plan.append),
            definitions: plan.append.definitions.clone(),
            is_precious: plan.append.is_precious(),
            device: publish.device,
            answer: publish.stored,
        };
        if message.is_precious {
            let entered = self.append(plan.append).await;
            return self.entered(entered, message);
        }
        let log = self.log.clone();
        let appending = Box::pin(async move { log.append(plan.append).await });
        self.entering = Some(Entering { appending, message });
        Ok(())
    }

    /// The log has taken an append, or not.
    fn entered(&mut self, entered: Result<Receipt, AppendError>, message: Message) -> Result<(), LogIsDead> {
        match entered {
            Ok(receipt) => {
                self.outstanding.waiting.push(Waiting { stored: Box::pin(receipt.stored()), message });
                Ok(())
            }
            Err(AppendError::Refused(why)) => {
                self.outstanding.refused_by_log(&message.device, &why, message.definitions);
                answer(message.answer, Stored::Refused);
                Ok(())
            }
            Err(AppendError::Closed) => Err(LogIsDead),
        }
    }

    /// Stores the definitions that are still to be stored.
    async fn explain(&mut self) -> Result<(), LogIsDead> {
        while !self.outstanding.unexplained.is_empty() {
            let definitions = std::mem::take(&mut self.outstanding.unexplained);
            if let Err(error) = self.append(Append { definitions, ..Append::default() }).await {
                error!(%error, "definitions could not be stored");
                return Err(LogIsDead);
            }
        }
        Ok(())
    }

    async fn append(&mut self, append: Append) -> Result<Receipt, AppendError> {
        let log = self.log.clone();
        self.wait_for(Box::pin(async move { log.append(append).await })).await
    }

    /// Waits for room in the log, and goes on answering publishers meanwhile: their commits make that room.
    async fn wait_for(
        &mut self,
        mut appending: Pin<Box<dyn Future<Output = Result<Receipt, AppendError>> + Send>>,
    ) -> Result<Receipt, AppendError> {
        let (outstanding, probes) = (&mut self.outstanding, &mut self.probes);
        loop {
            tokio::select! {
                result = &mut appending => return result,
                result = outstanding.answer_next(), if !outstanding.waiting.is_empty() => {
                    result.map_err(|LogIsDead| AppendError::Closed)?;
                }
                Some(tell) = probes.recv() => outstanding.tell_progress(tell),
            }
        }
    }
}

/// Waits for the append on its way into the log. Cancel-safe: it stays where it is.
async fn enter(entering: &mut Option<Entering>) -> Result<Receipt, AppendError> {
    match entering {
        Some(entering) => entering.appending.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Lanes {
    fn push(&mut self, waiting: Waiting) {
        let lane = if waiting.message.is_precious { &mut self.precious } else { &mut self.readings };
        lane.push_back(waiting);
    }

    fn len(&self) -> usize {
        self.precious.len() + self.readings.len()
    }

    fn is_empty(&self) -> bool {
        self.precious.is_empty() && self.readings.is_empty()
    }

    /// The oldest of a lane that is answered, with the answer.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Result<hub_store::Stored, AppendError>, Message)> {
        for lane in [&mut self.precious, &mut self.readings] {
            let Some(front) = lane.front_mut() else { continue };
            if let Poll::Ready(result) = front.stored.as_mut().poll(context)
                && let Some(Waiting { message, .. }) = lane.pop_front()
            {
                return Poll::Ready((result, message));
            }
        }
        Poll::Pending
    }
}

impl Outstanding {
    /// Waits for the oldest outstanding commit of either lane, notes it and answers its publisher. Cancel-safe: what is
    /// polled stays queued. The log commits each lane in the order of appends, so nobody waits behind a later one, and
    /// last values follow each other as they came.
    async fn answer_next(&mut self) -> Result<(), LogIsDead> {
        let (result, message) = poll_fn(|context| self.waiting.poll(context)).await;
        self.answered += 1;
        match result {
            Ok(stored) => {
                if stored.duplicate {
                    self.registry.lock().count_duplicate();
                    self.unexplained.extend(message.definitions);
                } else {
                    self.registry.lock().note(&message.accepted);
                }
                answer(message.answer, Stored::OnFlash);
                Ok(())
            }
            Err(AppendError::Refused(why)) => {
                self.refused_by_log(&message.device, &why, message.definitions);
                answer(message.answer, Stored::Refused);
                Ok(())
            }
            Err(AppendError::Closed) => Err(LogIsDead),
        }
    }

    fn tell_progress(&self, tell: oneshot::Sender<Progress>) {
        // Who asked may have given up waiting.
        let _ = tell.send(Progress { waiting: self.waiting.len(), answered: self.answered });
    }

    fn refused_by_log(&mut self, device: &DeviceName, why: &RefusedAppend, definitions: Vec<Definition>) {
        self.registry.lock().count_refused(Refusal::Log);
        self.unexplained.extend(definitions);
        if self.told.is_news(device, Refusal::Log) {
            warn!(%device, %why, "a message was refused by the log; more of this device are only counted");
        }
    }

    fn tell_refused(&mut self, device: &DeviceName, plan: &Plan) {
        for (refusal, metric) in &plan.refused {
            if !self.told.is_news(device, *refusal) {
                continue;
            }
            let reason = refusal.name();
            match metric {
                Some(metric) => {
                    warn!(%device, %metric, reason, "a reading was refused; more of this device are only counted");
                }
                None => warn!(%device, reason, "a message was refused; more of this device are only counted"),
            }
        }
    }
}

fn answer(waiting: Option<oneshot::Sender<Stored>>, stored: Stored) {
    if let Some(waiting) = waiting {
        // A publisher that went away meanwhile resends; the log then knows the message.
        let _ = waiting.send(stored);
    }
}

/// For a new device's id.
fn entropy() -> Entropy {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("the kernel gives entropy once it has booted");
    bytes
}

#[cfg(test)]
mod tests;
