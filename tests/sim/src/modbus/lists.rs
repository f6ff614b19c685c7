//! Lists of units and of addresses as people write them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Ranges in one list: more is a slip.
const RANGES_MAX: usize = 256;

/// Some of the 256 units, written `1-10` or `4,8,100-110`. The empty text is no unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(pub BTreeSet<u8>);

/// Some of the 65,536 addresses of a table, written `100-109` or `7,100-109`. The empty text is no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<RangeInclusive<u16>>);

/// A list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no list of numbers from 0 to {last}, such as 4,8 or 1-10")]
pub struct ListError {
    text: String,
    last: u16,
}

impl Units {
    /// Whether the unit is one of them.
    pub fn contains(&self, unit: u8) -> bool {
        self.0.contains(&unit)
    }
}

impl<const N: usize> From<[u8; N]> for Units {
    fn from(units: [u8; N]) -> Units {
        Units(units.into())
    }
}

impl FromStr for Units {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Units, ListError> {
        let error = || ListError { text: text.to_owned(), last: u8::MAX.into() };
        Ok(Units(ranges::<u8>(text).ok_or_else(error)?.into_iter().flatten().collect()))
    }
}

impl Addresses {
    /// Whether one of them is in the range.
    pub fn touch(&self, first: u16, last: u16) -> bool {
        self.0.iter().any(|range| *range.start() <= last && first <= *range.end())
    }
}

impl FromStr for Addresses {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Addresses, ListError> {
        let error = || ListError { text: text.to_owned(), last: u16::MAX };
        ranges(text).map(Addresses).ok_or_else(error)
    }
}

fn ranges<T: FromStr + Copy + PartialOrd>(text: &str) -> Option<Vec<RangeInclusive<T>>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    if text.split(',').count() > RANGES_MAX {
        return None;
    }
    text.split(',').map(range).collect()
}

fn range<T: FromStr + Copy + PartialOrd>(text: &str) -> Option<RangeInclusive<T>> {
    let number = |text: &str| text.trim().parse::<T>().ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_numbers_and_ranges() {
        let units = |text: &str| text.parse::<Units>().map(|units| units.0.into_iter().collect::<Vec<u8>>());
        assert_eq!(units("1-3"), Ok(vec![1, 2, 3]));
        assert_eq!(units("8, 4,100-101"), Ok(vec![4, 8, 100, 101]));
        assert_eq!(units(""), Ok(vec![]));
        assert_eq!(units("0-255").unwrap().len(), 256);
        for wrong in ["256", "3-1", "a", "1,,2", "1-", "-", "1 2"] {
            assert!(units(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_says_what_it_should_be() {
        let error = "4;8".parse::<Units>().unwrap_err();
        assert_eq!(error.to_string(), r#""4;8" is no list of numbers from 0 to 255, such as 4,8 or 1-10"#);
    }

    #[test]
    fn addresses_touch_what_overlaps_them() {
        let holes: Addresses = "7,100-109".parse().unwrap();
        assert!(holes.touch(7, 7) && holes.touch(0, 7) && holes.touch(90, 100) && holes.touch(109, 200));
        assert!(
            !holes.touch(8, 99) && !holes.touch(110, u16::MAX) && !Addresses::default().touch(0, u16::MAX)
        );
    }
}
