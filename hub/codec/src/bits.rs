//! Bits: what every part of a block is written with.
//!
//! The least significant bit comes first, in bits as in bytes. The reader never fails on the way: past the end it reads
//! zeros, so loops stay short and are bounded by counts that were checked before; [`BitReader::finish`] then says whether
//! the column was exactly as long as its content.

use crate::error::{DecodeError, malformed};

/// Bits that one look at the input is sure to show.
pub(crate) const PEEK_BITS: u32 = 57;
/// The length class of a number that stands in full, see [`BitWriter::number`].
const FULL: u32 = 63;

/// Writes bits to the end of a buffer.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    /// Bits that do not make eight bytes yet.
    held: u64,
    held_bits: u32,
}

impl BitWriter {
    /// Writes the low `width` bits of `value`, at most 64; the others must be zero.
    #[inline]
    pub(crate) fn bits(&mut self, value: u64, width: u32) {
        debug_assert!(width == 64 || value >> width == 0, "{value} has more than {width} bits");
        self.held |= value << self.held_bits;
        let total = self.held_bits + width;
        if total < 64 {
            self.held_bits = total;
            return;
        }
        self.out.extend_from_slice(&self.held.to_le_bytes());
        let written = 64 - self.held_bits;
        self.held = if written == 64 { 0 } else { value >> written };
        self.held_bits = total - 64;
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.bits(u64::from(flag), 1);
    }

    /// Writes a number with as many bits as it has: 6 bits say how many those are, then they follow without the highest,
    /// which is always 1. From 63 bits on, all 64 stand.
    pub(crate) fn number(&mut self, value: u64) {
        let len = bit_length(value);
        if len >= FULL {
            self.bits(u64::from(FULL), 6);
            self.bits(value, 64);
        } else {
            self.bits(u64::from(len), 6);
            if len > 1 {
                self.bits(value & low_mask(len - 1), len - 1);
            }
        }
    }

    pub(crate) fn signed(&mut self, value: i64) {
        self.number(zigzag(value));
    }

    /// Fills up to the next byte with zeros.
    pub(crate) fn align(&mut self) {
        let bytes = self.held_bits.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.held.to_le_bytes()[..bytes]);
        self.held = 0;
        self.held_bits = 0;
    }

    /// Whole bytes; the writer must be aligned.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.held_bits, 0, "bytes begin at a byte");
        self.out.extend_from_slice(bytes);
    }

    /// Length in bytes; the writer must be aligned.
    pub(crate) fn len(&self) -> usize {
        debug_assert_eq!(self.held_bits, 0, "a column ends at a byte");
        self.out.len()
    }

    /// What was written, filled up to a byte.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.align();
        self.out
    }
}

/// What [`BitWriter::number`] takes for a number, in bits.
pub(crate) const fn number_bits(value: u64) -> u64 {
    match bit_length(value) {
        len if len >= FULL => 6 + 64,
        0 => 6,
        len => 6 + len as u64 - 1,
    }
}

/// Reads the bits of one column. It may look at bytes behind the column's end, and never believes them.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits from the start of `bytes`.
    at: usize,
    end: usize,
}

impl<'a> BitReader<'a> {
    /// A reader of `bytes[from..to]`, which must lie within.
    pub(crate) fn new(bytes: &'a [u8], from: usize, to: usize) -> BitReader<'a> {
        debug_assert!(from <= to && to <= bytes.len(), "a column lies in its block");
        BitReader { bytes, at: from * 8, end: to * 8 }
    }

    /// The next bits, at least [`PEEK_BITS`] of them.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.bytes.get(byte..).and_then(<[u8]>::first_chunk::<8>) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => self.last_word(byte),
        };
        word >> (self.at % 8)
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u64 {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(rest) {
            *to = *from;
        }
        u64::from_le_bytes(eight)
    }

    #[inline]
    pub(crate) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// The next `width` bits, at most 64.
    #[inline]
    pub(crate) fn bits(&mut self, width: u32) -> u64 {
        if width > PEEK_BITS {
            let low = self.bits(32);
            return low | (self.bits(width - 32) << 32);
        }
        let value = self.peek() & low_mask(width);
        self.skip(width);
        value
    }

    /// A field of at most 32 bits.
    pub(crate) fn small(&mut self, width: u32) -> u32 {
        let [a, b, c, d, ..] = self.bits(width.min(32)).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.bits(1) == 1
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.small(6) {
            0 => 0,
            FULL => self.bits(64),
            len => self.bits(len - 1) | (1 << (len - 1)),
        }
    }

    pub(crate) fn signed(&mut self) -> i64 {
        unzigzag(self.number())
    }

    /// A number that must not be above `max`.
    pub(crate) fn number_upto(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        usize::try_from(self.number()).ok().filter(|n| *n <= max).ok_or(DecodeError::Malformed(what))
    }

    /// The whole bytes from the next byte on to the column's end. Bits on the way must be zero.
    pub(crate) fn rest(mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        self.align(what)?;
        self.bytes.get(self.at / 8..self.end / 8).ok_or(DecodeError::Malformed(what))
    }

    /// The column must end here, in the byte that was read last, and the bits left in it must be zero.
    pub(crate) fn finish(mut self, what: &'static str) -> Result<(), DecodeError> {
        self.align(what)?;
        if self.at == self.end { Ok(()) } else { malformed(what) }
    }

    fn align(&mut self, what: &'static str) -> Result<(), DecodeError> {
        let filling = (8 - self.at % 8) % 8;
        let filling = u32::try_from(filling).unwrap_or(0);
        if self.at > self.end || self.bits(filling) != 0 {
            return malformed(what);
        }
        Ok(())
    }
}

/// How many bits a number has, 0 for 0.
#[inline]
pub(crate) const fn bit_length(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// The lowest `width` bits, at most 63.
#[inline]
pub(crate) const fn low_mask(width: u32) -> u64 {
    (1 << width) - 1
}

#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_of_any_width_come_back(fields in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let cut = |(value, width): (u64, u32)| if width == 64 { value } else { value & low_mask(width) };
            let mut w = BitWriter::default();
            for field in &fields {
                w.bits(cut(*field), field.1);
            }
            let bytes = w.into_bytes();
            let mut r = BitReader::new(&bytes, 0, bytes.len());
            for field in fields {
                prop_assert_eq!(r.bits(field.1), cut(field));
            }
            prop_assert_eq!(r.finish("fields"), Ok(()));
        }

        #[test]
        fn numbers_come_back_and_take_what_was_said(numbers: Vec<u64>, signed: Vec<i64>) {
            let mut w = BitWriter::default();
            numbers.iter().for_each(|n| w.number(*n));
            signed.iter().for_each(|n| w.signed(*n));
            let bits: u64 = numbers.iter().copied().chain(signed.iter().map(|n| zigzag(*n))).map(number_bits).sum();
            let bytes = w.into_bytes();
            prop_assert_eq!(bytes.len() as u64, bits.div_ceil(8));
            let mut r = BitReader::new(&bytes, 0, bytes.len());
            for n in numbers {
                prop_assert_eq!(r.number(), n);
            }
            for n in signed {
                prop_assert_eq!(r.signed(), n);
            }
            prop_assert_eq!(r.finish("numbers"), Ok(()));
        }
    }

    #[test]
    fn numbers_have_these_bits() {
        let check = |number: u64, expected: &[u8]| {
            let mut w = BitWriter::default();
            w.number(number);
            assert_eq!(w.into_bytes(), expected, "{number}");
        };
        check(0, &[0]);
        check(1, &[1]);
        // Three bits long, of which the low two follow: 0b01.
        check(5, &[0b0100_0011]);
        check(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f]);
    }

    #[test]
    fn a_column_ends_where_its_content_ends() {
        let bytes = [0b101, 0, 0xff];
        let after_three_bits = |from, to| {
            let mut r = BitReader::new(&bytes, from, to);
            assert_eq!(r.bits(3), 0b101);
            r
        };
        assert_eq!(after_three_bits(0, 1).finish("column"), Ok(()));
        assert_eq!(after_three_bits(0, 2).finish("column"), malformed("column"));
        assert_eq!(after_three_bits(0, 2).rest("column"), Ok(&bytes[1..2]));
        // Five bits that are not zero fill the byte.
        let mut r = BitReader::new(&[0xff], 0, 1);
        r.skip(3);
        assert_eq!(r.finish("column"), malformed("column"));
        // Zeros behind the end, and an error at last.
        let mut r = BitReader::new(&bytes, 0, 1);
        r.skip(24);
        assert_eq!((r.bits(64), r.number()), (0, 0));
        assert_eq!(r.finish("column"), malformed("column"));
    }
}
