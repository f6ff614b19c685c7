//! Columns of binary64 and binary32 numbers.
//!
//! Readings are decimal numbers far more often than not, so a column is first tried as whole numbers of some power of ten:
//! 21.5 °C is 215 tenths. What a value does not survive bit for bit is never used for it. A binary64 column whose values
//! are all binary32 is written as such. The column is:
//!
//! | bits | field |
//! |---|---|
//! | 3 | form, see the constants of this module |
//! | 1 | whether patches follow; forms 0 and 3 to 5 |
//! | | patches: number of them, then per patch how many values lie between it and the one before, and its bits: 64, or 32 in a column of binary32 |
//! | 4 | power of ten; forms 0 and 3 |
//! | | whole numbers, see [`crate::ints`]; a patched value has any |
//! | | forms 2 and 5: the mantissas, 52 or 23 bits each |

mod decimal;
mod read;
mod write;

pub(crate) use read::{read_f32, read_f64};
pub(crate) use write::{Scratch, put_f32, put_f64};

/// Whole numbers of a power of ten.
const DECIMAL_64: u32 = 0;
/// The bits as a whole number that is ordered as the values are.
const ORDERED_64: u32 = 1;
/// Sign and exponent as whole numbers (exponent shifted left by one, sign below), mantissas apart.
const SPLIT_64: u32 = 2;
/// As 0, of binary32 values.
const DECIMAL_32: u32 = 3;
/// As 1, of binary32 values.
const ORDERED_32: u32 = 4;
/// As 2, of binary32 values.
const SPLIT_32: u32 = 5;

const FORM_BITS: u32 = 3;
const POWER_BITS: u32 = 4;

/// How a float is put together: mantissa, then exponent, then sign.
#[derive(Clone, Copy)]
struct Layout {
    mantissa_bits: u32,
    exponent_bits: u32,
}

const BINARY_64: Layout = Layout { mantissa_bits: 52, exponent_bits: 11 };
const BINARY_32: Layout = Layout { mantissa_bits: 23, exponent_bits: 8 };

impl Layout {
    /// The bits as a number that is ordered as the values are: all but the sign are turned over below zero.
    #[inline]
    const fn order(self, bits: u64) -> i64 {
        let unused = 63 - self.mantissa_bits - self.exponent_bits;
        let signed = (bits << unused).cast_signed() >> unused;
        signed ^ ((signed >> 63) & (i64::MAX >> unused))
    }

    /// The bits that have a place in that order.
    #[inline]
    const fn bits_at(self, ordered: i64) -> i64 {
        let unused = 63 - self.mantissa_bits - self.exponent_bits;
        let signed = ordered ^ ((ordered >> 63) & (i64::MAX >> unused));
        (signed.cast_unsigned() << unused >> unused).cast_signed()
    }

    /// Exponent and sign of these bits.
    const fn head(self, bits: u64) -> u64 {
        let sign = bits >> (self.mantissa_bits + self.exponent_bits);
        (((bits >> self.mantissa_bits) & ((1 << self.exponent_bits) - 1)) << 1) | sign
    }

    /// The bits of a head and a mantissa; `None` for a head that no float has.
    const fn join(self, head: u64, mantissa: u64) -> Option<u64> {
        if head >> (self.exponent_bits + 1) != 0 {
            return None;
        }
        let sign = (head & 1) << (self.mantissa_bits + self.exponent_bits);
        Some(sign | (head >> 1) << self.mantissa_bits | mantissa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{BitReader, BitWriter};
    use crate::error::DecodeError;
    use crate::testing::noise;
    use proptest::prelude::*;

    fn written_64(bits: &[i64]) -> Vec<u8> {
        let mut w = BitWriter::default();
        put_f64(&mut w, bits, &mut Scratch::default());
        w.into_bytes()
    }

    fn read_back_64(bytes: &[u8], count: usize) -> Result<Vec<i64>, DecodeError> {
        let mut out = vec![0; count];
        let mut r = BitReader::new(bytes, 0, bytes.len());
        read_f64(&mut r, &mut out)?;
        r.finish("floats").map(|()| out)
    }

    fn written_32(bits: &[i64]) -> Vec<u8> {
        let mut w = BitWriter::default();
        put_f32(&mut w, bits, &mut Scratch::default());
        w.into_bytes()
    }

    fn read_back_32(bytes: &[u8], count: usize) -> Result<Vec<i64>, DecodeError> {
        let mut out = vec![0; count];
        let mut r = BitReader::new(bytes, 0, bytes.len());
        read_f32(&mut r, &mut out)?;
        r.finish("floats").map(|()| out)
    }

    #[track_caller]
    fn check_64(values: &[f64], form: u32) -> usize {
        let bits: Vec<i64> = values.iter().map(|v| v.to_bits().cast_signed()).collect();
        let bytes = written_64(&bits);
        assert_eq!(read_back_64(&bytes, bits.len()), Ok(bits), "{values:?}");
        assert_eq!(u32::from(bytes[0] & 7), form, "{values:?}");
        bytes.len()
    }

    #[track_caller]
    fn check_32(values: &[f32], form: u32) -> usize {
        let bits: Vec<i64> = values.iter().map(|v| i64::from(v.to_bits())).collect();
        let bytes = written_32(&bits);
        assert_eq!(read_back_32(&bytes, bits.len()), Ok(bits), "{values:?}");
        assert_eq!(u32::from(bytes[0] & 7), form, "{values:?}");
        bytes.len()
    }

    /// Fractions without a pattern.
    fn scattered(count: usize) -> impl Iterator<Item = f64> {
        noise(count, 1 << 53).map(|n| n as f64 / (1u64 << 53) as f64)
    }

    #[test]
    fn readings_are_decimal() {
        assert!(check_64(&[21.5, 21.4, 21.6, 21.3, 21.5], DECIMAL_64) < 9);
        check_64(&[47.312_345_6, 47.312_345_7], DECIMAL_64);
        check_64(&[100.0; 50], DECIMAL_64);
        assert!(check_32(&[21.5, 21.4, 21.6, 21.3, 21.5], DECIMAL_32) < 9);
        check_32(&[21.5, -0.1, 0.0], DECIMAL_32);
        // A meter's binary32 in a JSON number.
        let widened: Vec<f64> = [230.1f32, 230.2, 229.9, 230.0].map(f64::from).to_vec();
        assert!(check_64(&widened, DECIMAL_32) < 10);
    }

    #[test]
    fn strays_among_decimals_are_patched() {
        let mut values: Vec<f64> = (0..100).map(|n| f64::from(n % 7) / 10.0).collect();
        let plain = check_64(&values, DECIMAL_64);
        values[0] = f64::NAN;
        values[50] = -0.0;
        values[99] = 0.1 + 0.2;
        assert!(check_64(&values, DECIMAL_64) <= plain + 3 * 10);
        let mut values: Vec<f32> = (0u8..100).map(|n| f32::from(n % 7) / 10.0).collect();
        values[3] = f32::NEG_INFINITY;
        check_32(&values, DECIMAL_32);
        let mut widened: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        widened[5] = f64::NAN;
        check_64(&widened, DECIMAL_32);
    }

    #[test]
    fn noise_takes_its_mantissas_and_little_more() {
        let noise: Vec<f64> = scattered(500).map(|v| 100.0 * (v - 0.5)).collect();
        assert!(check_64(&noise, SPLIT_64) < 500 * 56 / 8);
        let narrow: Vec<f64> =
            scattered(500).map(|v| f64::from(decimal::narrow(100.0 * (v - 0.5)))).collect();
        assert!(check_64(&narrow, SPLIT_32) < 500 * 27 / 8);
        // Of numbers near each other, the upper mantissa is not noise.
        let near: Vec<f64> = scattered(500).map(|v| 20.0 + v * 1e-9).collect();
        assert!(check_64(&near, ORDERED_64) < 500 * 26 / 8);
        let near: Vec<f32> = scattered(500).map(|v| decimal::narrow(20.0 + v * 0.001)).collect();
        assert!(check_32(&near, ORDERED_32) < 500 * 11 / 8);
    }

    #[test]
    fn a_head_that_no_float_has_is_refused() {
        assert_eq!(BINARY_64.join(BINARY_64.head((-1.5f64).to_bits()), 1 << 51), Some((-1.5f64).to_bits()));
        assert_eq!(BINARY_64.join(1 << 12, 0), None);
        let mut w = BitWriter::default();
        w.bits(u64::from(SPLIT_64), FORM_BITS);
        crate::ints::put(&mut w, &[1 << 12], &mut crate::ints::Scratch::default());
        w.bits(0, 52);
        assert_eq!(read_back_64(&w.into_bytes(), 1), Err(DecodeError::Malformed("floats")));
    }

    fn any_floats() -> impl Strategy<Value = Vec<f64>> {
        let with = |value: BoxedStrategy<f64>| proptest::collection::vec(value, 1..120);
        let decimal = (-100_000i32..100_000, 0i32..6).prop_map(|(n, e)| f64::from(n) / 10f64.powi(e));
        let odd = prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(f64::from_bits(0x7ff0_0000_0000_0001)),
            Just(f64::MIN_POSITIVE / 2.0),
        ];
        prop_oneof![
            with(any::<u64>().prop_map(f64::from_bits).boxed()),
            with(decimal.clone().boxed()),
            with(prop_oneof![20 => decimal, 1 => odd].boxed()),
            with(any::<u32>().prop_map(|b| f64::from(f32::from_bits(b))).boxed()),
            with((0u32..64).prop_map(|b| 2f64.powi(b.cast_signed())).boxed()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_floats_come_back(values in any_floats()) {
            let bits: Vec<i64> = values.iter().map(|v| v.to_bits().cast_signed()).collect();
            prop_assert_eq!(read_back_64(&written_64(&bits), bits.len()), Ok(bits));
        }

        #[test]
        fn any_single_floats_come_back(bits in proptest::collection::vec(
            prop_oneof![any::<u32>(), (0i16..500).prop_map(|n| (f32::from(n) / 10.0).to_bits())], 1..120)) {
            let bits: Vec<i64> = bits.into_iter().map(i64::from).collect();
            prop_assert_eq!(read_back_32(&written_32(&bits), bits.len()), Ok(bits));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, count in 1usize..500) {
            drop(read_back_64(&bytes, count));
            drop(read_back_32(&bytes, count));
        }
    }
}
