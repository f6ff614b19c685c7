//! A water tank: people draw from it, and a pump fills it up again.

use std::time::Duration;

use super::model::{Event, Metric, Model, Said, Severity};
use crate::Random;

const INTERVAL: Duration = Duration::from_secs(10);
const STEP_S: f64 = 10.0;

/// The pump starts below this and stops above that, in %.
const PUMP_FROM: f64 = 45.0;
const PUMP_TO: f64 = 85.0;
/// What the pump brings, and people draw at least and at most, in % a second.
const PUMP: f64 = 0.35;
const DRAW_MIN: f64 = 0.02;
const DRAW_MAX: f64 = 0.12;

#[derive(Debug)]
pub(super) struct Tank {
    random: Random,
    level: f64,
    draw: f64,
    is_pumping: bool,
}

impl Tank {
    pub(super) fn new(random: Random) -> Tank {
        // Little above where the pump starts, so that one who looks sees it.
        Tank { random, level: 48.0, draw: 0.06, is_pumping: false }
    }
}

impl Model for Tank {
    fn name(&self) -> &'static str {
        "tank"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn step(&mut self) -> Said {
        self.draw = (self.draw + self.random.between(-0.015, 0.015)).clamp(DRAW_MIN, DRAW_MAX);
        let pumped = if self.is_pumping { PUMP } else { 0.0 };
        self.level += (pumped - self.draw) * STEP_S;
        let was_pumping = self.is_pumping;
        self.is_pumping = match self.level {
            low if low < PUMP_FROM => true,
            high if high > PUMP_TO => false,
            _ => was_pumping,
        };
        let level = format!("{:.0} %", self.level);
        let event = match (was_pumping, self.is_pumping) {
            (false, true) => Some(("pump-started", format!("The pump started at {level}"))),
            (true, false) => Some(("pump-stopped", format!("The pump stopped at {level}"))),
            (_, _) => None,
        };
        Said {
            metrics: vec![
                ("level", Metric::rounded(self.level, 1)),
                ("pump", Metric::Truth(self.is_pumping)),
            ],
            events: event.map(|(code, text)| Event::new(Severity::Info, code, text)).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{check_signal, codes, numbers, run, truths};
    use super::*;

    fn hours(seed: u64, hours: usize) -> Vec<Said> {
        run(&mut Tank::new(Random::new(seed)), hours * 360)
    }

    #[test]
    fn it_is_a_tank() {
        check_signal(&numbers(&hours(1, 24), "level"), 43.0, 90.0, 4.0);
    }

    #[test]
    fn the_pump_starts_within_two_minutes_and_says_so() {
        let said = hours(1, 24);
        let first = truths(&said, "pump").iter().position(|pump| *pump).unwrap();
        assert!(first <= 12, "step {first}");
        let codes = codes(&said);
        assert!(codes.len() > 20 && codes.chunks(2).all(|two| two[0] == "pump-started"), "{codes:?}");
    }

    #[test]
    fn a_seed_is_a_story() {
        assert_eq!(hours(7, 1), hours(7, 1));
        assert_ne!(hours(7, 1), hours(8, 1));
    }
}
