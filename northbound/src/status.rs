//! What the hub shows of its link: state, progress, counters.

mod counters;
mod overtaken;

use std::sync::Arc;

use hub_model::Class;
use northbound_sync::LaneProgress;
use northbound_trust::{HubName, Identity, Validity};
use northbound_wire::RefusalCode;
use tokio::sync::watch;

pub use counters::{CounterRow, LinkCounters};
pub use overtaken::{Origin, Overtaken};

/// Where the link is. Times are those of [`crate::Clocks::mono_ms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No address is configured.
    Off,
    /// There is no certificate, and nothing to get one with.
    NotEnrolled {
        /// Why, and what to do.
        why: String,
    },
    /// There is no connection yet, or none any more.
    Connecting {
        /// The address that is tried, or was tried last.
        endpoint: String,
        /// Rounds over all addresses since it last worked.
        attempt: u32,
        /// What went wrong last.
        last: Option<Failed>,
        /// When it is tried again; `None` while it is tried.
        retry_at_ms: Option<u64>,
    },
    /// Central has answered.
    Connected {
        /// Through which address.
        endpoint: String,
        /// Since when.
        since_ms: u64,
        /// The version of the protocol.
        version: u32,
        /// Central's term.
        term: u64,
        /// A round trip.
        rtt_ms: u64,
    },
    /// One side said no for a reason that waiting alone does not mend.
    Refused {
        /// Why, as metrics count it.
        code: RefusalCode,
        /// What, why and what to do.
        detail: String,
        /// Through which address.
        endpoint: String,
        /// Since when.
        at_ms: u64,
        /// When it is tried again all the same; `None`: not before something changes.
        retry_at_ms: Option<u64>,
    },
}

/// An attempt that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// At which address.
    pub endpoint: String,
    /// What, why and what to do.
    pub what: String,
    /// When.
    pub at_ms: u64,
}

/// Everything the hub shows of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Where it is.
    pub state: LinkState,
    /// Organisation, site and hub, once enrolled.
    pub name: Option<HubName>,
    /// What people call the site.
    pub site_name: Option<String>,
    /// When the certificate holds.
    pub certificate: Option<Validity>,
    /// Why the last renewal failed. The link works on meanwhile.
    pub renewal_error: Option<String>,
    /// Lanes rest: central holds numbers that this log never gave out.
    pub overtaken: Option<Overtaken>,
    /// Where every lane is.
    pub lanes: Vec<LaneProgress>,
    /// What was counted since the process started.
    pub counters: LinkCounters,
}

impl LinkStatus {
    /// In this state, and nothing known beside it.
    pub fn new(state: LinkState) -> LinkStatus {
        LinkStatus {
            state,
            name: None,
            site_name: None,
            certificate: None,
            renewal_error: None,
            overtaken: None,
            lanes: Vec::new(),
            counters: LinkCounters::default(),
        }
    }

    /// Sealed numbers that central has not confirmed, of one class.
    pub fn unconfirmed(&self, class: Class) -> u64 {
        let of_class = self.lanes.iter().filter(|lane| lane.lane.class == class);
        of_class.map(|lane| lane.next.saturating_sub(lane.confirmed)).sum()
    }

    /// Whether central answers.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, LinkState::Connected { .. })
    }

    /// Everything as rows for `/metrics`.
    pub fn rows(&self) -> Vec<CounterRow> {
        counters::rows(self)
    }
}

/// Where the link writes its status.
#[derive(Clone, Debug)]
pub(crate) struct StatusCell(Arc<watch::Sender<LinkStatus>>);

impl StatusCell {
    pub(crate) fn new(state: LinkState) -> StatusCell {
        StatusCell(Arc::new(watch::Sender::new(LinkStatus::new(state))))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<LinkStatus> {
        self.0.subscribe()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.0.send_modify(change);
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut LinkCounters)) {
        self.update(|status| change(&mut status.counters));
    }

    pub(crate) fn state(&self, state: LinkState) {
        self.update(|status| status.state = state);
    }

    pub(crate) fn overtaken(&self) -> Option<Overtaken> {
        self.0.borrow().overtaken.clone()
    }

    pub(crate) fn identity(&self, identity: &Identity) {
        self.update(|status| {
            status.name = Some(identity.name());
            status.site_name = Some(identity.site_name().to_owned());
            status.certificate = Some(identity.validity());
        });
    }
}
