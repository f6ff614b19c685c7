//! Numbers as text for people.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `2,000 records`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `59 s`, `2 min`, `3 h 1 min`, `4 d 2 h`: no more than people want to know.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let check = |number: u64, expected: &str| assert_eq!(counted(number, "record", "records"), expected);
        check(0, "0 records");
        check(1, "1 record");
        check(1_000, "1,000 records");
    }

    #[test]
    fn durations_are_cut_to_two_units() {
        let check =
            |seconds: u64, expected: &str| assert_eq!(duration(Duration::from_secs(seconds)), expected);
        check(59, "59 s");
        check(179, "2 min");
        check(7_260, "2 h 1 min");
        check(93_600, "1 d 2 h");
    }

    #[test]
    fn thousands_are_told_apart() {
        let check = |number: u64, expected: &str| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }
}
