//! The kinds of series, and how the values of each move.

use std::f64::consts::TAU;

use crate::{Random, Reading};

/// What a series measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Temperature in 0.1 °C: wanders, with a swing by the day.
    Temperature,
    /// Humidity in 0.5 %.
    Humidity,
    /// Power in whole watts: a load that goes on and off, with 1.5 % of noise.
    Power,
    /// Voltage in 0.1 V.
    Voltage,
    /// Energy counter in 0.01 kWh.
    Energy,
    /// A 16-bit register that rarely changes.
    Register,
    /// A contact: flips in 0.3 % of readings.
    Contact,
    /// A state of eight: changes in 1 % of readings.
    State,
    /// A counter of packets.
    Counter,
    /// A position in 1e-7 degrees.
    Position,
    /// A binary32 with a noisy mantissa, as meters send them, widened to binary64.
    Float,
    /// A binary64 whose whole mantissa is noise: the worst case.
    Noise,
}

/// Every kind with its share of the series in percent.
pub const KINDS: [(Kind, i64); 12] = [
    (Kind::Temperature, 25),
    (Kind::Humidity, 6),
    (Kind::Power, 10),
    (Kind::Voltage, 8),
    (Kind::Energy, 8),
    (Kind::Register, 13),
    (Kind::Contact, 10),
    (Kind::State, 5),
    (Kind::Counter, 5),
    (Kind::Position, 2),
    (Kind::Float, 6),
    (Kind::Noise, 2),
];

impl Kind {
    /// The kind that a percentage falls to.
    pub(crate) fn at(mut percent: i64) -> Kind {
        for (kind, share) in KINDS {
            if percent < share {
                return kind;
            }
            percent -= share;
        }
        Kind::Noise
    }

    /// A lowercase word.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Temperature => "temperature",
            Kind::Humidity => "humidity",
            Kind::Power => "power",
            Kind::Voltage => "voltage",
            Kind::Energy => "energy",
            Kind::Register => "register",
            Kind::Contact => "contact",
            Kind::State => "state",
            Kind::Counter => "counter",
            Kind::Position => "position",
            Kind::Float => "float",
            Kind::Noise => "noise",
        }
    }
}

/// Where a series stands.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// What wanders.
    walk: f64,
    /// What sets a series apart from others of its kind, 0 to 1.
    bent: f64,
    /// Energy counted, or whether the load is on.
    sum: f64,
    /// Registers, counters and contacts.
    count: i64,
}

impl State {
    pub(crate) fn new(kind: Kind, random: &mut Random) -> State {
        let (walk, bent) = (random.normal(), random.fraction());
        State { kind, walk, bent, sum: 0.0, count: random.below(60_000) }
    }

    /// The next reading, `interval_s` after the one before; `day` is the sun's height, -1 to 1.
    pub(crate) fn next(&mut self, random: &mut Random, interval_s: f64, day: f64) -> Reading {
        match self.kind {
            Kind::Temperature => Reading::Float(self.next_temperature(random, interval_s, day)),
            Kind::Humidity => Reading::Float(self.next_humidity(random, interval_s, day)),
            Kind::Voltage => Reading::Float(self.next_voltage(random)),
            Kind::Position => Reading::Float(self.next_position(random)),
            Kind::Energy => {
                self.sum += interval_s * (0.2 + self.bent * 4.0 + 0.4 * random.fraction()) / 3600.0;
                Reading::Float(((self.count as f64 + self.sum) * 100.0).round() / 100.0)
            }
            Kind::Float => {
                self.walk = self.walk * 0.99 + random.normal() * 0.05;
                Reading::Float(f64::from(nearest_f32(12.0 + 30.0 * self.bent + self.walk)))
            }
            Kind::Noise => Reading::Float(random.normal() * 100.0),
            Kind::Power => Reading::Integer(self.next_power(random, interval_s)),
            Kind::Register => {
                if random.fraction() < 0.005 {
                    self.count = (self.count + random.below(200) - 100).clamp(0, 65_535);
                }
                Reading::Integer(self.count)
            }
            Kind::Contact => {
                if random.fraction() < 0.003 {
                    self.count ^= 1;
                }
                Reading::Contact(self.count & 1 == 1)
            }
            Kind::State => {
                if random.fraction() < 0.01 {
                    self.count = random.below(8);
                }
                Reading::Integer(self.count & 7)
            }
            Kind::Counter => {
                let packets = (8.0 + self.bent * 40.0) * interval_s * (1.0 + 0.1 * random.normal());
                self.count += whole(packets.max(0.0));
                Reading::Integer(self.count)
            }
        }
    }

    fn next_temperature(&mut self, random: &mut Random, interval_s: f64, day: f64) -> f64 {
        self.walk = self.walk * (1.0 - 0.0005 * interval_s) + random.normal() * 0.012 * interval_s.sqrt();
        let degrees = 21.0 + 4.0 * self.bent + 3.0 * day + self.walk + random.normal() * 0.03;
        (degrees * 10.0).round() / 10.0
    }

    fn next_humidity(&mut self, random: &mut Random, interval_s: f64, day: f64) -> f64 {
        self.walk = self.walk * (1.0 - 0.0005 * interval_s) + random.normal() * 0.03 * interval_s.sqrt();
        ((45.0 + 8.0 * day + self.walk * 2.0) * 2.0).round() / 2.0
    }

    fn next_voltage(&mut self, random: &mut Random) -> f64 {
        self.walk = self.walk * 0.98 + random.normal() * 0.15;
        ((230.0 + self.walk + 0.3 * random.normal()) * 10.0).round() / 10.0
    }

    fn next_position(&mut self, random: &mut Random) -> f64 {
        self.walk = self.walk * 0.9 + random.normal() * 6.0;
        ((47.3 + self.bent) * 1e7 + self.walk).round() / 1e7
    }

    fn next_power(&mut self, random: &mut Random, interval_s: f64) -> i64 {
        if random.fraction() < 0.004 * interval_s.sqrt() {
            self.sum = 1.0 - self.sum;
        }
        let base = if self.sum > 0.5 { 1800.0 + 900.0 * self.bent } else { 40.0 + 30.0 * self.bent };
        whole((base * (1.0 + 0.015 * random.normal())).round())
    }
}

/// The sun's height at a moment of the site, -1 to 1.
pub(crate) fn day(at_ms: i64) -> f64 {
    (at_ms as f64 / 86_400_000.0 * TAU).sin()
}

/// A number of this mix without its fraction: far below where a cast would saturate.
#[expect(clippy::cast_possible_truncation, reason = "cutting off the fraction is the point")]
pub(crate) const fn whole(number: f64) -> i64 {
    number as i64
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest binary32 is the point")]
const fn nearest_f32(number: f64) -> f32 {
    number as f32
}
