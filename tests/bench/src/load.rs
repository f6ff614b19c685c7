//! The readings both sides store: a hundred series that walk at random, as temperatures and pressures do.

use site_tests::Random;

/// Series in the load.
pub(crate) const SERIES: u32 = 100;

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) series: u32,
    pub(crate) at_ms: u64,
    pub(crate) value: f64,
}

/// An endless load, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Load {
    random: Random,
    values: Vec<f64>,
    at_ms: u64,
    next: u32,
}

impl Load {
    /// The load of a seed, beginning at a moment.
    pub(crate) fn new(seed: u64, at_ms: u64) -> Load {
        let values = (0..SERIES).map(|n| 20.0 + f64::from(n)).collect();
        Load { random: Random::new(seed), values, at_ms, next: 0 }
    }

    /// The next readings. Each pass over the series is one second later.
    pub(crate) fn batch(&mut self, points: u32) -> Vec<Point> {
        (0..points).map(|_| self.point()).collect()
    }

    fn point(&mut self) -> Point {
        let series = self.next;
        let step = i32::try_from(self.random.below(21)).expect("a small number") - 10;
        let value = &mut self.values[series as usize];
        // Two decimals, as instruments have.
        *value = ((*value * 100.0).round() + f64::from(step)) / 100.0;
        let point = Point { series, at_ms: self.at_ms, value: *value };
        self.next = (self.next + 1) % SERIES;
        if self.next == 0 {
            self.at_ms += 1000;
        }
        point
    }
}
