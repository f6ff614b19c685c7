//! Takes in what hubs send: blocks and gaps of all connections become rows and one object per batch, and are answered
//! when both are durable.
//!
//! `check` looks at each arrival by itself, in its connection's task. The task (`task`) gathers what waits, as `pace`
//! allows, and lets hubs take turns (`queues`); `lane` decides, without I/O, what a batch does to the ranges of a lane; `commit` writes. Only this task
//! changes `ranges` and `coverage`, also to take out what turns out to be damaged.
//!
//! Invariants: nothing is answered before its object and its rows are synced; a batch is there as a whole or not at
//! all; what was accounted for stays so until its bytes are found to be gone.

mod check;
mod commit;
mod holes;
mod lane;
mod pace;
mod queues;
mod repair;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hub_model::HubId;
use northbound_sync::{Arrival, Placed};
use northbound_wire::{Lane, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub use holes::Holes;
pub use repair::{Repaired, repair};
pub use task::IngestTask;

use crate::counts::Counts;
use crate::storage::RangeRow;
use check::Checked;

/// Blocks and gaps that may wait for their commit, in KiB, gaps as they count toward a batch; beyond, connections wait, and so do their hubs. Eight full
/// batches.
const WAITING_KIB: usize = 32 * 1024;

/// Arrivals that may wait; each takes one KiB at least, so this is never what connections wait for.
const QUEUE_ARRIVALS: usize = WAITING_KIB;

/// Where arrivals go. Clones share it.
#[derive(Clone, Debug)]
pub struct Ingest {
    inbox: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
    counts: Arc<Counts>,
    holes: Holes,
    writing_since_ms: Arc<AtomicU64>,
}

/// The promise of an arrival that waits for its commit.
#[derive(Debug)]
pub struct Pending(Promise);

#[derive(Debug)]
enum Promise {
    Ready(Placed),
    Waiting(oneshot::Receiver<Placed>),
}

impl Pending {
    /// Waits until it is durable, or not taken.
    pub async fn placed(self) -> Placed {
        match self.0 {
            Promise::Ready(placed) => placed,
            Promise::Waiting(answer) => answer.await.unwrap_or_else(|_| stopping()),
        }
    }
}

/// What the task is asked for.
#[derive(Debug)]
enum Request {
    /// To store something.
    Store(Box<Waiting>),
    /// To give up a block whose bytes are bad.
    Forget { hub: HubId, lane: Lane, row: Box<RangeRow>, why: String, done: oneshot::Sender<bool> },
    /// For a sign of life.
    Ping(oneshot::Sender<()>),
}

/// An arrival that waits.
#[derive(Debug)]
struct Waiting {
    hub: HubId,
    arrival: Checked,
    answer: oneshot::Sender<Placed>,
    _room: OwnedSemaphorePermit,
}

impl Ingest {
    /// Checks an arrival and hands it over, as soon as there is room. Arrivals of one caller are placed in the order of
    /// the calls.
    pub async fn submit(&self, hub: HubId, arrival: Arrival) -> Pending {
        let checked = match check::check(arrival) {
            Ok(checked) => checked,
            Err((code, detail)) => {
                self.counts.refused(code);
                return Pending(Promise::Ready(Placed::Refused(code, detail)));
            }
        };
        let units = u32::try_from((checked.cost() / 1024).clamp(1, WAITING_KIB)).unwrap_or(1);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(units).await else {
            return Pending(Promise::Ready(stopping()));
        };
        let (answer, answered) = oneshot::channel();
        let waiting = Box::new(Waiting { hub, arrival: checked, answer, _room: room });
        // A task that is gone drops the answer's other end, which reads as stopping.
        let _gone = self.inbox.send(Request::Store(waiting)).await;
        Pending(Promise::Waiting(answered))
    }

    /// [`Ingest::submit`], and waits.
    pub async fn store(&self, hub: HubId, arrival: Arrival) -> Placed {
        self.submit(hub, arrival).await.placed().await
    }

    /// Who is to be asked again for blocks that were given up.
    pub fn holes(&self) -> Holes {
        self.holes.clone()
    }

    /// Asks the task for a sign of life and waits for it: it comes at once, also while nothing can be stored, but not while
    /// one write takes its time ([`Ingest::writing_since_ms`]). False: the task has ended.
    pub async fn answers(&self) -> bool {
        let (done, answered) = oneshot::channel();
        self.inbox.send(Request::Ping(done)).await.is_ok() && answered.await.is_ok()
    }

    /// Since when one write to objects and database goes on, on the clock of [`Clock::mono_ms`](crate::clock::Clock::mono_ms);
    /// 0 while none does.
    pub fn writing_since_ms(&self) -> u64 {
        self.writing_since_ms.load(Ordering::Relaxed)
    }

    /// Gives up a block whose bytes are bad: its numbers become a hole, which the hub is asked to fill. Whether the row
    /// was still there.
    pub async fn forget(&self, hub: HubId, lane: Lane, row: RangeRow, why: &str) -> bool {
        let (done, answered) = oneshot::channel();
        let request = Request::Forget { hub, lane, row: Box::new(row), why: why.to_owned(), done };
        if self.inbox.send(request).await.is_err() {
            return false;
        }
        answered.await.unwrap_or(false)
    }
}

fn stopping() -> Placed {
    Placed::Refused(RefusalCode::Stopping, "central stops; come back later".to_owned())
}
