//! The telemetry log of a hub: what is acknowledged is on flash, and what is gone says why.
//!
//! Two tiers, because of flash wear: commits go to a preallocated write-ahead log, one page and one fdatasync each;
//! from time to time what gathered there is sealed into compressed blocks in redb, in one transaction. Start reading
//! with [`open`] and [`LogHandle`], go on with `log.rs` (the core: numbering, committing, planning), then `wal/`,
//! `block/`, `table/` and `open.rs` (what a crash leaves and how it is read back).

mod append;
pub mod block;
mod catalog;
#[cfg(test)]
mod crash_test;
pub mod disk;
mod dup;
mod field;
pub mod fuzz;
mod handle;
mod ledger;
mod log;
#[cfg(test)]
mod log_test;
#[cfg(test)]
mod loss_test;
mod open;
mod outbox;
#[cfg(test)]
mod outbox_test;
mod queue;
mod reader;
mod record;
mod repeated;
mod salvage;
mod seal;
mod sealer;
mod shared;
mod stats;
mod table;
mod tail;
mod verify;
#[cfg(test)]
mod verify_test;
mod wal;
#[cfg(test)]
mod wear_test;
mod writer;

pub use append::{
    APPEND_RECORDS_MAX, Append, AppendError, PublishMark, Publisher, RefusedAppend, SampleClass, Stored,
    Urgency,
};
pub use catalog::Catalog;
pub use field::Malformed;
pub use handle::{
    Clock, CloseError, LogConfig, LogHandle, LogLimits, Receipt, SealError, SealTrouble, open, open_on,
};
pub use ledger::{ClassLedger, Ledger};
pub use open::{OpenContext, OpenError, Recovery};
pub use outbox::{Content, HeldClass, OUTBOX_ITEMS_MAX, Outbox, OutboxItem, Recheck};
pub use reader::{ReadError, Reader, Reading, Records, SampleQuery, Samples};
pub use record::{Definition, Record};
pub use stats::LogStats;
pub use table::TableError;
pub use table::run::{RUNS_MAX, Run};
pub use verify::{Finding, FindingKind, Verification, Verified};
