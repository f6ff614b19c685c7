//! The body of one stream: makes the next event when the connection can take one, so that a slow client is only ever
//! told the newest state.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::Frame;
use hub_chassis::supervisor::stopped;
use tokio::sync::watch;
use tracing::error;

use super::task::{Now, Place};

/// A client hears something at least every 5 s; looks are a second apart.
const HEARTBEAT_MS: u64 = 4_000;

/// When a browser that lost the stream tries again.
const RETRY_MS: u32 = 2_000;

type Next = Pin<Box<dyn Future<Output = Option<(Feed, Bytes)>> + Send>>;

/// Server-Sent Events. It ends with the stop signal.
pub(super) struct Events {
    next: Option<Next>,
}

/// Where one client is.
struct Feed {
    _place: Place,
    now: watch::Receiver<Option<Now>>,
    stop: watch::Receiver<bool>,
    device: Option<String>,
    /// What the client says it holds, until the first event.
    resumes: Option<String>,
    /// Of the last event.
    sent: Option<Sent>,
}

#[derive(Clone, Debug)]
struct Sent {
    run: String,
    revision: u64,
    at_ms: u64,
}

impl Events {
    pub(super) fn new(
        place: Place,
        now: watch::Receiver<Option<Now>>,
        stop: watch::Receiver<bool>,
        device: Option<String>,
        resumes: Option<String>,
    ) -> Events {
        let feed = Feed { _place: place, now, stop, device, resumes, sent: None };
        Events { next: Some(Box::pin(feed.next())) }
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        match next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.next = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((feed, event))) => {
                self.next = Some(Box::pin(feed.next()));
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
        }
    }
}

impl Feed {
    /// The next event: what changed, or a sign of life. `None` at the end.
    async fn next(mut self) -> Option<(Feed, Bytes)> {
        loop {
            let now = self.now.borrow_and_update().clone();
            if let Some(event) = now.and_then(|now| self.event(&now)) {
                return Some((self, event));
            }
            tokio::select! {
                changed = self.now.changed() => changed.ok()?,
                () = stopped(&mut self.stop) => return None,
            }
        }
    }

    /// The event for a look, where there is anything to tell.
    fn event(&mut self, now: &Now) -> Option<Bytes> {
        let snapshot = &now.snapshot;
        if self.device.as_ref().is_some_and(|device| !snapshot.has(device)) {
            return None;
        }
        let run = match &self.device {
            // A client that turns from one device to another does not hold what it would be taken to hold.
            Some(device) => format!("{}.{device}", now.run),
            None => now.run.to_string(),
        };
        let since = match &self.sent {
            Some(sent) => Some(sent.revision).filter(|_| sent.run == run),
            None => self.resumes.as_deref().and_then(|id| revision_of(id, &run)),
        };
        let message = snapshot.message(self.device.as_deref(), since);
        let is_due = self.sent.as_ref().is_none_or(|sent| snapshot.now_ms >= sent.at_ms + HEARTBEAT_MS);
        if message.is_empty() && !is_due {
            return None;
        }
        let data = match serde_json::to_string(&message) {
            Ok(data) => data,
            Err(error) => {
                error!(%error, "an event could not be written, which is a bug");
                return None;
            }
        };
        let mut event = String::with_capacity(data.len() + 80);
        if self.sent.is_none() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(event, "retry: {RETRY_MS}");
        }
        // JSON of serde_json has no line breaks.
        let _ = write!(event, "event: change\nid: {run}-{}\ndata: {data}\n\n", snapshot.revision);
        self.sent = Some(Sent { run, revision: snapshot.revision, at_ms: snapshot.now_ms });
        Some(event.into())
    }
}

/// The revision in an event's id of this run.
fn revision_of(id: &str, run: &str) -> Option<u64> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}
