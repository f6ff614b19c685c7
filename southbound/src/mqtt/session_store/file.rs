//! The redb file behind the store.

use std::fs::{File, OpenOptions, Permissions};
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    BackendError, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
};

use super::record::{StoredSession, decode_value, encode_value};
use super::{Found, SessionStoreError};
use crate::mqtt::log_quota::Shown;
use crate::mqtt::metrics::Metrics;

pub(super) const NAME: &str = "mqtt-sessions.redb";
/// Where a damaged file goes; the one before it is overwritten, so damage cannot fill the disk.
pub(super) const NAME_ASIDE: &str = "mqtt-sessions.redb.damaged";

const MODE: u32 = 0o600;

const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");

/// A few pages are all that is ever read twice.
const CACHE_BYTES: usize = 1024 * 1024;

/// One row's change.
#[derive(Debug)]
pub(super) enum Change {
    Put(Box<str>, StoredSession),
    /// Only while the row has this incarnation.
    Remove(Box<str>, u64),
}

/// See the module. `database` is `None` after a failed transaction, because redb refuses everything after an I/O
/// error until it is opened again.
pub(super) struct SessionFile {
    path: PathBuf,
    database: Option<Database>,
    metrics: Arc<Metrics>,
}

impl SessionFile {
    pub(super) fn open(
        dir: &Path,
        metrics: &Arc<Metrics>,
    ) -> Result<(SessionFile, Found), SessionStoreError> {
        let path = dir.join(NAME);
        let (database, found) = match open_and_read(&path, metrics) {
            Ok(opened) => opened,
            Err(error) if path.exists() && !error.in_use => {
                tracing::error!(path = %path.display(), %error, "session file is damaged; set aside, all sessions are lost");
                metrics.session_files_set_aside.add(1);
                std::fs::rename(&path, dir.join(NAME_ASIDE)).map_err(fault)?;
                open_and_read(&path, metrics)?
            }
            Err(error) => return Err(error),
        };
        let metrics = Arc::clone(metrics);
        Ok((SessionFile { path, database: Some(database), metrics }, found))
    }

    /// Applies all changes in one durable transaction, or none.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Result<(), SessionStoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => create(&self.path, &self.metrics)?,
        };
        write(&database, changes)?;
        self.database = Some(database);
        Ok(())
    }
}

fn open_and_read(path: &Path, metrics: &Arc<Metrics>) -> Result<(Database, Found), SessionStoreError> {
    // redb may panic on some damage.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = create(path, metrics)?;
        let found = read(&database)?;
        Ok((database, found))
    }));
    opened.unwrap_or_else(|_| Err(SessionStoreError::new("it made the database library panic")))
}

fn create(path: &Path, metrics: &Arc<Metrics>) -> Result<Database, SessionStoreError> {
    let opened = |error: redb::DatabaseError| SessionStoreError {
        in_use: matches!(error, redb::DatabaseError::DatabaseAlreadyOpen),
        ..fault(error)
    };
    let file = FileBackend::new(private(path).map_err(fault)?).map_err(opened)?;
    let counted = CountedBackend { file, metrics: Arc::clone(metrics) };
    Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(counted).map_err(opened)
}

/// Counts what wears the flash.
#[derive(Debug)]
struct CountedBackend {
    file: FileBackend,
    metrics: Arc<Metrics>,
}

impl StorageBackend for CountedBackend {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.metrics.session_store_written_bytes.add(data.len());
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), std::io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// Makes the file if need be, for this user alone, whatever its folder allows: it names clients and topics.
fn private(path: &Path) -> std::io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0
        && let Err(error) = file.set_permissions(Permissions::from_mode(MODE))
    {
        tracing::warn!(path = %path.display(), %error, "session file stays readable for others");
    }
    Ok(file)
}

fn read(database: &Database) -> Result<Found, SessionStoreError> {
    write(database, &[])?;
    let transaction = database.begin_read().map_err(fault)?;
    let table = transaction.open_table(SESSIONS).map_err(fault)?;
    let mut found = Vec::new();
    for row in table.iter().map_err(fault)? {
        let (client, value) = row.map_err(fault)?;
        match decode_value(value.value()) {
            Some(session) => found.push((client.value().into(), session)),
            None => {
                tracing::error!(client = ?Shown(client.value()), "stored session cannot be read and is ignored")
            }
        }
    }
    Ok(found)
}

fn write(database: &Database, changes: &[Change]) -> Result<(), SessionStoreError> {
    let mut transaction = database.begin_write().map_err(fault)?;
    transaction.set_durability(Durability::Immediate).map_err(fault)?;
    // Reopening after a power cut takes milliseconds instead of a walk through the file.
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(SESSIONS).map_err(fault)?;
        for change in changes {
            match change {
                Change::Put(client, session) => {
                    drop(table.insert(&**client, encode_value(session).as_slice()).map_err(fault)?);
                }
                Change::Remove(client, incarnation) => {
                    let is_it = table
                        .get(&**client)
                        .map_err(fault)?
                        .and_then(|value| decode_value(value.value()))
                        .is_some_and(|session| session.incarnation == *incarnation);
                    if is_it {
                        drop(table.remove(&**client).map_err(fault)?);
                    }
                }
            }
        }
    }
    transaction.commit().map_err(fault)
}

fn fault(error: impl std::fmt::Display) -> SessionStoreError {
    SessionStoreError::new(error)
}
