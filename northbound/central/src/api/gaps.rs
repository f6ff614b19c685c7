//! `/v1/gaps`: what a hub lost, or never had, and why.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_chassis::http::{PAGE_SIZE, Params, Problem, token};
use hub_chassis::time_text::format_utc;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page;
use super::problem::{ProblemView, not_known, storage_failed};
use crate::app::App;
use crate::query::GapFound;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GapParams {
    /// The hub.
    #[param(required = true)]
    hub: Option<String>,
    /// Only of this class: `alarm`, `event`, `audit`, `meta`, `telemetry`, `bulk` or `rollup`.
    class: Option<String>,
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct GapList {
    hub_id: String,
    gaps: Vec<GapView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A row of the loss ledger. Times are null where the clock of that moment is unset or unknown.
#[derive(Serialize, ToSchema)]
#[schema(as = Gap)]
pub(super) struct GapView {
    /// The life of the hub's log.
    epoch: String,
    class: &'static str,
    /// First sequence number.
    from: u64,
    /// One past the last; equal to `from` where readings never got a number.
    to: u64,
    /// `restart`, `corrupted`, `evicted`, `thinned`, `shed`, `expired` or `deleted`.
    cause: &'static str,
    /// The last moment known before.
    #[schema(required)]
    since: Option<String>,
    /// The first moment known after.
    #[schema(required)]
    until: Option<String>,
}

/// Gaps of a hub, by epoch, class and number; of each class, those without numbers follow those with
#[utoipa::path(
    get,
    path = "/v1/gaps",
    operation_id = "list_gaps",
    tag = "data",
    params(GapParams),
    responses(
        (status = 200, description = "A page of gaps", body = GapList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such hub", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn gaps(
    State(app): State<Arc<App>>,
    Params(params): Params<GapParams>,
) -> Result<Json<GapList>, Problem> {
    let size = PAGE_SIZE.size(params.page_size)?;
    let place = token(params.page_token.as_deref())?;
    let class = page::class(params.class.as_deref())?;
    let hub = page::hub(params.hub.as_deref())?;
    let hub = hub.ok_or_else(|| Problem::bad_parameter("hub is missing: gaps are those of one hub"))?;
    if app.storage.hub(hub).await.map_err(storage_failed)?.is_none() {
        let detail = format!("no hub {hub} is known here; /v1/hubs lists those that are");
        return Err(not_known("hub-not-found", "No such hub", detail));
    }
    let (gaps, next) = app.query.gaps(hub, class, place, size).await.map_err(storage_failed)?;
    let gaps = gaps.iter().map(gap_view).collect();
    Ok(Json(GapList { hub_id: hub.to_string(), gaps, next_page_token: next.map(|place| place.to_string()) }))
}

pub(super) fn gap_view(gap: &GapFound) -> GapView {
    GapView {
        epoch: gap.epoch.to_string(),
        class: gap.class.name(),
        from: gap.range.from,
        to: gap.range.to,
        cause: gap.cause.name(),
        since: gap.since.map(format_utc),
        until: gap.until.map(format_utc),
    }
}
