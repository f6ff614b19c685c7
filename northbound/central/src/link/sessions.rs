//! Who is connected: one session per hub. A hub that connects again, for instance through another uplink, takes its
//! place over; the older session is told and ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::HubId;
use tokio::sync::watch;

use super::hellos::Hellos;

/// From so many hubs on, those whose allowance of Hellos is whole are forgotten.
const ALLOWANCES_MAX: usize = 1_024;

/// The sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    next: u64,
    hubs: BTreeMap<HubId, Place>,
    hellos: BTreeMap<HubId, Hellos>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    connected: Connected,
    end: watch::Sender<bool>,
    again: watch::Sender<bool>,
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
    /// Becomes true when the hub has to be asked anew for what is lacking.
    pub(super) again: watch::Receiver<bool>,
}

impl Sessions {
    /// Takes the hub's place, from an older session if need be.
    pub(super) fn enter(&self, hub: HubId, connected: Connected) -> Session {
        let ((end, replaced), (again, asked_again)) = (watch::channel(false), watch::channel(false));
        let mut shared = self.lock();
        shared.next += 1;
        let number = shared.next;
        if let Some(old) = shared.hubs.insert(hub, Place { number, connected, end, again }) {
            old.end.send_replace(true);
        }
        drop(shared);
        Session { sessions: self.clone(), hub, number, replaced, again: asked_again }
    }

    /// Ends the session of a hub that was asked before a moment, so that it comes back and is asked again. Whether there
    /// is one.
    pub(super) fn ask_again(&self, hub: HubId, found_ms: u64) -> bool {
        let shared = self.lock();
        let place = shared.hubs.get(&hub).filter(|place| place.connected.since_ms <= found_ms);
        place.is_some_and(|place| !place.again.send_replace(true))
    }

    /// A hub says Hello; in how many milliseconds it may be answered.
    pub(super) fn hello(&self, hub: HubId, now_ms: u64) -> u64 {
        let mut shared = self.lock();
        if shared.hellos.len() >= ALLOWANCES_MAX {
            shared.hellos.retain(|_, hellos| !hellos.is_whole(now_ms));
        }
        shared.hellos.entry(hub).or_default().take(now_ms)
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
    fn only_a_session_that_was_asked_before_is_asked_again() {
        let sessions = Sessions::default();
        let hub = HubId::from_bytes([1; 16]);
        let session = sessions.enter(hub, Connected { address: ([127, 0, 0, 1], 1).into(), since_ms: 50 });
        assert!(!sessions.ask_again(hub, 49) && !*session.again.borrow());
        assert!(sessions.ask_again(hub, 50) && *session.again.borrow());
        assert!(!sessions.ask_again(hub, 50), "it ends already");
        drop(session);
        assert!(!sessions.ask_again(hub, 60), "it is asked when it comes");
    }

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
