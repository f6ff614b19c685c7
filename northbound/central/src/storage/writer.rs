//! The one connection that writes, and its transactions.
//!
//! Invariant: a connection is used again only after a transaction that ended in order, by a commit or by being taken
//! back. After anything else nobody can say where it stands (a full disk makes SQLite end the transaction by itself,
//! and a `ROLLBACK` behind that fails), so it is closed, which undoes whatever is open, and the next transaction opens
//! another.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, SqliteConnection};
use tokio::sync::Notify;

use super::StorageError;

/// Begins transactions, one at a time.
#[derive(Debug)]
pub(super) struct Writer {
    pool: SqlitePool,
    doubt: Arc<Notify>,
    #[cfg(test)]
    pages_max: std::sync::atomic::AtomicU32,
}

/// A transaction that writes. Dropped without a commit, nothing of it has happened.
#[derive(Debug)]
pub(super) struct WriterTx {
    conn: PoolConnection<Sqlite>,
    doubt: Arc<Notify>,
    is_ended: bool,
}

impl Writer {
    /// A writer; the pool has one connection.
    pub(super) fn new(pool: SqlitePool) -> Writer {
        Writer {
            pool,
            doubt: Arc::default(),
            #[cfg(test)]
            pages_max: std::sync::atomic::AtomicU32::new(u32::MAX),
        }
    }

    /// Begins, as soon as no other writer is at it.
    pub(super) async fn begin(&self) -> Result<WriterTx, StorageError> {
        let conn = self.pool.acquire().await.inspect_err(|_| self.doubt.notify_one())?;
        let mut tx = WriterTx { conn, doubt: Arc::clone(&self.doubt), is_ended: false };
        #[cfg(test)]
        self.limit(tx.conn()).await?;
        sqlx::query("BEGIN IMMEDIATE").execute(tx.conn()).await?;
        Ok(tx)
    }

    /// Notified when a transaction could not begin, or ended neither by a commit nor by being taken back.
    pub(super) fn doubt(&self) -> Arc<Notify> {
        Arc::clone(&self.doubt)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// From now on the database may have no more than these pages, or than it has: a disk that is full.
    #[cfg(test)]
    pub(super) fn set_pages_max(&self, pages: u32) {
        self.pages_max.store(pages, std::sync::atomic::Ordering::Relaxed);
    }

    #[cfg(test)]
    async fn limit(&self, conn: &mut SqliteConnection) -> Result<(), StorageError> {
        let pages = self.pages_max.load(std::sync::atomic::Ordering::Relaxed).min(u32::MAX - 1);
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(conn).await?;
        Ok(())
    }
}

impl WriterTx {
    /// Where its statements go.
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// Makes it happen, durably. After an error it may have happened or not.
    pub(super) async fn commit(mut self) -> Result<(), StorageError> {
        sqlx::query("COMMIT").execute(&mut *self.conn).await?;
        self.is_ended = true;
        Ok(())
    }

    /// Takes it back, on purpose.
    pub(super) async fn take_back(mut self) -> Result<(), StorageError> {
        sqlx::query("ROLLBACK").execute(&mut *self.conn).await?;
        self.is_ended = true;
        Ok(())
    }
}

impl Drop for WriterTx {
    fn drop(&mut self) {
        if !self.is_ended {
            self.conn.close_on_drop();
            self.doubt.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_model::{SiteId, UtcMs};
    use northbound_trust::HubName;
    use northbound_wire::{ClaimToken, Fingerprint};

    use crate::storage::{
        AuditEntry, Certificate, Enrolment, HubSeen, NewToken, Outcome, Storage, StorageError,
    };
    use crate::testing::{BOOT, Folder, NOW, hub_id};

    /// Each kind of write, with more in it each time, so that there is no room for it in the end.
    const KINDS: [&str; 7] =
        ["a denial", "a token", "an enrolment", "a certificate", "an adoption", "a Hello", "a rewind"];

    fn entry(detail: &str) -> AuditEntry {
        AuditEntry {
            actor: "unknown".to_owned(),
            action: "api.request".to_owned(),
            target: String::new(),
            outcome: Outcome::Denied,
            address: "192.0.2.1".to_owned(),
            detail: detail.to_owned(),
        }
    }

    async fn claim(storage: &Storage, site: String) -> Result<ClaimToken, StorageError> {
        let new = NewToken::Claim { site, hubs: 1_000, expires: UtcMs(NOW.0 + 1_000) };
        let (_, secret) = storage.create_token(&new, "test", NOW).await?;
        Ok(ClaimToken { secret, root: Fingerprint([9; 32]) })
    }

    async fn write(
        storage: &Storage,
        token: &ClaimToken,
        kind: &str,
        number: u8,
    ) -> Result<(), StorageError> {
        let (hub, key, address) = (hub_id(number), Fingerprint([number; 32]), "192.0.2.1");
        let long = "x".repeat(usize::from(number) * 200);
        match kind {
            "a denial" => storage.audit(&entry("denied"), NOW).await,
            "a token" => claim(storage, format!("Hall {number} {long}")).await.map(drop),
            "an enrolment" => {
                let enrolled = storage.enrol(&Enrolment { token, hub, key, address }, NOW).await?;
                assert!(enrolled.is_ok());
                Ok(())
            }
            "a certificate" => {
                let serial = format!("{number}{long}");
                let certificate =
                    Certificate { hub: hub_id(1), key: Fingerprint([1; 32]), serial, not_after: NOW };
                storage.certificate_issued(&certificate, address, NOW).await
            }
            "an adoption" => {
                let hub = hub_id(100 + number);
                let key = Fingerprint([100 + number; 32]);
                let name = HubName { org: storage.org(), site: SiteId::from_bytes([number; 16]), hub };
                storage
                    .admit(name, key, address, NOW)
                    .await?
                    .map(drop)
                    .map_err(|_| StorageError::Malformed("hub"))
            }
            "a Hello" => {
                let seen = HubSeen { program: long, protocol: 1, boot: BOOT, address: address.to_owned() };
                storage.hub_seen(hub_id(1), &seen, NOW).await
            }
            _ => {
                let mut tx = storage.write().await?;
                tx.db().append_audit(&entry(&long), NOW).await?;
                tx.commit().await
            }
        }
    }

    #[tokio::test]
    async fn a_full_disk_costs_no_kind_of_write_those_that_follow() {
        for kind in KINDS {
            let folder = Folder::new("full");
            let (storage, _) = Storage::create(folder.path(), "Test", NOW).await.unwrap();
            let token = claim(&storage, "Hall".to_owned()).await.unwrap();
            write(&storage, &token, "an enrolment", 1).await.unwrap();
            storage.set_full(true);
            let mut number = 1;
            let error = loop {
                number += 1;
                assert!(number < 100, "{kind}: there is always room");
                if let Err(error) = write(&storage, &token, kind, number).await {
                    break error;
                }
            };
            assert!(error.to_string().contains("full"), "{kind}: {error}");
            let told = tokio::time::timeout(std::time::Duration::from_secs(1), async {
                storage.doubt().notified().await;
            });
            told.await.expect(kind);
            // Still full, whatever is tried, and for no other reason.
            let again = write(&storage, &token, kind, number).await.unwrap_err();
            assert_eq!(again.to_string(), error.to_string(), "{kind}");
            storage.set_full(false);
            for other in KINDS {
                if let Err(error) = write(&storage, &token, other, number).await {
                    panic!("{other} after {kind} that found the disk full: {error}");
                }
            }
            assert!(storage.verify_audit().await.unwrap().is_ok());
            storage.close().await;
        }
    }

    #[tokio::test]
    async fn what_is_taken_back_is_no_failure() {
        let folder = Folder::new("taken-back");
        let (storage, _) = Storage::create(folder.path(), "Test", NOW).await.unwrap();
        let mut tx = storage.write().await.unwrap();
        tx.db().append_audit(&entry("never"), NOW).await.unwrap();
        tx.take_back().await.unwrap();
        let looked = tokio::time::timeout(std::time::Duration::from_millis(20), async {
            storage.doubt().notified().await;
        });
        assert!(looked.await.is_err(), "nobody needs to look");
        // Given up in the middle, by a caller that went away: undone as well, but somebody looks.
        let mut tx = storage.write().await.unwrap();
        tx.db().append_audit(&entry("never"), NOW).await.unwrap();
        drop(tx);
        storage.doubt().notified().await;
        storage.audit(&entry("once"), NOW).await.unwrap();
        assert_eq!(storage.audit_rows(None, 10).await.unwrap().len(), 1);
        storage.close().await;
    }
}
