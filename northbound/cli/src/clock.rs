//! The only place that reads the wall clock: for judging certificates, and for `--last`.

use std::time::{SystemTime, UNIX_EPOCH};

use hub_model::UtcMs;

/// The time of this machine; before 1970 is 1970.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
