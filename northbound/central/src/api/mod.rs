//! The API `/v1`: reads what central knows, over TLS, for whoever shows an admin token.
//!
//! `guard` stands before every route; handlers are functions that read and render. Routes and their description come
//! from one place: `routes` registers each with its OpenAPI operation.

mod audit;
mod caller;
mod devices;
mod doorway;
mod gaps;
mod guard;
mod health;
mod hubs;
mod openapi;
mod page;
mod problem;
mod readings;
mod series;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use health::trouble;
pub use server::{serve, watch_denials};
pub use tls::TlsListener;

use crate::app::App;

/// Every route, with its description.
fn routes() -> (Router<Arc<App>>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::about())
        .routes(routes!(health::healthz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(hubs::hubs))
        .routes(routes!(devices::devices))
        .routes(routes!(series::series))
        .routes(routes!(gaps::gaps))
        .routes(routes!(audit::audit_events))
        .split_for_parts()
}

/// Every route, behind the guard.
pub fn router(app: Arc<App>) -> Router {
    let (router, _) = routes();
    router
        .fallback(problem::no_route)
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
