//! Places in the log: epochs, half-open ranges of sequence numbers, and gaps.

use std::fmt;

use crate::{BootStamp, Class};

/// One life of a log: random, compared for equality only. A rebuild, a restore or a move to a spare starts a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogEpoch(pub u64);

/// Sixteen hexadecimal digits.
impl fmt::Display for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The sequence numbers `from ..  to` of one class, `to` excluded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqRange {
    /// First number.
    pub from: u64,
    /// One past the last number.
    pub to: u64,
}

impl SeqRange {
    /// The range `from .. to`; `from` must not lie after `to`.
    pub fn new(from: u64, to: u64) -> SeqRange {
        assert!(from <= to, "a range runs forward: {from}..{to}");
        SeqRange { from, to }
    }

    /// How many numbers.
    pub const fn len(self) -> u64 {
        self.to - self.from
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Whether `other` lies wholly within.
    pub const fn covers(self, other: SeqRange) -> bool {
        self.from <= other.from && other.to <= self.to
    }

    /// Whether the two share a number.
    pub const fn overlaps(self, other: SeqRange) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl fmt::Debug for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a range holds nothing any more, or never did. Numbers are on disk and on the wire and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GapCause {
    /// The hub stopped without its orderly phases: readings that were in memory and not yet acknowledged may be
    /// missing. Of zero length, for nothing that had a number is gone.
    Restart = 1,
    /// Bytes on disk did not match their checksum.
    Corrupted = 2,
    /// Room ran out and this was the oldest.
    Evicted = 3,
    /// Room ran out; the roll-ups are kept.
    Thinned = 4,
    /// Shed before storage.
    Shed = 5,
    /// Past its retention, after it was confirmed.
    Expired = 6,
    /// Someone asked for it to be deleted.
    Deleted = 7,
    /// Files of the write-ahead log were gone or cut: at most these were in them, and it may have been none.
    Missing = 8,
}

impl GapCause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [GapCause; 8] = [
        GapCause::Restart,
        GapCause::Corrupted,
        GapCause::Evicted,
        GapCause::Thinned,
        GapCause::Shed,
        GapCause::Expired,
        GapCause::Deleted,
        GapCause::Missing,
    ];

    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The cause of a fixed number.
    pub fn from_number(number: u8) -> Option<GapCause> {
        GapCause::ALL.into_iter().find(|c| c.number() == number)
    }

    /// The lowercase word used in the API and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            GapCause::Restart => "restart",
            GapCause::Corrupted => "corrupted",
            GapCause::Evicted => "evicted",
            GapCause::Thinned => "thinned",
            GapCause::Shed => "shed",
            GapCause::Expired => "expired",
            GapCause::Deleted => "deleted",
            GapCause::Missing => "missing",
        }
    }
}

/// A row of the loss ledger: what is not there, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which sequence.
    pub class: Class,
    /// Which numbers of it; empty for [`GapCause::Restart`].
    pub range: SeqRange,
    /// Why.
    pub cause: GapCause,
    /// The last moment known before the gap, where there is one.
    pub since: Option<BootStamp>,
    /// The first moment known after it.
    pub until: BootStamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open() {
        let r = SeqRange::new(3, 7);
        assert_eq!(r.len(), 4);
        assert!(r.covers(SeqRange::new(3, 7)) && r.covers(SeqRange::new(5, 5)));
        assert!(!r.covers(SeqRange::new(2, 4)));
        assert!(r.overlaps(SeqRange::new(6, 9)) && !r.overlaps(SeqRange::new(7, 9)));
    }

    #[test]
    fn cause_numbers_are_fixed() {
        let numbers: Vec<u8> = GapCause::ALL.iter().map(|c| c.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(GapCause::from_number(0), None);
    }
}
