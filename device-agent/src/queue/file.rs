//! The ring's file on a device.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};

use super::Medium;

const NAME: &str = "queue";
/// What a file that is no ring is called afterwards.
const ASIDE: &str = "queue.damaged";

/// The file `queue` in a folder of the agent's own. It is locked while it is open: two agents cannot share it.
#[derive(Debug)]
pub struct QueueFile {
    file: File,
    size: u64,
}

impl QueueFile {
    /// Opens the file, or makes it with this size, with its room allocated. One that is there keeps its size.
    pub fn open(folder: &Path, size: u64) -> io::Result<QueueFile> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(NAME);
        // A link could lead to a file of somebody else's, which would be written over.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{NAME} is not a file")));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let found = file.metadata()?.len();
        let mut opened = QueueFile { file, size: found };
        if found == 0 {
            opened.make(size)?;
            File::open(folder)?.sync_all()?;
        }
        Ok(opened)
    }

    /// Whether nothing was ever written into it.
    pub fn is_blank(&self) -> io::Result<bool> {
        let mut buffer = vec![0; 64 * 1024];
        let mut offset = 0;
        loop {
            let read = self.file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(true);
            }
            if buffer.iter().take(read).any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += read as u64;
        }
    }

    /// Gives the file of a folder another name, in place of an older one of that name, so that a person can look at it.
    pub fn set_aside(folder: &Path) -> io::Result<()> {
        std::fs::rename(folder.join(NAME), folder.join(ASIDE))?;
        File::open(folder)?.sync_all()
    }

    /// Empties the file and gives it another size.
    pub fn make(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(0)?;
        // Not every file system can; then a full disk is an error of a later write.
        if fallocate(&self.file, FallocateFlags::empty(), 0, size).is_err() {
            self.file.set_len(size)?;
        }
        self.file.sync_all()?;
        self.size = size;
        Ok(())
    }
}

impl Medium for QueueFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Ring;

    #[test]
    fn the_file_has_its_room_from_the_start_and_one_owner() {
        let folder = std::env::temp_dir().join(format!("relais-agent-queue-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        let file = QueueFile::open(&folder, 256 * 1024).unwrap();
        let taken = QueueFile::open(&folder, 256 * 1024).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::WouldBlock);
        assert!(Ring::open(file).unwrap().is_empty());
        let mut kept = QueueFile::open(&folder, 512 * 1024).unwrap();
        assert_eq!(kept.size(), 256 * 1024);
        kept.make(512 * 1024).unwrap();
        drop(kept);
        assert_eq!(QueueFile::open(&folder, 256 * 1024).unwrap().size(), 512 * 1024);
        std::fs::remove_dir_all(&folder).ok();
    }

    #[test]
    fn what_is_no_queue_is_not_written_over() {
        let folder = std::env::temp_dir().join(format!("relais-agent-foreign-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("letter"), "dear hub").unwrap();
        std::os::unix::fs::symlink("letter", folder.join(NAME)).unwrap();
        assert!(QueueFile::open(&folder, 256 * 1024).is_err(), "a link leads elsewhere");
        std::fs::remove_file(folder.join(NAME)).unwrap();
        std::fs::rename(folder.join("letter"), folder.join(NAME)).unwrap();
        let file = QueueFile::open(&folder, 256 * 1024).unwrap();
        assert!(!file.is_blank().unwrap());
        drop(file);
        QueueFile::set_aside(&folder).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join(ASIDE)).unwrap(), "dear hub");
        assert!(QueueFile::open(&folder, 256 * 1024).unwrap().is_blank().unwrap());
        std::fs::remove_dir_all(&folder).ok();
    }
}
