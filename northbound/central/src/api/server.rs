//! The API as tasks: the server, and the watch over denials.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hub_chassis::http::{ConnectionCounts, Server, ServerLimits};
use hub_chassis::number_text::{counted, thousands};
use hub_chassis::supervisor::stopped;
use tracing::error;

use super::doorway::CONNECTIONS_MAX;
use super::{TlsListener, router};
use crate::app::App;
use crate::counts::Counts;
use crate::denials::WINDOW_MS;
use crate::storage::{AuditEntry, Outcome};

/// Connections that were given up for others and are about to end, beside those that have a place.
const ENDING_MAX: usize = 64;

/// A handshake: some round trips over a bad mobile link, with a packet lost.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// A request's head fits one packet; and so long an idle connection is kept for the next one.
const HEAD_MAX: Duration = Duration::from_secs(4);

struct ApiConnections(Arc<Counts>);

impl ConnectionCounts for ApiConnections {
    fn accepted(&self) {
        self.0.api_connections.add(1);
    }

    fn not_opened(&self) {
        self.0.api_not_opened.add(1);
    }
}

/// Serves the API until the stop signal.
pub fn serve(app: &Arc<App>, listener: TlsListener) {
    let server = Arc::new(Server {
        name: "api",
        connection_task: "api connection",
        acceptor: listener,
        router: router(app.clone()),
        limits: ServerLimits {
            connections_max: CONNECTIONS_MAX + ENDING_MAX,
            open_timeout: OPEN_MAX,
            head_timeout: HEAD_MAX,
            ..ServerLimits::default()
        },
        counts: Arc::new(ApiConnections(app.counts.clone())),
    });
    let supervisor = app.supervisor.clone();
    app.supervisor.spawn_restarting("api", move || server.clone().serve(supervisor.clone()));
}

/// Writes down, once a minute, how many denials had no entry of their own.
pub async fn watch_denials(app: Arc<App>) {
    let mut stop = app.supervisor.stop_signal();
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(WINDOW_MS)) => false,
            () = stopped(&mut stop) => true,
        };
        let now_ms = app.clock.mono_ms() + if stopping { WINDOW_MS } else { 0 };
        let unlisted = app.denials.lock().unwrap_or_else(PoisonError::into_inner).end_window(now_ms);
        if let Some(unlisted) = unlisted {
            let entry = AuditEntry {
                actor: "unknown".to_owned(),
                action: "denials".to_owned(),
                target: String::new(),
                outcome: Outcome::Denied,
                address: String::new(),
                detail: format!(
                    "{} more, from {} or more",
                    thousands(unlisted.count),
                    counted(unlisted.addresses as u64, "address", "addresses")
                ),
            };
            if let Err(error) = app.storage.audit(&entry, app.clock.utc()).await {
                error!(%error, "denials cannot be written to the audit");
            }
        }
        if stopping {
            return;
        }
    }
}
