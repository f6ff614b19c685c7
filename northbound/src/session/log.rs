//! Questions to the log, on threads for blocking work.
//!
//! Two at a time: one reads for the next class while the other's blocks go out; more would only take memory. What waits
//! is asked in the order of urgency.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hub_model::{LogEpoch, SeqRange};
use northbound_sync::{Item, Recheck};
use northbound_wire::Lane;
use tokio::sync::{mpsc, watch};

use super::confirms::Batch;
use crate::outbox::{HeldClass, Outbox, OutboxError};

/// Questions at a time. Confirmations and what is held come on top: one of each.
const READING_MAX: usize = 2;

/// Answers that may wait: one of every question that can be under way.
const ANSWERS: usize = READING_MAX + 3;

/// What the log says.
#[derive(Debug)]
pub(super) enum LogWord {
    Changed,
    Held(Result<Vec<HeldClass>, OutboxError>),
    Items { lane: Lane, wanted: SeqRange, items: Result<Vec<Item>, OutboxError> },
    Rechecked { lane: Lane, range: SeqRange, found: Result<Recheck, OutboxError> },
    Confirmed { batch: Batch, result: Result<(), OutboxError> },
}

/// A question for blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) lane: Lane,
    pub(super) wanted: SeqRange,
    pub(super) bytes_max: usize,
}

/// Questions that wait, and answers that come.
pub(super) struct LogDesk {
    outbox: Arc<dyn Outbox>,
    changed: watch::Receiver<u64>,
    answers: (mpsc::Sender<LogWord>, mpsc::Receiver<LogWord>),
    fetches: Vec<Fetch>,
    rechecks: VecDeque<(Lane, SeqRange)>,
    reading: usize,
    rechecking: bool,
    /// The log is being asked what it holds; whether it changed since.
    asking: bool,
    ask_again: bool,
    confirming: bool,
}

impl LogDesk {
    pub(super) fn new(outbox: Arc<dyn Outbox>) -> LogDesk {
        LogDesk {
            changed: outbox.changed(),
            outbox,
            answers: mpsc::channel(ANSWERS),
            fetches: Vec::new(),
            rechecks: VecDeque::new(),
            reading: 0,
            rechecking: false,
            asking: false,
            ask_again: false,
            confirming: false,
        }
    }

    pub(super) fn epoch(&self) -> LogEpoch {
        self.outbox.epoch()
    }

    /// What the log holds, now.
    pub(super) async fn held(&mut self) -> Result<Vec<HeldClass>, OutboxError> {
        self.changed.mark_unchanged();
        let outbox = self.outbox.clone();
        let gone = || OutboxError("its thread is gone".into());
        crate::tasks::blocking(move || guarded(|| outbox.held())).await.unwrap_or_else(|| Err(gone()))
    }

    /// Asks what the log holds; once more, if it is being asked already.
    pub(super) fn ask_held(&mut self) {
        if std::mem::replace(&mut self.asking, true) {
            self.ask_again = true;
            return;
        }
        let outbox = self.outbox.clone();
        self.ask(move || LogWord::Held(guarded(|| outbox.held())));
    }

    pub(super) fn fetch(&mut self, fetch: Fetch) {
        self.fetches.push(fetch);
    }

    pub(super) fn recheck(&mut self, lane: Lane, range: SeqRange) {
        self.rechecks.push_back((lane, range));
    }

    /// Whether a question waits for its turn.
    pub(super) fn is_waiting(&self) -> bool {
        !self.fetches.is_empty()
    }

    /// Asks what may be asked: the most urgent first, and only what there is room for.
    pub(super) fn ask_on(&mut self, urgency: impl Fn(Lane) -> usize, has_room: impl Fn(Lane) -> bool) {
        self.fetches.sort_by_key(|fetch| urgency(fetch.lane));
        while self.reading < READING_MAX {
            let Some(at) = self.fetches.iter().position(|fetch| has_room(fetch.lane)) else { break };
            let Fetch { lane, wanted, bytes_max } = self.fetches.remove(at);
            self.reading += 1;
            let outbox = self.outbox.clone();
            self.ask(move || {
                let items = guarded(|| outbox.items(lane.class, wanted, bytes_max));
                LogWord::Items { lane, wanted, items }
            });
        }
        if !self.rechecking
            && let Some((lane, range)) = self.rechecks.pop_front()
        {
            self.rechecking = true;
            let outbox = self.outbox.clone();
            self.ask(move || {
                let found = guarded(|| outbox.recheck(lane.class, range));
                LogWord::Rechecked { lane, range, found }
            });
        }
    }

    pub(super) fn is_confirming(&self) -> bool {
        self.confirming
    }

    /// Writes confirmations down.
    pub(super) fn confirm(&mut self, batch: Batch) {
        self.confirming = true;
        let outbox = self.outbox.clone();
        self.ask(move || {
            let result = write(outbox.as_ref(), &batch);
            LogWord::Confirmed { batch, result }
        });
    }

    /// The next answer, or the word that the log holds more than before.
    pub(super) async fn word(&mut self) -> LogWord {
        tokio::select! {
            biased;
            Some(word) = self.answers.1.recv() => word,
            Ok(()) = self.changed.changed() => LogWord::Changed,
            // This desk holds a sender of answers itself; without a log the hub stops.
            else => std::future::pending().await,
        }
    }

    /// Notes that a question was answered.
    pub(super) fn note(&mut self, word: &LogWord) {
        match word {
            LogWord::Changed => self.ask_held(),
            LogWord::Held(_) => {
                self.asking = false;
                if std::mem::take(&mut self.ask_again) {
                    self.ask_held();
                }
            }
            LogWord::Items { .. } => self.reading -= 1,
            LogWord::Rechecked { .. } => self.rechecking = false,
            LogWord::Confirmed { .. } => self.confirming = false,
        }
    }

    fn ask(&self, work: impl FnOnce() -> LogWord + Send + 'static) {
        let answers = self.answers.0.clone();
        // Nobody waits for the thread: it says its word, or nobody is there to hear it.
        drop(tokio::task::spawn_blocking(move || {
            let _heard = answers.blocking_send(work());
        }));
    }
}

/// Writes a batch: first what is less than before, then what is more.
fn write(outbox: &dyn Outbox, batch: &Batch) -> Result<(), OutboxError> {
    if !batch.replace.is_empty() {
        guarded(|| outbox.replace_confirmed(&batch.replace))?;
    }
    if !batch.add.is_empty() {
        guarded(|| outbox.confirm(&batch.add))?;
    }
    Ok(())
}

/// A panic in the log must not leave a question without an answer.
fn guarded<T>(work: impl FnOnce() -> Result<T, OutboxError>) -> Result<T, OutboxError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(OutboxError("it panicked".into())))
}
