//! Values over time in bounded memory, whatever span they turn out to have and in whatever order they come.

use std::collections::BTreeMap;

use hub_model::UtcMs;

/// Buckets kept. A terminal has far fewer columns, so that joining buckets cannot be seen.
const BUCKETS_MAX: usize = 4_096;

/// What lies in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bucket {
    /// Readings with a finite value.
    pub(super) count: u64,
    /// Of those.
    pub(super) mean: f64,
    /// Readings without one.
    pub(super) without: u64,
}

impl Bucket {
    /// Joins two.
    fn add(&mut self, other: Bucket) {
        self.without += other.without;
        self.mean = joined_mean((self.mean, self.count), (other.mean, other.count));
        self.count += other.count;
    }
}

/// The mean of two heaps of values. Never beyond them, though their sum may be beyond all numbers.
#[expect(clippy::cast_precision_loss, reason = "a picture does not show it")]
pub(super) fn joined_mean(a: (f64, u64), b: (f64, u64)) -> f64 {
    if a.1 == 0 || b.1 == 0 {
        return if a.1 == 0 { b.0 } else { a.0 };
    }
    let all = (a.1 + b.1) as f64;
    a.0 * (a.1 as f64 / all) + b.0 * (b.1 as f64 / all)
}

/// Buckets of one width. When there are too many, they become twice as wide.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    width_ms: i64,
    buckets: BTreeMap<i64, Bucket>,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile { width_ms: 1, buckets: BTreeMap::new() }
    }
}

impl Profile {
    /// Adds a reading; one without a finite value is `None`.
    pub(super) fn add(&mut self, at: UtcMs, value: Option<f64>) {
        let one = match value {
            Some(value) => Bucket { count: 1, mean: value, without: 0 },
            None => Bucket { count: 0, mean: 0.0, without: 1 },
        };
        self.buckets.entry(at.0.div_euclid(self.width_ms)).or_default().add(one);
        while self.buckets.len() > BUCKETS_MAX {
            self.width_ms *= 2;
            let mut wider: BTreeMap<i64, Bucket> = BTreeMap::new();
            for (key, bucket) in std::mem::take(&mut self.buckets) {
                wider.entry(key.div_euclid(2)).or_default().add(bucket);
            }
            self.buckets = wider;
        }
    }

    /// The span in so many parts. What lies outside counts to the part at the edge.
    pub(super) fn columns(&self, (from, to): (UtcMs, UtcMs), count: usize) -> Vec<Bucket> {
        let mut columns = vec![Bucket::default(); count];
        for (key, bucket) in &self.buckets {
            let middle = key.saturating_mul(self.width_ms).saturating_add(self.width_ms / 2);
            if let Some(column) = columns.get_mut(column_of(UtcMs(middle), (from, to), count)) {
                column.add(*bucket);
            }
        }
        columns
    }
}

/// In which of so many parts of a span a moment lies.
pub(super) fn column_of(at: UtcMs, (from, to): (UtcMs, UtcMs), count: usize) -> usize {
    let length = (i128::from(to.0) - i128::from(from.0)).max(1);
    let behind = (i128::from(at.0) - i128::from(from.0)).clamp(0, length - 1);
    usize::try_from(behind)
        .ok()
        .and_then(|behind| Some(behind.checked_mul(count)? / usize::try_from(length).ok()?))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_nothing_is_lost() {
        let mut profile = Profile::default();
        for n in 0..100_000i64 {
            // Forwards and backwards in turn.
            let at = if n % 2 == 0 { n } else { -n };
            profile.add(UtcMs(at * 60_000), Some(1.5));
        }
        profile.add(UtcMs(0), None);
        assert!(profile.buckets.len() <= BUCKETS_MAX && profile.buckets.len() > BUCKETS_MAX / 4);
        let columns = profile.columns((UtcMs(-100_000 * 60_000), UtcMs(100_000 * 60_000)), 100);
        assert_eq!(columns.iter().map(|c| c.count).sum::<u64>(), 100_000);
        assert_eq!(columns.iter().map(|c| c.without).sum::<u64>(), 1);
        assert!(columns.iter().all(|c| c.count > 900 && c.count < 1_100 && (c.mean - 1.5).abs() < 1e-9));
    }

    #[test]
    fn moments_find_their_column() {
        let check = |at: i64, expected: usize| {
            assert_eq!(column_of(UtcMs(at), (UtcMs(100), UtcMs(200)), 10), expected)
        };
        check(100, 0);
        check(109, 0);
        check(110, 1);
        check(199, 9);
        check(5, 0);
        check(1_000, 9);
        assert_eq!(column_of(UtcMs(7), (UtcMs(7), UtcMs(7)), 1), 0);
        assert_eq!(column_of(UtcMs(i64::MAX), (UtcMs(i64::MIN), UtcMs(i64::MAX)), 10), 0);
    }

    #[test]
    fn a_mean_stays_between_the_greatest_numbers() {
        assert_eq!(joined_mean((f64::MAX, 1), (f64::MAX, 1)), f64::MAX);
        assert_eq!(joined_mean((f64::MAX, 1), (f64::MIN, 1)), 0.0);
        assert_eq!(joined_mean((0.0, 0), (3.0, 2)), 3.0);
        assert_eq!(joined_mean((1.0, 3), (5.0, 1)), 2.0);
    }
}
