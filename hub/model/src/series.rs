//! Series: one metric of one device, with a type and a unit that never change.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{DeviceId, ValueType};

/// A series' number within one log epoch. Never reused in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// What makes a series itself. The same device and metric with another type or unit is another series; a key seen
/// before finds its old series again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The device it belongs to.
    pub device: DeviceId,
    /// The metric's name.
    pub metric: MetricName,
    /// The type of every value.
    pub value_type: ValueType,
    /// The unit of every value.
    pub unit: Unit,
}

/// A series' definition: its number and its key. For [`ValueType::Enum`] also the dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its number in this log epoch.
    pub id: SeriesId,
    /// Device, metric, type and unit.
    pub key: SeriesKey,
    /// Id and label of every member, for enum series; empty otherwise.
    pub dictionary: Vec<(u32, Box<str>)>,
}

/// A metric's name: 1 to 128 bytes of UTF-8 without control characters and without `/`, `+` and `#`, which would
/// not survive as a topic level.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(Box<str>);

impl MetricName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MetricName {
    type Err = MetricNameError;

    fn from_str(text: &str) -> Result<Self, MetricNameError> {
        if text.is_empty() {
            return Err(MetricNameError::Empty);
        }
        if text.len() > Self::LEN_MAX {
            return Err(MetricNameError::TooLong { found: text.len() });
        }
        match text.chars().find(|&c| c.is_control() || matches!(c, '/' | '+' | '#')) {
            Some(found) => Err(MetricNameError::Character { found }),
            None => Ok(MetricName(text.into())),
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a metric name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricNameError {
    /// Nothing there.
    #[error("metric name is empty")]
    Empty,
    /// More than [`MetricName::LEN_MAX`] bytes.
    #[error("metric name has {found} bytes, at most 128 are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// A control character or one with a meaning in topics.
    #[error("metric name has {found:?}, which is not allowed")]
    Character {
        /// The character.
        found: char,
    },
}

/// A UCUM code such as `Cel` or `kW.h` (<https://ucum.org>), or none. At most 32 printable ASCII characters; whether
/// UCUM knows it is not checked here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Unit(Box<str>);

impl Unit {
    /// The longest code, in bytes.
    pub const LEN_MAX: usize = 32;

    /// No unit given.
    pub fn none() -> Unit {
        Unit::default()
    }

    /// The code; empty when none was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fits = text.len() <= Self::LEN_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Unit(text.into())) } else { Err(UnitError) }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is longer than 32 bytes or not printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unit is not a UCUM code of at most 32 printable ASCII characters")]
pub struct UnitError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_may_be_in_any_script() {
        for text in ["temp", "L1 voltage", "Temp\u{e9}rature", "\u{6e29}\u{5ea6}", "a.b:c"] {
            assert_eq!(text.parse::<MetricName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn metric_names_that_cannot_be_a_topic_level_are_refused() {
        let check =
            |text: &str, expected: MetricNameError| assert_eq!(text.parse::<MetricName>(), Err(expected));
        check("", MetricNameError::Empty);
        check("a/b", MetricNameError::Character { found: '/' });
        check("a+", MetricNameError::Character { found: '+' });
        check("#", MetricNameError::Character { found: '#' });
        check("a\nb", MetricNameError::Character { found: '\n' });
        check(&"x".repeat(129), MetricNameError::TooLong { found: 129 });
    }

    #[test]
    fn units_are_short_printable_codes() {
        assert_eq!("kW.h".parse::<Unit>().unwrap().as_str(), "kW.h");
        assert_eq!("".parse::<Unit>(), Ok(Unit::none()));
        assert_eq!("\u{b0}C".parse::<Unit>(), Err(UnitError));
        assert_eq!("x".repeat(33).parse::<Unit>(), Err(UnitError));
    }
}
