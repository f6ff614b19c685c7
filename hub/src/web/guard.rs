//! What stands before every route: methods, Host, headers, request ids, counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::debug;

use super::api::Api;
use super::problem::Problem;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// TCP: anything on this machine, browsers included, so the Host header is checked.
    Web = 0,
    /// The Unix socket: its file's mode says who may use it.
    Socket = 1,
}

impl Surface {
    /// The word in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Surface::Web => "web",
            Surface::Socket => "socket",
        }
    }
}

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) api: Arc<Api>,
    pub(super) surface: Surface,
}

/// Runs the checks, then the route, then dresses the answer.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let request_id = request_id(&guard.api);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match guard.refuse(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        debug!(%request_id, %method, path, status = problem.status.as_u16(), detail = problem.detail, "refused");
        if method != Method::HEAD {
            *response.body_mut() = Body::from(problem.body(&request_id).to_string());
        }
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    dress(response.headers_mut(), &request_id);
    guard.api.counts.answered(guard.surface, response.status().as_u16());
    response
}

impl Guard {
    fn refuse(&self, request: &Request) -> Option<Problem> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let detail = format!("this version only reads: use GET instead of {}", request.method());
            let title = "Method not allowed";
            return Some(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail));
        }
        if self.surface == Surface::Socket {
            return None;
        }
        let Some(host) = host_of(request) else {
            let detail = "the request has no single Host header; every HTTP/1.1 client sends one";
            return Some(Problem::new(StatusCode::BAD_REQUEST, "host-missing", "No Host header", detail));
        };
        let name = name_of(&host).to_ascii_lowercase();
        if self.api.facts.hosts.contains(&name) {
            return None;
        }
        self.api.counts.foreign_host();
        let detail = format!(
            "{name:?} is not one of this hub's names, so a foreign page may be behind the request; \
             if it is a name of this hub, add it to web.hosts"
        );
        let title = "Unknown host name";
        Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-not-allowed", title, detail))
    }
}

/// The target's own authority goes before the header (RFC 9112, 3.2.2); two headers are none.
fn host_of(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_owned());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

/// Without the port; an IPv6 address keeps its brackets.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            if name.starts_with('[') == name.ends_with(']') { name } else { host }
        }
        _ => host,
    }
}

fn dress(headers: &mut HeaderMap, request_id: &str) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

/// Unique within this boot and easy to find in the log: when the hub started, and a count.
fn request_id(api: &Api) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("req_{:x}_{}", api.clock.started().mono_ms, COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_and_brackets_kept() {
        let check = |host: &str, expected: &str| assert_eq!(name_of(host), expected);
        check("localhost", "localhost");
        check("localhost:8080", "localhost");
        check("127.0.0.1:80", "127.0.0.1");
        check("[::1]:8080", "[::1]");
        check("[::1]", "[::1]");
        check("evil.example:8080:x", "evil.example:8080:x");
    }
}
