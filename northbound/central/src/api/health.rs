//! `/healthz` and `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::metrics::{MEDIA_TYPE, MetricRow, process, render};
use hub_chassis::number_text::counted;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{ProblemView, storage_failed};
use crate::app::App;
use crate::decode::Unreadable;
use crate::storage::StorageError;

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`: when it is not, the answer is an error.
    status: &'static str,
    /// What does not keep it from working, and wants somebody's eye all the same; usually empty.
    warnings: Vec<String>,
}

/// Whether central does its work; needs no token
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "get_health",
    tag = "about",
    security(()),
    responses(
        (status = 200, description = "It works", body = Health),
        (status = 503, description = "It does not", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    match trouble(&app) {
        None => Ok(Json(Health { status: "ok", warnings: warnings(&app) }).into_response()),
        Some(why) => {
            let title = "Central does not work";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-working", title, why))
        }
    }
}

/// Why central does not do its work; `None` when it does.
pub(crate) fn trouble(app: &App) -> Option<String> {
    if let Some(task) = app.supervisor.missing() {
        return Some(format!("a part has ended ({task}); restart central and report its log"));
    }
    let failing = app.counts.storing_fails.load(std::sync::atomic::Ordering::Relaxed);
    failing
        .then(|| "central cannot store: the disk is full or fails; hubs keep their data meanwhile".to_owned())
}

fn warnings(app: &App) -> Vec<String> {
    let Unreadable { blocks, objects } = app.counts.unreadable_now();
    let names: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let told = (blocks > 0).then(|| {
        format!(
            "{} of definitions cannot be read ({}): their devices and series stay unknown; run relais-central check",
            counted(blocks, "block", "blocks"),
            names.join(", ")
        )
    });
    told.into_iter().collect()
}

/// Numbers about central itself, in Prometheus text
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "about",
    responses(
        (status = 200, description = "Prometheus text", body = String, content_type = "text/plain"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut rows = process(env!("CARGO_PKG_VERSION"), app.clock.uptime(), app.clock.cpu_time());
    rows.extend(app.counts.rows());
    rows.extend(app.answers.rows(&MetricRow::counter("relais_api_requests_total", "Requests answered.", 0)));
    rows.extend(app.supervisor.metrics());
    rows.extend(stored(&app).await.map_err(storage_failed)?);
    for source in &app.metric_sources {
        rows.extend(source());
    }
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], render(&rows)).into_response())
}

async fn stored(app: &App) -> Result<Vec<MetricRow>, StorageError> {
    let mut reading = app.storage.read().await?;
    let mut db = reading.db();
    let (objects, bytes) = db.object_totals().await?;
    let mut rows = vec![
        MetricRow::gauge("relais_objects", "Pack objects held.", objects),
        MetricRow::gauge("relais_object_bytes", "Size of all pack objects.", bytes),
        MetricRow::gauge("relais_link_sessions", "Hubs that are connected.", app.sessions.count() as u64),
        MetricRow::gauge("relais_term", "The term hubs are told.", app.term),
    ];
    let lacking = db.damaged_count().await?;
    let help = "Blocks that went bad here and that their hubs have not sent again yet.";
    rows.push(MetricRow::gauge("relais_blocks_awaited", help, lacking));
    for (state, count) in db.hub_states().await? {
        let row = MetricRow::gauge("relais_hubs", "Hubs known, by state.", count);
        rows.push(row.label("state", state.name()));
    }
    Ok(rows)
}
