//! The harness's own clock: the one module that reads it and waits.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hub_model::UtcMs;
use northbound_trust::TimeSource;

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

/// The time by which the harness judges certificates.
pub(crate) fn utc() -> TimeSource {
    TimeSource::new(utc_now)
}

/// The machine's clock.
#[expect(clippy::disallowed_methods, reason = "tests run against real processes, in real time")]
pub fn utc_now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the machine's clock is set");
    UtcMs(i64::try_from(since.as_millis()).expect("milliseconds since 1970"))
}
