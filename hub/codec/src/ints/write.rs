//! Writes columns of whole numbers. After shape, first and step:
//!
//! - constant: nothing. Linear: the slope, signed, in place of the step.
//! - runs: number of changes; `k` of the gaps (6 bits); 1 bit whether there are two values; then the other value, signed,
//!   or `k` of the turns (6 bits). Per change the gap (numbers that repeat before it), and if there are not two values
//!   the turn: zigzag of the difference, less 1.
//! - packed: the lowest, signed; width less 1 (6 bits); the numbers above the lowest.
//! - level, delta, smooth: pace less 1 (2 bits, smooth only); base, signed; 1 bit whether it is the lowest; `k` (6 bits);
//!   the residuals less the base, zigzag unless the base is the lowest.

use super::fit::{Plan, Residuals, Scratch, Shape, Turns, fit};
use super::{
    CONSTANT, DELTA, LEVEL, LINEAR, Mean, PACE_BITS, PACKED, Predictor, RUNS, SHAPE_BITS, SMOOTH, WIDTH_BITS,
};
use crate::bits::{BitWriter, zigzag};
use crate::rice::{self, K_BITS};

/// Writes numbers in the shape that takes the fewest bits; no numbers take none.
pub(crate) fn put(w: &mut BitWriter, numbers: &[i64], scratch: &mut Scratch) {
    if !numbers.is_empty() {
        let plan = fit(numbers, scratch);
        write(w, &plan, scratch);
    }
}

/// Writes what was fitted last.
pub(crate) fn write(w: &mut BitWriter, plan: &Plan, scratch: &Scratch) {
    w.bits(u64::from(shape_number(&plan.shape)), SHAPE_BITS);
    w.signed(plan.first);
    let numbers = &scratch.numbers;
    match plan.shape {
        Shape::Constant => return,
        Shape::Linear { slope } => return w.signed(slope),
        Shape::Runs { .. } | Shape::Packed { .. } | Shape::Residuals(_) => {}
    }
    w.flag(plan.step != 1);
    if plan.step != 1 {
        w.number(plan.step.cast_unsigned());
    }
    match plan.shape {
        Shape::Runs { changes, gap_k, turns } => write_runs(w, numbers, changes, gap_k, turns),
        Shape::Packed { lowest, width } => write_packed(w, numbers, lowest, width),
        Shape::Residuals(residuals) => write_residuals(w, numbers, residuals),
        Shape::Constant | Shape::Linear { .. } => {}
    }
}

const fn shape_number(shape: &Shape) -> u32 {
    match shape {
        Shape::Constant => CONSTANT,
        Shape::Linear { .. } => LINEAR,
        Shape::Runs { .. } => RUNS,
        Shape::Packed { .. } => PACKED,
        Shape::Residuals(Residuals { predictor: Predictor::Level, .. }) => LEVEL,
        Shape::Residuals(Residuals { predictor: Predictor::Delta, .. }) => DELTA,
        Shape::Residuals(Residuals { predictor: Predictor::Smooth(_), .. }) => SMOOTH,
    }
}

fn write_runs(w: &mut BitWriter, numbers: &[i64], changes: usize, gap_k: u32, turns: Turns) {
    w.number(changes as u64);
    w.bits(u64::from(gap_k), K_BITS);
    match turns {
        Turns::Between(other) => {
            w.flag(true);
            w.signed(other);
        }
        Turns::By { k } => {
            w.flag(false);
            w.bits(u64::from(k), K_BITS);
        }
    }
    let mut gap = 0;
    for pair in numbers.windows(2) {
        let turn = pair[1].wrapping_sub(pair[0]);
        if turn == 0 {
            gap += 1;
            continue;
        }
        rice::write(w, gap_k, gap);
        gap = 0;
        if let Turns::By { k } = turns {
            rice::write(w, k, zigzag(turn) - 1);
        }
    }
}

fn write_packed(w: &mut BitWriter, numbers: &[i64], lowest: i64, width: u32) {
    w.signed(lowest);
    w.bits(u64::from(width - 1), WIDTH_BITS);
    for number in numbers.iter().skip(1) {
        w.bits(number.wrapping_sub(lowest).cast_unsigned(), width);
    }
}

fn write_residuals(w: &mut BitWriter, numbers: &[i64], residuals: Residuals) {
    let Residuals { predictor, base, above_base, k } = residuals;
    if let Predictor::Smooth(pace) = predictor {
        w.bits(u64::from(pace - 1), PACE_BITS);
    }
    w.signed(base);
    w.flag(above_base);
    w.bits(u64::from(k), K_BITS);
    let mut put = |residual: i64| {
        let residual = residual.wrapping_sub(base);
        rice::write(w, k, if above_base { residual.cast_unsigned() } else { zigzag(residual) });
    };
    match predictor {
        Predictor::Level => numbers.iter().skip(1).for_each(|number| put(*number)),
        Predictor::Delta => numbers.windows(2).for_each(|pair| put(pair[1].wrapping_sub(pair[0]))),
        Predictor::Smooth(pace) => {
            let mut mean = Mean::default();
            for number in numbers.iter().skip(1) {
                put(number.wrapping_sub(mean.value()));
                mean.take(*number, pace);
            }
        }
    }
}
