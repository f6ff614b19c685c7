//! A line of blocks: `▁▂▃▅▇█`. One cell per stretch of time.

/// From low to high.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Of a series that does not change.
const MIDDLE: char = '▄';

/// A stretch with readings, but none with a value.
pub(super) const NO_VALUE: char = '×';

/// A stretch without readings, of which the ledger says why.
pub(super) const GAP: char = '·';

/// Readings in a cell from which on an empty cell means that several are missing.
const DENSE: f64 = 3.0;

/// What a stretch of time holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// Readings, with this mean and this many.
    Value { mean: f64, count: u64 },
    /// Readings, but none with a value.
    NoValue,
    /// No readings, and a gap that says why.
    Gap,
    /// No readings.
    Nothing,
}

/// Lets values stand for the cells behind them when a series is slower than cells are: a reading every ten minutes is
/// no gap in cells of a minute. A hole of more than twice the usual distance stays one.
pub(super) fn bridge(cells: &mut [Cell]) {
    let values: Vec<(usize, u64)> = cells
        .iter()
        .enumerate()
        .filter_map(|(at, cell)| match cell {
            Cell::Value { count, .. } => Some((at, *count)),
            Cell::NoValue | Cell::Gap | Cell::Nothing => None,
        })
        .collect();
    let mut distances: Vec<usize> = values.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    distances.sort_unstable();
    let Some(usual) = distances.get(distances.len() / 2) else { return };
    #[expect(clippy::cast_precision_loss, reason = "it is compared with a small number")]
    let per_cell = values.iter().map(|(_, count)| count).sum::<u64>() as f64 / values.len() as f64;
    if per_cell >= DENSE {
        return;
    }
    for pair in values.windows(2) {
        let (at, next) = (pair[0].0, pair[1].0);
        if next - at <= 2 * usual {
            let value = cells[at];
            cells[at + 1..next]
                .iter_mut()
                .filter(|cell| **cell == Cell::Nothing)
                .for_each(|cell| *cell = value);
        }
    }
}

/// Draws cells between the least and the greatest mean, or between `scale` where a type has natural bounds.
pub(super) fn draw(cells: &[Cell], scale: Option<(f64, f64)>) -> String {
    let (min, max) = scale.unwrap_or_else(|| bounds(cells));
    let block = |mean: f64| {
        // Halves, because the distance of two numbers may be beyond all numbers.
        let (height, range) = (mean / 2.0 - min / 2.0, max / 2.0 - min / 2.0);
        if range > 0.0 { level(height / range) } else { MIDDLE }
    };
    let line: String = cells
        .iter()
        .map(|cell| match cell {
            Cell::Value { mean, .. } => block(*mean),
            Cell::NoValue => NO_VALUE,
            Cell::Gap => GAP,
            Cell::Nothing => ' ',
        })
        .collect();
    line.trim_end().to_owned()
}

fn bounds(cells: &[Cell]) -> (f64, f64) {
    cells.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), cell| match cell {
        Cell::Value { mean, .. } => (min.min(*mean), max.max(*mean)),
        Cell::NoValue | Cell::Gap | Cell::Nothing => (min, max),
    })
}

/// The block of a height between 0 and 1.
fn level(height: f64) -> char {
    let steps = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5];
    LEVELS[steps.iter().filter(|step| height * 7.0 >= **step).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(mean: f64) -> Cell {
        Cell::Value { mean, count: 1 }
    }

    fn drawn(values: &[f64]) -> String {
        draw(&values.iter().map(|v| value(*v)).collect::<Vec<_>>(), None)
    }

    #[test]
    fn blocks_show_heights() {
        assert_eq!(drawn(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&[-3.0, 11.0, 4.0]), "▁█▅");
        assert_eq!(drawn(&[5.0, 5.0, 5.0]), "▄▄▄");
        assert_eq!(drawn(&[5.0]), "▄");
        assert_eq!(drawn(&[]), "");
        assert_eq!(drawn(&[f64::MIN, 0.0, f64::MAX]), "▁▅█");
        assert_eq!(drawn(&[0.0, 5e-324]), "▄▄", "what halves to nothing is one height");
    }

    #[test]
    fn what_is_not_there_is_seen() {
        let cells = [value(0.0), Cell::Gap, Cell::Nothing, Cell::NoValue, value(1.0), Cell::Nothing];
        assert_eq!(draw(&cells, None), "▁· ×█");
    }

    #[test]
    fn natural_bounds_make_levels_comparable() {
        assert_eq!(draw(&[value(1.0), value(1.0)], Some((0.0, 1.0))), "██");
        assert_eq!(draw(&[value(0.0)], Some((0.0, 1.0))), "▁");
    }

    fn bridged(pattern: &str, count: u64) -> String {
        let mut cells: Vec<Cell> = pattern
            .chars()
            .map(|c| match c {
                ' ' => Cell::Nothing,
                '.' => Cell::Gap,
                _ => Cell::Value { mean: 1.0, count },
            })
            .collect();
        bridge(&mut cells);
        draw(&cells, None)
    }

    #[test]
    fn slow_series_are_no_holes() {
        assert_eq!(bridged("x   x   x   x", 1), "▄▄▄▄▄▄▄▄▄▄▄▄▄");
        assert_eq!(bridged("x   x           x   x", 1), "▄▄▄▄▄           ▄▄▄▄▄");
        assert_eq!(bridged("x .  x   x", 1), "▄▄·▄▄▄▄▄▄▄", "a known gap stays");
        assert_eq!(bridged("xxxxx xxxx  xxx", 2), "▄▄▄▄▄▄▄▄▄▄  ▄▄▄");
        assert_eq!(
            bridged("xxxxx xxxx  xxx", 9),
            "▄▄▄▄▄ ▄▄▄▄  ▄▄▄",
            "where readings are dense, one empty cell is a hole"
        );
        assert_eq!(bridged("  x  ", 1), "  ▄");
        assert_eq!(bridged("   ", 1), "");
    }
}
