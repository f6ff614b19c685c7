//! Columns of whole numbers: what values, times, gaps, lengths and counts all become.
//!
//! Owns how a sequence of 64-bit integers is written in the fewest bits; any sequence comes back as it was, for all
//! arithmetic wraps. How many numbers there are stands elsewhere. The column begins with its shape:
//!
//! | bits | field |
//! |---|---|
//! | 3 | shape, see the constants of this module |
//! | | first number, signed |
//! | 1 | whether a step follows; not with constant and linear |
//! | | step: every number differs from the first by a multiple of it; at least 2 |
//! | | what the shape needs, see `write.rs` |
//!
//! After first and step, the numbers are `(number - first) / step`, and the first of them is 0 and not written.

mod fit;
mod read;
mod write;

pub(crate) use fit::{Plan, Scratch, fit};
pub(crate) use read::read;
pub(crate) use write::{put, write};

/// All numbers are the first.
const CONSTANT: u32 = 0;
/// Each number differs by the same from the one before.
const LINEAR: u32 = 1;
/// Numbers that repeat: how often, and what comes then.
const RUNS: u32 = 2;
/// Each number above the lowest, in a fixed number of bits.
const PACKED: u32 = 3;
/// Differences to a base, Rice coded.
const LEVEL: u32 = 4;
/// Differences of the differences to the number before, to a base.
const DELTA: u32 = 5;
/// Differences of the differences to a running mean, to a base.
const SMOOTH: u32 = 6;

const SHAPE_BITS: u32 = 3;
/// Bits of the width of packed numbers, less 1.
const WIDTH_BITS: u32 = 6;
/// Bits of the pace of a running mean, less 1.
const PACE_BITS: u32 = 2;

/// What a number is expected to be, from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Predictor {
    /// 0: only the base counts.
    Level,
    /// The number before.
    Delta,
    /// The mean of those before, of which each new number makes up 1/2, 1/4, 1/8 or 1/16 (pace 1 to 4).
    Smooth(u32),
}

/// A running mean, in 256ths. It wraps where numbers are huge: it only has to be the same on both sides.
#[derive(Clone, Copy, Debug, Default)]
struct Mean(i64);

impl Mean {
    #[inline]
    const fn value(self) -> i64 {
        self.0.wrapping_add(128) >> 8
    }

    #[inline]
    const fn take(&mut self, number: i64, pace: u32) {
        self.0 = self.0.wrapping_add((number << 8).wrapping_sub(self.0) >> pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{BitReader, BitWriter};
    use crate::error::DecodeError;
    use crate::testing::noise;
    use proptest::prelude::*;

    fn written(numbers: &[i64]) -> Vec<u8> {
        let mut w = BitWriter::default();
        put(&mut w, numbers, &mut Scratch::default());
        w.into_bytes()
    }

    fn read_back(bytes: &[u8], count: usize) -> Result<Vec<i64>, DecodeError> {
        let mut out = vec![0; count];
        let mut r = BitReader::new(bytes, 0, bytes.len());
        read(&mut r, &mut out, "numbers")?;
        r.finish("numbers")?;
        Ok(out)
    }

    #[track_caller]
    fn check(numbers: &[i64], shape: u32) {
        let bytes = written(numbers);
        assert_eq!(u32::from(bytes[0] & 7), shape, "{numbers:?}");
        assert_eq!(read_back(&bytes, numbers.len()).as_deref(), Ok(numbers));
    }

    #[test]
    fn each_shape_serves_what_it_is_for() {
        check(&[i64::MIN], CONSTANT);
        check(&[7; 100], CONSTANT);
        check(&[i64::MAX, i64::MIN, i64::MIN + 1], LINEAR);
        check(&(0..100).map(|n| n * -500).collect::<Vec<_>>(), LINEAR);
        check(&(0..100).map(|n| n / 30).collect::<Vec<_>>(), RUNS);
        check(&(0..100).map(|n| i64::from(n > 70)).collect::<Vec<_>>(), RUNS);
        check(&noise(200, 64).collect::<Vec<_>>(), PACKED);
        check(&noise(200, 2).collect::<Vec<_>>(), PACKED);
        // Around a level, and mostly near it.
        let bell = |count: usize| -> Vec<i64> {
            noise(count * 4, 50).collect::<Vec<_>>().chunks(4).map(|four| four.iter().sum()).collect()
        };
        check(&bell(200), LEVEL);
        let walk = bell(200)
            .iter()
            .scan(0, |at, n| {
                *at += n;
                Some(*at)
            })
            .collect::<Vec<_>>();
        check(&walk, DELTA);
        let drift = bell(400).iter().zip(0..).map(|(n, at)| n + at * at / 100).collect::<Vec<_>>();
        check(&drift, SMOOTH);
    }

    #[test]
    fn a_step_costs_once() {
        let fine: Vec<i64> = noise(100, 40).collect();
        let coarse: Vec<i64> = fine.iter().map(|n| 70_000 + n * 500).collect();
        assert!(written(&coarse).len() <= written(&fine).len() + 5);
        assert_eq!(read_back(&written(&coarse), 100), Ok(coarse));
    }

    #[test]
    fn columns_have_these_bytes() {
        // Shape 0; number 10 (zigzag of 5): 4 bits long, low three bits 010.
        assert_eq!(written(&[5, 5, 5]), [0b0010_0000, 0b0000_0100]);
        // Shape 1; 0; slope 3: zigzag 6 is 3 bits long, low two bits 10.
        assert_eq!(written(&[0, 3, 6, 9]), [0b0000_0001, 0b0000_0110, 0b0000_0001]);
    }

    #[test]
    fn what_is_no_column_is_refused() {
        let refused = DecodeError::Malformed("numbers");
        // The shape that is not given out.
        assert_eq!(read_back(&[7, 0, 0], 3), Err(refused.clone()));
        // More changes than numbers.
        assert_eq!(
            read_back(&written(&(0..100).map(|n| n / 30).collect::<Vec<_>>()), 20),
            Err(refused.clone())
        );
        // Longer and shorter than it is.
        let bytes = written(&noise(50, 64).collect::<Vec<_>>());
        assert_eq!(read_back(&bytes[..bytes.len() - 1], 50), Err(refused.clone()));
        assert_eq!(read_back(&[&bytes[..], &[0]].concat(), 50), Err(refused));
    }

    fn any_numbers() -> impl Strategy<Value = Vec<i64>> {
        let with = |number: BoxedStrategy<i64>| proptest::collection::vec(number, 1..150);
        prop_oneof![
            with(any::<i64>().boxed()),
            with((0i64..3).boxed()),
            with((-500i64..500).boxed()),
            with(prop_oneof![9 => Just(5i64), 1 => any::<i64>()].boxed()),
            with((0u32..64).prop_map(|bits| (1u64 << bits).cast_signed()).boxed()),
            // Walks, coarse and fine.
            (with((-20i64..20).boxed()), any::<i64>(), 1i64..2_000).prop_map(|(walk, first, step)| {
                let mut at = first;
                walk.into_iter()
                    .map(|n| {
                        at = at.wrapping_add(n.wrapping_mul(step));
                        at
                    })
                    .collect()
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_numbers_come_back(numbers in any_numbers()) {
            let bytes = written(&numbers);
            prop_assert_eq!(read_back(&bytes, numbers.len()), Ok(numbers));
        }

        #[test]
        fn the_plan_knows_its_bits(numbers in any_numbers()) {
            let plan = fit(&numbers, &mut Scratch::default());
            prop_assert_eq!(plan.bits().div_ceil(8), written(&numbers).len() as u64);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, count in 1usize..500) {
            drop(read_back(&bytes, count));
        }
    }
}
