//! What the handlers share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use hub_chassis::http::{AnswerCounts, ConnectionCounts, Problem, RequestIds};
use hub_chassis::metrics::MetricRow;
use hub_chassis::supervisor::Supervisor;
use hub_chassis::time_text::format_utc;
use hub_model::{BootStamp, Stamp};
use hub_store::{LogHandle, Reader};
use northbound::Link;
use tokio::sync::Semaphore;

use super::guard::Surface;
use super::problem::internal;
use super::progress::Progress;
use crate::clock::Clock;
use crate::devices::Devices;
use crate::intake::SharedRegistry;
use crate::room::Written;
use crate::settings::SettingsReader;
use crate::wear::Wear;

/// Exports at once: each holds a blocking thread and reads the disk.
const EXPORTS_MAX: usize = 2;

/// Queries of the log at once; more wait.
const QUERIES_MAX: usize = 4;

/// A part of the hub that has numbers to tell.
pub type MetricSource = Arc<dyn Fn() -> Vec<MetricRow> + Send + Sync>;

/// Says why the hub does not do its work; `None` when it does.
pub type HealthSource = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The hub as the API sees it.
pub struct Api {
    /// Fixed at start.
    pub facts: Facts,
    /// Reads time.
    pub clock: Clock,
    /// The log, for its numbers.
    pub log: LogHandle,
    /// The log, for its content.
    pub reader: Reader,
    /// Devices, series, last values.
    pub registry: SharedRegistry,
    /// Tasks.
    pub supervisor: Supervisor,
    /// The way to central.
    pub link: Link,
    /// The devices the hub asks.
    pub devices: Devices,
    /// Parts with numbers beyond those above.
    pub metric_sources: Vec<MetricSource>,
    /// Parts that can fail.
    pub health_sources: Vec<HealthSource>,
    /// Counts of the API itself.
    pub counts: WebCounts,
    /// How fast blocks are written.
    written: Mutex<Written>,
    /// How fast anything is. From the first look on, when all its sources are there.
    pub(super) wear: Mutex<Option<Wear>>,
    pub(super) request_ids: RequestIds,
    pub(super) progress: Progress,
    pub(super) exports: Arc<Semaphore>,
    /// One at a time: it reads everything there is.
    pub(super) verifications: Arc<Semaphore>,
    pub(super) queries: Arc<Semaphore>,
}

/// What the hub has on its two sides.
pub struct Sides {
    /// The way to central.
    pub link: Link,
    /// The devices the hub asks.
    pub devices: Devices,
}

/// What does not change while the hub runs, and the way to what a reload changes.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The hub's identity.
    pub hub: hub_model::HubId,
    /// Where data is.
    pub storage_dir: PathBuf,
    /// What listens, with actual ports.
    pub listeners: Vec<Listener>,
    /// Whether the last run ended in order.
    pub started_clean: bool,
    /// The log's life.
    pub epoch: hub_model::LogEpoch,
    /// Site name, host names, quota.
    pub settings: SettingsReader,
}

/// Something that listens.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Listener {
    /// `mqtt`, `web` or `socket`.
    pub kind: String,
    /// IP address and port, or a path.
    pub address: String,
}

/// What came in, by surface.
#[derive(Debug, Default)]
pub struct WebCounts {
    answers: [AnswerCounts; 2],
    foreign_hosts: AtomicU64,
    connections: AtomicU64,
}

impl WebCounts {
    pub(super) fn answered(&self, surface: Surface, status: StatusCode) {
        self.answers[surface as usize].answered(status);
    }

    pub(super) fn foreign_host(&self) {
        self.foreign_hosts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn metrics(&self) -> Vec<MetricRow> {
        let mut rows = vec![
            MetricRow::counter(
                "relais_web_connections_total",
                "Connections accepted by the local API.",
                self.connections.load(Ordering::Relaxed),
            ),
            MetricRow::counter(
                "relais_web_foreign_hosts_total",
                "Requests refused for a Host header that is not one of this hub's names.",
                self.foreign_hosts.load(Ordering::Relaxed),
            ),
        ];
        for surface in [Surface::Web, Surface::Socket] {
            let row = MetricRow::counter("relais_web_requests_total", "Requests answered.", 0);
            rows.extend(self.answers[surface as usize].rows(&row.label("surface", surface.name())));
        }
        rows
    }
}

impl ConnectionCounts for Api {
    fn accepted(&self) {
        self.counts.connections.fetch_add(1, Ordering::Relaxed);
    }
}

impl Api {
    /// The API over these parts.
    pub fn new(
        facts: Facts,
        clock: Clock,
        log: LogHandle,
        registry: SharedRegistry,
        supervisor: Supervisor,
        sides: Sides,
    ) -> Api {
        Api {
            facts,
            written: Mutex::new(Written::new(clock.now().mono_ms)),
            wear: Mutex::new(None),
            request_ids: RequestIds::new(clock.started().mono_ms),
            clock,
            reader: log.reader(),
            log,
            registry,
            supervisor,
            link: sides.link,
            devices: sides.devices,
            metric_sources: Vec::new(),
            health_sources: Vec::new(),
            counts: WebCounts::default(),
            progress: Progress::default(),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            verifications: Arc::new(Semaphore::new(1)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
        }
    }

    /// Room taken in the storage folder, as the file system counts it: files may be preallocated or sparse.
    pub(super) fn storage_used(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let entries = std::fs::read_dir(&self.facts.storage_dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
    }

    /// Room on the file system for this program; `None` where it does not say.
    pub(super) fn disk_free(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.facts.storage_dir).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }

    /// Takes a sample of what was written, every [`crate::room::SAMPLE_EVERY`]. The first one begins the count of wear.
    pub fn note_written(&self) {
        self.note_wear();
        self.written().note(self.clock.now().mono_ms, self.log.stats().block_bytes_sealed);
    }

    /// What is written to blocks in a day; `None` while that is not known.
    pub(super) fn bytes_per_day(&self) -> Option<u64> {
        let gather_ms = self.gather_ms();
        let bytes = self.log.stats().block_bytes_sealed;
        self.written().bytes_per_day(self.clock.now().mono_ms, bytes, gather_ms)
    }

    /// Blocks are written when they are full or so old.
    pub(super) fn gather_ms(&self) -> u64 {
        u64::try_from(self.facts.settings.now().seal_after.as_millis()).unwrap_or(u64::MAX)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the log on a blocking thread, a few requests at a time.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Api>,
        read: impl FnOnce(&Api) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit =
            self.queries.clone().acquire_owned().await.map_err(|_| internal("queries are closed"))?;
        let api = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let result = read(&api);
            drop(permit);
            result
        });
        reading.await.unwrap_or_else(|_| Err(internal("reading the log failed unexpectedly")))
    }
}

/// A stamp as the API states it: time and how far to trust it.
pub(super) struct TimeView {
    pub(super) time: Option<String>,
    pub(super) clock: &'static str,
}

/// A moment of the hub's clock. Unset until the clock is known.
pub(super) fn view_boot(clock: &hub_model::BootClock, at: BootStamp) -> TimeView {
    let resolved = clock.resolve(at);
    TimeView { time: resolved.utc.map(format_utc), clock: resolved.quality.name() }
}

/// A sample's time. One the device states is taken as it is; the clock then is that of its arrival.
pub(super) fn view_stamp(clock: &hub_model::BootClock, stamp: Stamp, received: BootStamp) -> TimeView {
    match stamp {
        Stamp::Boot(at) => view_boot(clock, at),
        Stamp::Wall(utc, _) => {
            TimeView { time: Some(format_utc(utc)), clock: clock.resolve(received).quality.name() }
        }
    }
}
