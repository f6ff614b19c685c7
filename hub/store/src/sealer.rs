//! The sealer's thread: it writes plans to the tables and keeps them within their quota.
//!
//! A plan that fails is tried again until it is written. Meanwhile commits go on in the WAL, so [`SealTrouble`] says
//! since when and why: nobody would notice otherwise before the WAL is full.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use tokio::sync::watch;

use crate::handle::{Changed, Clock, SealTrouble};
use crate::log::{evict, seal};
use crate::queue::Room;
use crate::repeated::Repeated;
use crate::seal::SealPlan;
use crate::shared::Shared;
use crate::table::TableError;
use crate::writer::{Message, RETRY};

pub(crate) struct Sealer {
    shared: Arc<Shared>,
    plans: Receiver<Box<SealPlan>>,
    inbox: SyncSender<Message>,
    changed: Arc<Changed>,
    clock: Clock,
    failures: Repeated,
    evict_failures: Repeated,
}

/// The writer is gone.
struct Ended;

impl Sealer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        plans: Receiver<Box<SealPlan>>,
        inbox: SyncSender<Message>,
        changed: Arc<Changed>,
        clock: Clock,
    ) -> Sealer {
        let (failures, evict_failures) = (Repeated::default(), Repeated::default());
        Sealer { shared, plans, inbox, changed, clock, failures, evict_failures }
    }

    /// Runs until the writer is gone. A panic is told through `fatal`: without a sealer the WAL fills and nothing is
    /// stored any more.
    pub(crate) fn run(mut self, fatal: &watch::Sender<Option<String>>, room: &Room) {
        let work = move || while self.write_plan().is_ok() {};
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            room.close();
            fatal.send_replace(Some("the log's sealer panicked".to_owned()));
        }
    }

    fn write_plan(&mut self) -> Result<(), Ended> {
        let plan = self.plans.recv().map_err(|_| Ended)?;
        while let Err(error) = seal(&self.shared, &plan) {
            self.failed(&error);
            self.wait()?;
        }
        self.works();
        if let Err(error) = evict(&self.shared, self.changed.quota_bytes()) {
            if self.evict_failures.is_told(error.to_string(), self.now_ms()) {
                tracing::error!(%error, "evicting failed; it is tried again with the next seal");
            }
            // Readers need the tables before the next write opens them.
            while let Err(error) = self.shared.tables.reopen() {
                if self.evict_failures.is_told(error.to_string(), self.now_ms()) {
                    tracing::error!(%error, "the tables do not open again yet");
                }
                self.wait()?;
            }
        } else {
            self.evict_failures.end();
        }
        self.inbox.send(Message::Sealed(plan)).map_err(|_| Ended)
    }

    /// Nothing is sent while a plan is out, so this only waits, or ends with the writer.
    fn wait(&self) -> Result<(), Ended> {
        match self.plans.recv_timeout(RETRY) {
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
            Err(RecvTimeoutError::Timeout) | Ok(_) => Ok(()),
        }
    }

    fn failed(&mut self, error: &TableError) {
        let now_ms = self.now_ms();
        let mut trouble = self.shared.seal_trouble();
        match (&mut *trouble, error.disk_trouble()) {
            (Some(trouble), Some(why)) => trouble.why = why,
            // A consequence of what is known.
            (Some(_), None) => {}
            (none, why) => {
                let why = why.unwrap_or_else(|| "the tables cannot be written".to_owned());
                *none = Some(SealTrouble { since_ms: now_ms, why });
            }
        }
        drop(trouble);
        if self.failures.is_told(error.to_string(), now_ms) {
            tracing::error!(%error, "sealing failed; the records stay in the WAL and it is tried again");
        }
    }

    fn works(&mut self) {
        let ended = self.shared.seal_trouble().take();
        if let (Some(trouble), Some(times)) = (ended, self.failures.end()) {
            let after_ms = self.now_ms().saturating_sub(trouble.since_ms);
            tracing::info!(times, after_ms, "sealing works again");
        }
    }

    fn now_ms(&self) -> u64 {
        (self.clock)().mono_ms
    }
}
