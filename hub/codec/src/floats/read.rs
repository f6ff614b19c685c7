//! Reads columns of floats, into their bits.

use super::decimal::{Scale, narrow};
use super::{
    BINARY_32, BINARY_64, DECIMAL_32, DECIMAL_64, FORM_BITS, Layout, ORDERED_32, ORDERED_64, POWER_BITS,
    SPLIT_32, SPLIT_64,
};
use crate::bits::BitReader;
use crate::column::low_32;
use crate::error::{DecodeError, malformed};
use crate::ints;

const FLOATS: &str = "floats";

/// Reads as many binary64 values as `out` has room for.
pub(crate) fn read_f64(r: &mut BitReader<'_>, out: &mut [i64]) -> Result<(), DecodeError> {
    match r.small(FORM_BITS) {
        DECIMAL_64 => {
            let patches = read_patches(r, out.len(), 64)?;
            let scale = read_scale(r)?;
            ints::read(r, out, FLOATS)?;
            out.iter_mut().for_each(|n| *n = scale.value(*n).to_bits().cast_signed());
            patch(out, &patches);
        }
        ORDERED_64 => read_ordered(r, out, BINARY_64)?,
        SPLIT_64 => read_split(r, out, BINARY_64)?,
        form => {
            let patches = read_singles(r, form, out, 64)?;
            let widened = |n: i64| f64::from(f32::from_bits(low_32(n))).to_bits().cast_signed();
            out.iter_mut().for_each(|n| *n = widened(*n));
            patch(out, &patches);
        }
    }
    Ok(())
}

/// Reads as many binary32 values as `out` has room for.
pub(crate) fn read_f32(r: &mut BitReader<'_>, out: &mut [i64]) -> Result<(), DecodeError> {
    let form = r.small(FORM_BITS);
    let patches = read_singles(r, form, out, 32)?;
    patch(out, &patches);
    Ok(())
}

/// Reads binary32 values as their bits, but for the patches, which are returned.
fn read_singles(
    r: &mut BitReader<'_>,
    form: u32,
    out: &mut [i64],
    width: u32,
) -> Result<Vec<(usize, i64)>, DecodeError> {
    if !matches!(form, DECIMAL_32 | ORDERED_32 | SPLIT_32) {
        return malformed(FLOATS);
    }
    let patches = read_patches(r, out.len(), width)?;
    match form {
        DECIMAL_32 => {
            let scale = read_scale(r)?;
            ints::read(r, out, FLOATS)?;
            out.iter_mut().for_each(|n| *n = i64::from(narrow(scale.value(*n)).to_bits()));
        }
        ORDERED_32 => read_ordered(r, out, BINARY_32)?,
        _ => read_split(r, out, BINARY_32)?,
    }
    Ok(patches)
}

fn read_ordered(r: &mut BitReader<'_>, out: &mut [i64], layout: Layout) -> Result<(), DecodeError> {
    ints::read(r, out, FLOATS)?;
    out.iter_mut().for_each(|n| *n = layout.bits_at(*n));
    Ok(())
}

fn read_split(r: &mut BitReader<'_>, out: &mut [i64], layout: Layout) -> Result<(), DecodeError> {
    ints::read(r, out, FLOATS)?;
    for number in out {
        let mantissa = r.bits(layout.mantissa_bits);
        let joined = layout.join(number.cast_unsigned(), mantissa).ok_or(DecodeError::Malformed(FLOATS))?;
        *number = joined.cast_signed();
    }
    Ok(())
}

fn read_scale(r: &mut BitReader<'_>) -> Result<Scale, DecodeError> {
    Scale::of(r.small(POWER_BITS)).ok_or(DecodeError::Malformed(FLOATS))
}

/// Places and bits of the values that the form does not hold.
fn read_patches(r: &mut BitReader<'_>, count: usize, width: u32) -> Result<Vec<(usize, i64)>, DecodeError> {
    if !r.flag() {
        return Ok(Vec::new());
    }
    let patch_count = r.number_upto(count, FLOATS)?;
    let mut patches = Vec::with_capacity(patch_count);
    let mut next = 0usize;
    for _ in 0..patch_count {
        let at = next + r.number_upto(count, FLOATS)?;
        if at >= count {
            return malformed(FLOATS);
        }
        patches.push((at, r.bits(width).cast_signed()));
        next = at + 1;
    }
    Ok(patches)
}

fn patch(out: &mut [i64], patches: &[(usize, i64)]) {
    for (at, bits) in patches {
        if let Some(value) = out.get_mut(*at) {
            *value = *bits;
        }
    }
}
