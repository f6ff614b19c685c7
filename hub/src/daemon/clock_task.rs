//! Watches the clocks and writes what changed to the log.

use std::time::Duration;

use hub_chassis::supervisor::{Supervisor, stopped};
use hub_model::ClockQuality;
use hub_store::{Append, Definition, LogHandle, Urgency};
use tracing::{info, warn};

use crate::clock::{Clock, ClockWatcher};
use crate::intake::SharedRegistry;

/// Steps are noticed within this; stamps in between are off by the step.
const OBSERVE_EVERY: Duration = Duration::from_secs(10);

/// A watcher that goes on where the log's records of this boot end.
pub(super) fn watcher(clock: &Clock, registry: &SharedRegistry) -> ClockWatcher {
    ClockWatcher::new(registry.lock().catalog().clock().at(clock.now()).copied())
}

/// Looks at the clocks once; writes a record when there is news. The error says why it could not be stored.
pub(super) async fn observe(
    watcher: &mut ClockWatcher,
    clock: &Clock,
    registry: &SharedRegistry,
    log: &LogHandle,
) -> Result<(), hub_store::AppendError> {
    let Some(record) = watcher.observe(clock.observe()) else { return Ok(()) };
    let definition = Definition::Clock(record);
    let append = Append { definitions: vec![definition.clone()], urgency: Urgency::Now, ..Append::default() };
    log.append(append).await?.stored().await?;
    registry.lock().learn(&definition);
    match record.quality {
        ClockQuality::Unset => warn!("the clock is not set: readings get their time once it is"),
        ClockQuality::Synced | ClockQuality::Holdover => {
            info!(
                quality = record.quality.name(),
                offset_ms = record.offset_ms,
                "a new span of the clock begins"
            );
        }
    }
    Ok(())
}

/// Looks every few seconds, until the stop signal.
pub(super) async fn watch(clock: Clock, registry: SharedRegistry, log: LogHandle, supervisor: Supervisor) {
    let mut watcher = watcher(&clock, &registry);
    let mut stop = supervisor.stop_signal();
    loop {
        tokio::select! {
            () = tokio::time::sleep(OBSERVE_EVERY) => {}
            () = stopped(&mut stop) => return,
        }
        if let Err(error) = observe(&mut watcher, &clock, &registry, &log).await {
            warn!(%error, "a clock record could not be stored");
            return;
        }
    }
}
