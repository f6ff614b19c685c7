//! Folders of their own for stories, under the build's target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A unix socket's path may have 107 bytes on Linux; this leaves room for the file's name.
const SOCKET_FOLDER_LEN_MAX: usize = 90;

/// A folder that is gone when the story ends well, and stays to be looked at when it fails.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// A fresh, empty folder.
    pub fn new(story: &str) -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = target_dir().join("tmp").join(format!("{story}-{}-{number}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path).expect("an old folder of the same name can be removed");
        }
        fs::create_dir_all(&path).expect("target/tmp is writable");
        Place { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path for a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A path for a unix socket: in the folder, or in the system's temporary folder when a deep checkout makes the
    /// path too long.
    pub fn socket(&self, name: &str) -> PathBuf {
        let inside = self.path.join(name);
        if inside.as_os_str().len() <= SOCKET_FOLDER_LEN_MAX {
            return inside;
        }
        let story = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::env::temp_dir().join(format!("relais-{story}-{name}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for a look: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// The build's target folder: where the running test binary lies, two levels up (`target/debug/deps/story`).
///
/// # Panics
/// When the binary was moved out of a target folder.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile's folder lies in the target folder").to_owned()
}

/// The folder of the profile the tests were built with: `target/debug` as a rule.
pub(crate) fn profile_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a process has an executable");
    let folder = own.parent().expect("an executable lies in a folder");
    if folder.file_name().is_some_and(|name| name == "deps") {
        folder.parent().expect("deps lies in a profile's folder").to_owned()
    } else {
        folder.to_owned()
    }
}
