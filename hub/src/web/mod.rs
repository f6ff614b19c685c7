//! The local API: what the hub knows, over HTTP on loopback and on the Unix socket.
//!
//! Reads only: GET and HEAD; what changes something (`enrolment`) goes through the socket. `guard` stands before every route: methods, the Host header, security headers,
//! request ids, and the one form errors have (`problem`). Handlers are functions that read and render; reading
//! the log is blocking work and runs on blocking threads.

mod api;
mod bins;
mod chunks;
mod configuration;
mod enrolment;
mod events;
mod export;
mod guard;
mod health;
mod ledger;
mod lists;
mod live;
mod openapi;
mod params;
mod picture;
mod problem;
mod progress;
mod read_tests;
mod readings;
mod status;
mod status_line;
#[cfg(test)]
mod tests;
mod verify;
mod wear;

use std::sync::Arc;

use axum::{Extension, Router};
use hub_ui::live::Live;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use api::{Api, Facts, HealthSource, Listener, MetricSource, Sides, WebCounts};
pub use configuration::ConfigurationStatus;
pub use enrolment::Enrolled;
pub use export::Format;
pub use guard::Surface;
pub use live::LiveHub;
pub use read_tests::{ReadTest, ReadingView, RequestView};
pub use status::{AskedStatus, ClassView, Status};
pub use verify::VerifyLine;
pub use wear::WearStatus;

/// Every route, with its description.
fn routes() -> (Router<Arc<Api>>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::about())
        .routes(routes!(health::healthz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(status::status))
        .routes(routes!(live::stream))
        .routes(routes!(lists::devices))
        .routes(routes!(read_tests::run))
        .routes(routes!(lists::series))
        .routes(routes!(ledger::ledger))
        .routes(routes!(ledger::gaps))
        .routes(routes!(events::events))
        .routes(routes!(export::export))
        .routes(routes!(verify::verify))
        .routes(routes!(enrolment::enrol))
        .split_for_parts()
}

/// Every route, behind the guard of one surface.
pub fn router(api: Arc<Api>, live: Live, surface: Surface) -> Router {
    let guarded = guard::Guard { api: api.clone(), surface };
    let (router, _) = routes();
    router
        .fallback(problem::page_or_nothing)
        .layer(Extension(live))
        .layer(axum::middleware::from_fn_with_state(guarded, guard::guard))
        .with_state(api)
}
