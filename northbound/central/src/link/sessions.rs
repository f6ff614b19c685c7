//! Who is connected: one session per hub. A hub that connects again, for instance through another uplink, takes its
//! place over; the older session is told and ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::HubId;
use tokio::sync::watch;

/// The sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    next: u64,
    hubs: BTreeMap<HubId, Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    connected: Connected,
    end: watch::Sender<bool>,
}

/// A hub that is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// From where.
    pub address: SocketAddr,
    /// Since when, in milliseconds of the monotonic clock.
    pub since_ms: u64,
}

/// A session's place; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Session {
    sessions: Sessions,
    hub: HubId,
    number: u64,
    /// Becomes true when another session of the hub took over.
    pub(super) replaced: watch::Receiver<bool>,
}

impl Sessions {
    /// Takes the hub's place, from an older session if need be.
    pub(super) fn enter(&self, hub: HubId, connected: Connected) -> Session {
        let (end, replaced) = watch::channel(false);
        let mut shared = self.lock();
        shared.next += 1;
        let number = shared.next;
        if let Some(old) = shared.hubs.insert(hub, Place { number, connected, end }) {
            old.end.send_replace(true);
        }
        drop(shared);
        Session { sessions: self.clone(), hub, number, replaced }
    }

    /// Whether and how a hub is connected.
    pub fn of(&self, hub: HubId) -> Option<Connected> {
        self.lock().hubs.get(&hub).map(|place| place.connected)
    }

    /// Everybody who is connected.
    pub fn hubs(&self) -> Vec<HubId> {
        self.lock().hubs.keys().copied().collect()
    }

    /// How many are.
    pub fn count(&self) -> usize {
        self.lock().hubs.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut shared = self.sessions.lock();
        if shared.hubs.get(&self.hub).is_some_and(|place| place.number == self.number) {
            shared.hubs.remove(&self.hub);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_has_one_session_and_the_newest_counts() {
        let sessions = Sessions::default();
        let hub = HubId::from_bytes([1; 16]);
        let from = |port| Connected { address: ([127, 0, 0, 1], port).into(), since_ms: 0 };
        let first = sessions.enter(hub, from(1));
        let second = sessions.enter(hub, from(2));
        assert!(*first.replaced.borrow() && !*second.replaced.borrow());
        drop(first);
        assert_eq!(sessions.of(hub), Some(from(2)), "an old session takes nobody's place along");
        drop(second);
        assert_eq!((sessions.of(hub), sessions.count()), (None, 0));
    }
}
