//! The end of sessions: expiry, removal from flash, and telling the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Registry;

/// How late an expiry may be noticed.
const INTERVAL: Duration = Duration::from_secs(5);

impl Registry {
    /// Runs until its task is dropped. Incarnations go to `forgotten` once their session is off flash; a receiver that
    /// does not keep up makes this wait, and counts against the bound on sessions.
    pub(crate) async fn sweep(self: Arc<Self>, forgotten: mpsc::Sender<u64>) {
        loop {
            tokio::select! {
                () = self.ended.notified() => {}
                () = tokio::time::sleep(INTERVAL) => self.expire(),
            }
            self.bury(&forgotten).await;
        }
    }

    /// Ends every session whose time is over.
    fn expire(&self) {
        let now = self.clock.instant();
        let mut table = self.table();
        let over: Vec<Box<str>> = table
            .by_client
            .iter()
            .filter(|(_, entry)| entry.owner.is_none())
            .filter(|(_, entry)| entry.session.as_ref().is_some_and(|session| session.is_over(now)))
            .map(|(client, _)| client.clone())
            .collect();
        for client in over {
            if let Some(session) = table.by_client.remove(&client).and_then(|entry| entry.session) {
                self.end(&mut table, &client, session, "expired");
            }
        }
    }

    async fn bury(&self, forgotten: &mpsc::Sender<u64>) {
        loop {
            // Taken off the list only when done, so that the bound on sessions sees it.
            let next = self.table().ended.front().map(|e| (e.client.clone(), e.incarnation));
            let Some((client, incarnation)) = next else { return };
            if self.store.remove(&client, incarnation).await.is_err() {
                // The next sweep tries again.
                return;
            }
            if forgotten.send(incarnation).await.is_err() {
                tracing::debug!(incarnation, "nobody listens for ended sessions; the hub is stopping");
            }
            self.table().ended.pop_front();
        }
    }
}
