//! Small files that are whole or not there: written beside, synced, renamed, and the folder synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// Only the hub's user may look in.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Far above a key, four certificates of the largest size and their text.
const FILE_BYTES_MAX: u64 = 128 * 1024;

/// Ends the name of a file that is being written.
const UNFINISHED: &str = ".new";

/// A folder of such files.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    /// How many more steps may be taken before the process "dies".
    #[cfg(test)]
    pub(super) steps: AtomicUsize,
}

impl Files {
    /// Makes the folder, closes it to others and clears away what a kill left half written.
    pub(super) fn open(dir: &Path) -> io::Result<Files> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(DIR_MODE))?;
        }
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(Files {
            dir: dir.to_owned(),
            #[cfg(test)]
            steps: AtomicUsize::new(usize::MAX),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The file's bytes; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Opening a pipe would wait for its other end, for ever.
        if !metadata.is_file() {
            return Err(io::Error::other(
                "it is not a regular file: put a copy of the real one in its place",
            ));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(FILE_MODE))?;
            tracing::warn!(
                path = %path.display(),
                "this file was open to other users and is closed to them now; if others can log in here, enrol the hub again"
            );
        }
        let file = File::open(&path)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts the file in place of the one before, whole.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.path(&format!("{name}{UNFINISHED}"));
        self.step()?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
        let (front, back) = bytes.split_at(bytes.len() / 2);
        file.write_all(front)?;
        self.step()?;
        file.write_all(back)?;
        self.step()?;
        file.sync_all()?;
        self.step()?;
        fs::rename(&unfinished, self.path(name))?;
        self.sync()
    }

    /// Renames a file over another.
    pub(super) fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        fs::rename(self.path(from), self.path(to))?;
        self.sync()
    }

    /// Takes a file away; that there was none is fine.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?;
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync(),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.step()?;
        File::open(&self.dir)?.sync_all()
    }

    /// A moment at which power may fail.
    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        let left = self.steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| io::Error::other("killed"))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("relais-trust-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_that_others_can_read_is_closed_to_them() {
        let dir = folder("open");
        let files = Files::open(&dir).unwrap();
        files.write("identity.pem", b"key").unwrap();
        let path = files.path("identity.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(files.read("identity.pem").unwrap().as_deref(), Some(&b"key"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_no_file_is_an_error_and_nothing_waits_for_it() {
        let dir = folder("pipe");
        let files = Files::open(&dir).unwrap();
        let path = files.path("identity.pem");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let error = files.read("identity.pem").unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
