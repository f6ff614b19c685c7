//! From a register's number to the measured one.

/// `number × factor + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    factor: f64,
    /// The factor's reciprocal, where that is a whole number and the factor is not: 0.1 is 1/10. Dividing by 10 then
    /// gives the number that is nearest to the decimal a person expects (231 → 23.1), which multiplying by the double
    /// nearest to 0.1 does not.
    divisor: Option<f64>,
    offset: f64,
}

/// Factors below the reciprocal of this are multiplied: no device states more than nine decimals.
const DIVISOR_MAX: f64 = 1e9;

/// How far from whole a reciprocal may be: some roundings of the two divisions.
const DIVISOR_TOLERANCE: f64 = 1e-15;

impl Scale {
    /// A scale. A factor of zero makes every value the offset, and is the caller's to refuse.
    pub fn new(factor: f64, offset: f64) -> Scale {
        let reciprocal = factor.recip();
        let whole = reciprocal.round();
        let is_fraction = factor.abs() < 1.0 && whole.abs() <= DIVISOR_MAX;
        let is_exact = is_fraction && (reciprocal - whole).abs() <= whole.abs() * DIVISOR_TOLERANCE;
        Scale { factor, divisor: is_exact.then_some(whole), offset }
    }

    /// Whether it leaves every number as it is.
    #[expect(clippy::float_cmp, reason = "only the exact numbers change nothing")]
    pub fn is_identity(self) -> bool {
        self.factor == 1.0 && self.offset == 0.0
    }

    /// The measured number.
    pub fn apply(self, number: f64) -> f64 {
        let scaled = match self.divisor {
            Some(divisor) => number / divisor,
            None => number * self.factor,
        };
        scaled + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_out_as_people_write_them() {
        for raw in 0..=65_535_u16 {
            let expected: f64 = format!("{}.{}", raw / 10, raw % 10).parse().unwrap();
            assert_eq!(Scale::new(0.1, 0.0).apply(raw.into()).to_bits(), expected.to_bits(), "{raw}");
            let expected: f64 = format!("{}.{:03}", raw / 1000, raw % 1000).parse().unwrap();
            assert_eq!(Scale::new(0.001, 0.0).apply(raw.into()).to_bits(), expected.to_bits(), "{raw}");
        }
    }

    #[test]
    fn other_factors_multiply() {
        assert_eq!(Scale::new(10.0, 0.0).apply(231.0), 2310.0);
        assert_eq!(Scale::new(0.75, 0.0).apply(4.0), 3.0);
        assert_eq!(Scale::new(-0.1, 0.0).apply(231.0), -23.1);
        assert_eq!(Scale::new(0.1, -40.0).apply(650.0), 25.0);
        assert_eq!(Scale::new(1e-12, 0.0).apply(1e12), 1.0);
        assert!(Scale::new(1.0, 0.0).is_identity() && !Scale::new(1.0, 0.5).is_identity());
    }
}
