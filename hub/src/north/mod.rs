//! The way north: joins the link to central with the log, the supervisor and the clocks.
//!
//! What is said and sent is decided in `northbound`; what is on disk belongs to `hub-store`. Here the one gets to know
//! the other.

mod outbox;
mod view;

pub use view::{LinkView, link_facts, link_view};
pub(crate) use view::{lost_enrolment, placed};

use std::path::Path;
use std::sync::Arc;

use hub_chassis::supervisor::Supervisor;
use hub_model::{BootId, HubId, UtcMs};
use hub_store::LogHandle;
use northbound::{Clocks, Link, LinkConfig, LinkParts, Timing};
use northbound_trust::TimeSource;

use crate::clock::Clock;
use crate::config::NorthConfig;
use crate::driver_tasks::DriverTasks;

/// Folder of key and certificate, below the storage folder.
const IDENTITY_DIR: &str = "north";

/// Who this hub is, for the link.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// The hub.
    pub hub: HubId,
    /// This run of its machine.
    pub boot: BootId,
    /// The latest time an earlier run was sure of: certificates are not judged by an earlier one.
    pub last_known_good: UtcMs,
    /// For jitter.
    pub seed: u64,
    /// This run of the hub on its log.
    pub run: hub_store::Run,
}

/// The link, not yet running.
pub fn link(
    config: &NorthConfig,
    storage_dir: &Path,
    who: Who,
    log: &LogHandle,
    clock: Clock,
    supervisor: &Supervisor,
) -> Link {
    let config = LinkConfig {
        endpoints: config.central.clone(),
        identity_dir: storage_dir.join(IDENTITY_DIR),
        token_file: config.enroll_token_file.clone(),
        hub: who.hub,
        boot: who.boot,
        program: concat!("relais-hub ", env!("CARGO_PKG_VERSION")).to_owned(),
        seed: who.seed,
        timing: Timing::default(),
    };
    let clocks = Clocks {
        mono_ms: Arc::new(move || clock.now().mono_ms),
        utc: TimeSource::new(move || clock.utc()).never_before(who.last_known_good),
    };
    let parts = LinkParts {
        outbox: Arc::new(outbox::LogOutbox::new(log, who.run)),
        spawn: Arc::new(DriverTasks(supervisor.clone())),
        clocks,
        stop: supervisor.stop_signal(),
    };
    Link::new(config, parts)
}
