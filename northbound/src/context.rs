//! What every part of the link shares.

use std::sync::Arc;

use northbound_trust::{HubName, IdentityDir};
use northbound_wire::ClaimToken;
use tokio::sync::oneshot;

use crate::config::LinkConfig;
use crate::dial::Trouble;
use crate::outbox::Outbox;
use crate::session::Reached;
use crate::status::StatusCell;
use crate::tasks::{Clocks, Spawn};

/// What people ask of the link while it runs.
#[derive(Debug)]
pub(crate) enum Command {
    /// Enrol with this token, whatever the hub was before.
    Enrol {
        token: ClaimToken,
        /// Who the hub is from now on, or why not.
        answer: oneshot::Sender<Result<HubName, String>>,
    },
}

/// Configuration, log, tasks, clocks, status and identity.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Arc<LinkConfig>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) clocks: Clocks,
    pub(crate) status: StatusCell,
    pub(crate) dir: Arc<IdentityDir>,
    pub(crate) reached: Arc<Reached>,
}

impl Context {
    /// The address at a place of the list, as people wrote it.
    pub(crate) fn endpoint(&self, place: usize) -> String {
        self.config.endpoints.get(place).map(ToString::to_string).unwrap_or_default()
    }

    /// Counts an attempt that came to nothing.
    pub(crate) fn count_failure(&self, trouble: &Trouble) {
        self.status.count(|counters| {
            counters.failures += 1;
            if let Some(refusal) = trouble.refusal() {
                counters.refused(refusal.code);
            }
        });
    }
}
