//! The description of the local API, OpenAPI 3.1. `openapi.json` beside the crate's manifest is a copy; a test compares.

use axum::Json;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;

use super::problem::ProblemView;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Relais hub",
        version = "1",
        description = "What the site daemon relais-hub knows. Times are RFC 3339 in UTC. Lists give `next_page_token`, \
                       which is null behind the last page. Unknown parameters are errors.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemView, hub_ui::live::message::StreamMessage))
)]
struct About;

/// Everything but the routes.
pub(super) fn about() -> Description {
    About::openapi()
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
pub(super) async fn openapi() -> Response {
    Json(super::routes().1).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// `RELAIS_OPENAPI=write` writes the copy anew.
    #[test]
    fn the_copy_is_what_is_served() {
        let (_, api) = crate::web::routes();
        let text = format!("{}\n", api.to_pretty_json().unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        if std::env::var_os("RELAIS_OPENAPI").is_some_and(|how| how == "write") {
            std::fs::write(&path, &text).unwrap();
        }
        let copy = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            copy == text,
            "openapi.json differs from the code: RELAIS_OPENAPI=write, then look at the difference"
        );
        assert!(text.contains("\"openapi\": \"3.1."), "the version");
    }

    #[test]
    fn every_route_is_described() {
        // `OpenApiRouter` describes what comes through `routes!`; its other ways to take a route do not.
        let source = include_str!("mod.rs");
        for way in [".route(", ".route_service(", ".nest(", ".merge("] {
            assert!(!source.contains(way), "{way} takes routes without a description");
        }
        let (_, api) = crate::web::routes();
        let registered = source.matches(".routes(routes!(").count();
        assert_eq!(api.paths.paths.len(), registered, "{:?}", api.paths.paths.keys());
    }
}
