//! Stops in named phases: tasks, storage. The main loop holds the deadline.

use std::sync::Arc;
use std::time::Duration;

use hub_chassis::supervisor::Rule;
use tokio::sync::oneshot;
use tracing::info;

use crate::app::App;

/// How long tasks may take to see the stop signal and finish what they are at: a commit, an answer.
const TASKS_MAX: Duration = Duration::from_secs(6);

/// Begins the stop; the answer says whether all phases went well.
pub(super) fn begin(app: Arc<App>) -> oneshot::Receiver<bool> {
    let (tell, done) = oneshot::channel();
    let supervisor = app.supervisor.clone();
    supervisor.expect_ends();
    supervisor.spawn("stop", Rule::Passing, async move {
        let well = stop(&app).await;
        // The main loop has given up waiting when this fails.
        let _ = tell.send(well);
    });
    done
}

async fn stop(app: &App) -> bool {
    info!("phase 1 of 2: taking nothing new, finishing what was taken");
    app.supervisor.stop();
    // This task is the one that is left.
    let left = app.supervisor.wait_for_ends(1, TASKS_MAX).await;
    if left > 0 {
        info!(tasks = left, "tasks are left behind");
    }
    info!("phase 2 of 2: closing the database");
    app.storage.close().await;
    left == 0
}
