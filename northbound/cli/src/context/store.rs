//! The file of contexts: mode 0600 in a folder of mode 0700, replaced as a whole, by one program at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hub_chassis::cli::Failure;
use rustix::fs::{FlockOperation, flock};

use super::contexts::Contexts;

const FILE: &str = "contexts.toml";

/// What is written, before it takes the place of the other. Only who holds the lock writes it.
const PART: &str = "contexts.toml.part";

/// Ten thousand contexts fit; larger is another file.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The contexts; none when there is no file.
pub(super) fn read() -> Result<Contexts, Failure> {
    read_in(&folder()?)
}

/// Reads, changes and writes the contexts. After an error they are as they were.
pub(super) fn change<T>(change: impl FnOnce(&mut Contexts) -> Result<T, Failure>) -> Result<T, Failure> {
    change_in(&folder()?, change)
}

fn folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let base = base.ok_or_else(|| {
        Failure::failed(
            "nobody says where contexts are kept: set HOME or XDG_CONFIG_HOME to an absolute path",
        )
    })?;
    Ok(base.join("relais"))
}

fn read_in(folder: &Path) -> Result<Contexts, Failure> {
    let path = folder.join(FILE);
    let failed = |error: io::Error| Failure::failed(format!("{} cannot be read: {error}", path.display()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Failure::failed(format!(
            "others can get at {0} (mode {mode:03o}), which holds tokens; run: chmod 600 {0}\nwhoever may have read \
             it can use the tokens: revoke them at central",
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Contexts::parse(&text).map_err(|error| {
        Failure::failed(format!(
            "{}: {error}\nmend the file, or delete it and add the contexts anew",
            path.display()
        ))
    })
}

fn change_in<T>(
    folder: &Path,
    change: impl FnOnce(&mut Contexts) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = |error: io::Error| {
        Failure::failed(format!("the contexts in {} cannot be changed: {error}", folder.display()))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // The lock ends with the file.
    let lock = File::open(folder).map_err(failed)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    let mut contexts = read_in(folder)?;
    let changed = change(&mut contexts)?;
    write(folder, &lock, contexts.reveal().as_bytes()).map_err(failed)?;
    Ok(changed)
}

/// Beside the file, onto disk, over the file.
fn write(folder: &Path, opened: &File, bytes: &[u8]) -> io::Result<()> {
    let part = folder.join(PART);
    // One left behind by a kill may have any mode.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(FILE))?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use northbound_wire::{AdminToken, Fingerprint, TokenSecret};

    use super::*;
    use crate::context::{Access, ContextName};

    fn temp() -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        std::env::temp_dir().join(format!("relais-contexts-{}-{number}", std::process::id()))
    }

    fn entry(name: &str) -> (ContextName, Access) {
        let token = AdminToken { secret: TokenSecret([7; 32]), root: Fingerprint([2; 32]) };
        (name.parse().unwrap(), Access { address: "https://a:1".parse().unwrap(), token })
    }

    fn insert(folder: &Path, name: &str) -> Result<(), Failure> {
        let (name, access) = entry(name);
        change_in(folder, |contexts| {
            contexts.by_name.insert(name, access);
            Ok(())
        })
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_file_is_for_its_owner_only() {
        let base = temp();
        let folder = base.join("relais");
        assert_eq!(read_in(&folder).unwrap(), Contexts::default());
        insert(&folder, "a").unwrap();
        // What a kill left behind.
        fs::write(folder.join(PART), "half").unwrap();
        insert(&folder, "b").unwrap();
        assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600));
        assert!(!folder.join(PART).exists());
        assert_eq!(read_in(&folder).unwrap().names(), "a, b");

        fs::set_permissions(folder.join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let Failure::Told(_, message) = read_in(&folder).unwrap_err() else { panic!() };
        assert!(message.contains("(mode 640)") && message.contains("chmod 600"), "{message}");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_change_that_fails_leaves_the_file() {
        let folder = temp();
        insert(&folder, "a").unwrap();
        let before = fs::read(folder.join(FILE)).unwrap();
        let failed = change_in(&folder, |contexts| {
            contexts.by_name.clear();
            Err::<(), _>(Failure::failed("no"))
        });
        assert_eq!(failed, Err(Failure::failed("no")));
        assert_eq!(fs::read(folder.join(FILE)).unwrap(), before);
        fs::write(folder.join(FILE), "token = relais-admin-v1.x").unwrap();
        let Failure::Told(_, message) = insert(&folder, "b").unwrap_err() else { panic!() };
        assert!(message.contains("line 1: this is not TOML") && !message.contains("admin"), "{message}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn programs_change_it_one_after_another() {
        let folder = temp();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let folder = &folder;
                scope.spawn(move || insert(folder, &format!("c{n}")).unwrap());
            }
        });
        assert_eq!(read_in(&folder).unwrap().by_name.len(), 8);
        fs::remove_dir_all(folder).unwrap();
    }
}
