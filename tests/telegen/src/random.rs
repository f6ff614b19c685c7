//! Random numbers that are the same everywhere: xorshift64*.

use std::f64::consts::TAU;

/// A sequence that follows from its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Random {
        // Never 0, of which xorshift makes only zeros.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number of at least 0 and below `end`, which is not negative.
    pub const fn below(&mut self, end: i64) -> i64 {
        (self.bits() % end.cast_unsigned()).cast_signed()
    }

    /// A fraction of at least 0 and below 1.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the normal distribution with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.fraction().max(1e-300).ln()).sqrt() * (TAU * self.fraction()).cos()
    }
}
