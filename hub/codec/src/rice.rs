//! Rice codes: small numbers in few bits, without a table.
//!
//! A number is cut at bit `k`: what is above stands as that many ones and a zero, what is below in `k` bits. A number whose
//! upper part is [`ESCAPE`] or more stands behind [`ESCAPE`] ones as [`BitWriter::number`] writes it, so that a stray value
//! costs some 25 bits, not thousands.

use crate::bits::{BitReader, BitWriter, PEEK_BITS, bit_length, low_mask, number_bits};

/// Ones that say: the number stands in full. Of 5 to 20, this took least on the reference mix; 7 to 12 differ by 0.1 %.
pub(crate) const ESCAPE: u32 = 8;
/// The highest `k`.
pub(crate) const K_MAX: u32 = 62;
/// Bits that `k` is written with.
pub(crate) const K_BITS: u32 = 6;
/// Up to this `k`, one look at the input shows a whole code.
const K_FAST: u32 = PEEK_BITS - ESCAPE;

/// Writes a number.
#[inline]
pub(crate) fn write(w: &mut BitWriter, k: u32, number: u64) {
    let above = number >> k;
    if above >= u64::from(ESCAPE) {
        w.bits(low_mask(ESCAPE), ESCAPE);
        w.number(number);
        return;
    }
    let ones = (above & 0xf) as u32;
    let below = number & low_mask(k);
    if k <= K_FAST {
        w.bits(low_mask(ones) | (below << (ones + 1)), ones + 1 + k);
    } else {
        w.bits(low_mask(ones), ones + 1);
        w.bits(below, k);
    }
}

/// Reads a number; `k` is at most [`K_MAX`].
#[inline]
pub(crate) fn read(r: &mut BitReader<'_>, k: u32) -> u64 {
    let word = r.peek();
    let ones = word.trailing_ones();
    if ones < ESCAPE && k <= K_FAST {
        r.skip(ones + 1 + k);
        return (u64::from(ones) << k) | ((word >> (ones + 1)) & low_mask(k));
    }
    read_slow(r, k, ones)
}

#[cold]
fn read_slow(r: &mut BitReader<'_>, k: u32, ones: u32) -> u64 {
    if ones >= ESCAPE {
        r.skip(ESCAPE);
        return r.number();
    }
    r.skip(ones + 1);
    (u64::from(ones) << k) | r.bits(k)
}

/// The `k` that takes the fewest bits for these numbers, and how many those are.
pub(crate) fn fit(numbers: &[u64]) -> (u32, u64) {
    let Some(count) = u64::try_from(numbers.len()).ok().filter(|n| *n > 0) else { return (0, 0) };
    // Lengths, not values: a few strays would pull a mean of values far up.
    let lengths: u64 = numbers.iter().map(|n| u64::from(bit_length(*n))).sum();
    let middle = u32::try_from((lengths + count / 2) / count).unwrap_or(0);
    let mut best = (middle.saturating_sub(1).min(K_MAX), 0);
    best.1 = cost(numbers, best.0);
    // Cost over k has one valley, but for strays; the walk may end beside a lower one and is still near it.
    for step in [-1, 1] {
        while let Some(k) = best.0.checked_add_signed(step).filter(|k| *k <= K_MAX) {
            let bits = cost(numbers, k);
            if bits >= best.1 {
                break;
            }
            best = (k, bits);
        }
    }
    best
}

/// How many bits these numbers take.
pub(crate) fn cost(numbers: &[u64], k: u32) -> u64 {
    let of_number = |number: &u64| {
        let above = number >> k;
        if above < u64::from(ESCAPE) {
            above + 1 + u64::from(k)
        } else {
            u64::from(ESCAPE) + number_bits(*number)
        }
    };
    numbers.iter().map(of_number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(k: u32, numbers: &[u64]) -> Vec<u8> {
        let mut w = BitWriter::default();
        numbers.iter().for_each(|n| write(&mut w, k, *n));
        w.into_bytes()
    }

    proptest! {
        #[test]
        fn numbers_come_back_whatever_k(
            numbers in proptest::collection::vec(
                prop_oneof![any::<u64>(), 0u64..300, (0u32..64).prop_map(|bits| 1 << bits)], 1..100),
            k in 0..=K_MAX,
        ) {
            let bytes = written(k, &numbers);
            prop_assert_eq!(bytes.len() as u64, cost(&numbers, k).div_ceil(8));
            let mut r = BitReader::new(&bytes, 0, bytes.len());
            for number in &numbers {
                prop_assert_eq!(read(&mut r, k), *number);
            }
            prop_assert_eq!(r.finish("numbers"), Ok(()));
        }

        #[test]
        fn the_fit_is_a_valley(numbers in proptest::collection::vec(0u64..5_000, 1..100)) {
            let (k, bits) = fit(&numbers);
            prop_assert_eq!(bits, cost(&numbers, k));
            prop_assert!(bits <= cost(&numbers, k + 1));
            prop_assert!(k == 0 || bits <= cost(&numbers, k - 1));
        }
    }

    #[test]
    fn codes_have_these_bits() {
        // From the lowest bit: 1 1 0, then 01 of 9 (1 0) | 0, 11 of 3 | 1 0, 00 of 4.
        assert_eq!(written(2, &[9, 3, 4]), [0b1100_1011, 0b0000_0001]);
        // Eight ones, then the length 10 in six bits and nine bits: 0b11_1110_1000 without the highest.
        assert_eq!(written(0, &[1_000]), [0xff, 0b0000_1010, 0b0111_1010]);
    }

    #[test]
    fn strays_do_not_spoil_the_fit() {
        let mut numbers = vec![5; 99];
        numbers.push(1 << 40);
        assert_eq!(fit(&numbers).0, 2);
    }
}
