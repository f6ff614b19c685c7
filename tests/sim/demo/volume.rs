//! The hub's disk: a small file system of its own, so that it can be filled without filling the machine's.
//!
//! An ext4 image in the demo's folder, mounted by a loop device. That needs root and a system that lets it; without, the
//! hub's data lies in a plain folder, and filling says why it cannot be done.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

use crate::place::{Place, missing_is_fine};
use crate::trouble::{Trouble, While as _};

/// The disk's size. The image is sparse: it takes what is written to it.
const SIZE_BYTES: u64 = 256 << 20;
/// How often, and how far apart, a disk is tried to be unmounted that somebody uses.
const UNMOUNT_TRIES: u32 = 20;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(100);
/// Where Debian keeps the tools, whatever the caller's PATH is.
const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the hub's data goes.
#[derive(Debug)]
pub(crate) enum Volume {
    /// A file system of its own, mounted here.
    Own(PathBuf),
    /// A plain folder, for this reason.
    Plain(PathBuf, String),
}

impl Volume {
    /// Mounts the disk, made anew unless one is kept.
    pub(crate) fn prepare(place: &Place) -> Result<Volume, Trouble> {
        let (image, folder) = (place.file("disk.img"), place.file("disk"));
        let is_kept = image.exists();
        if !is_kept && folder.join("data").exists() {
            return Ok(Volume::Plain(folder, "the data that is kept lies in a plain folder".to_owned()));
        }
        match mount(&image, &folder) {
            Ok(()) => Ok(Volume::Own(folder)),
            Err(why) if is_kept => {
                let image = image.display();
                Err(Trouble(format!("cannot mount {image}, which has the data that is to be kept: {why}")))
            }
            Err(why) => {
                fs::remove_file(&image)
                    .or_else(missing_is_fine)
                    .whilst(format!("remove {}", image.display()))?;
                Ok(Volume::Plain(folder, why))
            }
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Volume::Own(folder) | Volume::Plain(folder, _) => folder,
        }
    }

    /// Whether it can be filled.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Volume::Own(_))
    }

    /// What it is, for people.
    pub(crate) fn says(&self) -> String {
        match self {
            Volume::Own(_) => format!("{} MiB of its own for the hub's data", SIZE_BYTES >> 20),
            Volume::Plain(_, why) => format!("none of its own, so it cannot be filled: {why}"),
        }
    }
}

/// Mounts the image, which is made where there is none.
fn mount(image: &Path, folder: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("mounting one needs root".to_owned());
    }
    if !image.exists() {
        make(image)?;
    }
    run("mount", [OsStr::new("-o"), "loop".as_ref(), image.as_ref(), folder.as_ref()])
}

/// Takes the disk away again, if it is mounted; whether it was. What a killed demo has left counts, too.
pub(crate) fn unmount(folder: &Path) -> Result<bool, Trouble> {
    let mut was_mounted = false;
    for tried in 0.. {
        if !is_mounted(folder) {
            break;
        }
        was_mounted = true;
        match run("umount", [folder.as_os_str()]) {
            Ok(()) => {}
            Err(_) if tried < UNMOUNT_TRIES => thread::sleep(UNMOUNT_PAUSE),
            Err(why) => {
                // Somebody stands in it. It is out of the way now, and gone when they leave.
                run("umount", [OsStr::new("-l"), folder.as_os_str()])
                    .whilst(format!("unmount {} ({why})", folder.display()))?;
            }
        }
    }
    Ok(was_mounted)
}

/// Whether another file system begins here.
fn is_mounted(folder: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    folder.parent().is_some_and(|above| device(folder).is_some() && device(folder) != device(above))
}

fn make(image: &Path) -> Result<(), String> {
    let sparse = || File::create(image)?.set_len(SIZE_BYTES);
    sparse().map_err(|error| format!("{}: {error}", image.display()))?;
    // All of it is for the hub: root, who runs it here, would else have a reserve that nobody else sees.
    run("mkfs.ext4", [OsStr::new("-q"), "-F".as_ref(), "-m".as_ref(), "0".as_ref(), image.as_ref()])
}

/// Runs a tool of the system to its end; the last line it said when it failed.
fn run<'a>(tool: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let output = Command::new(tool)
        .args(arguments)
        .env("PATH", SYSTEM_PATH)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed");
    Err(format!("{tool}: {}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::tests::Temporary;

    #[test]
    fn a_disk_is_mounted_and_kept_and_unmounted() {
        let folder = Temporary::new("volume");
        let place = Place::take(&folder.0).unwrap();
        place.furnish().unwrap();
        let volume = Volume::prepare(&place).unwrap();
        if !volume.is_own() {
            // A machine that mounts nothing says why, and leaves no image.
            assert!(
                volume.says().starts_with("none of its own, so it cannot be filled: "),
                "{}",
                volume.says()
            );
            assert!(!place.file("disk.img").exists() && !unmount(volume.folder()).unwrap());
            return;
        }
        assert!(is_mounted(volume.folder()));
        fs::create_dir(volume.folder().join("data")).unwrap();
        assert!(unmount(volume.folder()).unwrap());
        assert!(!is_mounted(volume.folder()) && !volume.folder().join("data").exists());
        // What was on it is on it the next time.
        let volume = Volume::prepare(&place).unwrap();
        assert!(volume.is_own() && volume.folder().join("data").exists());
        assert!(unmount(volume.folder()).unwrap());
        assert!(!unmount(volume.folder()).unwrap());
    }

    #[test]
    fn a_plain_folder_with_data_stays_one() {
        let folder = Temporary::new("plain");
        let place = Place::take(&folder.0).unwrap();
        place.furnish().unwrap();
        fs::create_dir(place.file("disk/data")).unwrap();
        let volume = Volume::prepare(&place).unwrap();
        assert!(!volume.is_own() && !place.file("disk.img").exists());
    }
}
