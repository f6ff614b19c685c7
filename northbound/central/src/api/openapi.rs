//! The description of the API, OpenAPI 3.1. `openapi.json` beside the crate's manifest is a copy; a test compares.

use axum::Json;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::problem::ProblemView;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Relais central",
        version = "1",
        description = "What the fleet service relais-central knows. Times are RFC 3339 in UTC. Lists give \
                       `next_page_token`, which is null behind the last page. Unknown parameters are errors.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemView)),
    security(("admin_token" = []))
)]
struct About;

/// Everything but the routes.
pub(super) fn about() -> Description {
    let mut about = About::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("relais-admin-v1")
        .description(Some("`relais-central token create --admin NAME` makes one."));
    let components = about.components.get_or_insert_default();
    components.add_security_scheme("admin_token", SecurityScheme::Http(scheme.build()));
    about
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
        let (_, api) = crate::api::routes();
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
}
