//! redb over one of our files, so that tests can make its disk fail too.

use std::io;

use redb::StorageBackend;

use crate::disk::DiskFile;

#[derive(Debug)]
pub(super) struct FileBackend(pub(super) Box<dyn DiskFile>);

impl StorageBackend for FileBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_at(offset, data)
    }
}
