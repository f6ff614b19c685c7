//! Decimal scaling: a float as a whole number of a power of ten, when it comes back bit for bit.

/// The highest power of ten tried. Above, whole numbers of usual readings pass [`WHOLE_MAX`].
pub(super) const POWER_MAX: u32 = 15;

/// Powers of ten; each is a binary64 exactly, so dividing by it rounds once.
const TEN_TO: [f64; POWER_MAX as usize + 1] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Added to a number below [`WHOLE_MAX`], this leaves its nearest whole number in the low bits of the mantissa: no
/// conversion, no call, and the compiler can do several at once.
const SHIFTER: f64 = 6_755_399_441_055_744.0;
const WHOLE_MAX: f64 = 2_251_799_813_685_248.0;

/// A power of ten by which a column is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale(u32);

impl Scale {
    /// The scale of a power of ten; `None` above [`POWER_MAX`].
    pub(super) const fn of(power: u32) -> Option<Scale> {
        if power <= POWER_MAX { Some(Scale(power)) } else { None }
    }

    pub(super) const fn power(self) -> u32 {
        self.0
    }

    const fn factor(self) -> f64 {
        TEN_TO[self.0 as usize]
    }

    /// The whole number nearest to the scaled value, and that number as a float. Both mean nothing for values that do
    /// not [fit](Fit::fits).
    #[inline]
    fn whole(self, value: f64) -> (i64, f64) {
        let shifted = value * self.factor() + SHIFTER;
        (shifted.to_bits().wrapping_sub(SHIFTER.to_bits()).cast_signed(), shifted - SHIFTER)
    }

    /// The value of a whole number. Of a hostile one it is any number.
    #[inline]
    pub(super) fn value(self, whole: i64) -> f64 {
        whole as f64 / self.factor()
    }
}

/// What a column's values must come back as.
pub(super) trait Fit: Copy {
    /// As a binary64.
    fn wide(self) -> f64;

    /// Whether a quotient is this value, bit for bit, once it has its width.
    fn is(self, quotient: f64) -> bool;

    /// The whole number that stands for this value at a scale.
    #[inline]
    fn fits(self, scale: Scale) -> Option<i64> {
        let (whole, float) = scale.whole(self.wide());
        // False for what is too large and for NaN, of which the rest would be nonsense.
        let fits = float.abs() < WHOLE_MAX && self.is(float / scale.factor());
        fits.then_some(whole)
    }
}

impl Fit for f64 {
    fn wide(self) -> f64 {
        self
    }

    #[inline]
    fn is(self, quotient: f64) -> bool {
        quotient.to_bits() == self.to_bits()
    }
}

impl Fit for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn is(self, quotient: f64) -> bool {
        narrow(quotient).to_bits() == self.to_bits()
    }
}

/// The nearest binary32.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is the point, and what comes of it is compared by bits"
)]
pub(super) const fn narrow(value: f64) -> f32 {
    value as f32
}

/// Scales a column: the whole numbers go to `wholes`, places that do not fit to `strays`. `None` when more than
/// `strays_max` do not fit, or none does.
pub(super) fn scale<T: Fit>(
    values: &[T],
    strays_max: usize,
    wholes: &mut Vec<i64>,
    strays: &mut Vec<usize>,
) -> Option<Scale> {
    let scale = find(values, strays_max)?;
    wholes.clear();
    strays.clear();
    let mut before = 0;
    for (at, value) in values.iter().enumerate() {
        match value.fits(scale) {
            Some(whole) => before = whole,
            None => strays.push(at),
        }
        // A stray repeats the number before: that costs least.
        wholes.push(before);
    }
    if strays.len() > strays_max || strays.len() == values.len() {
        return None;
    }
    // So do those in front.
    if strays.first() == Some(&0) {
        let (front, first) = first_fitting(wholes, strays);
        wholes[..front].fill(first);
    }
    Some(scale)
}

/// How many strays are in front, and the whole number behind them.
fn first_fitting(wholes: &[i64], strays: &[usize]) -> (usize, i64) {
    let front = strays.iter().enumerate().take_while(|(nth, at)| nth == *at).count();
    (front, wholes.get(front).copied().unwrap_or(0))
}

/// The lowest scale that all values fit but some strays.
fn find<T: Fit>(values: &[T], strays_max: usize) -> Option<Scale> {
    let mut scale = Scale(0);
    let mut strays = 0;
    for value in values {
        if value.fits(scale).is_some() {
            continue;
        }
        // What fits a lower scale fits a higher one, too, unless it becomes too large.
        match (scale.0 + 1..=POWER_MAX).map(Scale).find(|higher| value.fits(*higher).is_some()) {
            Some(higher) => scale = higher,
            None => strays += 1,
        }
        if strays > strays_max {
            return None;
        }
    }
    Some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Fit>(values: &[T], power: u32, expected: &[i64]) {
        let (mut wholes, mut strays) = (Vec::new(), Vec::new());
        assert_eq!(scale(values, 0, &mut wholes, &mut strays), Some(Scale(power)));
        assert_eq!((&wholes[..], &strays[..]), (expected, &[][..]));
    }

    #[test]
    fn the_lowest_power_that_fits_is_taken() {
        check(&[215.0, -3.0, 0.0], 0, &[215, -3, 0]);
        check(&[21.5, 3.0, 0.25], 2, &[2150, 300, 25]);
        check(&[47.312_345_6, 1e-7], 7, &[473_123_456, 1]);
        check(&[2_251_799_813_685_247.0], 0, &[2_251_799_813_685_247]);
        check(&[0.1f32, 230.4], 1, &[1, 2304]);
        check(&[16_777_216.0f32], 0, &[16_777_216]);
    }

    #[test]
    fn what_does_not_come_back_does_not_fit() {
        let check = |value: f64| {
            assert_eq!(scale(&[value], 0, &mut Vec::new(), &mut Vec::new()), None, "{value:?}");
        };
        check(-0.0);
        check(f64::NAN);
        check(f64::INFINITY);
        check(0.1 + 0.2);
        check(2_251_799_813_685_248.0);
        check(1e-300);
        check(1.0 / 3.0);
    }

    #[test]
    fn strays_repeat_their_neighbour() {
        let (mut wholes, mut strays) = (Vec::new(), Vec::new());
        let values = [f64::NAN, -0.0, 1.5, f64::NAN, 2.5];
        assert_eq!(scale(&values, 3, &mut wholes, &mut strays), Some(Scale(1)));
        assert_eq!((wholes, strays), (vec![15, 15, 15, 15, 25], vec![0, 1, 3]));
        assert_eq!(scale(&values, 2, &mut Vec::new(), &mut Vec::new()), None);
        assert_eq!(scale(&[f64::NAN], 1, &mut Vec::new(), &mut Vec::new()), None);
    }
}
