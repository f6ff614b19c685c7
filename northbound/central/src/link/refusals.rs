//! Refusals: counted, logged, and written to the audit within the bounds of [`Denials`], which the API shares.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use northbound_wire::RefusalCode;

use crate::clock::Clock;
use crate::counts::Counts;
use crate::denials::Denials;
use crate::storage::{AuditEntry, Outcome, Storage};

/// What was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// Who: a hub's id, or what it said; may be empty.
    pub(super) actor: String,
    /// What: `hub.connect`.
    pub(super) action: &'static str,
    /// Why.
    pub(super) code: RefusalCode,
    /// For people.
    pub(super) detail: String,
    /// From where.
    pub(super) address: IpAddr,
}

/// Where refusals go.
#[derive(Debug)]
pub struct Refusals {
    storage: Storage,
    counts: Arc<Counts>,
    clock: Clock,
    denials: Arc<Mutex<Denials>>,
}

impl Refusals {
    /// Nothing refused yet.
    pub fn new(
        storage: Storage,
        counts: Arc<Counts>,
        clock: Clock,
        denials: Arc<Mutex<Denials>>,
    ) -> Arc<Refusals> {
        Arc::new(Refusals { storage, counts, clock, denials })
    }

    /// Counts a refusal and writes it to the audit. An audit that cannot be written is logged: the refusal stands.
    pub(super) async fn note(&self, refused: Refused) {
        let Refused { actor, action, code, detail, address } = refused;
        self.counts.link_refused(code);
        let listed =
            self.denials.lock().unwrap_or_else(PoisonError::into_inner).denied(address, self.clock.mono_ms());
        if !listed {
            self.counts.link_unlisted.add(1);
            tracing::debug!(code = code.name(), %address, hub = actor, action, "refused: {detail}");
            return;
        }
        tracing::warn!(code = code.name(), %address, hub = actor, action, "refused: {detail}");
        let entry = AuditEntry {
            actor: if actor.is_empty() { "unknown".to_owned() } else { actor },
            action: action.to_owned(),
            target: String::new(),
            outcome: Outcome::Denied,
            address: address.to_string(),
            detail: format!("{}: {detail}", code.name()),
        };
        if let Err(error) = self.storage.audit(&entry, self.clock.utc()).await {
            tracing::error!(%error, action, "a refusal could not be written to the audit");
        }
    }
}
