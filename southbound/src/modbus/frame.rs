//! Whether an answer is the answer to a request: every field, before anything is decoded.
//!
//! Modbus TCP frames (Modbus Messaging on TCP/IP Implementation Guide V1.0b, chapter 3.1) begin with seven bytes: a
//! transaction identifier, a protocol identifier (0), the number of bytes that follow, and the unit. A wrong value does
//! more harm than none, so nothing is taken on trust: identifiers, unit, function, and all three lengths must agree.

use std::fmt;

use thiserror::Error;

/// The longest frame: seven bytes of header and a PDU of 253.
pub const FRAME_BYTES_MAX: usize = 260;

/// Bytes before those that the length field counts.
const PREFIX_BYTES: usize = 6;

/// Unit, function, and the exception code or byte count.
const COUNTED_MIN: usize = 3;

/// A read request, and what its answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The transaction identifier.
    pub transaction: u16,
    /// The unit.
    pub unit: u8,
    /// The function code, 1 to 4.
    pub function: u8,
    /// Bits or words asked for.
    pub count: u16,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The beginning of the answer.
    Partial,
    /// The whole answer and nothing more.
    Complete,
}

/// Why bytes are not the answer that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Another transaction: a late answer, or one for somebody else.
    #[error("transaction {found} in place of {expected}")]
    Transaction {
        /// Asked for.
        expected: u16,
        /// Found.
        found: u16,
    },
    /// Not Modbus.
    #[error("protocol {found} in place of 0")]
    Protocol {
        /// Found.
        found: u16,
    },
    /// A length that no answer to this request has.
    #[error("a length of {found} bytes, but the answer has {expected}, or 3 as an exception")]
    Length {
        /// What the answer has.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// Another unit.
    #[error("unit {found} in place of {expected}")]
    Unit {
        /// Asked for.
        expected: u8,
        /// Found.
        found: u8,
    },
    /// Another function.
    #[error("function {found} in place of {expected}")]
    Function {
        /// Asked for.
        expected: u8,
        /// Found, without the exception bit.
        found: u8,
    },
    /// The byte count of the content.
    #[error("a byte count of {found} in place of {expected}")]
    ByteCount {
        /// For what was asked.
        expected: u8,
        /// Found.
        found: u8,
    },
    /// Bytes behind the answer, or without a request.
    #[error("bytes nobody asked for")]
    Unasked,
}

impl Expected {
    /// Bytes of content: words, or bits packed into bytes.
    fn content_bytes(&self) -> usize {
        let count = usize::from(self.count);
        if self.function <= 2 { count.div_ceil(8) } else { count * 2 }
    }

    /// Looks at the bytes that have come so far. A field is checked as soon as it is there, so that garbage ends the
    /// wait for more.
    pub fn inspect(&self, frame: &[u8]) -> Result<Progress, Mismatch> {
        let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
        if let Some(found) = word(0).filter(|found| *found != self.transaction) {
            return Err(Mismatch::Transaction { expected: self.transaction, found });
        }
        if let Some(found) = word(2).filter(|found| *found != 0) {
            return Err(Mismatch::Protocol { found });
        }
        let Some(counted) = word(4).map(usize::from) else { return Ok(Progress::Partial) };
        let expected = COUNTED_MIN + self.content_bytes();
        if counted != expected && counted != COUNTED_MIN {
            return Err(Mismatch::Length { expected, found: counted });
        }
        if let Some(&found) = frame.get(6).filter(|found| **found != self.unit) {
            return Err(Mismatch::Unit { expected: self.unit, found });
        }
        let Some(&function) = frame.get(7) else { return Ok(Progress::Partial) };
        if function & 0x7f != self.function {
            return Err(Mismatch::Function { expected: self.function, found: function & 0x7f });
        }
        let is_exception = function & 0x80 != 0;
        if is_exception != (counted == COUNTED_MIN) {
            return Err(Mismatch::Length {
                expected: if is_exception { COUNTED_MIN } else { expected },
                found: counted,
            });
        }
        if !is_exception
            && let Some(&found) = frame.get(8).filter(|found| usize::from(**found) != self.content_bytes())
        {
            let expected = u8::try_from(self.content_bytes()).unwrap_or(u8::MAX);
            return Err(Mismatch::ByteCount { expected, found });
        }
        match frame.len().cmp(&(PREFIX_BYTES + counted)) {
            std::cmp::Ordering::Less => Ok(Progress::Partial),
            std::cmp::Ordering::Equal => Ok(Progress::Complete),
            std::cmp::Ordering::Greater => Err(Mismatch::Unasked),
        }
    }
}

/// Bytes for people: `00 01 ff`.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asked: unit 17, two holding registers, as transaction 0x1234.
    const ASKED: Expected = Expected { transaction: 0x1234, unit: 17, function: 3, count: 2 };
    const ANSWER: [u8; 13] = [0x12, 0x34, 0, 0, 0, 7, 17, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd];
    const EXCEPTION: [u8; 9] = [0x12, 0x34, 0, 0, 0, 3, 17, 0x83, 2];

    #[test]
    fn the_answer_is_complete_only_with_its_last_byte() {
        for whole in [&ANSWER[..], &EXCEPTION[..]] {
            for length in 0..whole.len() {
                assert_eq!(ASKED.inspect(&whole[..length]), Ok(Progress::Partial), "{length} bytes");
            }
            assert_eq!(ASKED.inspect(whole), Ok(Progress::Complete));
        }
        let bits = Expected { function: 1, count: 9, ..ASKED };
        assert_eq!(bits.inspect(&[0x12, 0x34, 0, 0, 0, 5, 17, 1, 2, 0xff, 1]), Ok(Progress::Complete));
    }

    #[test]
    fn every_wrong_field_is_found_and_named() {
        let with = |at: usize, byte: u8| {
            let mut frame = ANSWER;
            frame[at] = byte;
            ASKED.inspect(&frame).unwrap_err().to_string()
        };
        assert_eq!(with(1, 0x35), "transaction 4661 in place of 4660");
        assert_eq!(with(3, 1), "protocol 1 in place of 0");
        assert_eq!(with(5, 0), "a length of 0 bytes, but the answer has 7, or 3 as an exception");
        assert_eq!(with(5, 9), "a length of 9 bytes, but the answer has 7, or 3 as an exception");
        assert_eq!(with(6, 18), "unit 18 in place of 17");
        assert_eq!(with(7, 4), "function 4 in place of 3");
        assert_eq!(with(7, 0x83), "a length of 7 bytes, but the answer has 3, or 3 as an exception");
        assert_eq!(with(8, 2), "a byte count of 2 in place of 4");
        let twice: Vec<u8> = ANSWER.into_iter().chain([0x12]).collect();
        assert_eq!(ASKED.inspect(&twice), Err(Mismatch::Unasked));
        // A short answer that says so is not what was asked for either.
        let short = [0x12, 0x34, 0, 0, 0, 5, 17, 3, 2, 0xaa, 0xbb];
        assert!(matches!(ASKED.inspect(&short), Err(Mismatch::Length { expected: 7, found: 5 })));
    }

    proptest! {
        #[test]
        fn only_the_answer_is_taken(frame in proptest::collection::vec(any::<u8>(), 0..300), at: usize, byte: u8) {
            prop_assert_ne!(ASKED.inspect(&frame), Ok(Progress::Complete));
            // One byte of the header or PDU header changed is never complete, except into the exception's code.
            let mut changed = ANSWER;
            let at = at % 9;
            if changed[at] != byte {
                changed[at] = byte;
                prop_assert_ne!(ASKED.inspect(&changed), Ok(Progress::Complete));
            }
        }
    }
}
