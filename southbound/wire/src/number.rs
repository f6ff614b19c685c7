//! JSON numbers as f64, exactly.

use crate::ReadingError;

/// The f64 of a JSON number literal, correctly rounded.
///
/// A literal without fraction and exponent is an integer, and is refused when f64 cannot hold it exactly: a counter
/// that quietly loses its last digit is worse than one that is refused and counted. `-0` stays −0.0.
pub(crate) fn parse(literal: &str) -> Result<f64, ReadingError> {
    let number: f64 = literal.parse().map_err(|_| ReadingError::NumberTooLarge)?;
    if number.is_infinite() {
        return Err(ReadingError::NumberTooLarge);
    }
    let is_integer = !literal.contains(['.', 'e', 'E']);
    if is_integer && format!("{number:.0}") != literal {
        return Err(ReadingError::InexactInteger);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(parse("9007199254740992"), Ok(9_007_199_254_740_992.0));
        assert_eq!(parse("9007199254740993"), Err(ReadingError::InexactInteger));
        assert_eq!(parse("9007199254740993.0"), Ok(9_007_199_254_740_992.0));
        assert_eq!(parse("18446744073709551616"), Ok(18_446_744_073_709_551_616.0));
        assert_eq!(parse("-0").map(f64::to_bits), Ok((-0.0f64).to_bits()));
    }

    #[test]
    fn the_range_ends_at_f64s() {
        assert_eq!(parse("1e309"), Err(ReadingError::NumberTooLarge));
        assert_eq!(parse(&"9".repeat(400)), Err(ReadingError::NumberTooLarge));
        assert_eq!(parse("1e-400"), Ok(0.0));
    }

    proptest! {
        #[test]
        fn shortest_decimals_come_back_bit_for_bit(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(parse(&format!("{number:e}")).map(f64::to_bits), Ok(number.to_bits()));
        }

        #[test]
        fn an_accepted_integer_is_the_same_integer(number in any::<i64>()) {
            match parse(&number.to_string()) {
                Ok(held) => prop_assert_eq!(format!("{held:.0}"), number.to_string()),
                Err(error) => {
                    prop_assert_eq!(error, ReadingError::InexactInteger);
                    prop_assert!(number.unsigned_abs() > 1 << 53);
                }
            }
        }
    }
}
