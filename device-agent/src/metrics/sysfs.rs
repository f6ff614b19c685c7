//! Parsers of `/sys`: text in, facts out.

/// The hottest and coldest a thermal zone is believed, in °C. Zones without a sensor say -274 or some hundred degrees.
const TEMPERATURE_C: std::ops::RangeInclusive<f64> = -100.0..=250.0;

/// How worn the two kinds of an eMMC's memory are, of `life_time`, in percent of its rated life: the upper end of the
/// band of ten the device reports. 110 means "exceeded". `None` where the device does not say (`0x00`).
pub fn life_time(text: &str) -> (Option<u64>, Option<u64>) {
    let mut words = text.split_ascii_whitespace().map(|word| {
        let band = hexadecimal(word)?;
        (1..=11).contains(&band).then_some(band * 10)
    });
    (words.next().flatten(), words.next().flatten())
}

/// The use of an eMMC's spare blocks, of `pre_eol_info`: 1 normal, 2 warning (80 % used), 3 urgent (90 %). `None` where
/// the device does not say.
pub fn pre_eol(text: &str) -> Option<u64> {
    hexadecimal(text.trim()).filter(|level| (1..=3).contains(level))
}

/// A count of kibibytes as bytes, of `lifetime_write_kbytes`: what was written to a file system since it was made.
pub fn kibibytes(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A thermal zone's temperature, of `temp`.
pub fn temperature_c(text: &str) -> Option<f64> {
    let millidegrees: i32 = text.trim().parse().ok()?;
    Some(f64::from(millidegrees) / 1000.0).filter(|celsius| TEMPERATURE_C.contains(celsius))
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emmc_tells_its_wear_in_bands() {
        assert_eq!(life_time("0x01 0x02\n"), (Some(10), Some(20)));
        assert_eq!(life_time("0x0b 0x00\n"), (Some(110), None));
        assert_eq!(life_time("0x0c\n"), (None, None));
        assert_eq!(life_time(""), (None, None));
        assert_eq!(pre_eol("0x01\n"), Some(1));
        assert_eq!(pre_eol("0x00\n"), None);
        assert_eq!(pre_eol("0x04\n"), None);
        assert_eq!(pre_eol("1\n"), None);
    }

    #[test]
    fn what_was_ever_written_is_told_in_bytes() {
        assert_eq!(kibibytes("64290\n"), Some(65_832_960));
        for text in ["", "-1\n", "1.5\n", "18446744073709551615\n"] {
            assert_eq!(kibibytes(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_believable_temperatures_are_told() {
        assert_eq!(temperature_c("48312\n"), Some(48.312));
        assert_eq!(temperature_c("-5000\n"), Some(-5.0));
        for text in ["-274000\n", "300000\n", "", "hot\n", "99999999999\n"] {
            assert_eq!(temperature_c(text), None, "{text:?}");
        }
    }
}
