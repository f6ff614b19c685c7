//! Which sessions there are and which connection each belongs to.
//!
//! A connection works on a session only while it holds the [`Claim`] on its client id, and there is one claim for
//! each. A second connection with the same id asks the first to leave and waits for it. Invariant: what a claim or a
//! subscription has answered about a persistent session is on flash.

mod claim;
mod sweep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{Notify, watch};

use super::config::MqttLimits;
use super::index::{Index, Size, Wish};
use super::log_quota::{LogQuota, Shown};
use super::mailbox::Mailbox;
use super::message::Message;
use super::metrics::Metrics;
use super::session_store::{Found, SessionStore, SessionStoreError, StoredSession};
use crate::tasks::Clock;
pub(crate) use claim::{Claim, Wanted};

/// See the module.
pub(crate) struct Registry {
    table: Mutex<Table>,
    index: RwLock<Index>,
    store: SessionStore,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    limits: MqttLimits,
    /// Something is in `Table::ended`.
    ended: Notify,
    evictions_told: LogQuota,
}

#[derive(Default)]
struct Table {
    by_client: BTreeMap<Box<str>, Entry>,
    /// Persistent sessions in `by_client`.
    persistent: usize,
    /// Sessions that are over, but not yet off flash and out of the log.
    ended: VecDeque<Ended>,
    last_subscriber: u64,
    /// What subscriptions on their way to flash will add to the index.
    reserved: Size,
}

#[derive(Default)]
struct Entry {
    owner: Option<Owner>,
    session: Option<Session>,
}

/// The connection that holds the claim.
struct Owner {
    kick: watch::Sender<bool>,
    /// Closes when the claim is released.
    released: watch::Receiver<()>,
}

/// A session, connected or not.
struct Session {
    subscriber: u64,
    mailbox: Arc<Mailbox>,
    subscriptions: BTreeMap<Box<str>, Wish>,
    /// 0 when it ends with its connection.
    expiry_s: u32,
    /// Set when it is on flash.
    incarnation: Option<u64>,
    offline_since: Option<Instant>,
}

impl Session {
    /// Whether it has been alone for longer than it may.
    fn is_over(&self, now: Instant) -> bool {
        let allowed = Duration::from_secs(u64::from(self.expiry_s));
        self.offline_since.is_some_and(|since| now.saturating_duration_since(since) >= allowed)
    }
}

struct Ended {
    client: Box<str>,
    incarnation: u64,
}

/// Why a client does not get a session.
#[derive(Debug, Error)]
pub(crate) enum ClaimError {
    #[error("too many persistent sessions")]
    TooMany,
    #[error("the client's other connection does not end")]
    Occupied,
    #[error("session could not be written")]
    Store(#[source] SessionStoreError),
}

impl Registry {
    pub(crate) fn new(
        store: SessionStore,
        found: Found,
        limits: MqttLimits,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Registry {
        let registry = Registry {
            table: Mutex::default(),
            index: RwLock::default(),
            store,
            metrics,
            clock,
            limits,
            ended: Notify::new(),
            evictions_told: LogQuota::new(1),
        };
        let mut table = registry.table();
        for (client, stored) in found {
            registry.restore(&mut table, client, stored);
        }
        drop(table);
        registry
    }

    /// Hands a message to every session that wants it.
    pub(crate) fn deliver(&self, message: Message) {
        let message = Arc::new(message);
        self.index.read().unwrap_or_else(PoisonError::into_inner).deliver(&message, &self.metrics);
    }

    fn restore(&self, table: &mut Table, client: Box<str>, stored: StoredSession) {
        if stored.expiry_s == 0 {
            // It was to end with its connection, which the restart has ended.
            table.ended.push_back(Ended { client, incarnation: stored.incarnation });
            self.ended.notify_one();
            return;
        }
        let mut session = self.new_session(table, stored.expiry_s, Some(stored.incarnation));
        session.offline_since = Some(self.clock.instant());
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (filter, wish) in &stored.subscriptions {
            index.insert(filter, session.subscriber, &session.mailbox, *wish);
        }
        self.metrics.subscriptions.set(index.size().subscriptions);
        session.subscriptions = stored.subscriptions;
        table.by_client.insert(client, Entry { owner: None, session: Some(session) });
    }

    fn new_session(&self, table: &mut Table, expiry_s: u32, incarnation: Option<u64>) -> Session {
        table.last_subscriber += 1;
        if incarnation.is_some() {
            table.persistent += 1;
            self.metrics.sessions.set(table.persistent);
        }
        Session {
            subscriber: table.last_subscriber,
            mailbox: Mailbox::offline(),
            subscriptions: BTreeMap::new(),
            expiry_s,
            incarnation,
            offline_since: None,
        }
    }

    /// Ends a session that was taken out of the table.
    fn end(&self, table: &mut Table, client: &str, session: Session, reason: &'static str) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for filter in session.subscriptions.keys() {
            index.remove(filter, session.subscriber);
        }
        self.metrics.subscriptions.set(index.size().subscriptions);
        drop(index);
        session.mailbox.go_offline(&self.metrics);
        if let Some(incarnation) = session.incarnation {
            table.persistent -= 1;
            self.metrics.sessions.set(table.persistent);
            self.metrics.sessions_ended.add(reason);
            table.ended.push_back(Ended { client: client.into(), incarnation });
            self.ended.notify_one();
        }
    }

    /// Whether there is room for one more persistent session, after ending absent ones if need be.
    fn make_room(&self, table: &mut Table) -> bool {
        let max = self.limits.sessions_max;
        while table.persistent >= max && self.evict(table) {}
        table.persistent < max && table.persistent + table.ended.len() < max + ENDED_MAX
    }

    /// Ends the session that has been absent longest. False when every session has its connection, or too many wait for
    /// their end already.
    ///
    /// Walks through all of them. That happens at the bounds only, and each walk follows a write to flash.
    fn evict(&self, table: &mut Table) -> bool {
        if table.persistent + table.ended.len() >= self.limits.sessions_max + ENDED_MAX {
            return false;
        }
        let absent = table.by_client.iter().filter(|(_, entry)| entry.owner.is_none());
        let since = |entry: &Entry| entry.session.as_ref().and_then(|session| session.offline_since);
        let oldest = absent.filter_map(|(client, entry)| since(entry).map(|since| (since, client))).min();
        let Some(client) = oldest.map(|(_, client)| client.clone()) else { return false };
        let Some(session) = table.by_client.remove(&client).and_then(|entry| entry.session) else {
            return false;
        };
        if self.evictions_told.admits(self.clock.instant()) {
            tracing::warn!(
                client = ?Shown(&client),
                "absent session ended to make room; relais_mqtt_sessions_ended_total counts further ones"
            );
        }
        self.end(table, &client, session, "evicted");
        true
    }

    /// Reserves room in the index for one more filter, after ending absent sessions if need be.
    fn reserve(&self, table: &mut Table, filter: &str) -> Option<Size> {
        let wanted = Size::of(filter);
        loop {
            let size = self.index.read().unwrap_or_else(PoisonError::into_inner).size();
            let after = size.plus(table.reserved).plus(wanted);
            let fits = after.subscriptions <= self.limits.subscriptions_in_all_max
                && after.levels <= self.limits.filter_levels_in_all_max;
            if fits {
                table.reserved = table.reserved.plus(wanted);
                return Some(wanted);
            }
            if !self.evict(table) {
                return None;
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ended sessions that may still be on flash beside those that are kept: room for evictions while the log is slow to
/// forget. Beyond it nothing is evicted.
const ENDED_MAX: usize = 1_000;

/// How long a connection waits for the one it takes over; closing takes milliseconds.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(10);
