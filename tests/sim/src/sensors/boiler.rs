//! A boiler: water that a burner heats and the building cools; now and then the burner does not ignite.

use std::time::Duration;

use super::model::{Event, Metric, Model, Said, Severity};
use crate::Random;

const INTERVAL: Duration = Duration::from_secs(5);
const STEP_S: f64 = 5.0;

/// The burner starts below this and stops above that, in °C.
const BURNER_FROM: f64 = 60.0;
const BURNER_TO: f64 = 70.0;
/// What the burner gives, and what the building takes at full load, in °C a second.
const HEATING: f64 = 0.19;
const COOLING: f64 = 0.10;
/// One start of so many fails.
const LOCKOUT_OF: u64 = 12;
const LOCKOUT_S: f64 = 60.0;

#[derive(Debug)]
pub(super) struct Boiler {
    random: Random,
    flow: f64,
    /// How much of the heat the building takes: 0 to 1.
    load: f64,
    burner: Burner,
}

#[derive(Clone, Copy, Debug)]
enum Burner {
    Off,
    On,
    Locked { left_s: f64 },
}

impl Boiler {
    pub(super) fn new(random: Random) -> Boiler {
        Boiler { random, flow: 63.0, load: 0.5, burner: Burner::On }
    }

    const fn is_on(&self) -> bool {
        matches!(self.burner, Burner::On)
    }

    /// Starts and stops the burner; what someone is told of it.
    fn regulate(&mut self) -> Option<Event> {
        match self.burner {
            Burner::On if self.flow > BURNER_TO => self.burner = Burner::Off,
            Burner::Off if self.flow < BURNER_FROM => {
                if self.random.below(LOCKOUT_OF) == 0 {
                    self.burner = Burner::Locked { left_s: LOCKOUT_S };
                    let text = format!("The burner did not ignite; it tries again in {LOCKOUT_S} s");
                    return Some(Event::new(Severity::Alarm, "burner-lockout", text));
                }
                self.burner = Burner::On;
            }
            Burner::Locked { left_s } if left_s <= STEP_S => {
                self.burner = Burner::On;
                return Some(Event::new(Severity::Info, "burner-restarted", "The burner burns again"));
            }
            Burner::Locked { left_s } => self.burner = Burner::Locked { left_s: left_s - STEP_S },
            Burner::On | Burner::Off => {}
        }
        None
    }
}

impl Model for Boiler {
    fn name(&self) -> &'static str {
        "boiler"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn step(&mut self) -> Said {
        let event = self.regulate();
        self.load = (self.load + self.random.between(-0.02, 0.02)).clamp(0.2, 0.9);
        let heating = if self.is_on() { HEATING } else { 0.0 };
        self.flow += (heating - COOLING * self.load) * STEP_S;
        let returned = self.flow - 4.0 - 12.0 * self.load;
        // Warm water needs more room.
        let pressure = 1.5 + (self.flow - 65.0) * 0.008;
        let noise = self.random.between(-0.05, 0.05);
        Said {
            metrics: vec![
                ("flow_temperature", Metric::rounded(self.flow + noise, 1)),
                ("return_temperature", Metric::rounded(returned - noise, 1)),
                ("pressure", Metric::rounded(pressure + noise / 10.0, 2)),
                ("burner", Metric::Truth(self.is_on())),
            ],
            events: event.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{check_signal, codes, numbers, run, truths};
    use super::*;

    fn hours(seed: u64, hours: usize) -> Vec<Said> {
        run(&mut Boiler::new(Random::new(seed)), hours * 720)
    }

    #[test]
    fn it_is_a_boiler() {
        let said = hours(1, 24);
        let flow = numbers(&said, "flow_temperature");
        check_signal(&flow, 53.0, 72.0, 1.2);
        let returned = numbers(&said, "return_temperature");
        check_signal(&returned, 35.0, 65.0, 2.0);
        assert!(flow.iter().zip(&returned).all(|(flow, back)| back < flow));
        check_signal(&numbers(&said, "pressure"), 1.3, 1.7, 0.05);
    }

    #[test]
    fn the_burner_goes_on_and_off() {
        let burner = truths(&hours(1, 4), "burner");
        let turns = burner.windows(2).filter(|two| two[0] != two[1]).count();
        assert!((20..400).contains(&turns), "{turns}");
    }

    #[test]
    fn a_start_fails_now_and_then_and_the_burner_comes_back() {
        let said = hours(1, 24);
        let codes = codes(&said);
        assert!(codes.contains(&"burner-lockout"), "{codes:?}");
        assert!(codes.chunks(2).all(|two| two[0] == "burner-lockout"), "{codes:?}");
        let at = said.iter().position(|said| !said.events.is_empty()).unwrap();
        assert!(!truths(&said[at..at + 11], "burner").contains(&true));
        assert!(truths(&said[at..at + 14], "burner").contains(&true));
    }

    #[test]
    fn a_seed_is_a_story() {
        assert_eq!(hours(7, 1), hours(7, 1));
        assert_ne!(hours(7, 1), hours(8, 1));
    }
}
