//! What the page sees of the hub, kept up to date: a table of documents, each with the revision at which it last changed.
//!
//! [`message`] has the documents and the message that carries them. `revisions` is the core: it decides what a client that
//! holds some revision is to be sent, and does no I/O. [`Live`] is the shell: one task that looks at the hub once a second
//! while anyone listens, and a body for each stream. [`Hub`] is the hub, as this crate sees it.

mod body;
mod hub;
pub mod message;
mod revisions;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use hub::{Hub, View};
pub use task::{Asked, LISTENERS_MAX, Live, Refused};
