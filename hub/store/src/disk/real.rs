//! A directory of the operating system.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Disk, DiskFile};
use crate::wal::PAGE;

/// A real directory, held by one process at a time.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
    handle: File,
    _lock: File,
}

impl RealDisk {
    /// The name of the file whose lock says that a process holds the directory.
    const LOCK: &'static str = "lock";

    /// Opens a directory, making it (mode 0700) when missing. `Ok(None)` when another process holds it.
    pub fn open(dir: &Path) -> io::Result<Option<RealDisk>> {
        use std::os::unix::fs::DirBuilderExt;
        if !dir.exists() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            // Its own name must be as durable as what will be in it.
            if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        let lock = options().open(dir.join(Self::LOCK))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        Ok(Some(RealDisk { dir: dir.to_path_buf(), handle: File::open(dir)?, _lock: lock }))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string()
                && name != Self::LOCK
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile { file: options().open(self.dir.join(name))?, direct: None }))
    }

    fn open_direct(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.dir.join(name);
        let file = options().open(&path)?;
        // Some file systems have no such thing; then the page cache has to do.
        let direct = DirectWriter::open(&path).ok().map(Mutex::new);
        Ok(Box::new(RealFile { file, direct }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    direct: Option<Mutex<DirectWriter>>,
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(direct) = &self.direct
            && is_paged(offset, data.len())
        {
            let mut writer = direct.lock().unwrap_or_else(PoisonError::into_inner);
            match writer.write_at(offset, data) {
                // A device with larger sectors than our pages.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                written => return written,
            }
        }
        self.file.write_all_at(data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn is_paged(offset: u64, len: usize) -> bool {
    offset.is_multiple_of(PAGE as u64) && len.is_multiple_of(PAGE)
}

/// Writes past the page cache (O_DIRECT). Through the page cache a 4 KiB commit cost the device 64 KiB here (Linux 6.18,
/// ext4): it had put the zeros of a new file into larger units, and wrote whole units back.
#[derive(Debug)]
struct DirectWriter {
    file: File,
    /// O_DIRECT wants memory on a page boundary; data is copied to one in here.
    scratch: Vec<u8>,
}

impl DirectWriter {
    /// The most that is copied at once.
    const STEP: usize = 256 * 1024;

    fn open(path: &Path) -> io::Result<DirectWriter> {
        let flag = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        Ok(DirectWriter {
            file: OpenOptions::new().write(true).custom_flags(flag).open(path)?,
            scratch: Vec::new(),
        })
    }

    fn write_at(&mut self, mut offset: u64, data: &[u8]) -> io::Result<()> {
        for step in data.chunks(Self::STEP) {
            if self.scratch.len() < step.len() + PAGE {
                self.scratch = vec![0; step.len() + PAGE];
            }
            let start = self.scratch.as_ptr().align_offset(PAGE);
            let aligned = &mut self.scratch[start..start + step.len()];
            aligned.copy_from_slice(step);
            self.file.write_all_at(aligned, offset)?;
            offset += step.len() as u64;
        }
        Ok(())
    }
}
