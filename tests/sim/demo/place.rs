//! The demo's folder: what lies where, who uses it, and how it is emptied.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::trouble::{Trouble, While as _};

/// A unix socket's path may have 107 bytes on Linux.
const SOCKET_BYTES_MAX: usize = 107;

/// Everything a demo puts into its folder, but for `lock`. Nothing else there is ever touched.
const FILES: [&str; 3] = ["disk.img", "env", "hub.sock"];
const FOLDERS: [&str; 5] = ["central", "config", "disk", "hub", "logs"];

/// The folder, held: only one demo at a time uses it.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the folder, which need not exist.
    pub(crate) fn take(folder: &Path) -> Result<Place, Trouble> {
        fs::create_dir_all(folder).whilst(format!("make {}", folder.display()))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .whilst(format!("keep others out of {}", folder.display()))?;
        let folder = folder.canonicalize().whilst(format!("find {}", folder.display()))?;
        let path = folder.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .whilst(format!("open {}", path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let mut process = String::new();
                // Without its number the sentence is good enough.
                let _unknown = lock.read_to_string(&mut process);
                let (dir, process) = (folder.display(), process.trim());
                return Err(Trouble(format!(
                    "a demo runs in {dir} already (process {process}): stop it first"
                )));
            }
            result => result.whilst(format!("lock {}", path.display()))?,
        }
        write_id(&mut lock).whilst(format!("write {}", path.display()))?;
        Ok(Place { folder, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The hub's local socket; in the system's temporary folder where a deep checkout makes the path too long.
    pub(crate) fn socket(&self) -> PathBuf {
        let inside = self.file("hub.sock");
        if inside.as_os_str().len() <= SOCKET_BYTES_MAX {
            return inside;
        }
        std::env::temp_dir().join(format!("relais-demo-{}/hub.sock", std::process::id()))
    }

    /// Removes what an earlier demo has left, its disk unmounted before.
    pub(crate) fn empty(&self) -> Result<(), Trouble> {
        for (names, remove) in [(&FILES[..], remove_file as fn(&Path) -> _), (&FOLDERS[..], remove_folder)] {
            for name in names {
                let path = self.file(name);
                remove(&path).or_else(missing_is_fine).whilst(format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Makes the folders.
    pub(crate) fn furnish(&self) -> Result<(), Trouble> {
        for name in FOLDERS.into_iter().chain(["hub/devices.d", "hub/profiles.d"]) {
            let path = self.file(name);
            fs::create_dir_all(&path).whilst(format!("make {}", path.display()))?;
        }
        Ok(())
    }

    /// Writes a file that only its owner reads: some hold tokens.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Trouble> {
        let path = self.file(name);
        let write = || {
            let mut file = open_private(&path, true)?;
            file.write_all(text.as_bytes())
        };
        write().whilst(format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// Opens a file that only its owner reads, empty or to go on at its end.
pub(crate) fn open_private(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).append(!empty).truncate(empty).mode(0o600).open(path)
}

fn write_id(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())
}

fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

fn remove_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// What is to go and is not there is no error.
pub(crate) fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder that is gone when it is dropped.
    pub(crate) struct Temporary(pub(crate) PathBuf);

    impl Temporary {
        pub(crate) fn new(name: &str) -> Temporary {
            let path = std::env::temp_dir().join(format!("relais-demo-test-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Temporary(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let unmounted = crate::volume::unmount(&self.0.join("disk"));
            let removed = fs::remove_dir_all(&self.0);
            // A second panic would hide the first.
            assert!(std::thread::panicking() || (unmounted.is_ok() && removed.is_ok()), "{removed:?}");
        }
    }

    #[test]
    fn one_demo_at_a_time_uses_a_folder() {
        let folder = Temporary::new("lock");
        let place = Place::take(&folder.0).unwrap();
        let refused = Place::take(&folder.0).unwrap_err().to_string();
        assert!(refused.contains(&format!("already (process {})", std::process::id())), "{refused}");
        drop(place);
        drop(Place::take(&folder.0).unwrap());
    }

    #[test]
    fn it_is_emptied_of_what_is_the_demos_and_of_nothing_else() {
        let folder = Temporary::new("empty");
        let place = Place::take(&folder.0).unwrap();
        place.empty().unwrap();
        place.furnish().unwrap();
        place.write("env", "x").unwrap();
        place.write("hub/devices.d/meter.toml", "x").unwrap();
        fs::write(place.file("letter"), "mine").unwrap();
        place.empty().unwrap();
        let mut left: Vec<String> = fs::read_dir(place.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["letter", "lock"]);
    }

    #[test]
    fn what_it_writes_only_its_owner_reads() {
        let folder = Temporary::new("mode");
        let place = Place::take(&folder.0).unwrap();
        let path = place.write("env", "secret").unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
