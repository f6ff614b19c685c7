//! Why readings are bad, for people.

use hub_chassis::number_text::thousands;
use hub_model::{Quality, Reason};
use southbound::modbus::exception_text;

/// Why a reading has no value, as a fragment of a sentence.
pub fn quality_words(quality: Quality) -> String {
    match quality.reason() {
        Reason::None => "no reason is given".to_owned(),
        Reason::NoAnswer => "no answer in time".to_owned(),
        Reason::Exception => {
            let code = quality.detail();
            format!("exception {code}, {}", exception_text(code))
        }
        Reason::OutOfRange => "beyond what is possible".to_owned(),
        Reason::Unsupported => "the device does not have it".to_owned(),
        Reason::Stale => "too old".to_owned(),
        Reason::NotConnected => "the connection was lost".to_owned(),
        Reason::Substituted => "not measured".to_owned(),
        Reason::Malformed => "what came cannot be understood".to_owned(),
        Reason::NotReported => "the device says that it has none".to_owned(),
    }
}

/// How many readings of a device are bad, with one of them.
pub fn bad_readings(bad: usize, all: usize, metric: &str, quality: Quality) -> String {
    let number = |count: usize| thousands(u64::try_from(count).unwrap_or(u64::MAX));
    let words = quality_words(quality);
    match (bad, all) {
        (1, 1) => format!("{metric}: {words}"),
        (1, all) => format!("1 of {} readings is bad, {metric}: {words}", number(all)),
        (bad, all) if bad == all => format!("all {} readings are bad, {metric}: {words}", number(all)),
        (bad, all) => format!("{} of {} readings are bad, {metric}: {words}", number(bad), number(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::Level;

    #[test]
    fn how_many_and_why() {
        let null = Quality::bad(Reason::NotReported);
        assert_eq!(bad_readings(1, 1, "t", null), "t: the device says that it has none");
        assert_eq!(
            bad_readings(2, 2, "t", null),
            "all 2 readings are bad, t: the device says that it has none"
        );
        assert_eq!(
            bad_readings(1, 36, "energy", Quality::new(Level::Bad, Reason::Exception, 6)),
            "1 of 36 readings is bad, energy: exception 6, the device is busy"
        );
        assert_eq!(
            bad_readings(1_000, 2_000, "t", Quality::bad(Reason::OutOfRange)),
            "1,000 of 2,000 readings are bad, t: beyond what is possible"
        );
    }
}
