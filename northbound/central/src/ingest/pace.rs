//! How long a batch waits for company. No clock in here: moments come in.
//!
//! A batch that stands alone is written at once: its hub waits for the acknowledgement. While one is written, the next
//! gathers, so under load batches grow by themselves. What would be bad is a steady drip of tiny objects, thousands of
//! hubs with a block now and then: each small object costs from an allowance, and when that is used up, batches wait.

/// A batch is written when it has these many bytes: larger objects are no cheaper to write or to read from. Gaps count
/// as if they had some.
pub(super) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// And when it has these many arrivals: each is some statements.
pub(super) const BATCH_ARRIVALS_MAX: usize = 1_024;

/// How long a batch waits at most.
pub(super) const WAIT_MS_MAX: u64 = 150;

/// Objects from this size on are free.
const SMALL_BYTES: u64 = 512 * 1024;

/// Small objects per second in the long run: about a million files a day.
const SMALL_PER_SECOND: u64 = 10;

/// Small objects at once.
const SMALL_AT_ONCE: u64 = 30;

/// What one small object costs, and how the allowance grows: in thousandths, so that nothing is lost in rounding.
const COST: u64 = 1_000;

/// The allowance of small objects.
#[derive(Debug)]
pub(super) struct Pace {
    allowance: u64,
    at_ms: u64,
}

impl Pace {
    pub(super) fn new(now_ms: u64) -> Pace {
        Pace { allowance: SMALL_AT_ONCE * COST, at_ms: now_ms }
    }

    /// How long the next batch may wait for more, when nothing more waits right now.
    pub(super) fn wait_ms(&mut self, now_ms: u64) -> u64 {
        let grown = now_ms.saturating_sub(self.at_ms).saturating_mul(SMALL_PER_SECOND * COST / 1_000);
        self.allowance = self.allowance.saturating_add(grown).min(SMALL_AT_ONCE * COST);
        self.at_ms = now_ms;
        let missing = COST.saturating_sub(self.allowance);
        missing.div_ceil(SMALL_PER_SECOND * COST / 1_000).min(WAIT_MS_MAX)
    }

    /// An object of these bytes was written.
    pub(super) fn wrote(&mut self, bytes: u64) {
        let missing = SMALL_BYTES.saturating_sub(bytes);
        self.allowance = self.allowance.saturating_sub(COST * missing / SMALL_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_alone_does_not_wait() {
        let mut pace = Pace::new(0);
        for now_ms in (0..60_000).step_by(150) {
            assert_eq!(pace.wait_ms(now_ms), 0, "at {now_ms} ms");
            pace.wrote(60_000);
        }
    }

    #[test]
    fn a_drip_of_small_ones_waits_and_large_ones_do_not() {
        let mut pace = Pace::new(0);
        let mut small = 0;
        while pace.wait_ms(0) == 0 {
            pace.wrote(1_000);
            small += 1;
        }
        assert!((SMALL_AT_ONCE..=SMALL_AT_ONCE + 1).contains(&small), "{small}");
        assert!((50..=60).contains(&pace.wait_ms(40)), "until there is enough again");
        assert_eq!(pace.wait_ms(200), 0);
        for _ in 0..1_000 {
            pace.wrote(SMALL_BYTES);
            assert_eq!(pace.wait_ms(200), 0);
        }
    }
}
