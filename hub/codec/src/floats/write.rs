//! Writes columns of floats: tries the forms from the shortest to the longest.

use super::decimal::{self, Scale, narrow};
use super::{
    BINARY_32, BINARY_64, DECIMAL_32, DECIMAL_64, FORM_BITS, Layout, ORDERED_32, ORDERED_64, POWER_BITS,
    SPLIT_32, SPLIT_64,
};
use crate::bits::{BitWriter, low_mask};
use crate::column::low_32;
use crate::ints;

/// Buffers that are used again from column to column.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) ints: ints::Scratch,
    wide: Vec<f64>,
    narrow: Vec<f32>,
    wholes: Vec<i64>,
    strays: Vec<usize>,
    patterns: Vec<u64>,
    heads: Vec<i64>,
}

/// One value in so many may be patched: each patch costs 64 bits and more.
const STRAYS_ONE_IN: usize = 8;

/// Whole numbers of nearly as many bits as the mantissa has are decimal by chance only.
const DECIMAL_BITS_MAX: u64 = 40;
/// Any binary32 is decimal with eight digits or so; from here on the other forms may take less.
const DECIMAL_32_BITS_SURE: u64 = 8;

/// Stands among binary32 values for a binary64 that is none: a NaN never is one here.
const NOT_NARROW: f32 = f32::NAN;

/// Writes binary64 values, given as their bits. There is at least one.
pub(crate) fn put_f64(w: &mut BitWriter, bits: &[i64], scratch: &mut Scratch) {
    let Scratch { ints, wide, wholes, strays, .. } = scratch;
    wide.clear();
    wide.extend(bits.iter().map(|b| f64::from_bits(b.cast_unsigned())));
    if let Some(scale) = decimal::scale(wide, strays_max(bits.len()), wholes, strays) {
        let plan = ints::fit(wholes, ints);
        if plan.bits() < bits.len() as u64 * DECIMAL_BITS_MAX {
            put_scaled(w, DECIMAL_64, scale, Patches { bits, at: strays, width: 64 });
            return ints::write(w, &plan, ints);
        }
    }
    if narrow_all(wide, &mut scratch.narrow) {
        return put_narrow(w, bits, 64, scratch);
    }
    scratch.patterns.clear();
    scratch.patterns.extend(bits.iter().map(|b| b.cast_unsigned()));
    let (split, _) = price_patterns(scratch, BINARY_64);
    w.bits(u64::from(if split { SPLIT_64 } else { ORDERED_64 }), FORM_BITS);
    put_patterns(w, scratch, BINARY_64, split);
}

/// Writes binary32 values, given as their bits. There is at least one.
pub(crate) fn put_f32(w: &mut BitWriter, bits: &[i64], scratch: &mut Scratch) {
    scratch.narrow.clear();
    scratch.narrow.extend(bits.iter().map(|b| f32::from_bits(low_32(*b))));
    put_narrow(w, bits, 32, scratch);
}

const fn strays_max(count: usize) -> usize {
    count / STRAYS_ONE_IN + 1
}

/// Narrows values to binary32; `false` when more than some strays, or all, are none.
fn narrow_all(values: &[f64], out: &mut Vec<f32>) -> bool {
    out.clear();
    let mut strays_left = strays_max(values.len()).min(values.len() - 1);
    for value in values {
        let single = narrow(*value);
        // NaN differs from itself: what a cast does to its payload is not fixed.
        if f64::from(single) == *value {
            out.push(single);
        } else if strays_left == 0 {
            return false;
        } else {
            strays_left -= 1;
            out.push(NOT_NARROW);
        }
    }
    true
}

/// Writes the binary32 values in `scratch.narrow`; `bits` are those of the column, each `width` wide.
fn put_narrow(w: &mut BitWriter, bits: &[i64], width: u32, scratch: &mut Scratch) {
    let Scratch { ints, narrow: singles, wholes, strays, .. } = scratch;
    let mut decimal_bits = u64::MAX;
    if let Some(scale) = decimal::scale(singles, strays_max(bits.len()), wholes, strays) {
        let plan = ints::fit(wholes, ints);
        if plan.bits() < bits.len() as u64 * DECIMAL_32_BITS_SURE {
            put_scaled(w, DECIMAL_32, scale, Patches { bits, at: strays, width });
            return ints::write(w, &plan, ints);
        }
        decimal_bits = plan.bits() + strays.len() as u64 * u64::from(width);
    }
    take_patterns(width, scratch);
    let (split, cost) = price_patterns(scratch, BINARY_32);
    let Scratch { ints, narrow: singles, wholes, strays, .. } = scratch;
    if decimal_bits < cost
        && let Some(scale) = decimal::scale(singles, strays_max(bits.len()), wholes, strays)
    {
        put_scaled(w, DECIMAL_32, scale, Patches { bits, at: strays, width });
        return ints::put(w, wholes, ints);
    }
    w.bits(u64::from(if split { SPLIT_32 } else { ORDERED_32 }), FORM_BITS);
    put_patches(w, Patches { bits, at: strays, width });
    put_patterns(w, scratch, BINARY_32, split);
}

/// The bits of the binary32 values, those that are none as strays.
fn take_patterns(width: u32, scratch: &mut Scratch) {
    let Scratch { narrow: singles, strays, patterns, .. } = scratch;
    strays.clear();
    patterns.clear();
    for (at, single) in singles.iter().enumerate() {
        if width == 64 && single.is_nan() {
            strays.push(at);
            patterns.push(patterns.last().copied().unwrap_or(0));
        } else {
            patterns.push(u64::from(single.to_bits()));
        }
    }
}

/// Values that the form does not hold.
struct Patches<'p> {
    /// The bits of the column.
    bits: &'p [i64],
    /// Where they are, rising.
    at: &'p [usize],
    /// How wide each is.
    width: u32,
}

/// Writes what stands before the whole numbers of a decimal form.
fn put_scaled(w: &mut BitWriter, form: u32, scale: Scale, patches: Patches<'_>) {
    w.bits(u64::from(form), FORM_BITS);
    put_patches(w, patches);
    w.bits(u64::from(scale.power()), POWER_BITS);
}

fn put_patches(w: &mut BitWriter, patches: Patches<'_>) {
    let Patches { bits, at: places, width } = patches;
    w.flag(!places.is_empty());
    if places.is_empty() {
        return;
    }
    w.number(places.len() as u64);
    let mut next = 0;
    for at in places {
        w.number((at - next) as u64);
        w.bits(bits[*at].cast_unsigned(), width);
        next = at + 1;
    }
}

/// Whether mantissas that stand apart take less than bits that are ordered as the values are, and what that takes.
fn price_patterns(scratch: &mut Scratch, layout: Layout) -> (bool, u64) {
    let Scratch { ints, patterns, wholes, heads, .. } = scratch;
    wholes.clear();
    wholes.extend(patterns.iter().map(|p| layout.order(*p)));
    heads.clear();
    heads.extend(patterns.iter().map(|p| layout.head(*p).cast_signed()));
    let mantissas = patterns.len() as u64 * u64::from(layout.mantissa_bits);
    let split = ints::fit(heads, ints).bits() + mantissas;
    let ordered = ints::fit(wholes, ints).bits();
    (split < ordered, split.min(ordered))
}

fn put_patterns(w: &mut BitWriter, scratch: &mut Scratch, layout: Layout, split: bool) {
    let Scratch { ints, patterns, wholes, heads, .. } = scratch;
    if !split {
        return ints::put(w, wholes, ints);
    }
    ints::put(w, heads, ints);
    for pattern in patterns {
        w.bits(*pattern & low_mask(layout.mantissa_bits), layout.mantissa_bits);
    }
}
