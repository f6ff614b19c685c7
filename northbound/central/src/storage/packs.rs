//! Pack objects: blocks of many hubs behind one another, written once, synced, read in parts.
//!
//! `objects/{org}/{front of the id}/{id}`. With `with_fsync(true)`, `put` syncs the file before it gets its name, the
//! folder after, and every folder it made (read in object_store 0.14.2, and looked at with strace). What a crash
//! leaves half written has a `#` in its name and is removed at the start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hub_model::OrgId;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{ObjectStoreExt, PutPayload};
use thiserror::Error;

use super::objects::{ObjectId, ObjectRow};

/// Why an object cannot be written or read.
#[derive(Debug, Error)]
pub enum PackError {
    /// It is not there, or shorter than it should be.
    #[error("object {id} is not there, or cut short")]
    Missing {
        /// Which.
        id: ObjectId,
    },
    /// The store refuses.
    #[error("object {id}: {source}")]
    Store {
        /// Which.
        id: ObjectId,
        /// Why.
        source: object_store::Error,
    },
    /// The folder.
    #[error("objects in {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The pack objects of an organisation. Clones share them.
#[derive(Clone, Debug)]
pub struct Packs {
    store: Arc<LocalFileSystem>,
    root: PathBuf,
    org: String,
}

impl Packs {
    pub(super) fn open(dir: &Path, org: OrgId) -> Result<Packs, PackError> {
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| PackError::Folder { path: dir.to_owned(), source: io::Error::other(error) })?;
        let org = org.to_string();
        Ok(Packs { store: Arc::new(store.with_fsync(true)), root: dir.join(&org), org })
    }

    fn place(&self, id: ObjectId) -> Place {
        Place::from_iter([self.org.clone(), id.shard(), id.to_string()])
    }

    /// Writes an object; it is on disk, and so is its name, when this returns.
    pub async fn put(&self, id: ObjectId, parts: impl IntoIterator<Item = Bytes>) -> Result<(), PackError> {
        let payload: PutPayload = parts.into_iter().collect();
        let put = self.store.put(&self.place(id), payload).await;
        put.map(|_| ()).map_err(|source| PackError::Store { id, source })
    }

    /// Reads part of an object.
    pub async fn get(&self, id: ObjectId, offset: u64, length: u64) -> Result<Bytes, PackError> {
        let range = offset..offset.saturating_add(length);
        match self.store.get_range(&self.place(id), range).await {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Err(PackError::Missing { id }),
            Err(source) if self.is_short(id, offset.saturating_add(length)) => {
                tracing::debug!(%id, %source, "an object is cut short");
                Err(PackError::Missing { id })
            }
            Err(source) => Err(PackError::Store { id, source }),
        }
    }

    /// Removes an object. It need not be there, and it may come back after a power cut: the start removes it again.
    pub async fn remove(&self, id: ObjectId) -> Result<(), PackError> {
        match self.store.delete(&self.place(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(PackError::Store { id, source }),
        }
    }

    /// The file of an object.
    pub(crate) fn path(&self, id: ObjectId) -> PathBuf {
        self.root.join(id.shard()).join(id.to_string())
    }

    /// The store tells a read past the end only in words.
    fn is_short(&self, id: ObjectId, end: u64) -> bool {
        fs::metadata(self.path(id)).is_ok_and(|metadata| metadata.len() < end)
    }

    /// The objects there are, by id, and files that are none. Blocks; the folders are as old as what is in them, so
    /// one at a time is held.
    pub(crate) fn list(&self) -> Result<Vec<ObjectRow>, PackError> {
        let mut found = Vec::new();
        for shard in self.shards()? {
            for (path, size_bytes) in files(&shard)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if let Ok(id) = name.parse() {
                    found.push(ObjectRow { id, size_bytes });
                }
            }
        }
        found.sort_by_key(|object| object.id);
        Ok(found)
    }

    /// Removes what a crash left half written; how many files.
    pub(crate) fn remove_half_written(&self) -> Result<u64, PackError> {
        let mut removed = 0;
        for shard in self.shards()? {
            for (path, _) in files(&shard)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.contains('#') {
                    fs::remove_file(&path).map_err(|source| PackError::Folder { path, source })?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn shards(&self) -> Result<Vec<PathBuf>, PackError> {
        let wrong = |source| PackError::Folder { path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut shards = Vec::new();
        for entry in entries {
            let entry = entry.map_err(wrong)?;
            if entry.file_type().map_err(wrong)?.is_dir() {
                shards.push(entry.path());
            }
        }
        Ok(shards)
    }
}

fn files(shard: &Path) -> Result<Vec<(PathBuf, u64)>, PackError> {
    let wrong = |source| PackError::Folder { path: shard.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(shard).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let metadata = entry.metadata().map_err(wrong)?;
        if metadata.is_file() {
            found.push((entry.path(), metadata.len()));
        }
    }
    Ok(found)
}
