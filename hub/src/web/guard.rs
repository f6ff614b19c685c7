//! What stands before every route: methods, Host, counts; headers, request ids and the form of errors are those of
//! [`Asked`].

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{Asked, Problem, host_name};

use super::api::Api;

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

    /// The name of the tasks of its connections.
    pub const fn connection_task(self) -> &'static str {
        match self {
            Surface::Web => "web connection",
            Surface::Socket => "socket connection",
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
    let asked = Asked::new(&request, &guard.api.request_ids);
    let mut response = match guard.refuse(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // A route that knows which methods it has has said so.
        response.headers_mut().entry(header::ALLOW).or_insert(HeaderValue::from_static("GET, HEAD"));
    }
    asked.finish(&mut response);
    guard.api.counts.answered(guard.surface, response.status());
    response
}

impl Guard {
    fn refuse(&self, request: &Request) -> Option<Problem> {
        let writes = self.surface == Surface::Socket && *request.method() == Method::POST;
        if !writes && !matches!(*request.method(), Method::GET | Method::HEAD) {
            let detail = format!("this version only reads: use GET instead of {}", request.method());
            let title = "Method not allowed";
            return Some(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail));
        }
        if self.surface == Surface::Socket {
            return None;
        }
        let Some(name) = host_name(request) else {
            let detail = "the request has no single Host header; every HTTP/1.1 client sends one";
            return Some(Problem::new(StatusCode::BAD_REQUEST, "host-missing", "No Host header", detail));
        };
        if self.api.facts.settings.now().hosts.contains(&name) {
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
