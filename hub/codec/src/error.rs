//! Why bytes are no block, and why records do not become one.

use thiserror::Error;

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The checksum does not match: bytes went bad.
    #[error("decode block: checksum mismatch")]
    Checksum,
    /// A version this codec does not read. The checksum of such a block holds.
    #[error("decode block: version {0} is not known here")]
    Version(u16),
    /// A field or column does not say what it should.
    #[error("decode block: malformed {0}")]
    Malformed(&'static str),
    /// It may be a good block, but decoding it would take more than the caller allows.
    #[error("decode block: {what} is {found}, at most {allowed} is allowed")]
    Limit {
        /// Which limit.
        what: &'static str,
        /// What the block asks for.
        found: u64,
        /// What [`crate::Limits`] allows.
        allowed: u64,
    },
    /// The block holds the other kind: samples were asked of a block of rows, or the other way round.
    #[error("decode block: class {0} holds no such records")]
    Class(&'static str),
}

/// Why records do not become a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// Beyond a limit: encode the two halves by themselves. A single sample always fits.
    #[error("encode block: {what} is {found}, at most {allowed} is allowed")]
    TooLarge {
        /// Which limit.
        what: &'static str,
        /// What these records need.
        found: u64,
        /// What [`crate::Limits`] allows.
        allowed: u64,
    },
    /// No records: there is no block of nothing.
    #[error("encode block: no records")]
    Empty,
    /// A record does not belong into this block; `at` is its place among the records.
    #[error("encode block: record {at}: {what}")]
    Record {
        /// Which record, from 0.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Samples are of class telemetry or bulk, rows of the others.
    #[error("encode block: class {0} holds no such records")]
    Class(&'static str),
    /// Its numbers would pass the last one there is.
    #[error("encode block: sequence numbers run out")]
    Range,
}

impl EncodeError {
    /// Whether fewer records could fit.
    pub const fn is_too_large(&self) -> bool {
        matches!(self, EncodeError::TooLarge { .. })
    }
}

pub(crate) const fn malformed<T>(what: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::Malformed(what))
}
