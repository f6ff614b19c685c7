//! Why storage fails.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::packs::PackError;
use crate::entropy::EntropyError;

/// Why something could not be read or kept.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The database refuses.
    #[error("the database: {0}{hint}", hint = hint(.0))]
    Database(#[from] sqlx::Error),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A row holds what no version of this program wrote.
    #[error("the database: a row has a {0} that is none")]
    Malformed(&'static str),
    /// Made by a newer program.
    #[error("the database has version {found} and this program knows {known} at most: run the newer program")]
    Newer {
        /// What the database says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// Another process runs with the folder.
    #[error(
        "storage.dir {} is in use: another relais-central runs with it; stop that one, or give this one its own",
        dir.display()
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A hub's folder.
    #[error("storage.dir {} holds a hub's log: give central a folder of its own", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// Central never ran with the folder.
    #[error(
        "storage.dir {} holds nothing of central yet: start `relais-central run` once, or name the right --config",
        dir.display()
    )]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
    /// Central ran with the folder, and its database is gone.
    #[error(
        "storage.dir {} has keys or objects and no database (central.db is gone or empty), and only the database knows \
         whose they are: put it back from the backup; or, to begin anew with another organisation that no hub knows, \
         move the whole folder away",
        dir.display()
    )]
    Lost {
        /// The folder.
        dir: PathBuf,
    },
    /// Ids and secrets cannot be made.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// An object.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl StorageError {
    /// An error of a file or folder.
    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> StorageError {
        StorageError::File { path: path.into(), source }
    }
}

/// What to do about an error of SQLite, where that is known.
fn hint(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    // Extended codes have the primary one in their lowest byte.
    match code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        Some(10 | 14) => "; look whether the disk of storage.dir is full, or fails",
        Some(13) => "; make room on the disk of storage.dir",
        Some(11 | 26) => {
            "; central.db is damaged: put the folder back from the newest good copy, and start with --restored"
        }
        _ => "",
    }
}
