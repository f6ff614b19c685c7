//! What the link needs from the process it lives in: tasks with an owner, and clocks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use northbound_trust::TimeSource;
use tokio::sync::watch;

/// A task, ready to be run.
pub type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks. The hub's supervisor owns every one of them; a panic ends that task alone.
pub trait Spawn: Send + Sync {
    /// Starts `task` under `name`. It ends by itself, at the latest with the connection it belongs to.
    fn spawn(&self, name: &'static str, task: BoxedTask);
}

/// The clocks the link reads.
#[derive(Clone)]
pub struct Clocks {
    /// Milliseconds that only go forward, from any beginning.
    pub mono_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The time certificates are judged by: the greatest of the clock, the build and the last time known to be right.
    pub utc: TimeSource,
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clocks")
    }
}

impl Clocks {
    pub(crate) fn now_ms(&self) -> u64 {
        (self.mono_ms)()
    }
}

/// Waits for the stop signal; also when nobody can give it any more.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _signal = stop.wait_for(|stop| *stop).await;
}

/// Runs blocking work on a thread for it; `None` when it panicked or the process ends.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
