//! Paths with parameters, for clients of the APIs.

use std::fmt::Write as _;

/// Joins a path and its query; parameters that are `None` are left out.
pub fn with_query(path: &str, params: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    for (name, value) in params {
        let Some(value) = value else { continue };
        text.push(if text.contains('?') { '&' } else { '?' });
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{name}={}", percent_encoded(value));
    }
    text
}

/// A value as part of a path or query: what could end it or be taken for something else is encoded.
pub fn percent_encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_any_character() {
        let path = with_query("/x", &[("a", Some("L1 + \u{e9}&b=c")), ("n", None), ("t", Some("1"))]);
        assert_eq!(path, "/x?a=L1%20%2B%20%C3%A9%26b%3Dc&t=1");
    }
}
