//! The one place that reads the clock.

use tokio::time::Instant;

/// Now, by the machine's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a demo runs in real time, with real programs")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
