//! Errors as RFC 9457 `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What went wrong with one request: what, why, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// Stable, for programs.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem { status, code, title, detail: detail.into() }
    }

    /// A parameter that cannot be understood.
    pub(super) fn bad_parameter(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-parameter", "A parameter cannot be understood", detail)
    }

    /// Ours.
    pub(super) fn internal(detail: impl Into<String>) -> Problem {
        let title = "The hub could not answer";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
    }

    /// The body, once the request has its id.
    pub(super) fn body(&self, request_id: &str) -> Value {
        json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        })
    }
}

impl From<hub_store::ReadError> for Problem {
    fn from(error: hub_store::ReadError) -> Problem {
        Problem::internal(format!("reading the log failed: {error}"))
    }
}

/// The guard, which knows the request's id, fills in the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.extensions_mut().insert(self);
        response
    }
}

/// No such route.
pub(super) async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; the API begins at /api/v1/status", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not-found", "No such page", detail)
}
