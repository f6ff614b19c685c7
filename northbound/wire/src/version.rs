//! Which versions of the protocol a peer speaks.

use std::fmt;

use thiserror::Error;

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: u32,
    /// The highest.
    pub max: u32,
}

/// Why two peers cannot talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer speaks versions {theirs} of the protocol, this program {ours}")]
pub struct VersionsError {
    /// What this program speaks.
    pub ours: Versions,
    /// What the peer said.
    pub theirs: Versions,
}

impl Versions {
    /// What this program speaks.
    pub const OURS: Versions = Versions { min: 1, max: 1 };

    /// The highest version both speak.
    pub fn agree(self, theirs: Versions) -> Result<u32, VersionsError> {
        let (low, high) = (self.min.max(theirs.min), self.max.min(theirs.max));
        if low <= high { Ok(high) } else { Err(VersionsError { ours: self, theirs }) }
    }

    /// Whether a version is within.
    pub const fn contains(self, version: u32) -> bool {
        self.min <= version && version <= self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_agreed_on() {
        let of = |min, max| Versions { min, max };
        assert_eq!(of(1, 3).agree(of(2, 5)), Ok(3));
        assert_eq!(of(4, 5).agree(of(5, 5)), Ok(5));
        assert!(of(2, 3).agree(of(0, 1)).is_err());
        assert!(of(1, 1).agree(of(5, 2)).is_err(), "a range that is none agrees with nothing");
    }
}
