//! The organisation's authority on disk: `keys/` in the storage folder.
//!
//! Made as a whole at the first start: written beside, synced, and renamed. Never made again once hubs or tokens
//! know it: a new root would lock every hub out, so lost keys are an error, and a backup the way back.
//!
//! | file | what |
//! |---|---|
//! | `root.key.pem` | the root's private key; may be moved to a safe, nothing here reads it |
//! | `root.pem` | the root's certificate |
//! | `intermediate.key.pem` | the private key that issues |
//! | `intermediate.pem` | its certificate |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hub_model::{OrgId, UtcMs};
use northbound_trust::{Authority, AuthorityError, AuthorityPem};
use ring::digest::{SHA256, digest};
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// Why the authority cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// A file or folder.
    #[error("{}: {source}; put keys/ back from a backup, readable for central's user", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is no key, or none of this root.
    #[error("{} is damaged, or the key of another root: put keys/ back from a backup", path.display())]
    RootKey {
        /// Which.
        path: PathBuf,
    },
    /// They were there once.
    #[error(
        "{} is gone, and hubs or tokens rely on the keys in it: put it back from a backup (new keys would lock every \
         hub out)",
        path.display()
    )]
    Lost {
        /// The folder.
        path: PathBuf,
    },
    /// The files do not go together.
    #[error("the keys in {}: {source}; put the folder back from a backup", path.display())]
    Authority {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: AuthorityError,
    },
}

/// Reads the authority from its folder.
pub fn load(dir: &Path) -> Result<Authority, KeysError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|source| KeysError::File { path, source })
    };
    let (root, intermediate, key) =
        (read("root.pem")?, read("intermediate.pem")?, read("intermediate.key.pem")?);
    Authority::from_pem(&root, &intermediate, &key).map_err(|source| failed(dir, source))
}

/// Reads the authority, or makes it where `may_make` says that nobody knows one yet.
pub fn load_or_make(dir: &Path, org: OrgId, may_make: bool, now: UtcMs) -> Result<Authority, KeysError> {
    if dir.exists() {
        return load(dir);
    }
    if !may_make {
        return Err(KeysError::Lost { path: dir.to_owned() });
    }
    let (authority, texts) = Authority::create(org, now).map_err(|source| failed(dir, source))?;
    write(dir, &texts)?;
    Ok(authority)
}

/// The root's private key, where it is still here, must be the one of the root. Nothing else ever reads it.
pub fn look_at_root_key(dir: &Path) -> Result<(), KeysError> {
    let path = dir.join("root.key.pem");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(KeysError::File { path, source }),
    };
    let public = PrivateKeyDer::from_pem_slice(&text)
        .ok()
        .and_then(|key| any_supported_type(&key).ok())
        .and_then(|key| key.public_key().map(|public| public.to_vec()));
    let root =
        fs::read(dir.join("root.pem")).ok().and_then(|text| CertificateDer::from_pem_slice(&text).ok());
    let wanted = root.and_then(|root| northbound_trust::fingerprint(&root).ok());
    match (public, wanted) {
        (Some(public), Some(wanted)) if digest(&SHA256, &public).as_ref() == wanted.0 => Ok(()),
        _ => Err(KeysError::RootKey { path }),
    }
}

fn failed(dir: &Path, source: AuthorityError) -> KeysError {
    KeysError::Authority { path: dir.to_owned(), source }
}

fn write(dir: &Path, texts: &AuthorityPem) -> Result<(), KeysError> {
    let beside = dir.with_extension("new");
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| KeysError::File { path, source }
    };
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(wrong(&beside))?;
    }
    DirBuilder::new().mode(0o700).create(&beside).map_err(wrong(&beside))?;
    for (name, text) in [
        ("root.key.pem", &texts.root_key),
        ("root.pem", &texts.root),
        ("intermediate.key.pem", &texts.intermediate_key),
        ("intermediate.pem", &texts.intermediate),
    ] {
        let path = beside.join(name);
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(wrong(&path))?;
    }
    sync(&beside).map_err(wrong(&beside))?;
    fs::rename(&beside, dir).map_err(wrong(dir))?;
    dir.parent().map_or(Ok(()), |parent| sync(parent).map_err(wrong(parent)))
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::{Folder, NOW};

    const ORG: OrgId = OrgId::from_bytes([5; 16]);

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let folder = Folder::new("keys");
        let dir = folder.path().join("keys");
        // What a crash left in the middle is in nobody's way.
        fs::create_dir(dir.with_extension("new")).unwrap();
        let made = load_or_make(&dir, ORG, true, NOW).unwrap().fingerprint();
        assert_eq!(load_or_make(&dir, ORG, true, NOW).unwrap().fingerprint(), made);
        assert_eq!(load(&dir).unwrap().fingerprint(), made);
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        look_at_root_key(&dir).unwrap();
        let other = Authority::create(ORG, NOW).unwrap().1.root_key;
        for wrong in ["no key", &*other] {
            fs::write(dir.join("root.key.pem"), wrong).unwrap();
            assert!(matches!(look_at_root_key(&dir), Err(KeysError::RootKey { .. })));
        }
        // The root's key may lie elsewhere.
        fs::remove_file(dir.join("root.key.pem")).unwrap();
        assert_eq!(load(&dir).unwrap().fingerprint(), made);
        look_at_root_key(&dir).unwrap();
    }

    #[test]
    fn lost_keys_are_not_made_anew() {
        let folder = Folder::new("lost-keys");
        let dir = folder.path().join("keys");
        assert!(matches!(load_or_make(&dir, ORG, false, NOW), Err(KeysError::Lost { .. })));
        assert!(!dir.exists());
    }
}
