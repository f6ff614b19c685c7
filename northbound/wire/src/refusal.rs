//! Why something was not taken. Numbers are on the wire, are QUIC close codes too, and are never reused.

use std::fmt;

use hub_model::SeqRange;
use thiserror::Error;

use crate::message::Lane;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// Why, as both ends and their metrics know it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum RefusalCode { $($(#[$doc])* $name = $number,)* }

        impl RefusalCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$name,)*];

            /// The word used in logs, metrics and audit.
            pub const fn name(self) -> &'static str {
                match self { $(RefusalCode::$name => $word,)* }
            }
        }
    };
}

codes! {
    /// Not said: a code of a newer peer.
    Other = 0, "other";
    /// No version of the protocol is spoken by both.
    Version = 1, "version";
    /// A frame is longer than allowed.
    FrameTooLarge = 2, "frame-too-large";
    /// Bytes are not a message, or it breaks a limit.
    Malformed = 3, "malformed";
    /// A message that does not belong here or now.
    Unexpected = 4, "unexpected";
    /// The hub says another id than its certificate.
    HubMismatch = 5, "hub-mismatch";
    /// No certificate, or none that holds.
    Unauthenticated = 6, "unauthenticated";
    /// The hub is suspended or unknown here.
    Forbidden = 7, "forbidden";
    /// Central's term is lower than one the hub has seen.
    TermTooLow = 8, "term-too-low";
    /// The token was never given out here.
    TokenUnknown = 9, "token-unknown";
    /// The token has been used by another hub.
    TokenUsed = 10, "token-used";
    /// The token's time is over.
    TokenExpired = 11, "token-expired";
    /// The signing request does not hold.
    BadRequest = 12, "bad-csr";
    /// The id or key is already that of another hub.
    HubKnown = 13, "hub-known";
    /// A block's checksum, length or header does not hold.
    BlockDamaged = 14, "block-damaged";
    /// A block of a version this central does not read.
    BlockVersion = 15, "block-version";
    /// A block's range crosses one that is stored.
    BlockCrossing = 16, "block-crossing";
    /// More was sent than credit was given.
    CreditExceeded = 17, "credit-exceeded";
    /// Another connection of the same hub took over.
    Replaced = 18, "replaced";
    /// Too much at once; come back later.
    Busy = 19, "busy";
    /// Central stops in order.
    Stopping = 20, "stopping";
    /// Central cannot store at the moment.
    StorageFailed = 21, "storage-failed";
    /// The hub's log is not the one that central knows by its name: a copy, or put back from one.
    OtherLog = 22, "other-log";
}

impl RefusalCode {
    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number; [`RefusalCode::Other`] for one of a newer peer.
    pub fn from_number(number: u32) -> RefusalCode {
        let known = RefusalCode::ALL.iter().find(|code| u32::from(code.number()) == number);
        known.copied().unwrap_or(RefusalCode::Other)
    }

    /// Whether trying again later, unchanged, may succeed.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            RefusalCode::Replaced | RefusalCode::Busy | RefusalCode::Stopping | RefusalCode::StorageFailed
        )
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The block or gap that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// Epoch and class.
    pub lane: Lane,
    /// Its numbers.
    pub range: SeqRange,
}

/// What was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// For people: what, and what to do. At most [`crate::limits::TEXT_BYTES_MAX`] bytes; longer text is cut.
    pub detail: String,
    /// Whether the connection ends behind it.
    pub ends_connection: bool,
    /// What was refused, where it is one block or gap.
    pub item: Option<RefusedItem>,
}

impl Refusal {
    /// A refusal that ends the connection.
    pub fn ending(code: RefusalCode, detail: impl Into<String>) -> Refusal {
        Refusal { code, detail: detail.into(), ends_connection: true, item: None }
    }

    /// A refusal of one block or gap; the connection goes on.
    pub fn of_item(code: RefusalCode, detail: impl Into<String>, item: RefusedItem) -> Refusal {
        Refusal { code, detail: detail.into(), ends_connection: false, item: Some(item) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fixed_and_words_differ() {
        let numbers: Vec<u8> = RefusalCode::ALL.iter().map(|c| c.number()).collect();
        assert_eq!(numbers, (0..=22).collect::<Vec<u8>>());
        let words: std::collections::BTreeSet<_> = RefusalCode::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(words.len(), RefusalCode::ALL.len());
        assert_eq!(RefusalCode::from_number(10), RefusalCode::TokenUsed);
        assert_eq!(RefusalCode::from_number(4_000_000), RefusalCode::Other);
    }
}
