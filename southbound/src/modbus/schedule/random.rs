//! Spreads moments apart. Deterministic: the same seed gives the same sequence.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// This long, a fifth more or less.
    pub(super) fn around(&mut self, time: Duration) -> Duration {
        // 0 to 400: thousandths of the time on top of its four fifths.
        let share = u32::try_from(self.next() % 401).unwrap_or(0);
        time * (800 + share) / 1_000
    }
}
