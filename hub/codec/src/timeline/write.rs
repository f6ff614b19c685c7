//! Writes timelines.

use super::times::{self, Scratch};
use super::{SOURCE_BITS, Timeline, Wall};
use crate::bits::{BitWriter, number_bits};
use crate::ints;

/// What another timeline has to do with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// These are some of its moments, in order: how many lie between each and the one before.
    Within(Vec<i64>),
    /// It has as many moments; each of these is so much later.
    Beside(Vec<i64>),
}

impl Relation {
    /// What it takes to follow the timeline of a number, in bits.
    pub(crate) fn bits(&self, other: usize, scratch: &mut Scratch) -> u64 {
        let (Relation::Within(numbers) | Relation::Beside(numbers)) = self;
        3 + number_bits(other as u64) + ints::fit(numbers, &mut scratch.ints).bits()
    }
}

impl Timeline {
    /// What it takes to stand alone, in bits; a stated time is taken for one bit, as if it were regular.
    pub(crate) fn bits_alone(&self, scratch: &mut Scratch) -> u64 {
        let mono: Vec<i64> = self.mono.iter().map(|time| time.cast_signed()).collect();
        2 + times::fit(&mono, scratch).bits + self.walls.len() as u64
    }
}

/// Writes a timeline; `follows` is the number of another and what this one has to do with it.
pub(crate) fn write(
    w: &mut BitWriter,
    timeline: &Timeline,
    follows: Option<(usize, &Relation)>,
    scratch: &mut Scratch,
) {
    w.flag(follows.is_some());
    if let Some((other, relation)) = follows {
        return write_following(w, other, relation, scratch);
    }
    let mono: Vec<i64> = timeline.mono.iter().map(|time| time.cast_signed()).collect();
    let plan = times::fit(&mono, scratch);
    times::write(w, &mono, &plan, scratch);
    w.flag(!timeline.walls.is_empty());
    if !timeline.walls.is_empty() {
        write_walls(w, &mono, &timeline.walls, scratch);
    }
}

fn write_following(w: &mut BitWriter, other: usize, relation: &Relation, scratch: &mut Scratch) {
    w.number(other as u64);
    let (within, beside) = match relation {
        Relation::Within(gaps) => (Some(gaps), None),
        Relation::Beside(later) => (None, Some(later)),
    };
    for numbers in [within, beside] {
        w.flag(numbers.is_some());
        if let Some(numbers) = numbers {
            ints::put(w, numbers, &mut scratch.ints);
        }
    }
}

fn write_walls(w: &mut BitWriter, mono: &[i64], walls: &[Wall], scratch: &mut Scratch) {
    let mut runs: Vec<(u64, u8)> = Vec::new();
    let mut times = Vec::new();
    let mut behind = Vec::new();
    for (mono, wall) in mono.iter().zip(walls) {
        let source = wall.map_or(0, |(_, source)| source as u8);
        match runs.last_mut() {
            Some((length, of_run)) if *of_run == source => *length += 1,
            _ => runs.push((1, source)),
        }
        if let Some((time, _)) = wall {
            times.push(*time);
            behind.push(time.wrapping_sub(*mono));
        }
    }
    w.number(runs.len() as u64);
    for (length, source) in runs {
        w.number(length);
        w.bits(u64::from(source), SOURCE_BITS);
    }
    if times.is_empty() {
        return;
    }
    let plan = times::fit(&times, scratch);
    let related = ints::fit(&behind, &mut scratch.ints).bits() < plan.bits;
    w.flag(related);
    if related {
        ints::put(w, &behind, &mut scratch.ints);
    } else {
        times::write(w, &times, &plan, scratch);
    }
}
