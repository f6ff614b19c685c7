//! Identities: a prefix and a ULID, immutable once given out.
//!
//! Text form: `hub_` + 26 lowercase Crockford base-32 characters. The time part only keeps ids roughly sortable
//! by age; nothing ever interprets it. ULID layout: <https://github.com/ulid/spec> (48 bits of milliseconds, 80
//! bits of randomness, big-endian).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

/// 128 bits: 48 of milliseconds since 1970, 80 of randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

impl Ulid {
    /// Makes a ULID. `time_ms` is the caller's max(clock, build time, last known good time), so that a hub whose
    /// clock is years off still makes ids that sort after its older ones; only its low 48 bits are kept.
    pub fn new(time_ms: u64, randomness: [u8; 10]) -> Self {
        let mut low = [0u8; 16];
        low[6..].copy_from_slice(&randomness);
        Ulid((u128::from(time_ms & 0xffff_ffff_ffff) << 80) | u128::from_be_bytes(low))
    }

    /// The 16 bytes, big-endian: their order is the order of the ids.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The ULID of these 16 bytes; every pattern is one.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Ulid(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; TEXT_LEN];
        let mut rest = self.0;
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ulid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != TEXT_LEN {
            return Err(IdError::Length { found: text.len() });
        }
        let mut bits: u128 = 0;
        for (at, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&a| a == byte).ok_or(IdError::Character { at })?;
            // 26 × 5 = 130 bits: the first character may only carry three.
            if at == 0 && digit > 7 {
                return Err(IdError::Character { at });
            }
            bits = (bits << 5) | digit as u128;
        }
        Ok(Ulid(bits))
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text does not begin with the prefix of this kind of id.
    #[error("id does not begin with `{expected}`")]
    Prefix {
        /// The prefix this kind of id has, underscore included.
        expected: &'static str,
    },
    /// The part after the prefix is not 26 characters long.
    #[error("id has {found} characters after its prefix instead of 26")]
    Length {
        /// Bytes found after the prefix.
        found: usize,
    },
    /// A character is not lowercase Crockford base 32, or the first one overflows 128 bits.
    #[error("id has a character that is not lowercase Crockford base 32 at position {at}")]
    Character {
        /// Position after the prefix, from 0.
        at: usize,
    },
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id around a ULID.
            pub const fn new(ulid: Ulid) -> Self {
                $name(ulid)
            }

            /// The ULID inside.
            pub const fn ulid(self) -> Ulid {
                self.0
            }

            /// The 16 bytes of the ULID, big-endian.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id of 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let ulid = text.strip_prefix(Self::PREFIX).ok_or(IdError::Prefix { expected: Self::PREFIX })?;
                ulid.parse().map($name)
            }
        }
    };
}

prefixed_id!(
    /// An organisation. One exists by default; every central row carries it.
    OrgId,
    "org_"
);
prefixed_id!(
    /// A site, given at enrolment.
    SiteId,
    "site_"
);
prefixed_id!(
    /// A hub, made by itself at its first start.
    HubId,
    "hub_"
);
prefixed_id!(
    /// A device, given by its hub on first sight; replacing the hardware keeps it.
    DeviceId,
    "dev_"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_prefix_and_26_lowercase_characters() {
        let id = DeviceId::new(Ulid::new(1_469_918_176_385, [0xff; 10]));
        assert_eq!(id.to_string(), "dev_01aryz6s41zzzzzzzzzzzzzzzz");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn wrong_texts_say_what_is_wrong() {
        let check = |text: &str, expected: IdError| assert_eq!(text.parse::<HubId>(), Err(expected));
        check("dev_01arywbd01zzzzzzzzzzzzzzzz", IdError::Prefix { expected: "hub_" });
        check("hub_01", IdError::Length { found: 2 });
        check("hub_81arywbd01zzzzzzzzzzzzzzzz", IdError::Character { at: 0 });
        check("hub_01ARYWBD01zzzzzzzzzzzzzzzz", IdError::Character { at: 2 });
        check("hub_01irywbd01zzzzzzzzzzzzzzzz", IdError::Character { at: 2 });
    }

    proptest! {
        #[test]
        fn every_ulid_survives_its_text(bits: u128) {
            let ulid = Ulid::from_bytes(bits.to_be_bytes());
            prop_assert_eq!(ulid.to_string().parse::<Ulid>(), Ok(ulid));
        }

        #[test]
        fn text_order_is_byte_order(a: u128, b: u128) {
            let (a, b) = (Ulid::from_bytes(a.to_be_bytes()), Ulid::from_bytes(b.to_be_bytes()));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_is_refused_or_means_what_it_says(text in "\\PC{0,40}") {
            if let Ok(id) = text.parse::<DeviceId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
