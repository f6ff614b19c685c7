//! How long to wait after a failure: twice as long each time, with full jitter, so that thousands of hubs that lost
//! central at the same moment do not come back at the same moment.

use crate::random::Random;

/// No wait is shorter than this share of the shortest: a hub must not spin.
const FLOOR_DIVISOR: u64 = 10;

/// Waits between rounds over all addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: u32,
    random: Random,
}

impl Backoff {
    /// Waits of up to `min_ms` at first and up to `max_ms` at last.
    pub(crate) const fn new(min_ms: u64, max_ms: u64, random: Random) -> Backoff {
        Backoff { min_ms, max_ms, failures: 0, random }
    }

    /// The wait after another failure.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let doubled = self.min_ms.saturating_mul(1u64.checked_shl(self.failures).unwrap_or(u64::MAX));
        self.failures = self.failures.saturating_add(1);
        let floor = self.min_ms / FLOOR_DIVISOR;
        self.random.within(floor, doubled.clamp(self.min_ms, self.max_ms))
    }

    /// The wait after something that time alone does not mend: the upper half of the longest.
    pub(crate) fn long_ms(&mut self) -> u64 {
        self.failures = self.failures.saturating_add(1);
        self.random.within(self.max_ms / 2, self.max_ms)
    }

    /// Failures in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_differ_between_hubs() {
        let longest = |failure: usize| {
            let of = |seed| {
                let mut backoff = Backoff::new(1_000, 60_000, Random::new(seed));
                (0..=failure).map(|_| backoff.next_ms()).last().unwrap()
            };
            (0..500).map(of).max().unwrap()
        };
        assert!((950..=1_000).contains(&longest(0)), "{}", longest(0));
        assert!((3_800..=4_000).contains(&longest(2)), "{}", longest(2));
        assert!((58_000..=60_000).contains(&longest(6)), "{}", longest(6));
        assert!((58_000..=60_000).contains(&longest(100)), "{}", longest(100));
    }

    #[test]
    fn a_wait_is_never_nothing_and_success_forgets() {
        let mut backoff = Backoff::new(1_000, 60_000, Random::new(7));
        assert!((0..200).all(|_| backoff.next_ms() >= 100));
        assert!((0..200).all(|_| backoff.long_ms() >= 30_000));
        backoff.reset();
        assert_eq!(backoff.failures(), 0);
        assert!(backoff.next_ms() <= 1_000);
    }
}
