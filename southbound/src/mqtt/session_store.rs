//! Persistent sessions on flash: `mqtt-sessions.redb`, one row for each client id.
//!
//! Owns the file and its thread. A write is answered after its transaction is durable; requests that wait together
//! share one transaction. What the sessions mean, and when they end, is the registry's business. A file that does not
//! open is set aside, because losing sessions is better than losing the broker.

mod file;
mod record;

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::metrics::Metrics;
use file::{Change, SessionFile};
pub(crate) use record::StoredSession;

/// Requests waiting for the thread; more wait at the sender. Also the most in one transaction.
const INBOX_MAX: usize = 256;

/// The session file could not be read or written.
#[derive(Debug, Error)]
#[error("session file is not usable: {cause}")]
pub struct SessionStoreError {
    cause: String,
    /// Another process has it open, so it is not damaged.
    in_use: bool,
}

impl SessionStoreError {
    pub(crate) fn new(cause: impl std::fmt::Display) -> SessionStoreError {
        SessionStoreError { cause: cause.to_string(), in_use: false }
    }
}

/// A handle to the thread, which ends with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct SessionStore {
    inbox: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    change: Change,
    done: oneshot::Sender<Result<(), SessionStoreError>>,
}

/// Sessions found at start, by client id.
pub(crate) type Found = Vec<(Box<str>, StoredSession)>;

impl SessionStore {
    /// Opens the file in `dir`, or starts a fresh one, and reads every session. Blocks.
    pub(crate) fn open(
        dir: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<(SessionStore, Found), SessionStoreError> {
        let (mut file, found) = SessionFile::open(dir, &metrics)?;
        let (inbox, mut requests) = mpsc::channel::<Request>(INBOX_MAX);
        let run = move || {
            let mut batch = Vec::new();
            while let Some(first) = requests.blocking_recv() {
                batch.push(first);
                while batch.len() < INBOX_MAX
                    && let Ok(request) = requests.try_recv()
                {
                    batch.push(request);
                }
                commit(&mut file, std::mem::take(&mut batch), &metrics);
            }
        };
        match std::thread::Builder::new().name("mqtt-sessions".into()).spawn(run) {
            Ok(_detached) => Ok((SessionStore { inbox }, found)),
            Err(error) => Err(SessionStoreError::new(error)),
        }
    }

    /// Writes a session. Returns when it is on flash.
    pub(crate) async fn put(&self, client: &str, session: StoredSession) -> Result<(), SessionStoreError> {
        self.request(Change::Put(client.into(), session)).await
    }

    /// Removes the session of this incarnation; one that has taken its place stays. Returns when it is on flash.
    pub(crate) async fn remove(&self, client: &str, incarnation: u64) -> Result<(), SessionStoreError> {
        self.request(Change::Remove(client.into(), incarnation)).await
    }

    async fn request(&self, change: Change) -> Result<(), SessionStoreError> {
        let (done, answer) = oneshot::channel();
        let gone = || SessionStoreError::new("its thread is gone");
        self.inbox.send(Request { change, done }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn commit(file: &mut SessionFile, batch: Vec<Request>, metrics: &Metrics) {
    let (changes, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(|r| (r.change, r.done)).unzip();
    let result = file.commit(&changes);
    metrics.session_store_commits.add(1);
    if let Err(error) = &result {
        metrics.session_store_errors.add(1);
        tracing::error!(%error, "sessions could not be written");
    }
    for done in waiting {
        let answer = match &result {
            Ok(()) => Ok(()),
            Err(error) => Err(SessionStoreError::new(&error.cause)),
        };
        // Whoever does not wait any more has closed its connection.
        drop(done.send(answer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::mqtt::codec::Qos;
    use crate::mqtt::index::Wish;

    fn session(incarnation: u64) -> StoredSession {
        let wish = Wish { qos: Qos::AtLeastOnce, no_local: true };
        StoredSession { incarnation, expiry_s: 60, subscriptions: BTreeMap::from([("a/ü".into(), wish)]) }
    }

    fn dir(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("relais-sessions-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[tokio::test]
    async fn sessions_are_there_after_reopening() {
        let dir = dir("reopen");
        let metrics = Arc::new(Metrics::default());
        let (store, found) = SessionStore::open(&dir, Arc::clone(&metrics)).unwrap();
        assert!(found.is_empty());
        store.put("kept", session(1)).await.unwrap();
        store.put("replaced", session(2)).await.unwrap();
        store.put("replaced", session(3)).await.unwrap();
        store.put("removed", session(4)).await.unwrap();
        store.remove("removed", 4).await.unwrap();
        store.remove("replaced", 2).await.unwrap();
        drop(store);
        // The thread closes the file a moment after the last handle went.
        let mut reopened = SessionStore::open(&dir, Arc::clone(&metrics));
        for _ in 0..200 {
            if metrics.session_files_set_aside.get() == 0 && reopened.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            reopened = SessionStore::open(&dir, Arc::clone(&metrics));
        }
        let found = reopened.unwrap().1;
        assert_eq!(found, [("kept".into(), session(1)), ("replaced".into(), session(3))]);
        assert_eq!(metrics.session_files_set_aside.get(), 0);
    }

    #[tokio::test]
    async fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = dir("mode");
        let path = dir.join(file::NAME);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let open = || SessionStore::open(&dir, Arc::new(Metrics::default()));
        let (store, _) = open().unwrap();
        store.put("a", session(1)).await.unwrap();
        assert_eq!(mode(), 0o600);
        drop(store);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        // The thread closes the file a moment after the last handle went.
        let mut reopened = open();
        for _ in 0..200 {
            if reopened.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            reopened = open();
        }
        assert!(reopened.is_ok());
        assert_eq!(mode(), 0o600);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside() {
        let dir = dir("damaged");
        std::fs::write(dir.join(file::NAME), vec![0x5a; 20_000]).unwrap();
        let metrics = Arc::new(Metrics::default());
        let (store, found) = SessionStore::open(&dir, Arc::clone(&metrics)).unwrap();
        assert!(found.is_empty());
        store.put("a", session(1)).await.unwrap();
        assert_eq!(metrics.session_files_set_aside.get(), 1);
        assert!(dir.join(file::NAME_ASIDE).exists());
    }
}
