//! redb over one of our files, so that tests can make its disk fail too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::disk::{Disk, DiskFile, distrust};

/// A file that remembers whether a sync of it has failed.
#[derive(Debug)]
pub(super) struct FileBackend {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) sync_failed: Arc<AtomicBool>,
}

impl StorageBackend for FileBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let synced = distrust::sync(self.disk.as_ref(), self.file.as_ref());
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Relaxed);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write_at(offset, data)
    }
}
