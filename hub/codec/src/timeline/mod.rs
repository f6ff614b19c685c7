//! Timelines: when the samples of a series were taken, shared by all series that are read together.
//!
//! A moment is the monotonic stamp less the block's earliest, and the time the device stated less the block's earliest
//! such, where there is one. A timeline is:
//!
//! | bits | field |
//! |---|---|
//! | 1 | whether it follows another timeline |
//! | | if it follows: number of the other, which follows none; 1 bit and, if set, which of its moments these are (how many lie between each and the one before, as whole numbers); 1 bit and, if set, how much later each is, as whole numbers |
//! | | else: the monotonic times; 1 bit whether devices stated times; if set, runs of sources, then the times |
//!
//! Times are 1 bit (whether they lie on a grid) and, on a grid, its period and origin, the steps from each grid line to the
//! next (one less than moments) and how late each moment is; else the times as whole numbers. Runs of sources: number of
//! runs, per run its length and the source (8 bits, 0 for no stated time). The stated times: 1 bit whether they are less
//! the monotonic times (then as whole numbers), else as times.

use hub_model::WallSource;

mod read;
mod times;
mod write;

pub(crate) use read::{Source, read_all, read_one};
pub(crate) use times::Scratch;
pub(crate) use write::{Relation, write};

/// A time that a device stated: milliseconds behind the block's earliest (an i64 that wraps), and who stated it.
pub(crate) type Wall = Option<(i64, WallSource)>;

/// When samples were taken, one behind the other in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Milliseconds behind the block's earliest.
    pub(crate) mono: Vec<u64>,
    /// As many, or none when no device stated a time.
    pub(crate) walls: Vec<Wall>,
}

impl Timeline {
    #[inline]
    pub(crate) fn wall(&self, at: usize) -> Wall {
        self.walls.get(at).copied().flatten()
    }

    /// Whether each moment is later than the one before.
    pub(crate) fn is_rising(&self) -> bool {
        self.mono.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Which moments of `other`, which is rising, these are: how many lie between each and the one before. `None` when
    /// they are not among them.
    pub(crate) fn within(&self, other: &Timeline) -> Option<Vec<i64>> {
        let mut next = 0;
        let mut gaps = Vec::with_capacity(self.mono.len());
        for (number, mono) in self.mono.iter().enumerate() {
            let gap = other.mono.get(next..)?.binary_search(mono).ok()?;
            if self.wall(number) != other.wall(next + gap) {
                return None;
            }
            gaps.push(gap.cast_signed() as i64);
            next += gap + 1;
        }
        (self.walls.is_empty() == other.walls.is_empty()).then_some(gaps)
    }

    /// How much later than in `other`, which has as many moments, each is; `None` when they are no burst.
    pub(crate) fn beside(&self, other: &Timeline, burst_ms: u64) -> Option<Vec<i64>> {
        let ends = [(self.mono.first()?, other.mono.first()?), (self.mono.last()?, other.mono.last()?)];
        let near = ends.iter().all(|(a, b)| a.abs_diff(**b) < burst_ms);
        if !near || self.walls != other.walls {
            return None;
        }
        let later = |(a, b): (&u64, &u64)| a.wrapping_sub(*b).cast_signed();
        Some(self.mono.iter().zip(&other.mono).map(later).collect())
    }
}

const SOURCE_BITS: u32 = 8;
