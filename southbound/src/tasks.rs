//! What a driver needs from the process it lives in: tasks with an owner, and clocks.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use hub_model::BootStamp;

/// A task, ready to be run.
pub type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks. The hub's supervisor owns every one of them; a panic ends that task alone.
pub trait Spawn: Send + Sync {
    /// Starts `task` under `name`. It ends by itself; the broker's tasks all end on shutdown.
    fn spawn(&self, name: &'static str, task: BoxedTask);
}

/// The clocks a driver reads.
pub trait Clock: Send + Sync {
    /// The moment, as samples are stamped.
    fn now(&self) -> BootStamp;

    /// The moment, for timeouts.
    fn instant(&self) -> Instant;
}
