//! The sealed side of the log: one redb file, one source file per table.
//!
//! Keys begin with the log epoch and are big-endian, so that their order is the order of the log. Everything one seal
//! writes goes into one transaction with immediate durability.

pub(crate) mod block;
pub(crate) mod clock;
pub(crate) mod confirmed;
pub(crate) mod cover;
pub(crate) mod cursor;
pub(crate) mod definition;
pub(crate) mod dup;
pub(crate) mod evict;
pub(crate) mod gap;
pub(crate) mod mend;
pub(crate) mod quarantine;
pub(crate) mod run;
pub(crate) mod store_info;
pub(crate) mod time_index;

mod backend;
mod tables;
#[cfg(test)]
mod testing;

pub use tables::TableError;
use tables::{LedgerChange, index_row, insert_gaps};
pub(crate) use tables::{SealWrite, Snapshot, Tables};

use hub_model::{Class, LogEpoch};
use redb::TableDefinition;

/// Every table maps bytes to bytes; its file says which.
pub(crate) type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Epoch, class and a sequence number: the key of everything that has a place in a class's sequence.
pub(crate) fn place_key(epoch: LogEpoch, class: Class, from: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[..8].copy_from_slice(&epoch.0.to_be_bytes());
    key[8] = class.number();
    key[9..].copy_from_slice(&from.to_be_bytes());
    key
}

/// The sequence number in a [`place_key`].
pub(crate) fn place_from(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(9..17)?.try_into().ok()?))
}
