//! Reads columns of whole numbers. Their count is known and was checked; every number is read once.

use super::{
    CONSTANT, DELTA, LEVEL, LINEAR, Mean, PACE_BITS, PACKED, Predictor, RUNS, SHAPE_BITS, SMOOTH, WIDTH_BITS,
};
use crate::bits::{BitReader, unzigzag};
use crate::error::{DecodeError, malformed};
use crate::rice::{self, K_BITS, K_MAX};

/// Reads as many numbers as `out` has room for. `what` names the column in errors.
pub(crate) fn read(r: &mut BitReader<'_>, out: &mut [i64], what: &'static str) -> Result<(), DecodeError> {
    if out.is_empty() {
        return Ok(());
    }
    let shape = r.small(SHAPE_BITS);
    let first = r.signed();
    match shape {
        CONSTANT => {
            out.fill(first);
            return Ok(());
        }
        LINEAR => {
            read_linear(r, out, first);
            return Ok(());
        }
        _ => {}
    }
    let step = if r.flag() { r.number().cast_signed() } else { 1 };
    out[0] = 0;
    match shape {
        RUNS => read_runs(r, out, what)?,
        PACKED => read_packed(r, out),
        LEVEL => read_residuals(r, out, Predictor::Level, what)?,
        DELTA => read_residuals(r, out, Predictor::Delta, what)?,
        SMOOTH => {
            let pace = r.small(PACE_BITS) + 1;
            read_residuals(r, out, Predictor::Smooth(pace), what)?;
        }
        _ => return malformed(what),
    }
    if (first, step) != (0, 1) {
        out.iter_mut().for_each(|number| *number = first.wrapping_add(number.wrapping_mul(step)));
    }
    Ok(())
}

fn read_linear(r: &mut BitReader<'_>, out: &mut [i64], first: i64) {
    let slope = r.signed();
    let mut next = first;
    for number in out {
        *number = next;
        next = next.wrapping_add(slope);
    }
}

fn read_runs(r: &mut BitReader<'_>, out: &mut [i64], what: &'static str) -> Result<(), DecodeError> {
    let changes = r.number_upto(out.len() - 1, what)?;
    let gap_k = read_k(r, what)?;
    let other = if r.flag() { Some(r.signed()) } else { None };
    let turn_k = if other.is_none() { read_k(r, what)? } else { 0 };
    let mut at = 1usize;
    let mut number = 0i64;
    for _ in 0..changes {
        let gap = usize::try_from(rice::read(r, gap_k)).unwrap_or(usize::MAX);
        let run = out.get_mut(at..at.saturating_add(gap)).ok_or(DecodeError::Malformed(what))?;
        run.fill(number);
        number = match other {
            Some(other) if number == 0 => other,
            Some(_) => 0,
            None => number.wrapping_add(unzigzag(rice::read(r, turn_k).wrapping_add(1))),
        };
        at += gap;
        *out.get_mut(at).ok_or(DecodeError::Malformed(what))? = number;
        at += 1;
    }
    out[at..].fill(number);
    Ok(())
}

fn read_packed(r: &mut BitReader<'_>, out: &mut [i64]) {
    let lowest = r.signed();
    let width = r.small(WIDTH_BITS) + 1;
    for number in out.iter_mut().skip(1) {
        *number = lowest.wrapping_add(r.bits(width).cast_signed());
    }
}

fn read_residuals(
    r: &mut BitReader<'_>,
    out: &mut [i64],
    predictor: Predictor,
    what: &'static str,
) -> Result<(), DecodeError> {
    let base = r.signed();
    let above_base = r.flag();
    let k = read_k(r, what)?;
    match predictor {
        Predictor::Level => each(r, out, k, above_base, |residual| base.wrapping_add(residual)),
        Predictor::Delta => {
            let mut number = 0i64;
            each(r, out, k, above_base, |residual| {
                number = number.wrapping_add(base).wrapping_add(residual);
                number
            });
        }
        Predictor::Smooth(pace) => {
            let mut mean = Mean::default();
            each(r, out, k, above_base, |residual| {
                let number = mean.value().wrapping_add(base).wrapping_add(residual);
                mean.take(number, pace);
                number
            });
        }
    }
    Ok(())
}

/// Reads the residual of each number but the first. A loop per predictor, without a branch on it inside.
#[inline]
fn each(r: &mut BitReader<'_>, out: &mut [i64], k: u32, above_base: bool, mut next: impl FnMut(i64) -> i64) {
    let rest = out.iter_mut().skip(1);
    if above_base {
        rest.for_each(|number| *number = next(rice::read(r, k).cast_signed()));
    } else {
        rest.for_each(|number| *number = next(unzigzag(rice::read(r, k))));
    }
}

fn read_k(r: &mut BitReader<'_>, what: &'static str) -> Result<u32, DecodeError> {
    let k = r.small(K_BITS);
    if k <= K_MAX { Ok(k) } else { malformed(what) }
}
