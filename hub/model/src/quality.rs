//! How far a reading can be trusted, in 16 bits: 2 of level, 6 of reason, 8 of detail.

use std::fmt;

/// Level, reason and detail of a reading. Clock quality is separate: see [`crate::ClockQuality`].
///
/// Layout, high bit first: `LL RRRRRR DDDDDDDD`. Good without reason is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quality(u16);

/// The first question about a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The value is what the device measured.
    Good = 0,
    /// There is a value, with a doubt the reason names.
    Uncertain = 1,
    /// There is no value, and the reason says why.
    Bad = 2,
}

/// Why a reading is not plainly good. Numbers are on disk and never reused; at most 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Nothing to say.
    None = 0,
    /// The device did not answer in time.
    NoAnswer = 1,
    /// The device answered with an exception; the detail is its code (for Modbus, the exception code).
    Exception = 2,
    /// The value lies outside what the device or profile calls possible.
    OutOfRange = 3,
    /// The device does not have this reading.
    Unsupported = 4,
    /// The value is older than it should be.
    Stale = 5,
    /// The link to the device is down.
    NotConnected = 6,
    /// Someone put this value in the place of a measured one.
    Substituted = 7,
    /// What came could not be decoded.
    Malformed = 8,
    /// The device itself said that it has no reading (a JSON `null`, a sentinel).
    NotReported = 9,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Reason; 10] = [
        Reason::None,
        Reason::NoAnswer,
        Reason::Exception,
        Reason::OutOfRange,
        Reason::Unsupported,
        Reason::Stale,
        Reason::NotConnected,
        Reason::Substituted,
        Reason::Malformed,
        Reason::NotReported,
    ];

    /// The kebab-case word used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::None => "none",
            Reason::NoAnswer => "no-answer",
            Reason::Exception => "exception",
            Reason::OutOfRange => "out-of-range",
            Reason::Unsupported => "unsupported",
            Reason::Stale => "stale",
            Reason::NotConnected => "not-connected",
            Reason::Substituted => "substituted",
            Reason::Malformed => "malformed",
            Reason::NotReported => "not-reported",
        }
    }
}

impl Quality {
    /// Good, nothing to add.
    pub const GOOD: Quality = Quality(0);

    /// A quality of its three parts.
    pub const fn new(level: Level, reason: Reason, detail: u8) -> Quality {
        Quality(((level as u16) << 14) | ((reason as u16) << 8) | detail as u16)
    }

    /// Bad for this reason, without detail.
    pub const fn bad(reason: Reason) -> Quality {
        Quality::new(Level::Bad, reason, 0)
    }

    /// The 16 bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The quality of these bits; `None` when level or reason is one this version does not know.
    pub fn from_bits(bits: u16) -> Option<Quality> {
        let quality = Quality(bits);
        let known = (bits >> 14) <= Level::Bad as u16 && usize::from((bits >> 8) & 63) < Reason::ALL.len();
        known.then_some(quality)
    }

    /// Good, uncertain or bad.
    pub const fn level(self) -> Level {
        match self.0 >> 14 {
            0 => Level::Good,
            1 => Level::Uncertain,
            _ => Level::Bad,
        }
    }

    /// Why.
    pub fn reason(self) -> Reason {
        Reason::ALL.get(usize::from((self.0 >> 8) & 63)).copied().unwrap_or(Reason::None)
    }

    /// What the reason's detail byte holds; 0 where the reason has none.
    pub const fn detail(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// Whether a reading of this quality carries no value.
    pub fn is_bad(self) -> bool {
        self.level() == Level::Bad
    }
}

/// `good`, or `bad:exception:2`, or `uncertain:stale`: the form used in the API and on the command line.
impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level() {
            Level::Good => "good",
            Level::Uncertain => "uncertain",
            Level::Bad => "bad",
        })?;
        if self.reason() != Reason::None {
            write!(f, ":{}", self.reason().name())?;
        }
        if self.detail() != 0 {
            write!(f, ":{}", self.detail())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_two_six_eight() {
        let quality = Quality::new(Level::Bad, Reason::Exception, 0x0b);
        assert_eq!(quality.bits(), 0b1000_0010_0000_1011);
        assert_eq!(quality.to_string(), "bad:exception:11");
        assert_eq!(Quality::GOOD.bits(), 0);
        assert_eq!(Quality::GOOD.to_string(), "good");
    }

    #[test]
    fn every_known_pattern_round_trips_and_others_are_refused() {
        for bits in 0..=u16::MAX {
            if let Some(q) = Quality::from_bits(bits) {
                assert_eq!(Quality::new(q.level(), q.reason(), q.detail()).bits(), bits);
            } else {
                assert!(bits >> 14 == 3 || usize::from((bits >> 8) & 63) >= Reason::ALL.len());
            }
        }
    }

    #[test]
    fn reason_numbers_are_their_places() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
