//! Times as whole numbers, or as a grid with how late each is: polls come at a pace, and each a little late.

use crate::bits::{BitReader, BitWriter, number_bits, zigzag};
use crate::error::DecodeError;
use crate::ints::{self, Plan};

/// Times beyond are not tried on a grid, so that its arithmetic cannot overflow.
const GRID_TIME_MAX: i64 = 1 << 52;
/// Fewer are not either: a grid has to be told first.
const GRID_COUNT_MIN: usize = 4;

/// Buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) ints: ints::Scratch,
    sorted: Vec<i64>,
    steps: Vec<i64>,
    late: Vec<i64>,
}

/// How times will be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimesPlan {
    grid: Option<Grid>,
    /// What they take, in bits.
    pub(super) bits: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    period: i64,
    origin: i64,
}

/// Chooses how to write times; there is at least one.
pub(super) fn fit(times: &[i64], scratch: &mut Scratch) -> TimesPlan {
    let plain: Plan = ints::fit(times, &mut scratch.ints);
    let mut best = TimesPlan { grid: None, bits: 1 + plain.bits() };
    let [first, .., last] = *times else { return best };
    let in_order = times.is_sorted() && first.abs() < GRID_TIME_MAX && last.abs() < GRID_TIME_MAX;
    if times.len() < GRID_COUNT_MIN || !in_order {
        return best;
    }
    for period in periods(times, &mut scratch.sorted).into_iter().flatten() {
        let grid = Grid { period, origin: origin(times, period, &mut scratch.sorted) };
        lay(times, grid, scratch);
        let steps = ints::fit(&scratch.steps, &mut scratch.ints).bits();
        let late = ints::fit(&scratch.late, &mut scratch.ints).bits();
        let head = 1 + number_bits(period.cast_unsigned()) + number_bits(zigzag(line(times, grid)));
        if head + steps + late < best.bits {
            best = TimesPlan { grid: Some(grid), bits: head + steps + late };
        }
    }
    best
}

/// Writes times as planned.
pub(super) fn write(w: &mut BitWriter, times: &[i64], plan: &TimesPlan, scratch: &mut Scratch) {
    w.flag(plan.grid.is_some());
    let Some(grid) = plan.grid else { return ints::put(w, times, &mut scratch.ints) };
    lay(times, grid, scratch);
    w.number(grid.period.cast_unsigned());
    w.signed(line(times, grid));
    ints::put(w, &scratch.steps, &mut scratch.ints);
    ints::put(w, &scratch.late, &mut scratch.ints);
}

/// Reads as many times as `out` has room for.
pub(super) fn read(r: &mut BitReader<'_>, out: &mut [i64], what: &'static str) -> Result<(), DecodeError> {
    if !r.flag() {
        return ints::read(r, out, what);
    }
    let period = r.number().cast_signed();
    let mut line = r.signed();
    let mut steps = vec![0; out.len().saturating_sub(1)];
    ints::read(r, &mut steps, what)?;
    ints::read(r, out, what)?;
    let mut steps = steps.into_iter();
    for time in out {
        *time = time.wrapping_add(line);
        line = line.wrapping_add(steps.next().unwrap_or(0).wrapping_mul(period));
    }
    Ok(())
}

/// Periods worth trying: the usual gap, made as round as people make periods, and the mean of all gaps.
fn periods(times: &[i64], sorted: &mut Vec<i64>) -> [Option<i64>; 3] {
    sorted.clear();
    sorted.extend(times.windows(2).map(|pair| pair[1] - pair[0]));
    let middle = sorted.len() / 2;
    let usual = (*sorted.select_nth_unstable(middle).1).max(1);
    let round = |unit: i64| (usual + unit / 2) / unit * unit;
    let rounded = match usual {
        500.. => round(500),
        50..500 => round(50),
        _ => usual,
    };
    let lines: i64 = sorted.iter().map(|gap| (gap + usual / 2) / usual).sum();
    let spread = times.last().copied().unwrap_or(0) - times.first().copied().unwrap_or(0);
    let mean = if lines > 0 { ((spread + lines / 2) / lines).max(1) } else { usual };
    let fine = if usual >= 50 { round(10) } else { usual };
    [Some(rounded), (fine != rounded).then_some(fine), (mean != rounded && mean != fine).then_some(mean)]
}

/// The moment within a period that is a quarter before the usual one. From there on a time counts to its line: most
/// come late, few early.
fn origin(times: &[i64], period: i64, sorted: &mut Vec<i64>) -> i64 {
    let first = times.first().copied().unwrap_or(0);
    let half = period / 2;
    sorted.clear();
    sorted.extend(times.iter().map(|time| (time - first + half).rem_euclid(period)));
    let middle = sorted.len() / 2;
    first - half + *sorted.select_nth_unstable(middle).1 - period / 4
}

/// The grid line of the first time.
fn line(times: &[i64], grid: Grid) -> i64 {
    let first = times.first().copied().unwrap_or(0);
    first - (first - grid.origin).rem_euclid(grid.period)
}

/// Lays times on a grid: steps between their lines, and how late each is.
fn lay(times: &[i64], grid: Grid, scratch: &mut Scratch) {
    let Scratch { steps, late, .. } = scratch;
    steps.clear();
    late.clear();
    let mut before = None;
    for time in times {
        let (behind, number) =
            ((time - grid.origin).rem_euclid(grid.period), (time - grid.origin).div_euclid(grid.period));
        late.push(behind);
        if let Some(before) = before {
            steps.push(number - before);
        }
        before = Some(number);
    }
}
