//! A disk that counts what is written through it, by kind of file: what wears the flash.
//!
//! Bytes are as handed to the file system. What it adds (its journal, whole flash pages) only the device knows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Disk, DiskFile};

/// Everything written since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// To the WAL: headers, padding, repeated definitions, and the zeros of new files.
    pub wal: WrittenTo,
    /// To the tables, pages that redb writes more than once included.
    pub tables: WrittenTo,
    /// To anything else.
    pub other: WrittenTo,
}

impl Written {
    /// All of it, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.wal.bytes + self.tables.bytes + self.other.bytes
    }
}

/// What was written to files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenTo {
    /// Bytes, of failed writes too.
    pub bytes: u64,
    /// How often the device was asked to finish them, failures included.
    pub syncs: u64,
}

/// The counts, shared by all files of a disk.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    wal: Counts,
    tables: Counts,
    other: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    syncs: AtomicU64,
}

impl Counts {
    fn read(&self) -> WrittenTo {
        WrittenTo { bytes: self.bytes.load(Ordering::Relaxed), syncs: self.syncs.load(Ordering::Relaxed) }
    }
}

/// Files are told apart by name; one that is renamed while it is open counts as what it was.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Wal,
    Tables,
    Other,
}

impl Kind {
    fn of(name: &str) -> Kind {
        if name.starts_with("wal-") {
            Kind::Wal
        } else if name == crate::table::Tables::FILE {
            Kind::Tables
        } else {
            Kind::Other
        }
    }
}

impl Meter {
    pub(crate) fn written(&self) -> Written {
        Written { wal: self.wal.read(), tables: self.tables.read(), other: self.other.read() }
    }

    const fn counts(&self, kind: Kind) -> &Counts {
        match kind {
            Kind::Wal => &self.wal,
            Kind::Tables => &self.tables,
            Kind::Other => &self.other,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MeteredDisk {
    disk: Arc<dyn Disk>,
    meter: Arc<Meter>,
}

impl MeteredDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> (MeteredDisk, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (MeteredDisk { disk, meter: Arc::clone(&meter) }, meter)
    }

    fn metered(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(MeteredFile { file, kind: Kind::of(name), meter: Arc::clone(&self.meter) })
    }
}

impl Disk for MeteredDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.metered(name, self.disk.open(name)?))
    }

    fn open_direct(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.metered(name, self.disk.open_direct(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

#[derive(Debug)]
struct MeteredFile {
    file: Box<dyn DiskFile>,
    kind: Kind,
    meter: Arc<Meter>,
}

impl DiskFile for MeteredFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.meter.counts(self.kind).bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.file.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.meter.counts(self.kind).syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::{Faults, SimDisk};

    #[test]
    fn writes_and_syncs_are_counted_by_kind_of_file_also_when_they_fail() {
        let sim = SimDisk::new(1);
        let (disk, meter) = MeteredDisk::new(Arc::new(sim.clone()));
        let wal = disk.open_direct("wal-003").expect("it opens");
        let tables = disk.open(crate::table::Tables::FILE).expect("it opens");
        let other = disk.open("something").expect("it opens");
        wal.write_at(0, &[1; 4096]).expect("it is written");
        wal.write_at(4096, &[1; 4096]).expect("it is written");
        tables.write_at(0, &[1; 100]).expect("it is written");
        other.write_at(0, &[1; 7]).expect("it is written");
        tables.sync_data().expect("it is synced");
        sim.set_faults(Faults { syncs_to_fail: 1, ..Faults::default() });
        assert!(wal.sync_data().is_err());
        let expected = Written {
            wal: WrittenTo { bytes: 8192, syncs: 1 },
            tables: WrittenTo { bytes: 100, syncs: 1 },
            other: WrittenTo { bytes: 7, syncs: 0 },
        };
        assert_eq!(meter.written(), expected);
        assert_eq!(expected.bytes(), 8299);
        assert_eq!(sim.contents("wal-003").len(), 8192, "and they are done");
    }
}
