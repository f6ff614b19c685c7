//! What all parts of the running service share.

use std::sync::{Arc, Mutex};

use hub_chassis::http::{AnswerCounts, RequestIds};
use hub_chassis::metrics::MetricRow;
use hub_chassis::supervisor::Supervisor;
use northbound_trust::{Authority, ServerCertificate, TimeSource};

use crate::clock::Clock;
use crate::counts::Counts;
use crate::denials::Denials;
use crate::ingest::Ingest;
use crate::link::Sessions;
use crate::query::Query;
use crate::storage::Storage;

/// A part with numbers beyond [`Counts`].
pub type MetricSource = Arc<dyn Fn() -> Vec<MetricRow> + Send + Sync>;

/// The running service. Shared by `Arc`.
pub struct App {
    /// Reads time.
    pub clock: Clock,
    /// Rows and objects; tokens, hubs and the audit with them.
    pub storage: Storage,
    /// Where blocks and gaps go.
    pub ingest: Ingest,
    /// Reads them.
    pub query: Query,
    /// Counters of all parts.
    pub counts: Arc<Counts>,
    /// Tasks.
    pub supervisor: Supervisor,
    /// Issues certificates.
    pub authority: Arc<Authority>,
    /// Central's own; renewed while serving.
    pub certificate: Arc<ServerCertificate>,
    /// The time by which certificates are judged.
    pub time: TimeSource,
    /// What hubs are told; fixed for this run.
    pub term: u64,
    /// Hubs that are connected.
    pub sessions: Sessions,
    /// Parts with numbers of their own.
    pub metric_sources: Vec<MetricSource>,
    /// Ids of requests to the API.
    pub request_ids: RequestIds,
    /// Answers of the API.
    pub answers: AnswerCounts,
    /// Denials the audit only counts, of the API and of the link.
    pub denials: Arc<Mutex<Denials>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("org", &self.storage.org())
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}
