//! The harness's own clock: the one module that reads it and waits.

use std::thread;
use std::time::{Duration, Instant};

/// Time since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "tests run against real processes, in real time")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits. For pacing a story ("kill it 700 ms later"), never for something to have happened: that is
/// [`eventually`](crate::eventually).
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
