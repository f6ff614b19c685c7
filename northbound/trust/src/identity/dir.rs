//! The folder that keeps a hub's identity through kills, power cuts and renewals.
//!
//! | file | what |
//! |---|---|
//! | `pending.key` | the key of a request that has no answer yet; used again until it has one |
//! | `identity.pem` | key, chain and root in use |
//! | `next.pem` | the same from a renewal, until a connection with it has worked |
//! | `term` | the highest term seen of this root's central |
//!
//! Key and chain share a file, so that one rename exchanges both. Every step may be the last: what is on disk is always
//! the identity before or the one after.

use std::io;
use std::path::{Path, PathBuf};

use northbound_wire::Fingerprint;
use rcgen::KeyPair;
use thiserror::Error;

use super::files::Files;
use super::pending::PendingKey;
use super::{Identity, term};
use crate::issue::IssueError;

const PENDING: &str = "pending.key";
const IDENTITY: &str = "identity.pem";
const NEXT: &str = "next.pem";
const TERM: &str = "term";

/// Around a private key.
const KEY_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const KEY_END: &str = "-----END PRIVATE KEY-----";

/// Why the folder does not do what it should. Never says what is in a file.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The disk, or rights on it.
    #[error("{path} cannot be read or written")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes that are not what the file is for.
    #[error("{path} is damaged: put back a copy of it, or enrol the hub again with a new token")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A hub that was enrolled has lost its identity.
    #[error(
        "the hub was enrolled, and {path} with its key and certificate is gone: put back a copy of it, or enrol the hub \
         again with a new token"
    )]
    Gone {
        /// Which.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error(transparent)]
    Key(#[from] IssueError),
}

/// The folder. Its calls block on the disk.
#[derive(Debug)]
pub struct IdentityDir {
    files: Files,
}

impl IdentityDir {
    /// Opens the folder or makes it (mode 0700).
    pub fn open(dir: &Path) -> Result<IdentityDir, IdentityError> {
        let files = Files::open(dir).map_err(|source| IdentityError::Io { path: dir.to_owned(), source })?;
        Ok(IdentityDir { files })
    }

    /// The identity in use; `None` before enrolment. Where it is gone or damaged and a renewed one lies beside it, that
    /// takes its place.
    pub fn current(&self) -> Result<Option<Identity>, IdentityError> {
        let known = match self.identity(IDENTITY) {
            // A term is seen by enrolled hubs only.
            Ok(None) if self.read(TERM)?.is_some() => {
                Err(IdentityError::Gone { path: self.files.path(IDENTITY) })
            }
            known => known,
        };
        if known.is_err()
            && let Some(next) = self.next()?
        {
            self.promote()?;
            return Ok(Some(next));
        }
        known
    }

    /// The identity of a renewal that has not proved itself; a damaged one is as good as none.
    pub fn next(&self) -> Result<Option<Identity>, IdentityError> {
        match self.identity(NEXT) {
            Err(IdentityError::Damaged { .. }) => self.discard_next().map(|()| None),
            other => other,
        }
    }

    /// The key to ask a certificate for: that of an identity that is damaged elsewhere, the one of a request that was cut
    /// short, or a new one.
    pub fn pending_key(&self) -> Result<PendingKey, IdentityError> {
        if let Some(pending) = self.key_of_damaged()? {
            return Ok(pending);
        }
        if let Some(text) = self.read(PENDING)? {
            let pair = std::str::from_utf8(&text).ok().and_then(|text| KeyPair::from_pem(text).ok());
            // A damaged key has no certificate: another does as well. One that has its certificate is used up.
            if let Some(pending) = pair.map(|pair| PendingKey { pair })
                && !self.is_used(&pending)
            {
                return Ok(pending);
            }
        }
        let pending = PendingKey::generate()?;
        self.write(PENDING, &pending.pair.serialize_pem())?;
        Ok(pending)
    }

    /// Stores the identity of an enrolment: it is in use from now on.
    pub fn install(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.write(IDENTITY, &identity.to_text())?;
        self.remove(NEXT)?;
        self.remove(PENDING)
    }

    /// Stores the identity of a renewal beside the one in use.
    pub fn keep_beside(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.write(NEXT, &identity.to_text())?;
        self.remove(PENDING)
    }

    /// Puts the renewed identity in the place of the old one, after a connection with it has worked.
    pub fn promote(&self) -> Result<(), IdentityError> {
        self.files.replace(NEXT, IDENTITY).map_err(|source| self.failed(NEXT, source))
    }

    /// Forgets the renewed identity.
    pub fn discard_next(&self) -> Result<(), IdentityError> {
        self.remove(NEXT)
    }

    /// The highest term seen of this root's central; 0 before the first, and of any other root.
    pub fn term(&self, root: Fingerprint) -> Result<u64, IdentityError> {
        let Some(text) = self.read(TERM)? else { return Ok(0) };
        match term::read(&text) {
            Some((of, term)) => Ok(if of == root { term } else { 0 }),
            None => Err(IdentityError::Damaged { path: self.files.path(TERM) }),
        }
    }

    /// The root of the central that a term was seen of last.
    pub fn root_seen(&self) -> Result<Option<Fingerprint>, IdentityError> {
        Ok(self.read(TERM)?.and_then(|text| term::read(&text)).map(|(root, _)| root))
    }

    /// Stores the highest term seen; on disk when this returns.
    pub fn save_term(&self, root: Fingerprint, term: u64) -> Result<(), IdentityError> {
        self.write(TERM, &term::write(root, term))
    }

    /// The key in an identity that is damaged elsewhere: central knows the hub by it, and lets it in again.
    fn key_of_damaged(&self) -> Result<Option<PendingKey>, IdentityError> {
        let Some(bytes) = self.read(IDENTITY)?.filter(|text| Identity::from_text(text).is_none()) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let begin = text.find(KEY_BEGIN).and_then(|at| text.get(at..));
        let key = begin.and_then(|text| Some(text.split_at(text.find(KEY_END)? + KEY_END.len()).0));
        Ok(key.and_then(|key| KeyPair::from_pem(key).ok()).map(|pair| PendingKey { pair }))
    }

    fn is_used(&self, pending: &PendingKey) -> bool {
        let of = |name| self.identity(name).ok().flatten();
        [IDENTITY, NEXT].into_iter().filter_map(of).any(|identity| pending.belongs_to(identity.leaf()))
    }

    fn identity(&self, name: &str) -> Result<Option<Identity>, IdentityError> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        match Identity::from_text(&text) {
            Some(identity) => Ok(Some(identity)),
            None => Err(IdentityError::Damaged { path: self.files.path(name) }),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        self.files.read(name).map_err(|source| self.failed(name, source))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), IdentityError> {
        self.files.write(name, text.as_bytes()).map_err(|source| self.failed(name, source))
    }

    fn remove(&self, name: &str) -> Result<(), IdentityError> {
        self.files.remove(name).map_err(|source| self.failed(name, source))
    }

    fn failed(&self, name: &str, source: io::Error) -> IdentityError {
        IdentityError::Io { path: self.files.path(name), source }
    }
}

#[cfg(test)]
#[path = "dir_test.rs"]
mod tests;
