//! RFC 4180, with values digit by digit as the API writes them.

use std::borrow::Cow;

use hub_chassis::value_text::csv_text;

use crate::json_text::{object, plain};

/// A text of JSON as one field: strings without their quotes, an empty one as `""`; null is nothing; floats that are
/// no finite numbers and bytes as their digits, which the column `type` tells apart.
pub(crate) fn csv_field(json: Option<&str>) -> Cow<'_, str> {
    let Some(json) = json.filter(|json| *json != "null") else { return Cow::Borrowed("") };
    if json == "\"\"" {
        return Cow::Borrowed("\"\"");
    }
    if json.starts_with('{')
        && let Some(digits) = tagged(json)
    {
        return Cow::Owned(digits);
    }
    match plain(json) {
        Cow::Borrowed(text) => csv_text(text),
        Cow::Owned(text) => Cow::Owned(csv_text(&text).into_owned()),
    }
}

/// The digits of `{"$f64":"7ff8000000000000"}` and its like.
pub(crate) fn tagged(json: &str) -> Option<String> {
    let object = object(json)?;
    let (tag, digits) = object.first_key_value()?;
    let known = object.len() == 1 && ["$f64", "$f32", "$bytes"].contains(&tag.as_str());
    let digits = plain(digits.get());
    (known && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| digits.into_owned())
}

/// Fields as a line.
pub(crate) fn csv_line<'a>(fields: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let fields: Vec<Cow<'_, str>> = fields.into_iter().map(csv_field).collect();
    let mut line = fields.join(",");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let check = |json: &str, expected: &str| assert_eq!(csv_field(Some(json)), expected, "{json}");
        check("81.50", "81.50");
        check("-0.0", "-0.0");
        check("5e-324", "5e-324");
        check("18446744073709551615", "18446744073709551615");
        check("true", "true");
        check("null", "");
        check("\"\"", "\"\"");
        check("\"a,\\\"b\\\"\\r\\nc\"", "\"a,\"\"b\"\"\r\nc\"");
        check("\"plain\"", "plain");
        check("{\"$f64\":\"7ff8000000000001\"}", "7ff8000000000001");
        check("{\"$bytes\":\"00ff\"}", "00ff");
        check("{\"a\":1}", "\"{\"\"a\"\":1}\"");
        check("[1,2]", "\"[1,2]\"");
        assert_eq!(csv_field(None), "");
    }

    #[test]
    fn a_line_has_all_its_fields() {
        assert_eq!(csv_line([Some("1"), None, Some("\"x y\"")]), "1,,x y\n");
    }
}
