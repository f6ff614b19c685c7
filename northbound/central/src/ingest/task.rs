//! The task: gathers, commits, answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hub_chassis::supervisor::stopped;
use northbound_sync::Placed;
use northbound_wire::RefusalCode;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tracing::{debug, error, info, warn};

use super::check::Body;
use super::commit::{Committer, Verdict};
use super::pace::Pace;
use super::queues::Queues;
use super::{Holes, Ingest, QUEUE_ARRIVALS, Request, WAITING_KIB, Waiting};
use crate::clock::Clock;
use crate::counts::Counts;
use crate::storage::{Storage, StorageError};

/// After a commit failed, hubs that come back at once would only make it fail again.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// How often it is tried whether there is room again after a commit failed, while no hub sends anything: one full batch
/// each time.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// How often it is tried at most whether anything can be stored because some other write failed.
const DOUBT_EVERY: Duration = Duration::from_secs(1);

/// Owns `ranges` and `coverage`.
#[derive(Debug)]
pub struct IngestTask {
    inbox: mpsc::Receiver<Request>,
    queues: Queues,
    pub(super) committer: Committer,
    clock: Clock,
    counts: Arc<Counts>,
    holes: Holes,
    pace: Pace,
    /// Some write did not end as it should.
    is_doubtful: bool,
    /// By the monotonic clock.
    probed_ms: Option<u64>,
    writing_since_ms: Arc<AtomicU64>,
    pub(super) probe_every: Duration,
    pub(super) doubt_every: Duration,
}

impl Ingest {
    /// The handle, and the task to spawn. `definitions` is notified when blocks of class meta were stored.
    pub fn new(
        storage: Storage,
        clock: Clock,
        counts: Arc<Counts>,
        definitions: Arc<Notify>,
    ) -> (Ingest, IngestTask) {
        let (outbox, inbox) = mpsc::channel(QUEUE_ARRIVALS);
        let room = Arc::new(Semaphore::new(WAITING_KIB));
        let committer = Committer::new(storage, Arc::clone(&counts), definitions);
        let holes = Holes::default();
        let pace = Pace::new(clock.mono_ms());
        let writing_since_ms = Arc::new(AtomicU64::new(0));
        let task = IngestTask {
            inbox,
            queues: Queues::default(),
            committer,
            clock,
            counts: Arc::clone(&counts),
            holes: holes.clone(),
            pace,
            is_doubtful: false,
            probed_ms: None,
            writing_since_ms: Arc::clone(&writing_since_ms),
            probe_every: PROBE_EVERY,
            doubt_every: DOUBT_EVERY,
        };
        (Ingest { inbox: outbox, room, counts, holes, writing_since_ms }, task)
    }
}

impl IngestTask {
    /// Works until the stop signal, and then commits what waits.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut stopping = false;
        let doubt = self.committer.doubt();
        loop {
            if !self.queues.is_empty() {
                self.store().await;
                continue;
            }
            let probe_in = self.probe_in();
            let request = tokio::select! {
                request = self.inbox.recv() => request,
                () = doubt.notified(), if !stopping => {
                    self.is_doubtful = true;
                    continue;
                }
                () = tokio::time::sleep(probe_in.unwrap_or_default()), if probe_in.is_some() && !stopping => {
                    self.probe().await;
                    continue;
                }
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    self.inbox.close();
                    continue;
                }
            };
            match request {
                Some(Request::Store(waiting)) => self.queues.push(*waiting),
                Some(Request::Ping(done)) => answer_ping(done),
                Some(forget @ Request::Forget { .. }) => self.forget(forget).await,
                None => return,
            }
        }
    }

    async fn store(&mut self) {
        let forgets = self.gather().await;
        let batch = self.queues.take();
        self.commit(batch).await;
        for forget in forgets {
            self.forget(forget).await;
        }
    }

    /// Takes what waits into the queues, and waits for more as long as the pace says. What is to be forgotten ends
    /// that; each of who asks for it waits for the answer, so there are few.
    async fn gather(&mut self) -> Vec<Request> {
        let wait_ms = self.pace.wait_ms(self.clock.mono_ms());
        let deadline = async {
            if wait_ms > 0 {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        };
        let mut deadline = std::pin::pin!(deadline);
        let mut over = wait_ms == 0;
        let mut forgets = Vec::new();
        loop {
            // Also what a full batch has no room for: whose turn it is can only be said when all are there.
            while let Ok(request) = self.inbox.try_recv() {
                self.sort(request, &mut forgets);
            }
            if over || self.queues.fill_a_batch() || !forgets.is_empty() {
                return forgets;
            }
            tokio::select! {
                request = self.inbox.recv() => match request {
                    Some(request) => self.sort(request, &mut forgets),
                    None => return forgets,
                },
                () = deadline.as_mut() => over = true,
            }
        }
    }

    fn sort(&mut self, request: Request, forgets: &mut Vec<Request>) {
        match request {
            Request::Store(waiting) => self.queues.push(*waiting),
            Request::Ping(done) => answer_ping(done),
            forget @ Request::Forget { .. } => forgets.push(forget),
        }
    }

    async fn commit(&mut self, batch: Vec<Waiting>) {
        let now = self.clock.utc();
        self.begin_write();
        let outcome = self.committer.commit(&batch, now).await;
        self.end_write();
        #[cfg(test)]
        if self.committer.is_dead() {
            return std::future::pending().await;
        }
        match outcome {
            Ok(committed) => {
                self.stores_again();
                if committed.object_bytes > 0 {
                    self.pace.wrote(committed.object_bytes);
                }
                debug!(arrivals = batch.len(), bytes = committed.object_bytes, "committed");
                let mut deferred = Vec::new();
                for (waiting, verdict) in batch.into_iter().zip(committed.verdicts) {
                    if verdict == Verdict::Deferred {
                        deferred.push(waiting);
                    } else {
                        self.answer(waiting, verdict);
                    }
                }
                self.queues.put_back(deferred);
            }
            Err(error) => self.fail(batch, &error).await,
        }
    }

    fn begin_write(&self) {
        self.writing_since_ms.store(self.clock.mono_ms().max(1), Ordering::Relaxed);
    }

    fn end_write(&self) {
        self.writing_since_ms.store(0, Ordering::Relaxed);
    }

    /// How long until it is to be tried whether anything can be stored, if it is.
    fn probe_in(&self) -> Option<Duration> {
        let every = if self.counts.storing_fails.load(Ordering::Relaxed) {
            self.probe_every
        } else if self.is_doubtful {
            self.doubt_every
        } else {
            return None;
        };
        let since = self.probed_ms.map(|at| self.clock.mono_ms().saturating_sub(at));
        Some(since.map_or(Duration::ZERO, |since| every.saturating_sub(Duration::from_millis(since))))
    }

    /// Hubs may be away, or keep what they have for a while: whether there is room is found out without them. Also
    /// before anything else, so that a start with a full disk says so.
    pub async fn probe(&mut self) {
        self.begin_write();
        let probed = self.committer.probe(self.clock.utc()).await;
        self.end_write();
        self.probed_ms = Some(self.clock.mono_ms());
        match probed {
            Ok(()) => self.stores_again(),
            Err(error) => self.stores_not(&error),
        }
    }

    fn stores_again(&mut self) {
        self.is_doubtful = false;
        if self.counts.storing_fails.swap(false, Ordering::Relaxed) {
            info!("central can store again");
        }
    }

    fn stores_not(&self, error: &StorageError) {
        if self.counts.storing_fails.swap(true, Ordering::Relaxed) {
            debug!(%error, "central still cannot store");
        } else {
            error!(%error, "central cannot store: hubs keep what they have and try again; look at the disk");
        }
    }

    fn answer(&self, waiting: Waiting, verdict: Verdict) {
        let placed = match verdict {
            Verdict::Changed => {
                match &waiting.arrival.content {
                    Body::Block(header, bytes) => {
                        self.counts.blocks.add(1);
                        self.counts.block_bytes.add(bytes.len() as u64);
                        self.counts.records.add(header.range.len());
                    }
                    Body::Gap(_) => self.counts.gaps.add(1),
                }
                Placed::Accounted
            }
            Verdict::Known => {
                self.counts.known.add(1);
                Placed::Accounted
            }
            Verdict::Deferred => return,
            Verdict::Refused(code, detail) => {
                let Waiting { hub, arrival, .. } = &waiting;
                debug!(%hub, class = arrival.lane.class.name(), range = %arrival.range, code = code.name(), detail, "refused");
                self.counts.refused(code);
                Placed::Refused(code, detail)
            }
        };
        // A connection that is gone hears it when it comes back.
        let _gone = waiting.answer.send(placed);
    }

    /// Every arrival of the batch is answered the same: nothing of it is there, or at least nobody was told so.
    async fn fail(&mut self, batch: Vec<Waiting>, error: &StorageError) {
        self.counts.commit_failures.add(1);
        self.stores_not(error);
        self.probed_ms = Some(self.clock.mono_ms());
        for waiting in batch {
            self.counts.refused(RefusalCode::StorageFailed);
            let detail = "central cannot store at the moment; keep it and try again".to_owned();
            let _gone = waiting.answer.send(Placed::Refused(RefusalCode::StorageFailed, detail));
        }
        tokio::time::sleep(FAILURE_PAUSE).await;
    }

    async fn forget(&mut self, request: Request) {
        let Request::Forget { hub, lane, row, why, done } = request else { return };
        let (class, range) = (lane.class.name(), row.range);
        self.begin_write();
        let forgotten = self.committer.forget(hub, lane, &row, &why, self.clock.utc()).await;
        self.end_write();
        let forgotten = match forgotten {
            Ok(forgotten) => forgotten,
            Err(error) => {
                error!(%hub, class, %range, %error, "a damaged block cannot be given up");
                false
            }
        };
        if forgotten {
            self.counts.blocks_damaged.add(1);
            self.holes.found(hub);
            warn!(%hub, class, %range, why, "a stored block is damaged; its hub is asked for it again");
        }
        let _gone = done.send(forgotten);
    }
}

fn answer_ping(done: oneshot::Sender<()>) {
    // Who asked may have given up waiting.
    let _gone = done.send(());
}
