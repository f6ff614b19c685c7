//! Under which name a request came.

use axum::extract::Request;
use axum::http::header;

/// The host a request is meant for: in lowercase, without the port, an IPv6 address in its brackets. `None` without a
/// single Host header. The target's own authority goes before the header (RFC 9112, 3.2.2); two headers are none.
pub fn host_name(request: &Request) -> Option<String> {
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => {
            let mut hosts = request.headers().get_all(header::HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => host.to_str().ok()?,
                _ => return None,
            }
        }
    };
    Some(without_port(host).to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            if name.starts_with('[') == name.ends_with(']') { name } else { host }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn ports_are_cut_and_brackets_kept() {
        let check = |host: &str, expected: &str| assert_eq!(without_port(host), expected);
        check("localhost", "localhost");
        check("localhost:8080", "localhost");
        check("127.0.0.1:80", "127.0.0.1");
        check("[::1]:8080", "[::1]");
        check("[::1]", "[::1]");
        check("evil.example:8080:x", "evil.example:8080:x");
    }

    #[test]
    fn two_hosts_are_none_and_the_target_goes_first() {
        let check = |uri: &str, hosts: &[&str], expected: Option<&str>| {
            let request = hosts.iter().fold(Request::get(uri), |request, host| request.header("host", *host));
            assert_eq!(host_name(&request.body(Body::empty()).unwrap()).as_deref(), expected);
        };
        check("/", &["LocalHost:1"], Some("localhost"));
        check("/", &[], None);
        check("/", &["a", "b"], None);
        check("http://c:1/", &["a"], Some("c"));
    }
}
