//! Where hubs connect: QUIC on one port, for enrolment and for sync.
//!
//! `listener` accepts and bounds; `connection` finds out who it is and what it wants; `enrol` gives certificates;
//! `session` runs one hub's sync around [`northbound_sync::CentralSync`], with `reader` below it; `sessions` knows who
//! is connected; `hellos` bounds how often each is answered; `refill` has hubs asked again for what went bad; `refusals` writes what is refused to the audit without letting an attacker fill it.
//!
//! Invariants: nothing of a hub is taken before its certificate was verified and its state looked up; a hub has one
//! session at most; every refusal has a code, is said to the peer, counted and audited.

mod connection;
mod enrol;
mod hellos;
mod listener;
mod reader;
mod refill;
mod refusals;
mod session;
mod sessions;
mod transport;

pub use listener::{ListenError, Listener};
pub use refill::refill;
pub use refusals::Refusals;
pub use sessions::{Connected, Sessions};

use std::sync::Arc;

use hub_chassis::supervisor::Supervisor;
use northbound_trust::Authority;

use crate::clock::Clock;
use crate::counts::Counts;
use crate::ingest::Ingest;
use crate::storage::Storage;

/// What every connection needs. Clones share it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where everything is kept.
    pub storage: Storage,
    /// Where blocks go.
    pub ingest: Ingest,
    /// Who gives certificates.
    pub authority: Arc<Authority>,
    /// What hubs are told; fixed while central runs.
    pub term: u64,
    /// Who is connected.
    pub sessions: Sessions,
    /// Refusals for the audit.
    pub refusals: Arc<Refusals>,
    /// For `/metrics`.
    pub counts: Arc<Counts>,
    /// The machine's clocks.
    pub clock: Clock,
    /// Owner of every task.
    pub supervisor: Supervisor,
}
