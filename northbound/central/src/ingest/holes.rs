//! Hubs of whom a stored block turned out to be damaged: whoever keeps their connections is told, so that they are asked
//! for it again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::HubId;
use tokio::sync::Notify;

/// Hubs with new holes. Clones share them; one task listens.
#[derive(Clone, Debug, Default)]
pub struct Holes {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// No more than there are hubs.
    hubs: Mutex<BTreeSet<HubId>>,
    found: Notify,
}

impl Holes {
    pub(super) fn found(&self, hub: HubId) {
        self.shared.hubs.lock().unwrap_or_else(PoisonError::into_inner).insert(hub);
        self.shared.found.notify_one();
    }

    /// Waits until there are some, and takes them. Cancel-safe.
    pub async fn next(&self) -> BTreeSet<HubId> {
        loop {
            let hubs = std::mem::take(&mut *self.shared.hubs.lock().unwrap_or_else(PoisonError::into_inner));
            if !hubs.is_empty() {
                return hubs;
            }
            self.shared.found.notified().await;
        }
    }
}
