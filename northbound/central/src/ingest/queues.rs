//! What waits for a batch: each hub has a queue, and hubs take turns. However much one of them sends, what another
//! sends next is in one of the next batches. No I/O.

use std::collections::{BTreeMap, VecDeque};

use hub_model::HubId;

use super::Waiting;
use super::pace::{BATCH_ARRIVALS_MAX, BATCH_BYTES_MAX};

/// Arrivals by hub. How many there are is bounded by what may wait at all.
#[derive(Debug, Default)]
pub(super) struct Queues {
    of_hub: BTreeMap<HubId, VecDeque<Waiting>>,
    /// Hubs with something in their queue; the first is next.
    turns: VecDeque<HubId>,
    cost: usize,
    arrivals: usize,
}

impl Queues {
    pub(super) fn is_empty(&self) -> bool {
        self.arrivals == 0
    }

    /// Whether there is enough for a full batch.
    pub(super) fn fill_a_batch(&self) -> bool {
        is_full(self.cost, self.arrivals)
    }

    /// Behind what the hub has sent before.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.queue(&waiting).push_back(waiting);
    }

    /// Before what the hub has sent since, in the order in which they were taken.
    pub(super) fn put_back(&mut self, taken: Vec<Waiting>) {
        for waiting in taken.into_iter().rev() {
            self.queue(&waiting).push_front(waiting);
        }
    }

    fn queue(&mut self, waiting: &Waiting) -> &mut VecDeque<Waiting> {
        self.cost += waiting.arrival.cost();
        self.arrivals += 1;
        let queue = self.of_hub.entry(waiting.hub).or_default();
        if queue.is_empty() {
            self.turns.push_back(waiting.hub);
        }
        queue
    }

    /// The next batch: one arrival of each hub, and again, until it is full.
    pub(super) fn take(&mut self) -> Vec<Waiting> {
        let (mut batch, mut cost) = (Vec::new(), 0);
        while !is_full(cost, batch.len()) {
            let Some(hub) = self.turns.pop_front() else { break };
            let Some(queue) = self.of_hub.get_mut(&hub) else { continue };
            if let Some(waiting) = queue.pop_front() {
                cost += waiting.arrival.cost();
                batch.push(waiting);
            }
            if queue.is_empty() {
                self.of_hub.remove(&hub);
            } else {
                self.turns.push_back(hub);
            }
        }
        self.cost -= cost;
        self.arrivals -= batch.len();
        batch
    }
}

fn is_full(cost: usize, arrivals: usize) -> bool {
    cost >= BATCH_BYTES_MAX || arrivals >= BATCH_ARRIVALS_MAX
}
