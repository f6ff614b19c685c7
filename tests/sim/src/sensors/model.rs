//! What a simulated sensor is: a small world that goes on step by step, and what is said of it.

use std::time::Duration;

/// A world and a sensor in it. The same seed and number of steps give the same readings.
pub(super) trait Model: Send {
    /// The device's name, as in topics.
    fn name(&self) -> &'static str;
    /// From one step to the next.
    fn interval(&self) -> Duration;
    /// The world goes on for an interval; what the sensor says then.
    fn step(&mut self) -> Said;
}

/// What a sensor says at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Readings: all of them, each time.
    pub(super) metrics: Vec<(&'static str, Metric)>,
    /// What happened, mostly nothing.
    pub(super) events: Vec<Event>,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
    /// A number.
    Number(f64),
    /// Yes or no.
    Truth(bool),
}

impl Metric {
    /// A number as a sensor shows it, with so many decimals.
    pub(super) fn rounded(value: f64, decimals: i32) -> Metric {
        let scale = 10f64.powi(decimals);
        Metric::Number((value * scale).round() / scale)
    }
}

/// How bad an event is, in the words of the hub's payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Info,
    Warning,
    Alarm,
}

impl Severity {
    /// The word in the payload.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) severity: Severity,
    /// For programs.
    pub(super) code: &'static str,
    /// For people.
    pub(super) text: String,
}

impl Event {
    pub(super) fn new(severity: Severity, code: &'static str, text: impl Into<String>) -> Event {
        Event { severity, code, text: text.into() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a model says in so many steps.
    pub(in crate::sensors) fn run(model: &mut dyn Model, steps: usize) -> Vec<Said> {
        (0..steps).map(|_| model.step()).collect()
    }

    /// The numbers of one metric.
    pub(in crate::sensors) fn numbers(said: &[Said], name: &str) -> Vec<f64> {
        let values = said.iter().flat_map(|said| &said.metrics).filter(|(metric, _)| *metric == name);
        values
            .map(|(_, value)| match value {
                Metric::Number(number) => *number,
                Metric::Truth(_) => panic!("{name} is a truth"),
            })
            .collect()
    }

    /// The truths of one metric.
    pub(in crate::sensors) fn truths(said: &[Said], name: &str) -> Vec<bool> {
        let values = said.iter().flat_map(|said| &said.metrics).filter(|(metric, _)| *metric == name);
        values.map(|(_, value)| *value == Metric::Truth(true)).collect()
    }

    /// The codes of all events.
    pub(in crate::sensors) fn codes(said: &[Said]) -> Vec<&'static str> {
        said.iter().flat_map(|said| &said.events).map(|event| event.code).collect()
    }

    /// Checks that values stay within bounds, and from one to the next change, but by no more than this.
    #[track_caller]
    pub(in crate::sensors) fn check_signal(values: &[f64], low: f64, high: f64, jump_max: f64) {
        let outside: Vec<&f64> = values.iter().filter(|value| !(low..=high).contains(*value)).collect();
        assert!(outside.is_empty(), "outside {low} to {high}: {outside:?}");
        let jump = values.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f64::max);
        assert!(jump > 0.0 && jump <= jump_max, "jumps by {jump}");
    }

    #[test]
    fn numbers_are_shown_with_few_decimals() {
        assert_eq!(Metric::rounded(4.126_7, 2), Metric::Number(4.13));
        assert_eq!(Metric::rounded(-0.04, 1), Metric::Number(-0.0));
    }
}
