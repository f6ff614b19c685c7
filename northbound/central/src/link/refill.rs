//! Asks connected hubs again for blocks that went bad here. What is lacking is said in answer to a Hello, which a hub
//! says when it connects: so its session is ended, with a reason that makes it come back after a moment.
//!
//! [`Refills`] decides when, without clocks; [`refill`] is the task around it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_chassis::supervisor::stopped;
use hub_model::HubId;
use tokio::sync::watch;

use super::Sessions;
use crate::clock::Clock;
use crate::ingest::Holes;

/// One query may find several damaged blocks, one after the other: they are asked for together.
const GATHER_MS: u64 = 2_000;

/// A hub's session is ended for this no more often, however many blocks go bad: it has other things to send.
const EVERY_MS: u64 = 60_000;

/// Hubs with blocks to ask for, and when that is due.
#[derive(Debug, Default)]
pub(super) struct Refills {
    /// When the newest of them was found, and when it is asked for.
    waiting: BTreeMap<HubId, (u64, u64)>,
    /// When a hub was last asked; forgotten when it does not matter any more.
    asked: BTreeMap<HubId, u64>,
}

impl Refills {
    pub(super) fn handle_found(&mut self, hubs: BTreeSet<HubId>, now_ms: u64) {
        for hub in hubs {
            let soon = now_ms + GATHER_MS;
            let due_ms = self.asked.get(&hub).map_or(soon, |asked_ms| soon.max(asked_ms + EVERY_MS));
            let waiting = self.waiting.entry(hub).or_insert((now_ms, due_ms));
            waiting.0 = now_ms;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<u64> {
        self.waiting.values().map(|(_, due_ms)| *due_ms).min()
    }

    /// The hubs whose turn it is, and when the newest of their holes was found.
    pub(super) fn handle_timeout(&mut self, now_ms: u64) -> Vec<(HubId, u64)> {
        self.asked.retain(|_, asked_ms| now_ms < *asked_ms + EVERY_MS);
        let due = self.waiting.iter().filter(|(_, (_, due_ms))| *due_ms <= now_ms);
        let due: Vec<(HubId, u64)> = due.map(|(hub, (found_ms, _))| (*hub, *found_ms)).collect();
        for (hub, _) in &due {
            self.waiting.remove(hub);
            self.asked.insert(*hub, now_ms);
        }
        due
    }
}

/// Works until the stop signal.
pub async fn refill(holes: Holes, sessions: Sessions, clock: Clock, mut stop: watch::Receiver<bool>) {
    let mut refills = Refills::default();
    loop {
        let wake = refills.poll_timeout().map(|due_ms| due_ms.saturating_sub(clock.mono_ms()));
        let due = async {
            match wake {
                Some(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            hubs = holes.next() => refills.handle_found(hubs, clock.mono_ms()),
            () = due => {}
            () = stopped(&mut stop) => return,
        }
        for (hub, found_ms) in refills.handle_timeout(clock.mono_ms()) {
            // One that has connected since was asked when it did; one that is away is asked when it comes.
            if sessions.ask_again(hub, found_ms) {
                tracing::info!(%hub, "a hub is asked again for blocks that went bad here");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_gathered_and_a_hub_is_not_asked_all_the_time() {
        let (a, b) = (HubId::from_bytes([1; 16]), HubId::from_bytes([2; 16]));
        let mut refills = Refills::default();
        refills.handle_found(BTreeSet::from([a]), 1_000);
        refills.handle_found(BTreeSet::from([a, b]), 1_500);
        assert_eq!(refills.poll_timeout(), Some(3_000));
        assert_eq!(refills.handle_timeout(2_999), []);
        assert_eq!(refills.handle_timeout(3_000), [(a, 1_500)]);
        assert_eq!(refills.handle_timeout(3_500), [(b, 1_500)]);
        refills.handle_found(BTreeSet::from([a]), 4_000);
        assert_eq!(refills.poll_timeout(), Some(63_000), "once a minute");
        assert_eq!(refills.handle_timeout(63_000), [(a, 4_000)]);
        assert_eq!(refills.poll_timeout(), None);
        refills.handle_found(BTreeSet::from([a]), 200_000);
        assert_eq!(refills.poll_timeout(), Some(202_000));
    }
}
