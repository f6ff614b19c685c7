//! Fills a disk to the last byte, and frees it again.
//!
//! Only a file system of its own, and a small one, is ever filled: a slip must not fill the machine's disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use tokio::time::sleep;

use crate::worker::Worker;

/// The file that takes the room.
const FILE: &str = "relais-sim-fill";
/// The largest file system that is filled: 4 GiB.
const DISK_BYTES_MAX: u64 = 4 << 30;
/// The first bite; it is halved until not even a block can be had.
const BITE_BYTES: u64 = 64 << 20;
const BITE_BYTES_MIN: u64 = 512;
/// While the disk is full, room that others give back is taken again so often, as a log that grows would.
const AGAIN: Duration = Duration::from_millis(500);

/// A disk that can be filled. Dropping it frees what it took.
#[derive(Debug)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
    _worker: Worker,
}

/// Why a disk is not, or cannot be, filled.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It is part of a larger file system.
    #[error("{} is not a file system of its own; filling it would fill this machine's disk", folder.display())]
    Shared {
        /// The folder that was named.
        folder: PathBuf,
    },
    /// It is larger than what is ever filled.
    #[error("{} has {bytes} bytes; at most {DISK_BYTES_MAX} are filled", folder.display())]
    Large {
        /// The folder that was named.
        folder: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The system said no.
    #[error("{}", path.display())]
    System {
        /// What was to be looked at or written.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Open while the disk is full.
    filling: Mutex<Option<File>>,
}

impl Disk {
    /// Takes a disk, by the folder where it is mounted, and frees what an earlier run has left full.
    pub(crate) fn open(folder: &Path) -> Result<Disk, DiskError> {
        let system = |source| DiskError::System { path: folder.to_owned(), source };
        let above = folder.canonicalize().map_err(system)?.parent().map(Path::to_owned);
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).map_err(system);
        let is_own = above.map_or(Ok(true), |above| Ok(device(&above)? != device(folder)?))?;
        if !is_own {
            return Err(DiskError::Shared { folder: folder.to_owned() });
        }
        let size = statvfs(folder).map_err(|errno| system(errno.into()))?;
        let bytes = size.f_blocks.saturating_mul(size.f_frsize);
        if bytes > DISK_BYTES_MAX {
            return Err(DiskError::Large { folder: folder.to_owned(), bytes });
        }
        let shared = Arc::new(Shared { path: folder.join(FILE), filling: Mutex::new(None) });
        shared.free()?;
        let of_worker = Arc::clone(&shared);
        let worker = Worker::start("relais-sim disk", || Ok(keep_full(of_worker))).map_err(system)?;
        Ok(Disk { shared, _worker: worker })
    }

    /// Takes all room there is, now and until [`free`](Self::free); how many bytes that were.
    pub(crate) fn fill(&self) -> Result<u64, DiskError> {
        let mut filling = self.shared.filling();
        let file = match filling.take() {
            Some(file) => file,
            None => self.shared.create()?,
        };
        let taken = self.shared.grow(&file);
        *filling = Some(file);
        taken
    }

    /// Gives the room back.
    pub(crate) fn free(&self) -> Result<(), DiskError> {
        self.shared.free()
    }

    /// Whether it is being filled.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.filling().is_some()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.shared.free() {
            eprintln!("the disk stays full: {error}");
        }
    }
}

impl Shared {
    fn filling(&self) -> MutexGuard<'_, Option<File>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, source: impl Into<io::Error>) -> DiskError {
        DiskError::System { path: self.path.clone(), source: source.into() }
    }

    fn create(&self) -> Result<File, DiskError> {
        let open = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path);
        open.map_err(|source| self.error(source))
    }

    /// Makes the file longer until nothing is left; by how much. Nothing is written, so that it takes no time.
    fn grow(&self, file: &File) -> Result<u64, DiskError> {
        let before = file.metadata().map_err(|source| self.error(source))?.len();
        let (mut length, mut bite) = (before, BITE_BYTES);
        while bite >= BITE_BYTES_MIN {
            match fallocate(file, FallocateFlags::empty(), length, bite) {
                Ok(()) => length += bite,
                Err(Errno::NOSPC) => bite /= 2,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
        Ok(length - before)
    }

    fn free(&self) -> Result<(), DiskError> {
        drop(self.filling().take());
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.error(source)),
            _ => Ok(()),
        }
    }
}

async fn keep_full(shared: Arc<Shared>) {
    loop {
        sleep(AGAIN).await;
        let filling = shared.filling();
        if let Some(file) = filling.as_ref()
            && let Err(error) = shared.grow(file)
        {
            eprintln!("the disk cannot be kept full: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_disk_is_never_filled() {
        let folder = std::env::temp_dir().join(format!("relais-sim-disk-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let refused = Disk::open(&folder).map(drop);
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(refused, Err(DiskError::Shared { .. })), "{refused:?}");
        let gone = Disk::open(&folder).map(drop);
        assert!(matches!(gone, Err(DiskError::System { .. })), "{gone:?}");
    }

    #[test]
    fn the_file_takes_what_it_can_get_and_gives_it_back() {
        // What the file system does when it is full is in the scenario `demo`, which has one to fill.
        let path = std::env::temp_dir().join(format!("relais-sim-fill-{}", std::process::id()));
        let shared = Shared { path: path.clone(), filling: Mutex::new(None) };
        *shared.filling() = Some(shared.create().unwrap());
        assert!(path.exists());
        shared.free().unwrap();
        assert!(!path.exists() && shared.filling().is_none());
        shared.free().unwrap();
    }
}
