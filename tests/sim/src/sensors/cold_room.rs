//! A cold room: air that warms up, a compressor that cools it, and a door that people leave open.

use std::time::Duration;

use super::model::{Event, Metric, Model, Said, Severity};
use crate::Random;

const INTERVAL: Duration = Duration::from_secs(2);
const STEP_S: f64 = 2.0;

/// The compressor starts above this and stops below that, in °C.
const COOLING_FROM: f64 = 4.8;
const COOLING_TO: f64 = 3.2;
/// What warms and cools, in °C a second.
const DRIFT: f64 = 0.006;
const COOLING: f64 = 0.026;
const DOOR: f64 = 0.09;
/// Air is no warmer than the hall outside.
const OUTSIDE: f64 = 18.0;
/// Above this goods suffer; below that it is well again.
const TOO_WARM: f64 = 8.0;
const WELL_AGAIN: f64 = 6.0;
/// A door may be open for so long before someone is told.
const DOOR_OPEN_MAX_S: f64 = 60.0;
/// Every so many times someone forgets the door.
const FORGOTTEN_EVERY: u32 = 5;

#[derive(Debug)]
pub(super) struct ColdRoom {
    random: Random,
    temperature: f64,
    humidity: f64,
    is_cooling: bool,
    door: Door,
    openings: u32,
    is_too_warm: bool,
}

#[derive(Clone, Copy, Debug)]
enum Door {
    Closed { left_s: f64 },
    Open { left_s: f64, since_s: f64 },
}

impl ColdRoom {
    pub(super) fn new(mut random: Random) -> ColdRoom {
        // The first time soon, so that one who looks sees it.
        let left_s = random.between(15.0, 40.0);
        ColdRoom {
            random,
            temperature: 4.1,
            humidity: 82.0,
            is_cooling: false,
            door: Door::Closed { left_s },
            openings: 0,
            is_too_warm: false,
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self.door, Door::Open { .. })
    }

    /// Opens and closes the door; what someone is told of it.
    fn move_door(&mut self) -> Option<Event> {
        match self.door {
            Door::Closed { left_s } if left_s > STEP_S => {
                self.door = Door::Closed { left_s: left_s - STEP_S };
            }
            Door::Closed { .. } => {
                self.openings += 1;
                let forgotten = self.openings.is_multiple_of(FORGOTTEN_EVERY);
                let (low, high) = if forgotten { (80.0, 120.0) } else { (8.0, 30.0) };
                self.door = Door::Open { left_s: self.random.between(low, high), since_s: 0.0 };
            }
            Door::Open { left_s, since_s } if left_s > STEP_S => {
                let now_s = since_s + STEP_S;
                self.door = Door::Open { left_s: left_s - STEP_S, since_s: now_s };
                if since_s < DOOR_OPEN_MAX_S && now_s >= DOOR_OPEN_MAX_S {
                    let text = format!("The door of the cold room has been open for {DOOR_OPEN_MAX_S} s");
                    return Some(Event::new(Severity::Warning, "door-left-open", text));
                }
            }
            Door::Open { .. } => self.door = Door::Closed { left_s: self.random.between(40.0, 200.0) },
        }
        None
    }

    fn move_air(&mut self) -> Option<Event> {
        self.is_cooling = match self.temperature {
            warm if warm > COOLING_FROM => true,
            cold if cold < COOLING_TO => false,
            _ => self.is_cooling,
        };
        let door = if self.is_open() { DOOR * (OUTSIDE - self.temperature) / OUTSIDE } else { 0.0 };
        let cooling = if self.is_cooling { COOLING } else { 0.0 };
        self.temperature += (DRIFT + door - cooling) * STEP_S;
        let humidity = if self.is_open() { 93.0 } else { 81.0 };
        self.humidity += (humidity - self.humidity) * 0.015 * STEP_S;
        if !self.is_too_warm && self.temperature > TOO_WARM {
            self.is_too_warm = true;
            let text = format!("The cold room has {:.1} °C; {TOO_WARM} °C is the most", self.temperature);
            return Some(Event::new(Severity::Alarm, "too-warm", text));
        }
        if self.is_too_warm && self.temperature < WELL_AGAIN {
            self.is_too_warm = false;
            return Some(Event::new(Severity::Info, "cold-again", "The cold room is cold again"));
        }
        None
    }
}

impl Model for ColdRoom {
    fn name(&self) -> &'static str {
        "cold-room"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn step(&mut self) -> Said {
        let events = [self.move_door(), self.move_air()];
        let noise = self.random.between(-0.03, 0.03);
        Said {
            metrics: vec![
                ("temperature", Metric::rounded(self.temperature + noise, 2)),
                ("humidity", Metric::rounded(self.humidity + noise * 5.0, 1)),
                ("door_open", Metric::Truth(self.is_open())),
            ],
            events: events.into_iter().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{check_signal, codes, numbers, run, truths};
    use super::*;

    fn hours(seed: u64, hours: usize) -> Vec<Said> {
        run(&mut ColdRoom::new(Random::new(seed)), hours * 1800)
    }

    #[test]
    fn it_is_a_cold_room() {
        let said = hours(1, 24);
        check_signal(&numbers(&said, "temperature"), 2.9, 14.0, 0.3);
        check_signal(&numbers(&said, "humidity"), 75.0, 95.0, 2.0);
    }

    #[test]
    fn the_door_opens_soon_and_is_mostly_closed() {
        let open = truths(&hours(1, 10), "door_open");
        assert!(open[..25].contains(&true));
        let share = open.iter().filter(|open| **open).count() * 100 / open.len();
        assert!((8..40).contains(&share), "{share} %");
    }

    #[test]
    fn someone_is_told_of_a_forgotten_door_and_of_warm_goods() {
        let codes = codes(&hours(1, 24));
        let count = |wanted: &str| codes.iter().filter(|code| **code == wanted).count();
        assert!((20..300).contains(&count("door-left-open")), "{codes:?}");
        assert!(count("too-warm") > 0, "{codes:?}");
        assert!(count("too-warm") - count("cold-again") <= 1, "{codes:?}");
    }

    #[test]
    fn a_seed_is_a_story() {
        assert_eq!(hours(7, 1), hours(7, 1));
        assert_ne!(hours(7, 1), hours(8, 1));
    }
}
