//! Devices and their names.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::DeviceId;

/// A device the hub knows: an id for ever, and the name people and topics use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Immutable; kept when the hardware is replaced.
    pub id: DeviceId,
    /// Unique within the site, and renamable.
    pub name: DeviceName,
}

/// A slug: 1 to 63 of `a–z`, `0–9`, `-`, `_` and `.`, beginning with a letter or a digit, never with `dev_`.
///
/// The bound keeps a name within one DNS label and one file name; `dev_` is kept for ids, so that a command that
/// takes "name or id" is never in doubt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(Box<str>);

impl DeviceName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        if text.is_empty() {
            return Err(DeviceNameError::Empty);
        }
        if text.len() > Self::LEN_MAX {
            return Err(DeviceNameError::TooLong { found: text.len() });
        }
        if text.starts_with(DeviceId::PREFIX) {
            return Err(DeviceNameError::LooksLikeId);
        }
        for (at, c) in text.char_indices() {
            let letter_or_digit = c.is_ascii_lowercase() || c.is_ascii_digit();
            if !(letter_or_digit || (at > 0 && matches!(c, '-' | '_' | '.'))) {
                return Err(DeviceNameError::Character { at, found: c });
            }
        }
        Ok(DeviceName(text.into()))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a device name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceNameError {
    /// Nothing there.
    #[error("device name is empty")]
    Empty,
    /// More than [`DeviceName::LEN_MAX`] bytes.
    #[error("device name has {found} bytes, at most 63 are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Begins with `dev_`, which is kept for ids.
    #[error("device name begins with `dev_`, which is kept for ids")]
    LooksLikeId,
    /// A character outside the slug alphabet, or a separator in front.
    #[error("device name has {found:?} at position {at}; use a-z, 0-9, and after the first also - _ .")]
    Character {
        /// Byte position.
        at: usize,
        /// The character.
        found: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_names() {
        for text in ["a", "7", "boiler-1", "hall.north_2", &"x".repeat(63)] {
            assert_eq!(text.parse::<DeviceName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_texts_say_what_is_wrong() {
        let check =
            |text: &str, expected: DeviceNameError| assert_eq!(text.parse::<DeviceName>(), Err(expected));
        check("", DeviceNameError::Empty);
        check(&"x".repeat(64), DeviceNameError::TooLong { found: 64 });
        check("dev_1", DeviceNameError::LooksLikeId);
        check("-a", DeviceNameError::Character { at: 0, found: '-' });
        check("Boiler", DeviceNameError::Character { at: 0, found: 'B' });
        check("caf\u{e9}", DeviceNameError::Character { at: 3, found: '\u{e9}' });
        check("a/b", DeviceNameError::Character { at: 1, found: '/' });
    }
}
