//! The few things the log asks of a file system, so that the same code runs on a real one and on one that fails.
//!
//! Invariant the log relies on: bytes are durable when a `sync_data` that began after their write has returned `Ok`;
//! names are durable after `sync_dir`. Everything else may be lost, torn at any 512-byte sector, or reordered.

pub(crate) mod distrust;
pub(crate) mod meter;
mod real;
pub mod sim;

use std::fmt::Debug;
use std::io;

pub use meter::{Written, WrittenTo};
pub use real::RealDisk;

/// One directory.
pub trait Disk: Debug + Send + Sync + 'static {
    /// The names of the files in it, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing, and makes it when missing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// [`Disk::open`] for a file whose writes are whole pages at page offsets: they go past the page cache where the file
    /// system can do that.
    fn open_direct(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(name)
    }
    /// Takes a file's name away.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One file. Offsets and lengths are in bytes.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// How many bytes the file has.
    fn size(&self) -> io::Result<u64>;
    /// Cuts it, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Fills `out` from `offset` on; an error when the file ends before.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`, lengthening the file where needed.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
}
