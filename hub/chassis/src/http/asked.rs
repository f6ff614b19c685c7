//! What every answer carries: its request's id, security headers, and the body of its problem.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tracing::debug;

use super::problem::Problem;

/// Ids of requests: unique among runs that start at different moments, and easy to find in the log.
#[derive(Debug)]
pub struct RequestIds {
    started_ms: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// `started_ms` tells this run from others: when the daemon started, in milliseconds of any clock.
    pub const fn new(started_ms: u64) -> RequestIds {
        RequestIds { started_ms, count: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("req_{:x}_{}", self.started_ms, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is kept of a request until its answer is there.
#[derive(Debug)]
pub struct Asked {
    request_id: String,
    method: Method,
    path: String,
}

impl Asked {
    /// Gives the request an id.
    pub fn new(request: &Request, ids: &RequestIds) -> Asked {
        Asked {
            request_id: ids.next(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        }
    }

    /// The id, for logs and audit records; the answer has it as `x-request-id`.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Fills in the body of a [`Problem`] and the headers that are the same for all. Where the answer has one of
    /// these headers already, it stays.
    pub fn finish(&self, response: &mut Response) {
        let Asked { request_id, method, path } = self;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            debug!(%request_id, %method, path, status = problem.status.as_u16(), detail = problem.detail, "refused");
            if *method != Method::HEAD {
                *response.body_mut() = Body::from(problem.body(request_id).to_string());
            }
        }
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let headers = response.headers_mut();
        for (name, value) in fixed {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    use super::*;

    async fn answer(method: Method, mut response: Response) -> (Response<()>, String) {
        let ids = RequestIds::new(255);
        let request = Request::builder().method(method).uri("/a?b=c").body(Body::empty()).unwrap();
        Asked::new(&request, &ids).finish(&mut response);
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_problem_gets_its_body_and_its_id() {
        let problem = || Problem::bad_parameter("a=1: use 2").into_response();
        let (head, body) = answer(Method::GET, problem()).await;
        assert_eq!(head.status(), StatusCode::BAD_REQUEST);
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert_eq!(head.headers()["x-request-id"], "req_ff_1");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "A parameter cannot be understood", "status": 400,
                "detail": "a=1: use 2", "code": "bad-parameter", "request_id": "req_ff_1",
            })
        );
        assert_eq!(answer(Method::HEAD, problem()).await.1, "");
    }

    #[tokio::test]
    async fn headers_of_a_handler_stay() {
        let response = ([(header::CACHE_CONTROL, "max-age=60")], "x").into_response();
        let (head, body) = answer(Method::GET, response).await;
        assert_eq!(
            (&head.headers()["cache-control"], body.as_str()),
            (&HeaderValue::from_static("max-age=60"), "x")
        );
        assert_eq!(head.headers()["x-content-type-options"], "nosniff");
    }
}
