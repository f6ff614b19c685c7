//! Stops in named phases: intake, drain, log, goodbye. The main loop holds the deadline.

use std::sync::PoisonError;
use std::time::Duration;

use hub_chassis::supervisor::Rule;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::start::Parts;

/// Clients have this long for their last acknowledgements; the rest of the deadline is the log's.
const DRAIN_MAX: Duration = Duration::from_secs(4);

/// How long the other tasks may take to see the stop signal.
const TASKS_MAX: Duration = Duration::from_secs(3);

/// Begins the stop; the answer says whether all phases went well.
pub(super) fn begin(parts: Parts) -> oneshot::Receiver<bool> {
    let (tell, done) = oneshot::channel();
    let supervisor = parts.supervisor.clone();
    supervisor.expect_ends();
    supervisor.spawn("stop", Rule::Passing, async move {
        let well = stop(parts).await;
        // The main loop has given up waiting when this fails.
        let _ = tell.send(well);
    });
    done
}

async fn stop(parts: Parts) -> bool {
    let broker = parts.broker.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(broker) = broker {
        info!(
            connections = broker.connections(),
            "phase 1 of 3: taking nothing new, finishing what was taken"
        );
        broker.stop_accepting();
        broker.shutdown(DRAIN_MAX).await;
    }
    info!("phase 2 of 3: ending the other tasks");
    parts.supervisor.stop();
    // This task is one of them.
    let left = parts.supervisor.wait_for_ends(1, TASKS_MAX).await;
    if left > 0 {
        info!(tasks = left, "tasks are left behind");
    }
    info!("phase 3 of 3: closing the telemetry log");
    let log = parts.log;
    let closed = tokio::task::spawn_blocking(move || log.close()).await;
    drop(parts.socket);
    match closed {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            error!(%error, "the telemetry log was not closed in order");
            false
        }
        Err(error) => {
            error!(%error, "closing the telemetry log failed");
            false
        }
    }
}
