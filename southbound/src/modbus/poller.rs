//! Owns the links: one for each endpoint that has devices. Takes new device lists while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_chassis::metrics::MetricRow;
use hub_chassis::supervisor::stopped;
use hub_model::DeviceName;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

use super::device::{Device, Endpoint};
use super::link::{Around, Link};
use super::resolve::Lookups;
use super::test::{TestReport, TestRequest};
use super::view::{DeviceView, LinkShared};
use crate::ingest::IngestSender;
use crate::tasks::Clock;

/// Tests that wait for one endpoint; more are told that it is busy.
const TESTS_MAX: usize = 4;

/// A test of a device with many blocks, each answered late, ends here for whoever waits.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Before a link that ended unexpectedly is run again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// The Modbus driver. Cheap to clone; [`Poller::run`] is its task.
#[derive(Clone)]
pub struct Poller {
    around: Around,
    wanted: Arc<watch::Sender<Vec<Device>>>,
    links: Arc<Mutex<BTreeMap<Endpoint, Handle>>>,
}

/// A running link.
#[derive(Clone)]
struct Handle {
    devices: Vec<Device>,
    shared: Arc<LinkShared>,
    tests: mpsc::Sender<TestRequest>,
    stop: Arc<watch::Sender<bool>>,
}

/// Why a test has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TestError {
    /// No such device here.
    #[error("no device of this name is read over Modbus")]
    Unknown,
    /// Too many tests.
    #[error("the endpoint has tests enough to do; wait for these")]
    Busy,
    /// Too long.
    #[error("the test has not ended within 30 s")]
    Timeout,
}

impl Poller {
    /// A poller for these devices, at rest until [`Poller::run`]. `seed` spreads its moments.
    pub fn new(ingest: IngestSender, clock: Arc<dyn Clock>, seed: u64, devices: Vec<Device>) -> Poller {
        let around = Around { ingest, clock, seed, lookups: Lookups::default() };
        Poller { around, wanted: Arc::new(watch::Sender::new(devices)), links: Arc::default() }
    }

    /// Reads these devices from now on. Links whose devices stay the same go on undisturbed.
    pub fn apply(&self, devices: Vec<Device>) {
        self.wanted.send_replace(devices);
    }

    /// Every device and how it is, by name.
    pub fn devices(&self) -> Vec<DeviceView> {
        let mut views: Vec<_> = self.lock().values().flat_map(|link| link.shared.devices()).collect();
        views.sort_by(|a, b| a.device.name.cmp(&b.device.name));
        views
    }

    /// The numbers of all links.
    pub fn metrics(&self) -> Vec<MetricRow> {
        self.lock().values().flat_map(|link| link.shared.metrics()).collect()
    }

    /// Reads a device once, out of turn.
    pub async fn test(&self, device: &DeviceName) -> Result<TestReport, TestError> {
        let (answer, report) = oneshot::channel();
        let tests = {
            let links = self.lock();
            let link = links.values().find(|link| link.devices.iter().any(|known| known.name == *device));
            link.ok_or(TestError::Unknown)?.tests.clone()
        };
        let request = TestRequest { device: device.clone(), answer };
        tests.try_send(request).map_err(|_| TestError::Busy)?;
        match tokio::time::timeout(TEST_TIMEOUT, report).await {
            Ok(Ok(report)) => Ok(report),
            // The list changed meanwhile, and with it the link.
            Ok(Err(_)) => Err(TestError::Unknown),
            Err(_) => Err(TestError::Timeout),
        }
    }

    /// Runs until the stop signal.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut wanted = self.wanted.subscribe();
        let mut running: JoinSet<Endpoint> = JoinSet::new();
        // A poller that is run again begins anew.
        self.lock().clear();
        loop {
            let devices = wanted.borrow_and_update().clone();
            self.converge(devices, &mut running);
            tokio::select! {
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ended) = running.join_next() => self.ended(ended).await,
                () = stopped(&mut stop) => {
                    self.lock().values().for_each(|link| {
                        link.stop.send_replace(true);
                    });
                    while running.join_next().await.is_some() {}
                    return;
                }
            }
        }
    }

    /// Starts, restarts and stops links until they are those of the list.
    fn converge(&self, devices: Vec<Device>, running: &mut JoinSet<Endpoint>) {
        let mut wanted: BTreeMap<Endpoint, Vec<Device>> = BTreeMap::new();
        for device in devices {
            wanted.entry(device.endpoint.clone()).or_default().push(device);
        }
        let mut links = self.lock();
        let mut leaving: BTreeMap<Endpoint, Arc<watch::Sender<bool>>> = BTreeMap::new();
        links.retain(|endpoint, link| {
            let stays = wanted.get(endpoint) == Some(&link.devices) && !link.tests.is_closed();
            if !stays {
                link.stop.send_replace(true);
                leaving.insert(endpoint.clone(), link.stop.clone());
            }
            stays
        });
        for (endpoint, devices) in wanted {
            if links.contains_key(&endpoint) {
                continue;
            }
            info!(%endpoint, devices = devices.len(), "reading over Modbus");
            let (tests, inbox) = mpsc::channel(TESTS_MAX);
            let (stop, stopping) = watch::channel(false);
            let shared = Arc::new(LinkShared::new(endpoint.clone(), &devices));
            let link =
                Link::new(endpoint.clone(), devices.clone(), self.around.clone(), shared.clone(), inbox);
            let (name, before) = (endpoint.clone(), leaving.remove(&endpoint));
            running.spawn(async move {
                // A device may have one connection only: the old link must have let go of it.
                if let Some(before) = before {
                    before.closed().await;
                }
                // Held to the end, when the link's connection is closed: whoever comes next waits for that.
                let _ended = stopping.clone();
                link.run(stopping).await;
                name
            });
            links.insert(endpoint, Handle { devices, shared, tests, stop: Arc::new(stop) });
        }
    }

    /// A link has ended: because it was told to, or by a fault of ours, after which it is started again.
    async fn ended(&self, ended: Result<Endpoint, tokio::task::JoinError>) {
        if let Err(error) = ended {
            error!(%error, "a Modbus link has failed, which is a bug; it is started again");
            tokio::time::sleep(RESTART_DELAY).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Handle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
