//! Cells of tables for people.

use hub_chassis::cli::output::printable;
use hub_chassis::number_text::thousands;

use crate::csv::tagged;
use crate::json_text::{Object, field, plain};

/// Longest text in a cell; the whole one is in JSON and CSV.
const CHARS_MAX: usize = 80;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, an id, a time.
    Text,
    /// A count.
    Count,
    /// How many numbers lie between the fields `from` and `to`.
    Range,
}

impl Kind {
    /// A field for a table; `-` is none.
    pub(super) fn cell(self, item: &Object, name: &str) -> String {
        let json = field(item, name);
        match self {
            Kind::Text => json.map_or_else(|| "-".to_owned(), |json| text(&json)),
            Kind::Count => json.map_or_else(|| "-".to_owned(), |json| count(&json)),
            Kind::Range => {
                let number = |name: &str| field(item, name)?.parse::<u64>().ok();
                let length = number("to").zip(number("from")).and_then(|(to, from)| to.checked_sub(from));
                length.map_or_else(|| "-".to_owned(), thousands)
            }
        }
    }
}

/// A value of a series for a table.
pub(crate) fn value_cell(json: &str) -> String {
    match tagged(json) {
        Some(digits) if json.contains("$bytes") => cut(&format!("0x{digits}")),
        Some(digits) => not_finite(&digits).to_owned(),
        None if json == "\"\"" => json.to_owned(),
        None => text(json),
    }
}

/// What the bits of a float that is no finite number mean.
fn not_finite(digits: &str) -> &'static str {
    match digits {
        "7ff0000000000000" | "7f800000" => "+infinity",
        "fff0000000000000" | "ff800000" => "-infinity",
        _ => "NaN",
    }
}

fn count(json: &str) -> String {
    json.parse().map_or_else(|_| text(json), thousands)
}

fn text(json: &str) -> String {
    let text = plain(json);
    if text.is_empty() { "-".to_owned() } else { cut(&printable(&text)) }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX - 1).chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_text::object;

    #[test]
    fn cells_are_for_people() {
        let check = |kind: Kind, json: &str, expected: &str| {
            assert_eq!(kind.cell(&object(&format!("{{\"x\":{json}}}")).unwrap(), "x"), expected);
        };
        check(Kind::Text, "null", "-");
        check(Kind::Text, "\"\"", "-");
        check(Kind::Text, "\"a\\u001b[2J\\nb\"", "a\u{fffd}[2J\u{fffd}b");
        check(Kind::Text, "true", "true");
        check(Kind::Count, "1234567", "1,234,567");
        check(Kind::Count, "\"many\"", "many");
        check(Kind::Text, &format!("\"{}\"", "\u{e9}".repeat(200)), &("\u{e9}".repeat(79) + "\u{2026}"));
        let range = |item: &str| Kind::Range.cell(&object(item).unwrap(), "");
        assert_eq!(range(r#"{"from":5,"to":2005}"#), "2,000");
        assert_eq!(range(r#"{"from":5,"to":4}"#), "-");
    }

    #[test]
    fn values_keep_their_digits() {
        let check = |json: &str, expected: &str| assert_eq!(value_cell(json), expected);
        check("81.50", "81.50");
        check("{\"$f64\":\"7ff8000000000000\"}", "NaN");
        check("{\"$f64\":\"7ff0000000000000\"}", "+infinity");
        check("{\"$f32\":\"ff800000\"}", "-infinity");
        check("{\"$bytes\":\"00ff\"}", "0x00ff");
        check("\"a\\u0007\"", "a\u{fffd}");
        check("\"\"", "\"\"");
    }
}
