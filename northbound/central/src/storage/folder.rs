//! The storage folder: made for its owner only, and locked by the one process that runs with it.
//!
//! | name | what |
//! |---|---|
//! | `central.db`, `-wal`, `-shm` | the database |
//! | `objects/` | pack objects |
//! | `keys/` | certificates and private keys |
//! | `lock` | held by `run` |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::StorageError;

/// Makes a folder, with those above it, for its owner only.
pub(super) fn make(dir: &Path) -> Result<(), StorageError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| StorageError::file(dir, source))?;
    sync(dir)?;
    dir.parent().map_or(Ok(()), sync)
}

/// Makes the entries of a folder durable.
fn sync(dir: &Path) -> Result<(), StorageError> {
    let synced = File::open(dir).and_then(|folder| folder.sync_all());
    synced.map_err(|source| StorageError::file(dir, source))
}

pub(super) fn database(dir: &Path) -> PathBuf {
    dir.join("central.db")
}

pub(super) fn objects(dir: &Path) -> PathBuf {
    dir.join("objects")
}

/// Whether there is a database with anything in it.
pub(super) fn has_database(dir: &Path) -> bool {
    fs::metadata(database(dir)).is_ok_and(|metadata| metadata.len() > 0)
}

/// Whether there is what only a central with a database leaves: keys come after the database, and so do objects.
pub(super) fn has_rest(dir: &Path) -> bool {
    dir.join("keys").exists() || fs::read_dir(objects(dir)).is_ok_and(|mut objects| objects.next().is_some())
}

/// The folder belongs to this process until this is dropped, or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock, making the folder where it is missing.
    pub fn take(dir: &Path) -> Result<FolderLock, StorageError> {
        if dir.join("telemetry.redb").exists() {
            return Err(StorageError::Foreign { dir: dir.to_owned() });
        }
        make(dir)?;
        let path = dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| StorageError::file(&path, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => {
                Err(StorageError::InUse { dir: dir.to_owned() })
            }
            Err(error) => Err(StorageError::file(&path, error.into())),
        }
    }
}
