//! What the hub has not acknowledged yet: in memory while the hub is there, in a small ring file while it is away.
//!
//! [`Queue`] decides: order, bounds, what is written when. [`Ring`] is the file's format over a [`Medium`], which is
//! [`QueueFile`] on a device and memory in tests.
//!
//! **Flash.** While the hub acknowledges, nothing is written. A message that waited [`SPILL_AFTER`] goes to the file with
//! all others that wait, in one write and one `fdatasync` into room allocated at the start. So an outage costs one sync
//! a minute, and a power cut costs what was younger than that. An orderly stop writes what is left. What was delivered is
//! noted in the file without a sync while it drains, and with one when it is empty: after a power cut in between, messages
//! are sent again, with DUP, and the hub recognises them.

mod backlog;
mod file;
mod record;
mod ring;
#[cfg(test)]
mod sim;

pub use backlog::{FRESH_BYTES_MAX, Outgoing, Queue, SPILL_AFTER, boot_number};
pub use file::QueueFile;
pub use record::{BODY_BYTES_MAX, Kind, Record, Taken};
pub use ring::{Medium, OpenError, Ring, SEGMENTS};
#[cfg(test)]
pub(crate) use sim::SimMedium;
