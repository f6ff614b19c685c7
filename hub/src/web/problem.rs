//! The hub's own problems; their form is [`hub_chassis::http::Problem`].

use axum::http::{StatusCode, Uri};
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

/// No such route.
pub(super) async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; the API begins at /api/v1/status", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not-found", "No such page", detail)
}
