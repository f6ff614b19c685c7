//! The database file, and what has it open.
//!
//! One connection writes, some read beside it (WAL). Writers take the database's lock at the beginning, so that what
//! they read holds until they commit; `token create` of another process waits for its turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hub_model::{OrgId, UtcMs};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection};
use tokio::sync::Notify;

use super::packs::Packs;
use super::writer::{Writer, WriterTx};
use super::{StorageError, folder, schema};
use crate::entropy;

/// A writer of another process holds the lock for some milliseconds; one that takes this long hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Queries of the API at once read with these; more wait.
const READERS_MAX: u32 = 4;

/// Memory of the page cache, per connection.
const CACHE_KIB: i64 = 8 * 1024;

/// Central's storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Storage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    org: OrgId,
    org_text: String,
    writer: Writer,
    readers: SqlitePool,
    packs: Packs,
}

/// The tables, as seen by whoever has a connection: each table's file adds its statements. Rows of other
/// organisations are out of reach.
#[derive(Debug)]
pub struct Db<'c> {
    pub(super) conn: &'c mut SqliteConnection,
    pub(super) org: &'c str,
}

/// A transaction that writes. Dropped without a commit, nothing of it has happened.
#[derive(Debug)]
pub struct Writing {
    tx: WriterTx,
    org: String,
}

/// A connection for reading.
#[derive(Debug)]
pub struct Reading {
    conn: PoolConnection<Sqlite>,
    org: String,
}

impl Writing {
    /// The tables.
    pub fn db(&mut self) -> Db<'_> {
        Db { conn: self.tx.conn(), org: &self.org }
    }

    /// Makes it happen, durably. After an error it may have happened or not.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.tx.commit().await
    }

    /// Ends it on purpose, with nothing of it done. What is only dropped counts as failed.
    pub async fn take_back(self) -> Result<(), StorageError> {
        self.tx.take_back().await
    }
}

impl Reading {
    /// The tables.
    pub fn db(&mut self) -> Db<'_> {
        Db { conn: &mut self.conn, org: &self.org }
    }
}

impl Storage {
    /// Opens the storage in `dir` and makes what is missing: folder, schema, the organisation and its term. The flag
    /// says whether the organisation is new.
    pub async fn create(dir: &Path, org_name: &str, now: UtcMs) -> Result<(Storage, bool), StorageError> {
        let lost = || StorageError::Lost { dir: dir.to_owned() };
        // A new organisation in its place would be one that no hub knows.
        if !folder::has_database(dir) && folder::has_rest(dir) {
            return Err(lost());
        }
        folder::make(dir)?;
        folder::make(&folder::objects(dir))?;
        let (writer, readers) = connect(dir).await?;
        schema::migrate(&writer, now).await?;
        let mut tx = writer.begin().await?;
        let found = super::orgs::find(tx.conn()).await?;
        let org = match found {
            Some(org) => org,
            None if folder::has_rest(dir) => {
                tx.take_back().await?;
                return Err(lost());
            }
            None => {
                let org = OrgId::new(entropy::ulid(now)?);
                super::orgs::insert(tx.conn(), org, org_name, now).await?;
                org
            }
        };
        tx.commit().await?;
        Ok((Storage::new(dir, org, writer, readers)?, found.is_none()))
    }

    /// Whether a central ever ran with `dir`, and its database is there; an error when not.
    pub fn must_exist(dir: &Path) -> Result<(), StorageError> {
        if folder::has_database(dir) { Ok(()) } else { Err(Storage::nothing(dir)) }
    }

    fn nothing(dir: &Path) -> StorageError {
        let dir = dir.to_owned();
        if folder::has_rest(&dir) { StorageError::Lost { dir } } else { StorageError::Empty { dir } }
    }

    /// Opens the storage that is in `dir`, beside whoever else has it open.
    pub async fn open(dir: &Path, now: UtcMs) -> Result<Storage, StorageError> {
        Storage::must_exist(dir)?;
        let (writer, readers) = connect(dir).await?;
        schema::migrate(&writer, now).await?;
        let mut conn = readers.acquire().await?;
        let org = super::orgs::find(&mut conn).await?.ok_or_else(|| Storage::nothing(dir))?;
        drop(conn);
        Storage::new(dir, org, writer, readers)
    }

    fn new(dir: &Path, org: OrgId, writer: Writer, readers: SqlitePool) -> Result<Storage, StorageError> {
        let packs = Packs::open(&folder::objects(dir), org)?;
        let inner = Inner { dir: dir.to_owned(), org, org_text: org.to_string(), writer, readers, packs };
        Ok(Storage { inner: Arc::new(inner) })
    }

    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.inner.org
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Where certificates and private keys are.
    pub fn keys_dir(&self) -> PathBuf {
        self.inner.dir.join("keys")
    }

    /// The pack objects.
    pub fn packs(&self) -> &Packs {
        &self.inner.packs
    }

    /// Begins to write, as soon as no other writer is at it.
    pub async fn write(&self) -> Result<Writing, StorageError> {
        let tx = self.inner.writer.begin().await?;
        Ok(Writing { tx, org: self.inner.org_text.clone() })
    }

    /// Notified when a transaction could not begin, or was dropped before its end: somebody should look whether
    /// anything can be stored.
    pub fn doubt(&self) -> Arc<Notify> {
        self.inner.writer.doubt()
    }

    /// From now on the database cannot grow, or can again: a disk that is full.
    #[cfg(test)]
    pub(crate) fn set_full(&self, is_full: bool) {
        self.inner.writer.set_pages_max(if is_full { 1 } else { u32::MAX });
    }

    /// Takes a connection for reading, as soon as one is free.
    pub async fn read(&self) -> Result<Reading, StorageError> {
        let conn = self.inner.readers.acquire().await?;
        Ok(Reading { conn, org: self.inner.org_text.clone() })
    }

    /// Closes the database in order. Without it, the next start reads the write-ahead log back.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// What SQLite finds wrong with its file; nothing when it is whole.
    pub async fn integrity(&self) -> Result<Vec<String>, StorageError> {
        let mut conn = self.inner.readers.acquire().await?;
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM sqlite_master").fetch_all(&mut *conn).await?;
        let missing = schema::names().filter(|name| !names.iter().any(|found| found == name));
        let missing: Vec<String> = missing.map(|name| format!("the database lacks {name}")).collect();
        if !missing.is_empty() {
            return Ok(missing);
        }
        let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *conn).await?;
        let broken: Vec<(String, Option<i64>, String, i64)> =
            sqlx::query_as("PRAGMA foreign_key_check").fetch_all(&mut *conn).await?;
        let lines = lines.into_iter().filter(|line| line != "ok");
        let broken = broken.into_iter().map(|(table, row, parent, _)| {
            format!("row {} of {table} names a row of {parent} that is not there", row.unwrap_or(0))
        });
        Ok(lines.chain(broken).collect())
    }
}

async fn connect(dir: &Path) -> Result<(Writer, SqlitePool), StorageError> {
    let path = folder::database(dir);
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", format!("-{CACHE_KIB}"));
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writer = pool(1).connect_with(options.clone()).await?;
    let readers = pool(READERS_MAX).connect_with(options.pragma("query_only", "1")).await?;
    Ok((Writer::new(writer), readers))
}
