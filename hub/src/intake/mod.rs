//! From what devices say to what the log stores.
//!
//! [`Registry`] is the core: it knows every device and series, gives out ids, and turns a message into one
//! [`hub_store::Append`]. [`Intake`] is the task around it: it hands appends to the log and answers the driver, but
//! never before the log says "stored". The API reads the same registry for lists and last values.

mod last;
mod refusal;
mod registry;
mod task;

pub use last::{Heard, LAST_TEXT_BYTES_MAX, LastValue};
pub use refusal::Refusal;
pub use registry::{Counts, Entropy, Limits, Plan, Registry};
pub use task::{INBOX_MESSAGES, Intake, IntakeProbe, Progress, SharedRegistry};
