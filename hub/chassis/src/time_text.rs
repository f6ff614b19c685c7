//! UTC as text: RFC 3339, and back.
//!
//! Days and dates are converted by the usual count of 400-year eras of the proleptic Gregorian calendar, in which
//! March begins the year (Howard Hinnant, "chrono-compatible low-level date algorithms").

use hub_model::UtcMs;

const DAY_MS: i64 = 86_400_000;

/// `2026-11-22T03:04:05.678Z`. Beyond the years 0 to 9999, which RFC 3339 cannot write, with a sign and as many
/// digits as it takes.
pub fn format_utc(utc: UtcMs) -> String {
    let (days, ms) = (utc.0.div_euclid(DAY_MS), utc.0.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (h, m, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    let year = if (0..=9999).contains(&year) { format!("{year:04}") } else { format!("{year:+05}") };
    format!("{year}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// Reads RFC 3339 with any offset, or whole milliseconds since 1970. Digits behind the millisecond are cut.
pub fn parse_utc(text: &str) -> Option<UtcMs> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(UtcMs);
    }
    let bytes = text.as_bytes();
    let separators = [(4, b"--"), (7, b"--"), (10, b"Tt"), (13, b"::"), (16, b"::")];
    if bytes.len() < 20 || !bytes.is_ascii() {
        return None;
    }
    if separators.iter().any(|&(at, allowed)| !allowed.contains(&bytes[at])) {
        return None;
    }
    let number = |from: usize, to: usize| digits(&text[from..to]);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let days = days_of(year, month, day);
    // A date that is none (30 February) comes back as another one. A leap second counts as the one before it.
    if date_of(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, rest) = fraction(&text[19..])?;
    let offset_minutes = offset(rest)?;
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second.min(59);
    Some(UtcMs(days * DAY_MS + seconds * 1_000 + fraction_ms))
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return None;
    }
    let milliseconds: String = rest[..end].chars().chain("00".chars()).take(3).collect();
    Some((digits(&milliseconds)?, &rest[end..]))
}

fn offset(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let check = |ms: i64, expected: &str| {
            assert_eq!(format_utc(UtcMs(ms)), expected);
            if ms >= 0 {
                assert_eq!(parse_utc(expected), Some(UtcMs(ms)));
            }
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_827_696_789, "2000-02-29T12:34:56.789Z");
        check(253_402_300_799_999, "9999-12-31T23:59:59.999Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(1_793_491_200_000, "2026-11-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_five_centuries_survives() {
        for day in -100_000..100_000 {
            let (y, m, d) = date_of(day);
            assert_eq!(days_of(y, m, d), day);
        }
    }

    #[test]
    fn offsets_fractions_and_milliseconds_are_read() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(parse_utc(text).map(|t| t.0), expected, "{text}");
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1969-12-31T19:00:00-05:00", Some(0));
        check("1970-01-01T00:00:00.5Z", Some(500));
        check("1970-01-01T00:00:00.123999Z", Some(123));
        check("1970-01-01t00:00:00z", Some(0));
        check("1716000000000", Some(1_716_000_000_000));
        for wrong in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-02-30T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00Zx",
            "+970-01-01T00:00:00Z",
            "99999999999999999999",
        ] {
            check(wrong, None);
        }
    }
}
