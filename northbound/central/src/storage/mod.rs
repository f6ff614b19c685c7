//! What central keeps: metadata in SQL, blocks in pack objects, one folder for both.
//!
//! Owns the folder, its lock, the database with its schema, and one file of statements per table; the statements are
//! the same for SQLite and PostgreSQL (`$1`, `ON CONFLICT`). Leaves to others what rows mean together: `ingest` owns
//! `ranges` and `coverage` and is the only one that changes them while central runs.
//!
//! Invariants: every row carries `org_id`; numbers for kinds are fixed and never reused; a row in `ranges` that names
//! an object was committed after that object was synced.

mod admission;
mod audit;
mod cell;
mod certificates;
mod clocks;
mod coverage;
mod damaged;
mod database;
mod devices;
mod epochs;
mod error;
mod folder;
mod hubs;
mod objects;
mod orgs;
mod packs;
mod ranges;
mod runs;
mod schema;
mod series;
mod settings;
mod sites;
mod tokens;
mod writer;
mod zero_gaps;

#[cfg(test)]
mod tests;

pub use admission::Admission;
pub use audit::{AuditEntry, AuditError, AuditRow, Outcome};
pub use certificates::Certificate;
pub use database::{Db, Reading, Storage, Writing};
pub use devices::{DeviceListing, DeviceRow};
pub use error::StorageError;
pub use folder::FolderLock;
pub use hubs::{EnrolRefusal, Enrolment, HubRow, HubSeen, HubState};
pub use objects::{ObjectId, ObjectRow};
pub use packs::{PackError, Packs};
pub(crate) use ranges::BlockSpan;
pub use ranges::{BlockRow, Decoded, GapRow, RangeBody, RangeRow};
pub(crate) use series::SeriesPlace;
pub use series::{SeriesListing, SeriesRow};
pub use sites::Site;
pub use tokens::{NewToken, TokenId, TokenKind, TokenRow, secret_hash};
