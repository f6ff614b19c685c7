//! Which file a path means, and how it is sent.
//!
//! The page routes by path, so every path that can be a page of it is answered with `index.html`, which is asked for
//! again each time; everything else has a name that changes with its content.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use crate::assets::{ASSETS, Asset, NOTICE};

/// Everything comes from this hub, and no code stands in the page itself.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// Paths that are never pages, whether there is something at them or not: a slip in one must not look like a page.
const NOT_PAGES: [&str; 4] = ["/api", "/healthz", "/metrics", "/openapi.json"];

/// Pages below this are named after devices, whose names may have dots.
const DEVICE_PAGES: &str = "/devices/";

/// Answers a GET or HEAD for a page or one of its files; `None` for everything else.
///
/// Pages are `/` and every path of plain names without a dot in the last one, and all below `/devices/`; not those below
/// `/api`, `/healthz`, `/metrics` and `/assets`.
pub fn page<B>(request: &Request<B>) -> Option<Response<Body>> {
    answer(ASSETS, request.method(), request.uri().path(), request.headers())
}

fn answer(
    assets: &'static [Asset],
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let asset = match assets.iter().find(|asset| asset.path == path) {
        Some(asset) => asset,
        None if is_page(path) => assets.iter().find(|asset| asset.path == "/index.html").unwrap_or(&NOTICE),
        None => return None,
    };
    Some(send(asset, method, headers))
}

fn is_page(path: &str) -> bool {
    let below =
        |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if NOT_PAGES.into_iter().chain(["/assets"]).any(below) {
        return false;
    }
    let Some(inside) = path.strip_prefix('/') else { return false };
    let parts = inside.strip_suffix('/').unwrap_or(inside);
    let is_plain = parts.is_empty() || parts.split('/').all(is_part);
    is_plain
        && (path.starts_with(DEVICE_PAGES) || !inside.rsplit('/').next().unwrap_or_default().contains('.'))
}

/// Pages have plain names, as devices have: what climbs, or hides what it is, is somebody else's idea.
fn is_part(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain)
}

fn send(asset: &Asset, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let packed = asset.gzip.filter(|_| takes_gzip(headers));
    let etag = match packed {
        Some(_) => format!("{}-gz\"", asset.etag.trim_end_matches('"')),
        None => asset.etag.to_owned(),
    };
    let bytes = packed.unwrap_or(asset.bytes);
    let is_known = knows(headers, &etag);
    let body = if is_known || *method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    let head = response.headers_mut();
    let fixed = HeaderValue::from_static;
    head.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    head.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    let keep = if asset.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    head.insert(header::CACHE_CONTROL, fixed(keep));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        head.insert(header::ETAG, etag);
    }
    if asset.gzip.is_some() {
        head.insert(header::VARY, fixed("accept-encoding"));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    head.insert(header::CONTENT_TYPE, fixed(asset.kind));
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if packed.is_some() {
        head.insert(header::CONTENT_ENCODING, fixed("gzip"));
    }
    response
}

/// Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3): named, or meant by `*`, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let offers = |name: &str| {
        elements(headers, header::ACCEPT_ENCODING).find_map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name));
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            is_named.then(|| weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0)))
        })
    };
    offers("gzip").or_else(|| offers("x-gzip")).or_else(|| offers("*")).unwrap_or(false)
}

/// Whether `If-None-Match` names this tag; weak ones count too, as RFC 9110 (13.1.2) has it.
fn knows(headers: &HeaderMap, etag: &str) -> bool {
    elements(headers, header::IF_NONE_MATCH)
        .any(|element| element == "*" || element.strip_prefix("W/").unwrap_or(element) == etag)
}

/// The parts of a list header. Our own tags and codings have no commas.
fn elements(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    static FILES: &[Asset] = &[
        Asset {
            path: "/assets/index-Ab12.js",
            kind: "text/javascript; charset=utf-8",
            etag: "\"01\"",
            is_immutable: true,
            bytes: b"let a = 1;",
            gzip: Some(b"packed"),
        },
        Asset {
            path: "/index.html",
            kind: "text/html; charset=utf-8",
            etag: "\"02\"",
            is_immutable: false,
            bytes: b"<!doctype html>",
            gzip: None,
        },
    ];

    fn ask(method: Method, path: &str, headers: &[(header::HeaderName, &str)]) -> Option<Response<Body>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        answer(FILES, &method, path, &map)
    }

    async fn body(response: Response<Body>) -> Vec<u8> {
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn pages_are_the_index_and_other_paths_are_not_ours() {
        for path in [
            "/",
            "/index.html",
            "/devices",
            "/devices/meter.1",
            "/devices/meter.1/history",
            "/data",
            "/a/b/c",
        ] {
            let response = ask(Method::GET, path, &[]).unwrap_or_else(|| panic!("{path} is a page"));
            assert_eq!(response.headers()["cache-control"], "no-cache", "{path}");
            assert_eq!(response.headers()["content-security-policy"], POLICY);
            assert_eq!(body(response).await, b"<!doctype html>", "{path}");
        }
        for path in [
            "/api",
            "/api/v1/nope",
            "/healthz/x",
            "/metrics",
            "/openapi.json",
            "/assets/none.js",
            "/assets/x",
            "/a.js",
            "/../../etc/passwd",
            "/devices/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/devices//x",
            "/a b",
        ] {
            assert!(ask(Method::GET, path, &[]).is_none(), "{path}");
        }
        assert!(ask(Method::POST, "/", &[]).is_none());
    }

    #[tokio::test]
    async fn files_with_a_hash_in_their_name_are_kept_and_packed() {
        let path = "/assets/index-Ab12.js";
        let plain = ask(Method::GET, path, &[]).unwrap();
        assert_eq!(plain.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(plain.headers()["vary"], "accept-encoding");
        assert!(!plain.headers().contains_key("content-encoding"));
        assert_eq!(body(plain).await, b"let a = 1;");
        let packed =
            ask(Method::GET, path, &[(header::ACCEPT_ENCODING, "br;q=1.0, GZIP;q=0.8, *;q=0")]).unwrap();
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(packed.headers()["etag"], "\"01-gz\"");
        assert_eq!(body(packed).await, b"packed");
        for refusing in ["br", "gzip;q=0", "gzip; q=0, *", "identity"] {
            let answer = ask(Method::GET, path, &[(header::ACCEPT_ENCODING, refusing)]).unwrap();
            assert!(!answer.headers().contains_key("content-encoding"), "{refusing}");
        }
        let any = ask(Method::GET, path, &[(header::ACCEPT_ENCODING, "*")]).unwrap();
        assert_eq!(any.headers()["content-encoding"], "gzip");
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        let known = |tags: &str| ask(Method::GET, "/", &[(header::IF_NONE_MATCH, tags)]).unwrap();
        for tags in ["\"02\"", "\"01\", W/\"02\"", "*"] {
            let response = known(tags);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tags}");
            assert_eq!(response.headers()["etag"], "\"02\"");
            assert_eq!(body(response).await, b"");
        }
        assert_eq!(known("\"01\"").status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_head_has_the_length_and_no_body() {
        let response = ask(Method::HEAD, "/", &[]).unwrap();
        assert_eq!(response.headers()["content-length"], "15");
        assert_eq!(body(response).await, b"");
    }

    #[tokio::test]
    async fn a_build_without_the_page_says_so() {
        let response = answer(&[], &Method::GET, "/", &HeaderMap::new()).unwrap();
        let text = String::from_utf8(body(response).await).unwrap();
        assert!(text.contains("make ui"), "{text}");
    }

    #[test]
    fn the_files_of_this_build_are_whole() {
        for asset in ASSETS {
            assert!(asset.path.starts_with('/') && !asset.bytes.is_empty(), "{}", asset.path);
            assert!(asset.etag.len() == 18 && asset.etag.starts_with('"') && asset.etag.ends_with('"'));
        }
        assert!(ASSETS.is_empty() || ASSETS.iter().any(|asset| asset.path == "/index.html"));
    }
}
