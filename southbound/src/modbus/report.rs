//! Which readings become samples: all of them, or with a deadband those that moved; of failed ones those that fail in
//! another way than before; and one now and then anyway.

use std::time::{Duration, Instant};

use hub_model::Value;

use super::decode::Reading;

/// When a reading is worth a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportRule {
    /// How far a number must have moved; `None` makes every reading with a value a sample.
    pub deadband: Option<Deadband>,
    /// A sample comes after this long, whether anything moved or not.
    pub silence_max: Duration,
}

/// The default of [`ReportRule::silence_max`].
pub const SILENCE_MAX_DEFAULT: Duration = Duration::from_secs(15 * 60);

impl Default for ReportRule {
    fn default() -> ReportRule {
        ReportRule { deadband: None, silence_max: SILENCE_MAX_DEFAULT }
    }
}

/// How far a number may move without a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadband {
    /// In the unit of the reading. 0 makes every change a sample.
    Absolute(f64),
    /// In percent of the last sample's magnitude.
    Percent(f64),
}

/// What a register reported last. Everything it needs to decide on the next reading.
#[derive(Clone, Debug, Default)]
pub struct Reported(Option<(Reading, Instant)>);

impl Reported {
    /// Whether this reading becomes a sample; then it is remembered as such. `was_asked` is false for a reading that
    /// only follows from what is known of its device, such as "still offline": of these, only news are samples.
    pub fn observe(&mut self, rule: &ReportRule, reading: &Reading, was_asked: bool, now: Instant) -> bool {
        let worth = match &self.0 {
            None => true,
            Some((last, at)) => {
                now.saturating_duration_since(*at) >= rule.silence_max
                    || last.quality != reading.quality
                    || moved(rule, last, reading, was_asked)
            }
        };
        if worth {
            self.0 = Some((reading.clone(), now));
        }
        worth
    }
}

/// Whether a reading of the same quality differs enough.
fn moved(rule: &ReportRule, last: &Reading, reading: &Reading, was_asked: bool) -> bool {
    // That a reading still fails is no news, whatever the rule: a dead meter must not wear the flash.
    if reading.value.is_none() && last.value.is_none() {
        return false;
    }
    let Some(deadband) = rule.deadband else { return was_asked };
    let (Some(before), Some(now)) = (&last.value, &reading.value) else { return last.value != reading.value };
    let (Some(from), Some(to)) = (number(before), number(now)) else { return before != now };
    let band = match deadband {
        Deadband::Absolute(band) => band,
        Deadband::Percent(percent) => from.abs() * percent / 100.0,
    };
    // Whole numbers beyond the precision of a double may differ and look the same.
    let distance = (to - from).abs();
    distance > band || (band <= 0.0 && before != now)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a deadband on whole numbers beyond 2^53 is that exact and no more"
)]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F64(number) => Some(*number),
        Value::F32(number) => Some((*number).into()),
        Value::I64(number) => Some(*number as f64),
        Value::U64(number) => Some(*number as f64),
        Value::Bool(_) | Value::String(_) | Value::Bytes(_) | Value::Enum(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{Quality, Reason};

    fn rule(deadband: Option<Deadband>) -> ReportRule {
        ReportRule { deadband, silence_max: Duration::from_secs(10) }
    }

    fn good(value: f64) -> Reading {
        Reading { value: Some(Value::F64(value)), quality: Quality::GOOD }
    }

    fn bad(reason: Reason) -> Reading {
        Reading { value: None, quality: Quality::bad(reason) }
    }

    /// Which of these readings, a second apart, become samples.
    #[expect(clippy::disallowed_methods, reason = "any moment will do as the first")]
    fn reported(rule: ReportRule, readings: &[(Reading, bool)]) -> Vec<bool> {
        let start = Instant::now();
        let mut last = Reported::default();
        let observe = |(at, (reading, asked)): (u64, &(Reading, bool))| {
            last.observe(&rule, reading, *asked, start + Duration::from_secs(at))
        };
        (0..).zip(readings).map(observe).collect()
    }

    #[test]
    fn without_a_deadband_every_value_is_a_sample_and_every_change_of_quality() {
        let readings = [
            (good(1.0), true),
            (good(1.0), true),
            (bad(Reason::NoAnswer), true),
            (bad(Reason::NoAnswer), true),
        ];
        assert_eq!(reported(rule(None), &readings), [true, true, true, false]);
        let untold = [(bad(Reason::NoAnswer), true), (bad(Reason::NoAnswer), false), (good(1.0), true)];
        assert_eq!(reported(rule(None), &untold), [true, false, true]);
    }

    #[test]
    fn a_deadband_is_measured_from_the_last_sample() {
        let values = [10.0, 10.4, 10.5, 10.51, 10.9, 9.9].map(|value| (good(value), true));
        let absolute = rule(Some(Deadband::Absolute(0.5)));
        assert_eq!(reported(absolute, &values), [true, false, false, true, false, true]);
        let values = [100.0, 101.0, 102.1, -102.1, 0.0, 0.1].map(|value| (good(value), true));
        let percent = rule(Some(Deadband::Percent(2.0)));
        assert_eq!(reported(percent, &values), [true, false, true, true, true, true]);
        let values = [1.0, 1.0, 1.000_000_1].map(|value| (good(value), true));
        assert_eq!(reported(rule(Some(Deadband::Absolute(0.0))), &values), [true, false, true]);
    }

    #[test]
    fn quality_is_news_and_silence_has_an_end() {
        let rule = rule(Some(Deadband::Absolute(1.0)));
        let readings = [
            (good(1.0), true),
            (bad(Reason::NoAnswer), true),
            (bad(Reason::NoAnswer), true),
            (good(1.0), true),
        ];
        assert_eq!(reported(rule, &readings), [true, true, false, true]);
        let still = vec![(good(1.0), true); 12];
        let samples = reported(rule, &still);
        let times: Vec<usize> = (0..12).filter(|at| samples[*at]).collect();
        assert_eq!(times, [0, 10]);
    }

    #[test]
    fn texts_and_large_numbers_are_compared_exactly() {
        let text = |text: &str| Reading { value: Some(Value::string(text).unwrap()), quality: Quality::GOOD };
        let rule = rule(Some(Deadband::Absolute(0.0)));
        assert_eq!(
            reported(rule, &[(text("a"), true), (text("a"), true), (text("b"), true)]),
            [true, false, true]
        );
        let large = |number| Reading { value: Some(Value::U64(number)), quality: Quality::GOOD };
        let (one, two) = ((large(u64::MAX), true), (large(u64::MAX - 1), true));
        assert_eq!(reported(rule, &[one.clone(), one, two]), [true, false, true]);
    }
}
