//! The hub's own problems; their form is [`hub_chassis::http::Problem`].

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use serde::Serialize;
use utoipa::ToSchema;

/// Ours.
pub(super) fn internal(detail: impl Into<String>) -> Problem {
    let title = "The hub could not answer";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
}

/// The log cannot be read.
pub(super) fn unreadable(error: hub_store::ReadError) -> Problem {
    internal(format!("reading the log failed: {error}"))
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

/// What no route takes: a page, or nothing.
pub(super) async fn page_or_nothing(request: Request) -> Response {
    hub_ui::page(&request).unwrap_or_else(|| {
        let path = request.uri().path();
        let detail = format!("there is nothing at {path}; the API begins at /api/v1/status");
        Problem::new(StatusCode::NOT_FOUND, "not-found", "No such page", detail).into_response()
    })
}
