//! Values with units: `"1MiB"` and `"10s"`.

use std::time::Duration;

const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("kB", 1_000), ("MB", 1_000_000)];

const DURATIONS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A number of bytes; the error is a sentence for a person.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZES, "write a whole number and a unit, such as \"1MiB\"")
}

/// A duration; the error is a sentence for a person.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, &DURATIONS_MS, "write a whole number and a unit, such as \"10s\"").map(Duration::from_millis)
}

fn parse(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (&text[..digits], text[digits..].trim());
    if number.is_empty() {
        return Err(format!("{text:?} does not begin with a number; {example}"));
    }
    if unit.is_empty() {
        return Err(format!("{text:?} has no unit; {example}"));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!("{unit:?} is not a known unit ({}); {example}", known.join(", ")));
    };
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    value.ok_or_else(|| format!("{text:?} is too large; {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_units() {
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("300 kB"), Ok(300_000));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        for text in ["", "s", "10", "10x", "1.5s", "-1s", "99999999999999999999d", "9999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
