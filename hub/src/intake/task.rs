//! The task around the registry: takes messages, appends them, and answers when they are on flash.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use hub_model::UtcMs;
use hub_store::{Append, AppendError, LogHandle, Receipt};
use southbound::ingest::{DevicePublish, Stored};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::registry::{Accepted, Entropy, Refusal, Registry};
use crate::clock::Clock;
use crate::supervisor::stopped;

/// Messages between drivers and intake. A commit takes some milliseconds, so a few hundred keep the disk busy; more
/// would only be memory. When it is full, drivers wait, and so do their acknowledgements.
pub const INBOX_MESSAGES: usize = 256;

/// Messages handed to the log whose publisher has no answer yet. Each costs some 200 bytes; 50 clients with 100 in
/// flight stay below. At the bound the intake takes no more until the disk has caught up.
const WAITING_MAX: usize = 8_192;

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
    registry: SharedRegistry,
    log: LogHandle,
    clock: Clock,
    last_known_good: UtcMs,
    inbox: mpsc::Receiver<DevicePublish>,
    waiting: VecDeque<Waiting>,
}

/// A publisher that waits for its message to be on flash.
struct Waiting {
    stored: Pin<Box<dyn Future<Output = Result<hub_store::Stored, AppendError>> + Send>>,
    answer: oneshot::Sender<Stored>,
}

/// The log's writer has stopped. Publishers without an answer must not get one.
struct LogIsDead;

enum Next {
    Publish(Option<DevicePublish>),
    Answered(Result<(), LogIsDead>),
}

impl Intake {
    /// An intake over this registry and log. `last_known_good` is the latest time an earlier run was sure of.
    pub fn new(
        registry: SharedRegistry,
        log: LogHandle,
        clock: Clock,
        last_known_good: UtcMs,
        inbox: mpsc::Receiver<DevicePublish>,
    ) -> Intake {
        Intake { registry, log, clock, last_known_good, inbox, waiting: VecDeque::new() }
    }

    /// Runs to the end of the drivers or of the log. At the stop signal it takes what is in the inbox and no more.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let next = tokio::select! {
                publish = self.inbox.recv(), if self.waiting.len() < WAITING_MAX => Next::Publish(publish),
                result = answer_next(&mut self.waiting, &self.registry), if !self.waiting.is_empty() => {
                    Next::Answered(result)
                }
                () = stopped(&mut stop), if !self.inbox.is_closed() => {
                    self.inbox.close();
                    continue;
                }
            };
            let result = match next {
                Next::Publish(Some(publish)) => self.take(publish).await,
                Next::Publish(None) => break,
                Next::Answered(result) => result,
            };
            if result.is_err() {
                // Dropping the waiting publishers' channels tells the drivers that nothing was stored.
                error!(
                    unanswered = self.waiting.len(),
                    "the telemetry log has stopped: nothing can be stored"
                );
                return;
            }
        }
        while !self.waiting.is_empty() {
            if answer_next(&mut self.waiting, &self.registry).await.is_err() {
                return;
            }
        }
    }

    async fn take(&mut self, publish: DevicePublish) -> Result<(), LogIsDead> {
        let wall = self.clock.utc().max(self.last_known_good);
        let planned = self.registry.lock().plan(&publish, wall, &mut entropy);
        let Some(append) = planned else {
            answer(publish.stored, Stored::Refused);
            return Ok(());
        };
        let accepted = Accepted::from(&append);
        let definitions = append.definitions.clone();
        match self.append(append).await {
            Ok(receipt) => {
                self.registry.lock().note(&publish.device, publish.received, &accepted);
                if let Some(answer) = publish.stored {
                    self.waiting.push_back(Waiting { stored: Box::pin(receipt.stored()), answer });
                }
                Ok(())
            }
            Err(AppendError::Refused(why)) => {
                self.registry.lock().count_refused(Refusal::Log);
                warn!(device = %publish.device, %why, "a message was refused by the log");
                answer(publish.stored, Stored::Refused);
                self.append_definitions(definitions).await
            }
            Err(AppendError::Closed) => Err(LogIsDead),
        }
    }

    /// The registry already gives out these ids, so they must be explained even though their first use is refused.
    async fn append_definitions(&mut self, definitions: Vec<hub_store::Definition>) -> Result<(), LogIsDead> {
        if definitions.is_empty() {
            return Ok(());
        }
        match self.append(Append { definitions, ..Append::default() }).await {
            Ok(_lazy) => Ok(()),
            Err(error) => {
                error!(%error, "definitions could not be stored");
                Err(LogIsDead)
            }
        }
    }

    /// Waits for room in the log, and goes on answering publishers meanwhile: their commits make that room.
    async fn append(&mut self, append: Append) -> Result<Receipt, AppendError> {
        let mut appending = pin!(self.log.append(append));
        loop {
            tokio::select! {
                result = &mut appending => return result,
                result = answer_next(&mut self.waiting, &self.registry), if !self.waiting.is_empty() => {
                    result.map_err(|LogIsDead| AppendError::Closed)?;
                }
            }
        }
    }
}

/// Waits for the oldest outstanding commit and answers its publisher. Cancel-safe: what is polled stays queued. The
/// log commits in the order of appends, so nobody waits behind a later one.
async fn answer_next(waiting: &mut VecDeque<Waiting>, registry: &SharedRegistry) -> Result<(), LogIsDead> {
    let result = poll_fn(|context| match waiting.front_mut() {
        Some(front) => front.stored.as_mut().poll(context),
        None => Poll::Pending,
    })
    .await;
    let front = waiting.pop_front();
    match (result, front) {
        (Ok(stored), Some(front)) => {
            if stored.duplicate {
                registry.lock().count_duplicate();
            }
            answer(Some(front.answer), Stored::OnFlash);
            Ok(())
        }
        (Err(AppendError::Refused(why)), Some(front)) => {
            registry.lock().count_refused(Refusal::Log);
            warn!(%why, "a message was refused by the log");
            answer(Some(front.answer), Stored::Refused);
            Ok(())
        }
        (Err(AppendError::Closed), _) | (_, None) => Err(LogIsDead),
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
mod tests {
    use super::*;
    use crate::clock::EARLIEST_PLAUSIBLE;
    use crate::intake::Limits;
    use hub_model::{HubId, Ulid, Value};
    use hub_store::{LogConfig, OpenContext, SampleQuery};
    use southbound_wire::{DeviceMessage, Reading};

    fn say(clock: &Clock, value: Option<f64>) -> (DevicePublish, oneshot::Receiver<Stored>) {
        let (stored, answer) = oneshot::channel();
        let reading = Reading { metric: "t".parse().unwrap(), value: value.map(Value::F64), ts: None };
        let publish = DevicePublish {
            device: "pump".parse().unwrap(),
            message: DeviceMessage::Telemetry(vec![reading]),
            received: clock.now(),
            mark: None,
            stored: Some(stored),
        };
        (publish, answer)
    }

    #[tokio::test]
    async fn publishers_hear_of_what_is_stored_and_nothing_once_the_log_is_gone() {
        let dir = std::env::temp_dir().join(format!("relais-intake-{}", std::process::id()));
        let clock = Clock::new();
        let context = OpenContext { hub: HubId::new(Ulid::new(1, [1; 10])), now: clock.now(), seed: [7; 32] };
        let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
        let (log, _) = hub_store::open(&dir, config, &context, Arc::new(move || clock.now())).unwrap();
        let registry = SharedRegistry::new(Registry::new(log.catalog(), Limits::default()));
        let (ingest, inbox) = mpsc::channel(INBOX_MESSAGES);
        let (_stop, stopping) = watch::channel(false);
        let intake = Intake::new(registry.clone(), log.clone(), clock, EARLIEST_PLAUSIBLE, inbox);
        let story = async {
            let mut answers = Vec::new();
            for value in 0..100 {
                let (publish, answer) = say(&clock, Some(value.into()));
                ingest.send(publish).await.unwrap();
                answers.push(answer);
            }
            for answer in answers {
                assert_eq!(answer.await, Ok(Stored::OnFlash));
            }
            assert_eq!(log.reader().samples(&SampleQuery::default()).count(), 100);
            let closing = log.clone();
            tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap();
            let (publish, answer) = say(&clock, Some(1.0));
            ingest.send(publish).await.unwrap();
            assert!(answer.await.is_err(), "no answer from a dead log");
        };
        // The intake ends by itself, because the log did.
        tokio::join!(intake.run(stopping), story);
        assert_eq!(registry.lock().counts().samples, 100);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
