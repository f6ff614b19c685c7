//! The shell: looks at the hub once a second while anyone listens, and lets listeners in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::supervisor::stopped;
use serde::Deserialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::error;

use super::body::Events;
use super::hub::{Hub, View};
use super::revisions::{Memory, Revisions, Snapshot};

/// Streams at once: some dozens of open pages. Each costs a connection and what its client has not taken yet.
pub const LISTENERS_MAX: usize = 32;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look for somebody who has just come does not come sooner than this after the last one: whoever comes and goes all
/// the time costs no more than four who stay.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// When a client may try again that was one too many.
const RETRY_AFTER: &str = "10";

/// The stream's shell. Cheap to clone; [`Live::run`] is its task.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    hub: Arc<dyn Hub>,
    places: Arc<Semaphore>,
    listeners: Mutex<Listeners>,
    /// Somebody came, or the last one went.
    changed: Notify,
    now: watch::Sender<Option<Now>>,
    stop: watch::Receiver<bool>,
    /// Random.
    seed: u64,
}

/// What the last look found, and which series of looks it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// Revisions of other runs mean nothing in this one.
    pub(super) run: Arc<str>,
    pub(super) snapshot: Arc<Snapshot>,
}

#[derive(Debug, Default)]
struct Listeners {
    count: usize,
    /// How many of them ask for the series of a device, by its name.
    devices: BTreeMap<String, usize>,
    /// Runs of the task.
    runs: u64,
}

/// What a client asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// A device, by name or id, whose series are wanted too.
    pub device: Option<String>,
    /// The id of the last event taken. A `Last-Event-ID` header goes before it.
    pub last_event_id: Option<String>,
}

/// Why there is no stream.
#[derive(Debug)]
pub struct Refused {
    /// For the client.
    pub problem: Problem,
    retry_after: Option<&'static str>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

/// A place among the listeners, given back when it is dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    device: Option<String>,
    _permit: OwnedSemaphorePermit,
}

impl Live {
    /// Streams of this hub. `seed` is random; `stop` ends them.
    pub fn new(hub: Arc<dyn Hub>, seed: u64, stop: watch::Receiver<bool>) -> Live {
        let shared = Shared {
            hub,
            places: Arc::new(Semaphore::new(LISTENERS_MAX)),
            listeners: Mutex::default(),
            changed: Notify::new(),
            now: watch::Sender::new(None),
            stop,
            seed,
        };
        Live { shared: Arc::new(shared) }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.shared.lock().count
    }

    /// Looks at the hub while anyone listens, until the stop signal.
    pub async fn run(self) {
        let shared = self.shared;
        let mut stop = shared.stop.clone();
        let run = shared.next_run();
        let mut revisions = Revisions::new(Memory::default());
        loop {
            tokio::select! {
                () = shared.anyone() => {}
                () = stopped(&mut stop) => return,
            }
            let (hub, devices) = (shared.hub.clone(), shared.devices());
            // Looking reads files, and writing a thousand documents takes its time.
            let looking = tokio::task::spawn_blocking(move || {
                let mut view: View = hub.look(&devices);
                // Whoever waits for a device that is gone is told that it has nothing.
                for device in devices {
                    view.series.entry(device).or_default();
                }
                let snapshot = revisions.take(view);
                (revisions, snapshot)
            });
            let snapshot = match looking.await {
                Ok((kept, snapshot)) => {
                    revisions = kept;
                    snapshot
                }
                Err(error) => {
                    error!(%error, "looking at the hub for its page has failed, which is a bug");
                    return;
                }
            };
            match snapshot {
                Ok(snapshot) => {
                    shared.now.send_replace(Some(Now { run: run.clone(), snapshot: Arc::new(snapshot) }));
                }
                Err(error) => {
                    error!(%error, "what the page shows could not be written as JSON, which is a bug")
                }
            }
            tokio::select! {
                () = shared.pause() => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Opens a stream. Errors are told as problems: no such device, too many streams, a page from elsewhere.
    pub fn open(&self, asked: Asked, headers: &HeaderMap) -> Result<Response, Refused> {
        let refused = |problem| Refused { problem, retry_after: None };
        if let Some(problem) = foreign(headers) {
            return Err(refused(problem));
        }
        let device =
            asked.device.map(|device| self.shared.hub.device(&device)).transpose().map_err(refused)?;
        let Ok(permit) = self.shared.places.clone().try_acquire_owned() else {
            let detail = format!(
                "{LISTENERS_MAX} pages are open at once, which is as many as there may be: close one"
            );
            let title = "Too many streams";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", title, detail);
            return Err(Refused { problem, retry_after: Some(RETRY_AFTER) });
        };
        let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let last_event_id = header.or(asked.last_event_id);
        let place = self.shared.take_place(device.clone(), permit);
        let events =
            Events::new(place, self.shared.now.subscribe(), self.shared.stop.clone(), device, last_event_id);
        let kind = (header::CONTENT_TYPE, "text/event-stream");
        Ok(([kind], Body::new(events)).into_response())
    }
}

/// A page from elsewhere could not read the stream, but it could hold one of the few places.
fn foreign(headers: &HeaderMap) -> Option<Problem> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let from = origin.split_once("://").map_or("", |(_, authority)| authority);
    if !from.is_empty() && from.eq_ignore_ascii_case(host) {
        return None;
    }
    let detail = format!("the stream is for pages of this hub, and {origin:?} is not one of them");
    Some(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "A page from elsewhere", detail))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task that is run again begins a run of its own: what clients hold of the one before says nothing in it.
    fn next_run(&self) -> Arc<str> {
        let mut listeners = self.lock();
        listeners.runs += 1;
        format!("{:x}", self.seed.wrapping_add(listeners.runs)).into()
    }

    fn devices(&self) -> Vec<String> {
        self.lock().devices.keys().cloned().collect()
    }

    async fn anyone(&self) {
        while self.lock().count == 0 {
            // Nobody reads it any more, and it may be large.
            self.now.send_replace(None);
            self.changed.notified().await;
        }
    }

    /// Until the next look: sooner when somebody came who cannot use the last one.
    async fn pause(&self) {
        let mut left = LOOK_EVERY - LOOK_PAUSE;
        tokio::time::sleep(LOOK_PAUSE).await;
        while !self.is_waited_for() && !left.is_zero() {
            let step = left.min(LOOK_PAUSE);
            left -= step;
            tokio::time::sleep(step).await;
        }
    }

    fn is_waited_for(&self) -> bool {
        let now = self.now.borrow();
        let listeners = self.lock();
        let has = |device: &String| now.as_ref().is_some_and(|now| now.snapshot.has(device));
        listeners.count > 0 && !listeners.devices.keys().all(has)
    }

    fn take_place(self: &Arc<Shared>, device: Option<String>, permit: OwnedSemaphorePermit) -> Place {
        let mut listeners = self.lock();
        listeners.count += 1;
        if let Some(device) = &device {
            *listeners.devices.entry(device.clone()).or_default() += 1;
        }
        drop(listeners);
        self.changed.notify_one();
        Place { shared: self.clone(), device, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut listeners = self.shared.lock();
        listeners.count -= 1;
        if let Some(device) = &self.device
            && let Some(count) = listeners.devices.get_mut(device)
        {
            *count -= 1;
            if *count == 0 {
                listeners.devices.remove(device);
            }
        }
    }
}
