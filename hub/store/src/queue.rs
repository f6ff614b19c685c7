//! Appends on their way to the writer: how much may wait, and whose turn it is.
//!
//! Two lanes. What has events or definitions (classes 0–3) is *precious*; samples alone are not. In ordinary times all go in
//! the order they came. While the rest of the WAL is kept for the precious, samples wait and the others pass them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::append::{Append, AppendError, Stored};

/// Appends are counted in units of so many bytes, at least one each.
const UNIT_BYTES: usize = 1024;
/// Units of samples that may wait in memory for their commit; beyond, appenders wait, and so withhold their
/// acknowledgements.
const SAMPLE_UNITS: u32 = 4096;
/// The same for what has events or definitions: room of its own, so that alarms find a place while samples wait.
const PRECIOUS_UNITS: u32 = 1024;

/// The most appends that can wait: each takes a unit at least.
pub(crate) const WAITING_MAX: usize = (SAMPLE_UNITS + PRECIOUS_UNITS) as usize;

/// How much may wait, by lane.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    samples: Arc<Semaphore>,
    precious: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Room {
        let room = |units: u32| Arc::new(Semaphore::new(units as usize));
        Room { samples: room(SAMPLE_UNITS), precious: room(PRECIOUS_UNITS) }
    }
}

impl Room {
    /// Waits for room for an append of this weight.
    pub(crate) async fn take(
        &self,
        is_precious: bool,
        weight: usize,
    ) -> Result<OwnedSemaphorePermit, AppendError> {
        let (room, most) =
            if is_precious { (&self.precious, PRECIOUS_UNITS) } else { (&self.samples, SAMPLE_UNITS) };
        let units = u32::try_from(weight / UNIT_BYTES).unwrap_or(most).clamp(1, most);
        Arc::clone(room).acquire_many_owned(units).await.map_err(|_| AppendError::Closed)
    }

    /// Nothing more is taken.
    pub(crate) fn close(&self) {
        self.samples.close();
        self.precious.close();
    }
}

/// An append on its way, checked, with the room it takes.
pub(crate) struct Entry {
    pub(crate) append: Box<Append>,
    /// [`Append::weight`], which is not cheap.
    pub(crate) weight: usize,
    pub(crate) done: oneshot::Sender<Result<Stored, AppendError>>,
    /// Given back with the answer.
    pub(crate) room: OwnedSemaphorePermit,
}

/// What is to be done.
pub(crate) enum Turn {
    /// This one is next.
    Stage(Entry),
    /// Nothing waits.
    Nothing,
    /// The next one does not fit into the pending commit.
    Full,
    /// Only samples wait, and they have to.
    HeldBack,
}

/// Appends that are not staged yet. Bounded by the room they hold.
#[derive(Default)]
pub(crate) struct Queue {
    precious: VecDeque<Entry>,
    samples: VecDeque<Entry>,
    is_full: bool,
}

impl Queue {
    pub(crate) fn push(&mut self, entry: Entry) {
        let lane = if entry.append.is_precious() { &mut self.precious } else { &mut self.samples };
        lane.push_back(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.precious.is_empty() && self.samples.is_empty()
    }

    /// Whether something waits only for the pending commit to be written, as [`Queue::next`] found last.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whose turn it is. `fits`: whether so much fits into the pending commit; `is_held_back`: whether samples of this
    /// weight must wait.
    pub(crate) fn next(
        &mut self,
        fits: impl Fn(usize) -> bool,
        is_held_back: impl Fn(usize) -> bool,
    ) -> Turn {
        self.is_full = false;
        let are_samples = self.precious.is_empty();
        let lane = if are_samples { &mut self.samples } else { &mut self.precious };
        let Some(front) = lane.front() else { return Turn::Nothing };
        if !fits(front.weight) {
            self.is_full = true;
            return Turn::Full;
        }
        if are_samples && is_held_back(front.weight) {
            return Turn::HeldBack;
        }
        lane.pop_front().map_or(Turn::Nothing, Turn::Stage)
    }
}
