//! The hub's own problems; their form is [`hub_chassis::http::Problem`].

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;

/// Ours.
pub(super) fn internal(detail: impl Into<String>) -> Problem {
    let title = "The hub could not answer";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
}

/// The log cannot be read.
pub(super) fn unreadable(error: hub_store::ReadError) -> Problem {
    internal(format!("reading the log failed: {error}"))
}

/// What no route takes: a page, or nothing.
pub(super) async fn page_or_nothing(request: Request) -> Response {
    hub_ui::page(&request).unwrap_or_else(|| {
        let path = request.uri().path();
        let detail = format!("there is nothing at {path}; the API begins at /api/v1/status");
        Problem::new(StatusCode::NOT_FOUND, "not-found", "No such page", detail).into_response()
    })
}
