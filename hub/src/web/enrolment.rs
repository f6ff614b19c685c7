//! `POST /api/v1/enrolment`: enrols the hub at central with a claim token. On the socket only.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use northbound_wire::ClaimToken;
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

use super::api::Api;
use super::problem::ProblemView;
use crate::north::placed;

/// A token and some JSON around it.
const BODY_BYTES_MAX: usize = 1024;

/// The body comes from the command line on the same machine.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// Every address is tried; each handshake has its own limit well below.
const ENROL_WITHIN: Duration = Duration::from_secs(25);

/// What to enrol with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnrolmentToken)]
struct Asked {
    /// `relais-claim-v1.…`, from central.
    token: String,
}

/// Who the hub is from now on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// `hub_…`.
    pub hub: String,
    /// `site_…`.
    pub site: String,
    /// `org_…`.
    pub org: String,
}

/// Enrols the hub, and answers when it is done; on the Unix socket only
#[utoipa::path(
    post,
    path = "/api/v1/enrolment",
    operation_id = "enrol",
    tag = "hub",
    request_body = Asked,
    responses(
        (status = 200, description = "Who the hub is from now on", body = Enrolled),
        (status = 400, description = "The body is not a token", body = ProblemView, content_type = "application/problem+json"),
        (status = 405, description = "Not on this surface", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "The hub was not enrolled", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn enrol(State(api): State<Arc<Api>>, body: Body) -> Result<Response, Problem> {
    let late = |_| Problem::bad_parameter("the body did not come");
    let bytes = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await.map_err(late)?;
    let bytes = bytes.map_err(|_| Problem::bad_parameter("the body is longer than a token needs"))?;
    // What was sent may be a secret: neither it nor the parser's words about it are repeated.
    let asked: Asked = serde_json::from_slice(&bytes)
        .map_err(|_| Problem::bad_parameter("the body must be JSON: {\"token\": \"relais-claim-v1.…\"}"))?;
    let token: ClaimToken = asked.token.parse().map_err(|error| {
        warn!(why = %error, "a command to enrol came without a claim token");
        Problem::bad_parameter(format!("token: {error}"))
    })?;
    let failed = |detail: String| {
        Problem::new(StatusCode::CONFLICT, "enrolment-failed", "The hub was not enrolled", detail)
    };
    let done = tokio::time::timeout(ENROL_WITHIN, api.link.enrol(token)).await;
    let name = done
        .map_err(|_| {
            failed("central has not answered yet; `relais-hub status` says how it goes on".to_owned())
        })?
        .map_err(|why| failed(placed(&why)))?;
    let (hub, site, org) = (name.hub.to_string(), name.site.to_string(), name.org.to_string());
    Ok(Json(Enrolled { hub, site, org }).into_response())
}
