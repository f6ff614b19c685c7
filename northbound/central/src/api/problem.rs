//! Central's own problems; their form is [`hub_chassis::http::Problem`].

use axum::http::{StatusCode, Uri};
use hub_chassis::http::Problem;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::storage::StorageError;

/// Ours.
pub(super) fn storage_failed(error: StorageError) -> Problem {
    error!(%error, "a request failed");
    let detail = "central could not read what it keeps; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Central could not answer", detail)
}

/// Nothing of that name.
pub(super) fn not_known(code: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, title, detail)
}

/// No such route.
pub(super) async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not-found", "No such page", detail)
}

/// What every error looks like (RFC 9457), for the description of the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemView {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: String,
    /// The same for every problem with this code.
    title: String,
    /// Of the answer.
    status: u16,
    /// About this request, for people: what, why, what to do.
    detail: String,
    /// Stable, for programs.
    code: String,
    /// The `x-request-id` of the answer.
    request_id: String,
}
