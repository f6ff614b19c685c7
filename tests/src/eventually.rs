//! Waiting for something to become true, with a deadline and a reason to show.

use std::time::Duration;

use crate::{Stopwatch, pause};

/// Between two looks: short enough not to be felt, long enough not to keep a core busy.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks again and again until `probe` succeeds, and hands back what it found.
///
/// # Panics
/// When the deadline passes: with `what` was awaited and what the last look found instead.
#[track_caller]
pub fn eventually<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let watch = Stopwatch::start();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(instead) if watch.elapsed() > deadline => {
                panic!("waited {deadline:?} for {what}; last look: {instead}")
            }
            Err(_) => pause(INTERVAL),
        }
    }
}
