//! Requests no browser sends, to the pages and the API.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use site_tests::{Hub, eventually, raw_exchange};

fn request(head: &str) -> Vec<u8> {
    format!("{head}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Sends a request and sees it refused with one of these codes; `None` for a connection closed without an answer.
#[track_caller]
fn check(hub: &Hub, what: &str, bytes: &[u8], expected: &[u16]) {
    let answer = raw_exchange(hub.web(), bytes);
    let status = answer.as_ref().map(|a| a.status);
    assert!(status.is_none_or(|s| expected.contains(&s)), "{what}: {answer:?}");
    if let Some(answer) = answer.filter(|a| a.header("content-type") == Some("application/problem+json")) {
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{what}: {problem}");
        assert!(problem["title"].is_string() && problem["code"].is_string(), "{what}: {problem}");
    }
    assert_eq!(hub.get("/healthz").status, 200, "after {what}");
}

#[test]
fn wrong_requests_are_refused_and_the_next_is_served() {
    let hub = Hub::start("wrong-requests");
    let host = hub.web();
    let get = |path: &str| request(&format!("GET {path} HTTP/1.1\r\nHost: {host}"));
    check(
        &hub,
        "a foreign Host",
        &request("GET /api/v1/devices HTTP/1.1\r\nHost: evil.example"),
        &[400, 403, 421],
    );
    check(&hub, "no Host", &request("GET /api/v1/devices HTTP/1.1"), &[400, 403, 421]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let bytes =
            request(&format!("{method} /api/v1/devices HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0"));
        check(&hub, method, &bytes, &[400, 403, 405, 501]);
    }
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/../../../etc/passwd",
        "//etc/passwd",
        "/api/v1/none",
    ] {
        check(&hub, path, &get(path), &[400, 404]);
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Huge: {}", "x".repeat(1 << 20));
    check(&hub, "a header of 1 MiB", &request(&huge), &[400, 431]);
    let many: String = (0..5000).map(|n| format!("\r\nX-{n}: y")).collect();
    check(&hub, "5,000 headers", &request(&format!("GET / HTTP/1.1\r\nHost: {host}{many}")), &[400, 431]);
    check(&hub, "a path of 100 KB", &get(&format!("/{}", "x".repeat(100_000))), &[400, 404, 414, 431]);
    check(&hub, "MQTT on the web port", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a", &[400]);
    check(&hub, "random bytes", b"\xff\xfe\x00\x01\r\n\r\n", &[400]);
}

#[test]
fn wrong_queries_say_what_is_wrong() {
    let hub = Hub::start("wrong-queries");
    let cases = [
        ("/api/v1/series?metric=x", &[400][..]),
        ("/api/v1/series?devcie=a", &[400]),
        ("/api/v1/series?limit=0&device=a&metric=x", &[400]),
        ("/api/v1/devices?page_size=100000", &[400]),
        ("/api/v1/export?format=xml", &[400]),
        ("/api/v1/series?device=nobody&metric=x", &[404]),
        ("/api/v1/series?device=dev_00000000000000000000000000&metric=x", &[404]),
        ("/api/v1/series?device=%ff&metric=x", &[400, 404]),
        ("/api/v1/series?device=a&metric=x&from=yesterday", &[400, 404]),
        ("/api/v1/series?device=a&metric=x&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", &[400, 404]),
    ];
    for (path, expected) in cases {
        let answer = hub.get(path);
        assert!(expected.contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status);
        assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 10), "{path}: {problem}");
    }
}

#[test]
fn slow_and_silent_clients_do_not_hold_up_others() {
    let hub = Hub::start("slow-http");
    let mut slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(hub.web()).expect("the API takes connections");
            stream.write_all(b"GET /api/v1/devices HTTP/1.1\r\nHost: 127").expect("it takes bytes");
            stream
        })
        .collect();
    // The hub serves so many at a time, and gives a silent one ten seconds.
    eventually(Duration::from_secs(25), "a proper client to be served", || {
        let answer = hub.get("/healthz");
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    for stream in &mut slow {
        let _gone_by_now = stream.write_all(b".");
    }
    assert_eq!(hub.get("/healthz").status, 200);
}
