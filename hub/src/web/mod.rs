//! The local API: what the hub knows, over HTTP on loopback and on the Unix socket.
//!
//! Reads only: GET and HEAD; what changes something (`enrolment`) goes through the socket. `guard` stands before every route: methods, the Host header, security headers,
//! request ids, and the one form errors have (`problem`). Handlers are functions that read and render; reading
//! the log is blocking work and runs on blocking threads.

mod api;
mod enrolment;
mod events;
mod export;
mod guard;
mod health;
mod ledger;
mod lists;
mod params;
mod problem;
mod read_tests;
mod readings;
mod status;
mod status_line;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use api::{Api, Facts, HealthSource, Listener, MetricSource, Sides, WebCounts};
pub use enrolment::Enrolled;
pub use export::Format;
pub use guard::Surface;
pub use read_tests::{ReadTest, ReadingView, RequestView};
pub use status::{AskedStatus, ClassView, Status};

/// Every route, behind the guard of one surface.
pub fn router(api: Arc<Api>, surface: Surface) -> Router {
    let guarded = guard::Guard { api: api.clone(), surface };
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/devices", get(lists::devices))
        .route("/api/v1/devices/{device}/read-tests", post(read_tests::run))
        .route("/api/v1/series", get(lists::series))
        .route("/api/v1/ledger", get(ledger::ledger))
        .route("/api/v1/gaps", get(ledger::gaps))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/export", get(export::export))
        .route("/api/v1/enrolment", post(enrolment::enrol))
        .fallback(problem::page_or_nothing)
        .layer(axum::middleware::from_fn_with_state(guarded, guard::guard))
        .with_state(api)
}
