//! The device agent: tells the hub, over MQTT, how the Linux device under it is.
//!
//! Owns what is measured ([`metrics`]), what is kept while the hub is away ([`queue`]), how it is sent ([`mqtt`]) and
//! the daemon around them. Leaves the meaning of topics and payloads to `southbound-wire`, and storage to the hub.
//!
//! Cores decide and do no I/O: [`metrics::Collector`], [`queue::Queue`], [`mqtt::Session`] and [`Agent`], which joins
//! them; time comes in as a [`Moment`]. Shells read and write: [`host`], [`queue::QueueFile`], [`daemon`]. The agent is
//! one thread in a poll loop, plus one that lives while a connection is being made: lookups of names cannot be polled.
//!
//! The invariant: what was queued leaves the queue only when the hub acknowledged it, or with a count. Read [`Agent`]
//! next.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod hello;
pub mod host;
mod json;
pub mod log;
pub mod metrics;
pub mod mqtt;
pub mod notify;
pub mod queue;

pub use agent::Agent;
pub use clock::Moment;
