//! The fields every format here is made of: little-endian integers, LEB128 varints, zigzag, length-prefixed bytes.
//!
//! The reader trusts nothing: every length is checked against what is left before anything is allocated.

use thiserror::Error;

/// The bytes do not say what they should; the text names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// Reads fields from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        if len > self.rest.len() {
            return Err(Malformed(what));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        self.take(N, what)?.try_into().map_err(|_| Malformed(what))
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            // The tenth byte carries one bit; more would overflow.
            if shift == 63 && byte > 1 {
                return Err(Malformed(what));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    pub(crate) fn varint_u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.varint(what)?).map_err(|_| Malformed(what))
    }

    pub(crate) fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.varint(what).map(unzigzag)
    }

    /// Bytes behind a varint length of at most `max`.
    pub(crate) fn bytes(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint(what)?).map_err(|_| Malformed(what))?;
        if len > max {
            return Err(Malformed(what));
        }
        self.take(len, what)
    }

    pub(crate) fn text(&mut self, max: usize, what: &'static str) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(max, what)?).map_err(|_| Malformed(what))
    }

    /// Nothing may be left.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }
}

/// Writes fields to the end of a buffer.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_u8(low7(value) | 0x80);
            value >>= 7;
        }
        self.put_u8(low7(value));
    }

    fn put_signed(&mut self, value: i64) {
        self.put_varint(zigzag(value));
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

const fn low7(value: u64) -> u8 {
    (value & 0x7f) as u8
}

pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_round_trip(a: u64, b: i64, c: u32) {
            let mut out = Vec::new();
            out.put_varint(a);
            out.put_signed(b);
            out.put_u32(c);
            let mut r = Reader::new(&out);
            prop_assert_eq!(r.varint("a"), Ok(a));
            prop_assert_eq!(r.signed("b"), Ok(b));
            prop_assert_eq!(r.u32("c"), Ok(c));
            prop_assert!(r.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut r = Reader::new(&bytes);
            while r.varint("v").is_ok() {}
            let _ = Reader::new(&bytes).bytes(16, "b");
        }
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        assert_eq!(Reader::new(&[0xff; 10]).varint("v"), Err(Malformed("v")));
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&max).varint("v"), Ok(u64::MAX));
    }

    #[test]
    fn a_length_beyond_the_end_or_the_bound_is_refused() {
        assert_eq!(Reader::new(&[200, 1, 0]).bytes(1000, "b"), Err(Malformed("b")));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).bytes(2, "b"), Err(Malformed("b")));
    }
}
