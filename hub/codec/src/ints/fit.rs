//! Finds the shape that takes the fewest bits.

use super::{Mean, PACE_BITS, Predictor, SHAPE_BITS, WIDTH_BITS};
use crate::bits::{bit_length, number_bits, zigzag};
use crate::rice::{self, K_BITS};

/// Buffers that are used again from column to column.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The numbers less the first, divided by the step.
    pub(super) numbers: Vec<i64>,
    residuals: Vec<i64>,
    sorted: Vec<i64>,
    codes: Vec<u64>,
    more_codes: Vec<u64>,
}

/// How a column will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(super) first: i64,
    pub(super) step: i64,
    pub(super) shape: Shape,
    bits: u64,
}

impl Plan {
    /// What the column takes, in bits.
    pub(crate) const fn bits(&self) -> u64 {
        self.bits
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Constant,
    Linear { slope: i64 },
    Runs { changes: usize, gap_k: u32, turns: Turns },
    Packed { lowest: i64, width: u32 },
    Residuals(Residuals),
}

/// What the number changes to at the end of each run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turns {
    /// To and fro between 0 and this.
    Between(i64),
    /// By a difference, Rice coded.
    By { k: u32 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Residuals {
    pub(super) predictor: Predictor,
    /// What is taken from each residual: the lowest, or one in the middle.
    pub(super) base: i64,
    /// Whether the base is the lowest, so that no residual has a sign.
    pub(super) above_base: bool,
    pub(super) k: u32,
}

/// Chooses how to write numbers; leaves in `scratch` what [`super::write`] needs. There is at least one number.
pub(crate) fn fit(numbers: &[i64], scratch: &mut Scratch) -> Plan {
    let (first, step) = normalize(numbers, &mut scratch.numbers);
    let of_first = u64::from(SHAPE_BITS) + number_bits(zigzag(first));
    if step == 0 {
        return Plan { first, step, shape: Shape::Constant, bits: of_first };
    }
    if let Some(slope) = slope(&scratch.numbers) {
        let slope = slope.wrapping_mul(step);
        let bits = of_first + number_bits(zigzag(slope));
        return Plan { first, step, shape: Shape::Linear { slope }, bits };
    }
    let of_step = if step == 1 { 1 } else { 1 + number_bits(step.cast_unsigned()) };
    let (shape, bits) = varying(scratch);
    Plan { first, step, shape, bits: of_first + of_step + bits }
}

/// Takes the first from all numbers and divides by what then divides them all: 0 if all are the first.
fn normalize(numbers: &[i64], out: &mut Vec<i64>) -> (i64, i64) {
    let first = numbers.first().copied().unwrap_or(0);
    out.clear();
    out.extend(numbers.iter().map(|n| n.wrapping_sub(first)));
    let mut divisor = 0;
    for number in out.iter() {
        divisor = common_divisor(number.unsigned_abs(), divisor);
        if divisor == 1 {
            return (first, 1);
        }
    }
    // 2^63 is the one divisor that is no i64; its numbers are written as they are.
    let Ok(step) = i64::try_from(divisor) else { return (first, 1) };
    if step > 1 {
        out.iter_mut().for_each(|n| *n /= step);
    }
    (first, step)
}

const fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn slope(numbers: &[i64]) -> Option<i64> {
    let slope = *numbers.get(1)?;
    let straight = numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == slope);
    straight.then_some(slope)
}

fn varying(scratch: &mut Scratch) -> (Shape, u64) {
    let numbers = &scratch.numbers;
    let count = numbers.len() as u64;
    let changes = numbers.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let mut best = (Shape::Constant, u64::MAX);
    if changes as u64 * 3 <= count {
        best = runs(scratch, changes);
        // Any other shape takes a bit for each number.
        if changes as u64 * 8 <= count && best.1 < count {
            return best;
        }
    }
    for found in [packed(&scratch.numbers), residuals(scratch)] {
        if found.1 < best.1 {
            best = found;
        }
    }
    best
}

fn runs(scratch: &mut Scratch, changes: usize) -> (Shape, u64) {
    let Scratch { numbers, codes: gaps, more_codes: turns, .. } = scratch;
    gaps.clear();
    turns.clear();
    let mut gap = 0;
    let mut two_values = true;
    let mut other = 0;
    for pair in numbers.windows(2) {
        let turn = pair[1].wrapping_sub(pair[0]);
        if turn == 0 {
            gap += 1;
            continue;
        }
        if gaps.is_empty() {
            other = pair[1];
        }
        two_values &= pair[1] == 0 || pair[1] == other;
        gaps.push(gap);
        turns.push(zigzag(turn) - 1);
        gap = 0;
    }
    let (gap_k, gap_bits) = rice::fit(gaps);
    let head = number_bits(changes as u64) + u64::from(K_BITS) + 1;
    let (turns, turn_bits) = if two_values {
        (Turns::Between(other), number_bits(zigzag(other)))
    } else {
        let (k, bits) = rice::fit(turns);
        (Turns::By { k }, u64::from(K_BITS) + bits)
    };
    (Shape::Runs { changes, gap_k, turns }, head + gap_bits + turn_bits)
}

fn packed(numbers: &[i64]) -> (Shape, u64) {
    let (lowest, highest) = numbers.iter().fold((0, 0), |(low, high), n| ((*n).min(low), (*n).max(high)));
    let width = bit_length(highest.wrapping_sub(lowest).cast_unsigned());
    let of_numbers = (numbers.len() as u64 - 1) * u64::from(width);
    (Shape::Packed { lowest, width }, number_bits(zigzag(lowest)) + u64::from(WIDTH_BITS) + of_numbers)
}

/// From here on a running mean is tried: below, noise takes too little to save anything of it.
const SMOOTH_BITS_PER_NUMBER_MIN: u64 = 2;
const SMOOTH_COUNT_MIN: usize = 24;

fn residuals(scratch: &mut Scratch) -> (Shape, u64) {
    let level = signed_residuals(scratch, Predictor::Level);
    let delta = signed_residuals(scratch, Predictor::Delta);
    let mut best = if level.1 <= delta.1 { level } else { delta };
    // Where level and difference do about as well, noise lies on something that moves slowly: a mean beats both.
    let (low, high) = (level.1.min(delta.1), level.1.max(delta.1));
    let count = scratch.numbers.len();
    let noisy = count >= SMOOTH_COUNT_MIN && low >= SMOOTH_BITS_PER_NUMBER_MIN * count as u64;
    if noisy && high - low < low / 2 {
        best = smooth_residuals(scratch, best);
    }
    let one_sided = residuals_above_lowest(scratch, best.0.predictor);
    if one_sided.1 < best.1 {
        best = one_sided;
    }
    (Shape::Residuals(best.0), best.1)
}

fn smooth_residuals(scratch: &mut Scratch, mut best: (Residuals, u64)) -> (Residuals, u64) {
    for pace in [2, 1, 3] {
        let found = signed_residuals(scratch, Predictor::Smooth(pace));
        if found.1 < best.1 {
            best = found;
        } else if pace == 2 {
            break;
        }
    }
    best
}

fn signed_residuals(scratch: &mut Scratch, predictor: Predictor) -> (Residuals, u64) {
    let Scratch { numbers, residuals, sorted, codes, .. } = scratch;
    find_residuals(numbers, predictor, residuals);
    sorted.clone_from(residuals);
    let middle = sorted.len() / 2;
    let base = *sorted.select_nth_unstable(middle).1;
    codes.clear();
    codes.extend(residuals.iter().map(|n| zigzag(n.wrapping_sub(base))));
    priced(predictor, base, false, codes)
}

fn residuals_above_lowest(scratch: &mut Scratch, predictor: Predictor) -> (Residuals, u64) {
    let Scratch { numbers, residuals, codes, .. } = scratch;
    find_residuals(numbers, predictor, residuals);
    let base = residuals.iter().copied().min().unwrap_or(0);
    codes.clear();
    codes.extend(residuals.iter().map(|n| n.wrapping_sub(base).cast_unsigned()));
    priced(predictor, base, true, codes)
}

fn priced(predictor: Predictor, base: i64, above_base: bool, codes: &[u64]) -> (Residuals, u64) {
    let (k, bits) = rice::fit(codes);
    let of_pace = if matches!(predictor, Predictor::Smooth(_)) { u64::from(PACE_BITS) } else { 0 };
    let head = of_pace + number_bits(zigzag(base)) + 1 + u64::from(K_BITS);
    (Residuals { predictor, base, above_base, k }, head + bits)
}

/// What the predictor leaves of all numbers but the first.
fn find_residuals(numbers: &[i64], predictor: Predictor, out: &mut Vec<i64>) {
    out.clear();
    match predictor {
        Predictor::Level => out.extend(numbers.iter().skip(1)),
        Predictor::Delta => out.extend(numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))),
        Predictor::Smooth(pace) => {
            let mut mean = Mean::default();
            out.extend(numbers.iter().skip(1).map(|number| {
                let residual = number.wrapping_sub(mean.value());
                mean.take(*number, pace);
                residual
            }));
        }
    }
}
