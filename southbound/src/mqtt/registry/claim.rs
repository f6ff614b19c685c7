//! A connection's hold on its client id.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::{
    ClaimError, Entry, Owner, Registry, Session, SessionStoreError, StoredSession, TAKEOVER_TIMEOUT,
};
use crate::mqtt::index::{Size, Wish};
use crate::mqtt::mailbox::Mailbox;

/// The session a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) client: Box<str>,
    /// Not to go on with an old one.
    pub(crate) clean: bool,
    /// 0 when it ends with the connection.
    pub(crate) expiry_s: u32,
}

/// Exclusive work on one client's session. Dropped, it releases the session, and ends it if it does not outlive its
/// connection.
pub(crate) struct Claim {
    registry: Arc<Registry>,
    client: Box<str>,
    kick: watch::Receiver<bool>,
    /// Dropping it tells the next one that the way is free; after [`Claim::drop`] has run.
    _released: watch::Sender<()>,
    subscriber: u64,
    mailbox: Arc<Mailbox>,
    incarnation: Option<u64>,
    present: bool,
}

impl Claim {
    /// Takes the client id, from another connection if need be, and makes or resumes its session. When this returns,
    /// a persistent session is on flash, and one that was discarded is gone from it.
    pub(crate) async fn take(registry: Arc<Registry>, wanted: Wanted) -> Result<Claim, ClaimError> {
        let taken = Claim::occupy(registry, &wanted.client);
        let mut claim = match tokio::time::timeout(TAKEOVER_TIMEOUT, taken).await {
            Ok(claim) => claim,
            Err(_) => return Err(ClaimError::Occupied),
        };
        if wanted.clean || !claim.resume(&wanted).await? {
            claim.begin(&wanted).await?;
        }
        Ok(claim)
    }

    async fn occupy(registry: Arc<Registry>, client: &str) -> Claim {
        loop {
            let (kick, kicked) = watch::channel(false);
            let (releasing, released) = watch::channel(());
            let mut other = {
                let mut table = registry.table();
                let entry = table.by_client.entry(client.into()).or_default();
                match &entry.owner {
                    Some(owner) => {
                        owner.kick.send_replace(true);
                        owner.released.clone()
                    }
                    None => {
                        entry.owner = Some(Owner { kick, released });
                        drop(table);
                        return Claim {
                            registry,
                            client: client.into(),
                            kick: kicked,
                            _released: releasing,
                            subscriber: 0,
                            mailbox: Mailbox::offline(),
                            incarnation: None,
                            present: false,
                        };
                    }
                }
            };
            // Nothing is ever sent: this ends when the other claim is dropped.
            while other.changed().await.is_ok() {}
        }
    }

    /// Goes on with the old session, if there is one and its time is not over.
    async fn resume(&mut self, wanted: &Wanted) -> Result<bool, ClaimError> {
        let now = self.registry.clock.instant();
        let changed = {
            let mut table = self.registry.table();
            let session = match entry(&mut table.by_client, &self.client).session.as_mut() {
                Some(session) if !session.is_over(now) => session,
                Some(_) | None => return Ok(false),
            };
            let changed = session.expiry_s != wanted.expiry_s;
            session.expiry_s = wanted.expiry_s;
            session.offline_since = None;
            session.mailbox.go_online();
            (self.subscriber, self.mailbox) = (session.subscriber, Arc::clone(&session.mailbox));
            (self.incarnation, self.present) = (session.incarnation, true);
            changed.then(|| record(session)).flatten()
        };
        if let Some(stored) = changed {
            self.registry.store.put(&self.client, stored).await.map_err(ClaimError::Store)?;
        }
        Ok(true)
    }

    /// Ends the old session, if there is one, and begins a new one.
    async fn begin(&mut self, wanted: &Wanted) -> Result<(), ClaimError> {
        let incarnation = match wanted.expiry_s {
            0 => None,
            _ => Some(getrandom::u64().map_err(|e| ClaimError::Store(SessionStoreError::new(e)))?),
        };
        let (old, new) = self.replace(wanted.expiry_s, incarnation)?;
        let store = &self.registry.store;
        match (new, old) {
            (Some(new), _) => store.put(&self.client, new).await,
            (None, Some(old)) => store.remove(&self.client, old).await,
            (None, None) => Ok(()),
        }
        .map_err(ClaimError::Store)
    }

    /// The incarnation that ends, and what is to be written of the new one.
    fn replace(
        &mut self,
        expiry_s: u32,
        incarnation: Option<u64>,
    ) -> Result<(Option<u64>, Option<StoredSession>), ClaimError> {
        let registry = Arc::clone(&self.registry);
        let mut table = registry.table();
        let old = entry(&mut table.by_client, &self.client).session.take();
        let ended = old.as_ref().and_then(|s| s.incarnation);
        if let Some(old) = old {
            registry.end(&mut table, &self.client, old, "discarded");
        }
        if incarnation.is_some() && !registry.make_room(&mut table) {
            return Err(ClaimError::TooMany);
        }
        let session = registry.new_session(&mut table, expiry_s, incarnation);
        session.mailbox.go_online();
        (self.subscriber, self.mailbox) = (session.subscriber, Arc::clone(&session.mailbox));
        self.incarnation = incarnation;
        let stored = record(&session);
        entry(&mut table.by_client, &self.client).session = Some(session);
        Ok((ended, stored))
    }

    /// The client id.
    pub(crate) fn client(&self) -> &str {
        &self.client
    }

    /// Whether an old session goes on.
    pub(crate) fn present(&self) -> bool {
        self.present
    }

    /// What messages for the session are put into.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The session's number in the index, for no-local.
    pub(crate) fn subscriber(&self) -> u64 {
        self.subscriber
    }

    /// Set for a session that outlives its connection.
    pub(crate) fn incarnation(&self) -> Option<u64> {
        self.incarnation
    }

    /// Waits until another connection wants the client id. Cancel-safe.
    pub(crate) async fn kicked(&mut self) {
        // The sender lives in the table as long as this claim.
        drop(self.kick.wait_for(|&kicked| kicked).await);
    }

    /// Adds subscriptions; says for each whether it fits the bound. They are on flash when this returns.
    pub(crate) async fn subscribe(
        &self,
        wishes: Vec<(Box<str>, Wish)>,
    ) -> Result<Vec<bool>, SessionStoreError> {
        let mut subscriptions = self.subscriptions();
        let mut fits = Vec::with_capacity(wishes.len());
        let mut reserved = Reserved { registry: &self.registry, size: Size::default() };
        for (filter, wish) in wishes {
            let room = subscriptions.len() < self.registry.limits.subscriptions_max;
            let fit = subscriptions.contains_key(&filter) || (room && reserved.add(&filter));
            if fit {
                subscriptions.insert(filter, wish);
            }
            fits.push(fit);
        }
        self.set_subscriptions(subscriptions).await?;
        Ok(fits)
    }

    /// Removes subscriptions; says for each whether it was there. They are off flash when this returns.
    pub(crate) async fn unsubscribe(&self, filters: &[&str]) -> Result<Vec<bool>, SessionStoreError> {
        let mut subscriptions = self.subscriptions();
        let removed = filters.iter().map(|&f| subscriptions.remove(f).is_some()).collect();
        self.set_subscriptions(subscriptions).await?;
        Ok(removed)
    }

    fn subscriptions(&self) -> BTreeMap<Box<str>, Wish> {
        let mut table = self.registry.table();
        let session = entry(&mut table.by_client, &self.client).session.as_ref();
        session.map(|s| s.subscriptions.clone()).unwrap_or_default()
    }

    async fn set_subscriptions(&self, new: BTreeMap<Box<str>, Wish>) -> Result<(), SessionStoreError> {
        let stored = {
            let mut table = self.registry.table();
            let session = entry(&mut table.by_client, &self.client).session.as_ref();
            session.and_then(record).map(|stored| StoredSession { subscriptions: new.clone(), ..stored })
        };
        if let Some(stored) = stored {
            self.registry.store.put(&self.client, stored).await?;
        }
        let mut table = self.registry.table();
        let Some(session) = entry(&mut table.by_client, &self.client).session.as_mut() else { return Ok(()) };
        let mut index = self.registry.index.write().unwrap_or_else(PoisonError::into_inner);
        for filter in session.subscriptions.keys().filter(|&f| !new.contains_key(f)) {
            index.remove(filter, session.subscriber);
        }
        for (filter, wish) in &new {
            if session.subscriptions.get(filter) != Some(wish) {
                index.insert(filter, session.subscriber, &session.mailbox, *wish);
            }
        }
        self.registry.metrics.subscriptions.set(index.size().subscriptions);
        session.subscriptions = new;
        Ok(())
    }

    /// Changes how long the session outlives its connection. On flash when this returns, if it is persistent.
    pub(crate) async fn set_expiry(&self, expiry_s: u32) -> Result<(), SessionStoreError> {
        let stored = {
            let mut table = self.registry.table();
            let Some(session) = entry(&mut table.by_client, &self.client).session.as_mut() else {
                return Ok(());
            };
            session.expiry_s = expiry_s;
            record(session)
        };
        match stored {
            Some(stored) => self.registry.store.put(&self.client, stored).await,
            None => Ok(()),
        }
    }
}

/// Room in the index, kept until the subscriptions are in it or have failed.
struct Reserved<'r> {
    registry: &'r Registry,
    size: Size,
}

impl Reserved<'_> {
    fn add(&mut self, filter: &str) -> bool {
        let added = self.registry.reserve(&mut self.registry.table(), filter);
        self.size = self.size.plus(added.unwrap_or_default());
        added.is_some()
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut table = self.registry.table();
        table.reserved = table.reserved.minus(self.size);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.registry.table();
        let Some(entry) = table.by_client.get_mut(&self.client) else { return };
        entry.owner = None;
        match entry.session.as_mut() {
            Some(session) if session.expiry_s > 0 => {
                session.offline_since = Some(self.registry.clock.instant());
                session.mailbox.go_offline(&self.registry.metrics);
            }
            Some(_) | None => {
                let gone = table.by_client.remove(&self.client).and_then(|e| e.session);
                if let Some(session) = gone {
                    self.registry.end(&mut table, &self.client, session, "closed");
                }
            }
        }
    }
}

/// The client's entry, which is there as long as its claim.
fn entry<'t>(by_client: &'t mut BTreeMap<Box<str>, Entry>, client: &str) -> &'t mut Entry {
    by_client.get_mut(client).expect("an entry outlives its claim")
}

/// What is on flash of a session; `None` for one that is not.
fn record(session: &Session) -> Option<StoredSession> {
    session.incarnation.map(|incarnation| StoredSession {
        incarnation,
        expiry_s: session.expiry_s,
        subscriptions: session.subscriptions.clone(),
    })
}
