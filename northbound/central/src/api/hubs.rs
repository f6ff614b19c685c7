//! `/v1/hubs`: who is enrolled, and what was last heard of each.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_chassis::http::{PAGE_SIZE, Params, Problem, token};
use hub_chassis::time_text::format_utc;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page;
use super::problem::{ProblemView, storage_failed};
use crate::app::App;
use crate::storage::HubRow;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HubParams {
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct HubList {
    hubs: Vec<HubView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A hub.
#[derive(Serialize, ToSchema)]
#[schema(as = Hub)]
struct HubView {
    /// `hub_…`.
    id: String,
    /// `site_…`.
    site_id: String,
    /// The site's name.
    site: String,
    /// `claimed`, `certified`, `active`, `suspended` or `retired`.
    state: &'static str,
    /// Whether it is connected now.
    connected: bool,
    /// When it showed its claim token.
    enrolled_time: String,
    /// When it was last heard.
    #[schema(required)]
    seen_time: Option<String>,
    /// Name and version of its program.
    #[schema(required)]
    program: Option<String>,
    /// The version of the sync protocol spoken.
    #[schema(required)]
    protocol: Option<u32>,
    /// The run of its machine.
    #[schema(required)]
    boot: Option<String>,
    /// Where it last connected from.
    #[schema(required)]
    address: Option<String>,
    /// SHA-256 of its key, base64url.
    key_fingerprint: String,
    /// Serial number of its newest certificate, hexadecimal.
    #[schema(required)]
    certificate_serial: Option<String>,
    /// When that certificate ends.
    #[schema(required)]
    certificate_end_time: Option<String>,
}

/// Hubs, by id
#[utoipa::path(
    get,
    path = "/v1/hubs",
    operation_id = "list_hubs",
    tag = "fleet",
    params(HubParams),
    responses(
        (status = 200, description = "A page of hubs", body = HubList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn hubs(
    State(app): State<Arc<App>>,
    Params(params): Params<HubParams>,
) -> Result<Json<HubList>, Problem> {
    let size = PAGE_SIZE.size(params.page_size)?;
    let after = token(params.page_token.as_deref())?;
    let mut reading = app.storage.read().await.map_err(storage_failed)?;
    let rows = reading.db().hubs(after, size + 1).await.map_err(storage_failed)?;
    let (rows, next_page_token) = page::cut(rows, size, |row| row.id);
    let hubs = rows.into_iter().map(|row| view(row, &app)).collect();
    Ok(Json(HubList { hubs, next_page_token }))
}

fn view(row: HubRow, app: &App) -> HubView {
    HubView {
        id: row.id.to_string(),
        site_id: row.site.to_string(),
        site: row.site_name,
        state: row.state.name(),
        connected: app.sessions.of(row.id).is_some(),
        enrolled_time: format_utc(row.enrolled),
        seen_time: row.seen.map(format_utc),
        program: row.program,
        protocol: row.protocol,
        boot: row.boot.map(|boot| boot.to_string()),
        address: row.address,
        key_fingerprint: row.key.to_string(),
        certificate_serial: row.certificate_serial,
        certificate_end_time: row.not_after.map(format_utc),
    }
}
