//! What stands before every route: methods, sign-in, request ids, headers, counts. What is not allowed is denied.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{Asked, Problem};
use northbound_wire::AdminToken;
use tracing::error;

use super::caller::Caller;
use super::problem::storage_failed;
use super::tls::ApiPeer;
use crate::app::App;
use crate::storage::{AuditEntry, Outcome, StorageError};

/// What may be asked without a token: whether central works.
const OPEN: [&str; 1] = ["/healthz"];

/// Runs the checks, then the route, then dresses the answer.
pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<ApiPeer>().map(|peer| peer.caller.clone());
    caller.iter().for_each(Caller::asked);
    let asked = Asked::new(&request, &app.request_ids);
    let mut response = match let_in(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"relais-central\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    asked.finish(&mut response);
    app.answers.answered(status);
    caller.iter().for_each(Caller::answered);
    response
}

async fn let_in(app: &App, request: &mut Request) -> Result<(), Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = format!("this version only reads: use GET instead of {}", request.method());
        let title = "Method not allowed";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail));
    }
    if OPEN.contains(&request.uri().path()) {
        return Ok(());
    }
    match sign_in(app, request.headers()).await.map_err(storage_failed)? {
        Ok(()) => Ok(()),
        Err(denial) => {
            let peer = request.extensions().get::<ApiPeer>();
            let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
            deny(app, address, request.uri().path().to_owned(), &denial).await;
            let title = "Sign-in needed";
            Err(Problem::new(StatusCode::UNAUTHORIZED, denial.code, title, denial.detail))
        }
    }
}

/// Which rule denied.
struct Denial {
    code: &'static str,
    detail: &'static str,
}

const NO_TOKEN: Denial = Denial {
    code: "token-missing",
    detail: "send an admin token: Authorization: Bearer relais-admin-v1.…; `relais-central token create --admin NAME` \
             makes one",
};
const NOT_A_TOKEN: Denial = Denial {
    code: "token-malformed",
    detail: "the Authorization header holds no whole admin token: it begins with relais-admin-v1.",
};
const OTHER_ORG: Denial = Denial {
    code: "token-of-another-organisation",
    detail: "this token belongs to another central: ask for one of this one",
};
const NOT_GOOD: Denial =
    Denial { code: "token-not-good", detail: "this token was not given out here, or has been taken back" };

async fn sign_in(app: &App, headers: &HeaderMap) -> Result<Result<(), Denial>, StorageError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(Err(NO_TOKEN)),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Ok(Err(NOT_A_TOKEN)),
    };
    let Some(token) = value.to_str().ok().and_then(bearer) else { return Ok(Err(NOT_A_TOKEN)) };
    let Ok(token) = token.parse::<AdminToken>() else { return Ok(Err(NOT_A_TOKEN)) };
    if token.root != app.authority.fingerprint() {
        return Ok(Err(OTHER_ORG));
    }
    let found = app.storage.admin(&token, app.clock.utc()).await?;
    Ok(found.map(drop).ok_or(NOT_GOOD))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Counts and audits a denial, within bounds.
async fn deny(app: &App, address: IpAddr, path: String, denial: &Denial) {
    app.counts.denied.add(1);
    let is_listed = {
        let mut denials = app.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.denied(address, app.clock.mono_ms())
    };
    if !is_listed {
        app.counts.denied_unlisted.add(1);
        return;
    }
    let entry = AuditEntry {
        actor: "unknown".to_owned(),
        action: "api.request".to_owned(),
        target: path,
        outcome: Outcome::Denied,
        address: address.to_string(),
        detail: denial.code.to_owned(),
    };
    if let Err(error) = app.storage.audit(&entry, app.clock.utc()).await {
        error!(%error, "a denial cannot be written to the audit");
    }
}
