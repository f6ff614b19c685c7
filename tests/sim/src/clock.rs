//! The one place that reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Now, by the machine's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a simulated device runs in real time, against real programs")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, as a device with a clock of its own states them; 0 where the machine's clock is not set.
#[expect(clippy::disallowed_methods, reason = "a simulated device has the machine's wall clock")]
pub(crate) fn utc_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
