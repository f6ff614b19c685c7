//! The hub's link to central: QUIC around `northbound-sync`.
//!
//! [`Link`] keeps one connection to the first of central's addresses that answers, enrols the hub where it has no
//! certificate yet, and carries blocks north and confirmations back. What to say and what to send again is decided by
//! [`northbound_sync::HubSync`]; who is believed by `northbound-trust`; what is on disk belongs to the hub's log, which
//! the hub hands in as an [`Outbox`].
//!
//! Invariants: nothing that goes wrong here stops the hub; every queue is bounded; reading never waits for writing; a
//! term is on flash before anything of it is acted on. Read [`Link::run`] first, then `session.rs`.

mod config;
mod context;
mod dial;
mod enrol;
mod link;
mod outbox;
mod random;
mod session;
mod status;
mod tasks;
pub mod transport;

pub use config::{LinkConfig, Timing};
pub use dial::{EndpointError, EndpointName, Trouble};
pub use link::{Link, LinkParts};
pub use outbox::{HeldClass, Outbox, OutboxError};
pub use status::{CounterRow, Failed, LinkCounters, LinkState, LinkStatus, Origin, Overtaken};
pub use tasks::{BoxedTask, Clocks, Spawn};

pub use northbound_sync::{Content, HubRun, Item, LaneProgress, Recheck};
