//! JSON as it came, and fields of it, without a detour through numbers of ours: what the API says is printed digit by
//! digit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;

/// An object whose values are texts of JSON still.
pub(crate) type Object = BTreeMap<String, Box<RawValue>>;

/// The object in a text of JSON; `None` when it is something else.
pub(crate) fn object(text: &str) -> Option<Object> {
    serde_json::from_str(text).ok()
}

/// The text of JSON at a path such as `last.value`; `None` where there is nothing, or null.
pub(crate) fn field<'a>(item: &'a Object, path: &str) -> Option<Cow<'a, str>> {
    let text = match path.split_once('.') {
        None => Cow::Borrowed(item.get(path)?.get()),
        Some((first, rest)) => Cow::Owned(field(&object(item.get(first)?.get())?, rest)?.into_owned()),
    };
    (text != "null").then_some(text)
}

/// What a text of JSON says: a string without its quotes, everything else as it is written.
pub(crate) fn plain(json: &str) -> Cow<'_, str> {
    if json.starts_with('"') {
        serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned)
    } else {
        Cow::Borrowed(json)
    }
}

/// The same JSON in one line and without characters that could move a cursor: those are escaped where they stand in
/// strings, and left out where they are mere space.
pub(crate) fn one_line(json: &str) -> Cow<'_, str> {
    if !json.contains(char::is_control) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match u32::from(c) {
            // Valid JSON has these between its tokens only.
            0..0x20 => {}
            code if c.is_control() => {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "\\u{code:04x}");
            }
            _ => text.push(c),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_as_they_were_written() {
        let item = object(r#"{"a":1.50,"last":{"value":"x","none":null},"b":null}"#).unwrap();
        let check = |path: &str, expected: Option<&str>| assert_eq!(field(&item, path).as_deref(), expected);
        check("a", Some("1.50"));
        check("last.value", Some("\"x\""));
        check("last.none", None);
        check("a.value", None);
        check("b", None);
        check("c.d", None);
        assert!(object("[1]").is_none() && object("{").is_none());
    }

    #[test]
    fn strings_lose_their_quotes_and_numbers_nothing() {
        let check = |json: &str, expected: &str| assert_eq!(plain(json), expected);
        check("1e+21", "1e+21");
        check("\"97 \\u00b0C\\n\"", "97 \u{b0}C\n");
        check("true", "true");
        check("{\"$f64\":\"7ff8000000000000\"}", "{\"$f64\":\"7ff8000000000000\"}");
    }

    #[test]
    fn a_line_of_json_moves_no_cursor_and_means_the_same() {
        let hostile = "{\n\t\"a\": \"\u{9b}2J\u{7f}\",\r\n \"b\": \"\\u001b\"}";
        let line = one_line(hostile);
        assert!(!line.contains(char::is_control), "{line:?}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&line), read(hostile));
        assert!(matches!(one_line("{\"a\":1}"), Cow::Borrowed(_)));
    }
}
