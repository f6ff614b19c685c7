//! A site: devices, when they are read, and what they say.

use std::ops::Range;

use hub_model::{BootId, BootStamp, Sample, SeriesId, Value};

use crate::kind::{self, Kind, State};
use crate::random::Random;

/// The moment a site begins, in UTC ms.
pub const T0_MS: i64 = 1_790_000_000_000;

/// The boot that [`Point::sample`] stamps its samples with.
pub const BOOT: BootId = BootId::from_bytes(*b"a boot of a site");

/// How long the machine was up when the site began, in ms.
const UPTIME_MS: i64 = 3 * 86_400_000;

/// What a series said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A number with a fraction, as JSON has it.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// A contact: open or closed.
    Contact(bool),
}

impl Reading {
    /// As a number.
    pub fn as_f64(self) -> f64 {
        match self {
            Reading::Float(number) => number,
            Reading::Integer(number) => number as f64,
            Reading::Contact(closed) => f64::from(u8::from(closed)),
        }
    }
}

/// One reading of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it came, UTC ms.
    pub at_ms: i64,
    /// Of which series: its place among those of the site.
    pub series: u32,
    /// What it said.
    pub reading: Reading,
}

impl Point {
    /// The point as a hub would store it: observed in boot [`BOOT`].
    pub fn sample(&self) -> Sample {
        let mono_ms = (self.at_ms - T0_MS + UPTIME_MS).cast_unsigned();
        let value = match self.reading {
            Reading::Float(number) => Value::F64(number),
            Reading::Integer(number) => Value::I64(number),
            Reading::Contact(closed) => Value::Bool(closed),
        };
        Sample::observed(SeriesId(self.series), BootStamp { boot: BOOT, mono_ms }, value)
    }
}

/// A device: read as one group.
#[derive(Clone, Debug)]
struct Device {
    period_ms: i64,
    phase_ms: i64,
    /// The number of its next reading.
    next: i64,
    series: Range<usize>,
}

/// A site that tells its points as time goes on.
#[derive(Clone, Debug)]
pub struct Site {
    series: Vec<State>,
    devices: Vec<Device>,
    random: Random,
}

impl Site {
    /// A site of so many series.
    pub fn new(series_count: usize, seed: u64) -> Site {
        let mut random = Random::new(seed + 77);
        let mut series: Vec<State> = Vec::with_capacity(series_count);
        let mut devices = Vec::new();
        while series.len() < series_count {
            let begin = series.len();
            let size = usize::try_from(1 + random.below(18)).unwrap_or(1).min(series_count - begin);
            let period_ms = match random.below(100) {
                0..=19 => 1_000,
                20..=69 => 10_000,
                _ => 60_000,
            };
            for _ in 0..size {
                let kind = Kind::at(random.below(100));
                series.push(State::new(kind, &mut random));
            }
            let phase_ms = random.below(period_ms);
            devices.push(Device { period_ms, phase_ms, next: 0, series: begin..begin + size });
        }
        Site { series, devices, random }
    }

    /// The kind of each series.
    pub fn kinds(&self) -> Vec<Kind> {
        self.series.iter().map(|state| state.kind).collect()
    }

    /// How many devices there are.
    pub const fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// Points a second when nothing is missing.
    pub fn rate(&self) -> f64 {
        self.devices.iter().map(|d| d.series.len() as f64 * 1000.0 / d.period_ms as f64).sum()
    }

    /// Every point due before `until_s` seconds of the site and not told yet, in the order of arrival.
    pub fn points_until(&mut self, until_s: i64) -> Vec<Point> {
        let mut points = Vec::new();
        for device in &mut self.devices {
            device.read_until(until_s * 1000, &mut self.series, &mut self.random, &mut points);
        }
        points.sort_by_key(|point| point.at_ms);
        points
    }

    /// The first `count` points of a new site.
    pub fn first_points(series_count: usize, seed: u64, count: usize) -> Vec<Point> {
        let mut site = Site::new(series_count, seed);
        // One call, so that the points do not depend on how the time was cut. The slack covers what is missing.
        let seconds = kind::whole(count as f64 / site.rate() * 1.05) + 180;
        let mut points = site.points_until(seconds);
        assert!(points.len() >= count, "the slack covers what is missing");
        points.truncate(count);
        points
    }
}

impl Device {
    fn read_until(
        &mut self,
        until_ms: i64,
        series: &mut [State],
        random: &mut Random,
        points: &mut Vec<Point>,
    ) {
        loop {
            let due_ms = self.phase_ms + self.next * self.period_ms;
            if due_ms >= until_ms {
                return;
            }
            self.next += 1;
            if random.below(500) == 0 {
                continue;
            }
            let at_ms = T0_MS + due_ms + late_ms(random);
            let (interval_s, day) = (self.period_ms as f64 / 1000.0, kind::day(due_ms));
            for (id, state) in (0u32..).zip(series.iter_mut()).skip(self.series.start).take(self.series.len())
            {
                points.push(Point { at_ms, series: id, reading: state.next(random, interval_s, day) });
            }
        }
    }
}

fn late_ms(random: &mut Random) -> i64 {
    let usual = kind::whole(random.normal().abs() * 6.0);
    if random.below(100) == 0 { usual + 50 + random.below(750) } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KINDS;

    /// FNV-1a over numbers.
    fn digest(points: &[Point]) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for point in points {
            // Thousandths, so that a math library that rounds the last bit another way makes the same digest.
            let value = kind::whole((point.reading.as_f64() * 1000.0).round());
            for number in [point.at_ms, i64::from(point.series), value] {
                for byte in number.to_le_bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        hash
    }

    #[test]
    fn a_seed_makes_the_points_it_always_made() {
        let of_seed = |seed| digest(&Site::new(200, seed).points_until(600));
        assert_eq!([of_seed(1), of_seed(42)], [0x0442_2d4b_e88b_48ae, 0x05d2_5a64_d0f3_8669]);
    }

    #[test]
    fn kinds_have_their_shares_and_devices_their_paces() {
        let site = Site::new(20_000, 1);
        let kinds = site.kinds();
        for (kind, percent) in KINDS {
            let share = kinds.iter().filter(|k| **k == kind).count() as f64 / 200.0;
            assert!((share - percent as f64).abs() < 1.5, "{}: {share} %", kind.name());
        }
        let of_pace = |ms| site.devices.iter().filter(|d| d.period_ms == ms).count() as f64;
        let all = site.device_count() as f64;
        assert!((of_pace(1_000) / all - 0.2).abs() < 0.05 && (of_pace(10_000) / all - 0.5).abs() < 0.05);
    }

    #[test]
    fn points_come_in_the_order_of_arrival_and_devices_as_groups() {
        let points = Site::first_points(200, 7, 4_096);
        assert!(points.is_sorted_by_key(|point| point.at_ms));
        let samples: Vec<Sample> = points.iter().map(Point::sample).collect();
        let together = samples.windows(2).filter(|pair| pair[0].received == pair[1].received).count();
        assert!(together > samples.len() / 2, "{together}");
    }
}
