//! The writer's thread: it stages, commits and answers. What it plans, `sealer.rs` writes to the tables.
//!
//! When a commit starts is decided in `wal/group.rs`; what waits for its turn, and what is held back because the rest of
//! the WAL is for alarms, events and definitions, in `queue.rs`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::append::{AppendError, Stored};
use crate::handle::Clock;
use crate::log::{Log, Staged};
use crate::queue::{Entry, Queue, Room, Turn};
use crate::repeated::Repeated;
use crate::seal::SealPlan;
use crate::shared::{Shared, get, set};
use crate::wal::group::{GroupCommit, LazyWait};
use crate::wal::{Sealed, WalError};

/// After a commit or seal that failed, it is tried again this much later.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// A closing log waits this long for its last commit.
const CLOSE_MAX_MS: u64 = 5_000;
/// How often the writer looks up when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

pub(crate) enum Message {
    Append(Entry),
    Forget(u64),
    Sealed(Box<SealPlan>),
    SealNow(oneshot::Sender<()>),
    /// Other limits are in force: how long telemetry waits for its block, and for its commit.
    Change {
        seal_after_ms: u64,
        lazy_wait: LazyWait,
    },
    /// For a sign of life.
    Ping(oneshot::Sender<()>),
    Close(oneshot::Sender<Result<(), String>>),
    /// The last handle is gone without closing.
    Abandon,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Message::Append(_) => "Append",
            Message::Forget(_) => "Forget",
            Message::Sealed(_) => "Sealed",
            Message::SealNow(_) => "SealNow",
            Message::Change { .. } => "Change",
            Message::Ping(_) => "Ping",
            Message::Close(_) => "Close",
            Message::Abandon => "Abandon",
        })
    }
}

/// Who waits for the pending commit. The room is given back with the answer.
struct Waiter {
    done: oneshot::Sender<Result<Stored, AppendError>>,
    stored: Stored,
    _room: OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    log: Log,
    shared: Arc<Shared>,
    plans: SyncSender<Box<SealPlan>>,
    clock: Clock,
    fatal: watch::Sender<Option<String>>,
    room: Room,
    group: GroupCommit,
    waiters: Vec<Waiter>,
    /// Appends that are not staged yet; bounded by the room they hold.
    queue: Queue,
    /// Set after a failed commit: not before this moment again, unless a seal made room.
    retry_at_ms: Option<u64>,
    put_off: Repeated,
    /// Who waits for everything to be sealed, each with how far that was when it asked.
    sealing_for: Vec<(Sealed, oneshot::Sender<()>)>,
}

/// Why the writer's loop ended.
enum End {
    Closed(oneshot::Sender<Result<(), String>>),
    Abandoned,
}

impl Writer {
    pub(crate) fn new(
        log: Log,
        plans: SyncSender<Box<SealPlan>>,
        clock: Clock,
        fatal: watch::Sender<Option<String>>,
        room: Room,
        lazy_wait: LazyWait,
    ) -> Writer {
        let mut group = GroupCommit::default();
        group.set_lazy_wait(lazy_wait);
        Writer {
            shared: log.shared(),
            log,
            plans,
            clock,
            fatal,
            room,
            group,
            waiters: Vec::new(),
            queue: Queue::default(),
            retry_at_ms: None,
            put_off: Repeated::default(),
            sealing_for: Vec::new(),
        }
    }

    /// Runs until the log is closed. A panic is told through `fatal`, and nobody is answered "stored" by it.
    pub(crate) fn run(self, messages: &Receiver<Message>) {
        let (fatal, room) = (self.fatal.clone(), self.room.clone());
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || self.work(messages)));
        room.close();
        if ended.is_err() {
            fatal.send_replace(Some("the log's writer panicked".to_owned()));
        }
    }

    fn work(mut self, messages: &Receiver<Message>) {
        let end = loop {
            let message = match messages.recv_timeout(self.wait()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break End::Abandoned,
            };
            if let Some(end) = message.and_then(|m| self.handle(m)) {
                break end;
            }
            if let Some(end) = self.handle_waiting(messages) {
                break end;
            }
            self.handle_due();
        };
        match end {
            End::Abandoned => {}
            End::Closed(done) => {
                let result = self.close(messages);
                if done.send(result).is_err() {
                    tracing::warn!("nobody waited for the log to close");
                }
            }
        }
    }

    /// Takes what has arrived meanwhile, so that one fsync serves all of it.
    fn handle_waiting(&mut self, messages: &Receiver<Message>) -> Option<End> {
        while !self.queue.is_full() {
            match messages.try_recv() {
                Ok(message) => {
                    if let Some(end) = self.handle(message) {
                        return Some(end);
                    }
                }
                Err(_) => break,
            }
        }
        None
    }

    fn wait(&self) -> Duration {
        let now_ms = (self.clock)().mono_ms;
        let commit = match (self.retry_at_ms, self.group.poll_timeout()) {
            (Some(retry), Some(_)) => Some(retry),
            (_, due) => due,
        };
        // A seal that is due and cannot be planned must not become a busy loop.
        let seal = self.log.poll_seal().map(|at| at.max(now_ms + 1));
        let due = commit.into_iter().chain(seal).min();
        due.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(now_ms))).min(IDLE)
    }

    fn handle(&mut self, message: Message) -> Option<End> {
        match message {
            Message::Append(entry) => {
                self.queue.push(entry);
                self.take_in();
            }
            Message::Forget(incarnation) => self.log.forget_session(incarnation),
            Message::Sealed(plan) => {
                self.log.sealed(&plan);
                self.retry_at_ms = None;
                self.take_in();
            }
            Message::SealNow(done) => {
                self.commit();
                self.sealing_for.push((self.log.seal_target(), done));
            }
            Message::Change { seal_after_ms, lazy_wait } => {
                self.group.set_lazy_wait(lazy_wait);
                self.log.set_seal_after_ms(seal_after_ms);
                // A smaller quota is looked at behind a seal.
                self.plan_seal(true);
            }
            Message::Ping(done) => {
                if done.send(()).is_err() {
                    tracing::trace!("nobody waits for this sign of life any more");
                }
            }
            Message::Close(done) => return Some(End::Closed(done)),
            Message::Abandon => return Some(End::Abandoned),
        }
        None
    }

    /// Stages what fits into the pending commit and need not wait for a seal.
    fn take_in(&mut self) {
        loop {
            match self.queue.next(|weight| self.log.admits(weight), |weight| self.log.holds_back(weight)) {
                Turn::Stage(entry) => {
                    if !entry.append.is_precious() {
                        self.let_go();
                    }
                    self.stage(entry);
                }
                Turn::Nothing => break self.let_go(),
                Turn::Full => break,
                Turn::HeldBack => break self.hold_back(),
            }
        }
    }

    fn stage(&mut self, Entry { append, done, room, .. }: Entry) {
        let now = (self.clock)();
        let stored = Stored { duplicate: self.log.stage_checked(&append, now) == Staged::Duplicate };
        if stored.duplicate && !self.log.has_pending() {
            return answer(done, Ok(stored));
        }
        self.waiters.push(Waiter { done, stored, _room: room });
        let (urgency, pending) = (append.effective_urgency(), self.log.pending_bytes());
        self.group.handle_arrival(urgency, append.publisher, pending, now.mono_ms);
        set(&self.shared.counters.pending_bytes, pending as u64);
    }

    /// Samples wait for a seal.
    fn hold_back(&mut self) {
        let since = &self.shared.counters.held_since_ms;
        if get(since) == 0 {
            set(since, (self.clock)().mono_ms.max(1));
            tracing::debug!(
                "samples wait for a seal: the rest of the WAL is for alarms, events and definitions"
            );
        }
        self.plan_seal(true);
    }

    fn let_go(&self) {
        set(&self.shared.counters.held_since_ms, 0);
    }

    fn handle_due(&mut self) {
        let now = (self.clock)();
        let due = self.group.poll_timeout().is_some_and(|at| at <= now.mono_ms) || self.queue.is_full();
        if due && self.retry_at_ms.is_none_or(|at| at <= now.mono_ms) {
            self.commit();
        }
        self.answer_sealed();
        self.plan_seal(!self.sealing_for.is_empty());
    }

    fn answer_sealed(&mut self) {
        for (target, done) in std::mem::take(&mut self.sealing_for) {
            if !self.log.is_sealed(&target) {
                self.sealing_for.push((target, done));
            } else if done.send(()).is_err() {
                tracing::trace!("nobody waits for this seal any more");
            }
        }
    }

    /// Commits, answers, and takes in what had not fit; again while that alone fills a commit.
    fn commit(&mut self) {
        loop {
            let now = (self.clock)();
            let writing_since = &self.shared.counters.writing_since_ms;
            set(writing_since, now.mono_ms.max(1));
            let committed = self.log.commit(now);
            set(writing_since, 0);
            if let Err(error) = committed {
                self.put_off(&error, now.mono_ms);
                return;
            }
            self.retry_at_ms = None;
            set(&self.shared.counters.blocked_since_ms, 0);
            if let Some(times) = self.put_off.end() {
                tracing::info!(times, "commits work again");
            }
            self.group.reset();
            for waiter in self.waiters.drain(..) {
                answer(waiter.done, Ok(waiter.stored));
            }
            set(&self.shared.counters.pending_bytes, 0);
            self.take_in();
            self.plan_seal(false);
            if !self.queue.is_full() {
                return;
            }
        }
    }

    fn put_off(&mut self, error: &WalError, now_ms: u64) {
        self.plan_seal(true);
        let blocked = &self.shared.counters.blocked_since_ms;
        if get(blocked) == 0 {
            set(blocked, now_ms.max(1));
        }
        match error {
            // Normal under load: the sealer makes room and says so.
            WalError::Full if self.log.is_sealing() => {
                tracing::debug!("commits wait for the tables to take over a WAL file");
            }
            WalError::Full => {
                if self.put_off.is_told("full", now_ms) {
                    tracing::warn!(
                        "every WAL file is full; acknowledgements are withheld until a seal makes room"
                    );
                }
            }
            WalError::Io(_) | WalError::TooLarge(_) => {
                if self.put_off.is_told(error.to_string(), now_ms) {
                    tracing::error!(%error, "a commit failed; acknowledgements are withheld until it works");
                }
            }
        }
        self.retry_at_ms = Some(now_ms + u64::try_from(RETRY.as_millis()).unwrap_or(1000));
    }

    fn plan_seal(&mut self, all: bool) {
        let now_ms = (self.clock)().mono_ms;
        if let Some(plan) = self.log.plan_seal(now_ms, all)
            && self.plans.send(Box::new(plan)).is_err()
        {
            tracing::error!(
                "the sealer has stopped: the WAL will fill and acknowledgements will be withheld"
            );
        }
    }

    fn close(mut self, messages: &Receiver<Message>) -> Result<(), String> {
        loop {
            // What is kept for classes 0–3 is used up at the end: there is no later for what waits.
            while let Turn::Stage(entry) = self.queue.next(|weight| self.log.admits(weight), |_| false) {
                self.stage(entry);
            }
            if self.queue.is_empty() {
                self.log.stage_close((self.clock)());
            }
            self.commit_at_end(messages)?;
            if self.queue.is_empty() {
                if let Err(error) = self.log.store_end() {
                    tracing::info!(%error, "the tables do not take the end of the log; the next start finds it in the WAL");
                }
                return Ok(());
            }
        }
    }

    /// A last commit may have to wait for the sealer to make room.
    fn commit_at_end(&mut self, messages: &Receiver<Message>) -> Result<(), String> {
        self.room.close();
        let give_up_ms = (self.clock)().mono_ms + CLOSE_MAX_MS;
        while let Err(error) = self.log.commit((self.clock)()) {
            self.plan_seal(true);
            let now_ms = (self.clock)().mono_ms;
            if now_ms >= give_up_ms {
                return Err(error.to_string());
            }
            match messages.recv_timeout(Duration::from_millis(give_up_ms - now_ms).min(RETRY)) {
                Ok(Message::Sealed(plan)) => self.log.sealed(&plan),
                // Too late to be taken: their callers hear that the log is closed.
                Ok(
                    Message::Append(_)
                    | Message::Forget(_)
                    | Message::SealNow(_)
                    | Message::Ping(_)
                    | Message::Change { .. }
                    | Message::Close(_)
                    | Message::Abandon,
                )
                | Err(_) => {}
            }
        }
        for waiter in self.waiters.drain(..) {
            answer(waiter.done, Ok(waiter.stored));
        }
        Ok(())
    }
}

fn answer(done: oneshot::Sender<Result<Stored, AppendError>>, result: Result<Stored, AppendError>) {
    if done.send(result).is_err() {
        // A publisher that went away; its data is stored all the same.
        tracing::trace!("nobody waits for this answer");
    }
}
