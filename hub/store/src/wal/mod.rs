//! The write-ahead log: preallocated files used in turn, one commit at a time, each followed by one fdatasync.
//!
//! Owns the files `wal-NNN`. Invariants: a page that holds an acknowledged commit is never rewritten; a file is used
//! again only when everything in it is in the tables; a file holds no commit before the tables list it, and goes only
//! when they do not list it any more; write N+1 starts after the sync of N. Formats are described in
//! `docs/reference/formats/wal.md`; the order of reading is [`header`], [`commit`], [`frame`], then [`recovery`].

pub(crate) mod commit;
pub(crate) mod frame;
pub(crate) mod group;
pub(crate) mod header;
pub(crate) mod pending;
pub(crate) mod recovery;
#[cfg(test)]
mod recovery_test;
mod writer;

pub(crate) use writer::{KnownFile, Sealed, Wal, WalConfig, WalError};

/// Commits begin on this boundary, the page of the flash and file systems we meet.
pub(crate) const PAGE: usize = 4096;

/// The next page boundary at or after `len`.
pub(crate) const fn pages(len: usize) -> usize {
    len.div_ceil(PAGE) * PAGE
}
