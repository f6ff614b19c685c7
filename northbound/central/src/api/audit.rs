//! `/v1/audit-events`: who did what, newest first.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::fmt::Write as _;
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
use crate::storage::AuditRow;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditList {
    audit_events: Vec<AuditView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// An entry of the audit. Each carries the hash of the one before: `relais-central check` follows the chain.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
struct AuditView {
    /// From 1, without holes.
    seq: u64,
    time: String,
    /// A hub, a token, `system`, or `unknown`.
    actor: String,
    /// Such as `hub.enrol`.
    action: String,
    target: String,
    /// `done`, `denied` or `failed`.
    outcome: &'static str,
    /// From where; empty for what central's machine does itself.
    address: String,
    /// For people.
    detail: String,
    /// SHA-256, hexadecimal.
    hash: String,
}

/// The audit, newest first
#[utoipa::path(
    get,
    path = "/v1/audit-events",
    operation_id = "list_audit_events",
    tag = "fleet",
    params(AuditParams),
    responses(
        (status = 200, description = "A page of the audit", body = AuditList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn audit_events(
    State(app): State<Arc<App>>,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditList>, Problem> {
    let size = PAGE_SIZE.size(params.page_size)?;
    let below = token(params.page_token.as_deref())?;
    let rows = app.storage.audit_rows(below, size + 1).await.map_err(storage_failed)?;
    let (rows, next_page_token) = page::cut(rows, size, |row| row.seq);
    Ok(Json(AuditList { audit_events: rows.into_iter().map(view).collect(), next_page_token }))
}

fn view(row: AuditRow) -> AuditView {
    let AuditRow { seq, at, entry, hash, .. } = row;
    let mut hex = String::with_capacity(64);
    for byte in hash {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    AuditView {
        seq,
        time: format_utc(at),
        actor: entry.actor,
        action: entry.action,
        target: entry.target,
        outcome: entry.outcome.name(),
        address: entry.address,
        detail: entry.detail,
        hash: hex,
    }
}
