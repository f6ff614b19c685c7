//! Values with units: `"64MiB"` and `"30s"`.

use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const DURATION_UNITS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl ByteSize {
    /// A size in bytes.
    pub const fn from_bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads a whole number and a unit, such as `64MiB`; the error is a sentence for a person.
    pub fn parse(text: &str) -> Result<ByteSize, String> {
        let example = "write a whole number and a unit, such as \"64MiB\" or \"8GiB\"";
        parse_with_units(text, &SIZE_UNITS, example).map(ByteSize)
    }
}

/// For people: three digits at most, binary units.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) =
            SIZE_UNITS[..5].iter().rev().find(|(_, unit)| self.0 >= *unit).unwrap_or(&("B", 1));
        let (whole, tenth) = (self.0 / unit, self.0 % unit * 10 / unit);
        if tenth == 0 || whole >= 100 {
            write!(f, "{whole} {name}")
        } else {
            write!(f, "{whole}.{tenth} {name}")
        }
    }
}

/// Reads a whole number and a unit, such as `30s`; the error is a sentence for a person.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let example = "write a whole number and a unit, such as \"30s\" or \"15min\"";
    parse_with_units(text, &DURATION_UNITS_MS, example).map(Duration::from_millis)
}

fn parse_with_units(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (&text[..digits], text[digits..].trim());
    if number.is_empty() {
        return Err(format!("{text:?} does not begin with a number; {example}"));
    }
    if unit.is_empty() {
        return Err(format!("{text:?} has no unit; {example}"));
    }
    if let Some(whole) = whole_of(text, units) {
        return Err(format!("{text:?}: whole numbers only; write {whole}"));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!("{unit:?} is not a known unit ({}); {example}", known.join(", ")));
    };
    let value = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
    value.ok_or_else(|| format!("{text:?} is too large; {example}"))
}

/// `1.5GiB` as `1536MiB`: a number with a fraction in the next smaller unit, cut to a whole number.
fn whole_of(text: &str, units: &[(&str, u64)]) -> Option<String> {
    let (whole, rest) = text.split_once(['.', ','])?;
    let fraction = &rest[..rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len()];
    let unit = rest[fraction.len()..].trim();
    let at = units.iter().position(|(name, _)| *name == unit)?;
    let factor = u128::from(units[at].1);
    let (smaller, smaller_factor) =
        units[..at].iter().rev().find(|(_, other)| u128::from(*other) < factor)?;
    let parts = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number: u128 = format!("{whole}{fraction}").parse().ok()?;
    let value = number.checked_mul(factor)? / parts / u128::from(*smaller_factor);
    (value > 0).then(|| format!("{value}{smaller}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: u64| assert_eq!(ByteSize::parse(text), Ok(ByteSize(expected)));
        check("64MiB", 64 << 20);
        check("8 GiB", 8 << 30);
        check("1kB", 1000);
        check("0B", 0);
    }

    #[test]
    fn wrong_sizes_say_why() {
        let check = |text: &str, expected: &str| {
            let message = ByteSize::parse(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check("64", "has no unit");
        check("GiB", "does not begin with a number");
        check("", "does not begin with a number");
        check("-1GiB", "does not begin with a number");
        check("8GB.", "not a known unit");
        check("8gib", "not a known unit");
        check("99999999TiB", "too large");
        check("1.5GiB", "\"1.5GiB\": whole numbers only; write 1536MiB");
        check("0,5 TB", "write 500GB");
        check("1.5kB", "write 1500B");
        check("1.5B", "not a known unit");
        check("1.", "not a known unit");
        check("1.99999999999999999999999999999999999999999GiB", "not a known unit");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("15min"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("250 ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        let check = |text: &str, expected: &str| {
            let message = parse_duration(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check("30", "has no unit");
        check("15m", "\"m\" is not a known unit (ms, s, min, h, d)");
        check("1.5h", "write 90min");
        check("0.5ms", "not a known unit");
    }

    #[test]
    fn sizes_read_well() {
        let check = |bytes: u64, expected: &str| assert_eq!(ByteSize(bytes).to_string(), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1536, "1.5 KiB");
        check(8 << 30, "8 GiB");
        check((150 << 20) + (1 << 19), "150 MiB");
    }
}
