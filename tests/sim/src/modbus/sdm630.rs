//! Device "sdm630": the input registers of an Eastron SDM630 three-phase meter.
//!
//! Addresses and units are those of Eastron's public document "SDM630Modbus Smart Meter: Modbus Protocol
//! Implementation", table of input registers; each parameter is an IEEE 754 single in two registers, high word first.
//! Addresses between 0 and [`ADDRESS_LAST`] that carry no parameter here read 0, as the meter's reserved ones do.
//!
//! Power is the basis: each phase swings slowly around a load of its own; current follows from power, voltage and power
//! factor; energy is the integral of power, in closed form. So the values of one moment agree with each other, energy
//! never falls, and the same unit and time give the same value.

use std::f64::consts::TAU;
use std::time::Duration;

/// The last register of the table: the low word of "L3 total kvarh".
pub const ADDRESS_LAST: u16 = 381;

/// A phase's power swings by this part of its load.
const SWING: f64 = 0.3;
/// So long takes one swing of the power, of the voltage and of the frequency.
const POWER_PERIOD_S: f64 = 600.0;
const VOLTAGE_PERIOD_S: f64 = 97.0;
const FREQUENCY_PERIOD_S: f64 = 31.0;
const VOLTAGE_V: f64 = 230.0;
const VOLTAGE_SWING_V: f64 = 2.5;
const FREQUENCY_HZ: f64 = 50.0;
const FREQUENCY_SWING_HZ: f64 = 0.05;
/// Each phase's power factor: a motor, an office, heating.
const POWER_FACTOR: [f64; 3] = [0.86, 0.93, 0.99];
/// What each phase draws at unit 0, and how much more each further unit does.
const LOAD_W: [f64; 3] = [1_800.0, 1_100.0, 2_400.0];
const LOAD_PER_UNIT_W: f64 = 35.0;
const JOULES_PER_KWH: f64 = 3.6e6;

/// The parameter that starts at this address, so long after the simulator's start; `None` where none starts.
pub fn value(address: u16, unit: u8, elapsed: Duration) -> Option<f32> {
    let meter = Meter { unit: f64::from(unit), seconds: elapsed.as_secs_f64() };
    let each = |first: u16, of: fn(&Meter, usize) -> f64| of(&meter, usize::from((address - first) / 2));
    let total = |of: fn(&Meter, usize) -> f64| (0..3).map(|phase| of(&meter, phase)).sum::<f64>();
    let value = match address {
        0 | 2 | 4 => each(0, Meter::voltage_v),
        6 | 8 | 10 => each(6, Meter::current_a),
        12 | 14 | 16 => each(12, Meter::power_w),
        18 | 20 | 22 => each(18, Meter::apparent_va),
        24 | 26 | 28 => each(24, Meter::reactive_var),
        30 | 32 | 34 => each(30, Meter::power_factor),
        36 | 38 | 40 => each(36, Meter::angle_degrees),
        42 => total(Meter::voltage_v) / 3.0,
        46 => total(Meter::current_a) / 3.0,
        48 => total(Meter::current_a),
        52 => total(Meter::power_w),
        56 => total(Meter::apparent_va),
        60 => total(Meter::reactive_var),
        62 => total(Meter::power_w) / total(Meter::apparent_va),
        66 => (total(Meter::power_w) / total(Meter::apparent_va)).acos().to_degrees(),
        70 => meter.frequency_hz(),
        72 | 342 => total(Meter::energy_kwh),
        // It only draws: nothing exported, in total and per phase.
        74 | 78 | 352 | 354 | 356 => 0.0,
        76 | 344 => total(Meter::reactive_kvarh),
        200 | 202 | 204 => each(200, Meter::line_voltage_v),
        206 => total(Meter::line_voltage_v) / 3.0,
        346 | 348 | 350 => each(346, Meter::energy_kwh),
        358 | 360 | 362 => each(358, Meter::energy_kwh),
        364 | 366 | 368 => each(364, Meter::reactive_kvarh),
        376 | 378 | 380 => each(376, Meter::reactive_kvarh),
        _ => return None,
    };
    Some(single(value))
}

/// The word at an address; `None` behind the end of the table.
pub fn register(address: u16, unit: u8, elapsed: Duration) -> Option<u16> {
    if address > ADDRESS_LAST {
        return None;
    }
    let [a, b, c, d] = value(address & !1, unit, elapsed).unwrap_or(0.0).to_be_bytes();
    Some(u16::from_be_bytes(if address.is_multiple_of(2) { [a, b] } else { [c, d] }))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a meter's registers hold singles; all values are within range"
)]
const fn single(value: f64) -> f32 {
    value as f32
}

/// One meter at one moment.
struct Meter {
    unit: f64,
    seconds: f64,
}

impl Meter {
    fn voltage_v(&self, phase: usize) -> f64 {
        VOLTAGE_V + VOLTAGE_SWING_V * self.swing(VOLTAGE_PERIOD_S, phase).sin()
    }

    /// From this phase to the next one, which lags by a third of a turn.
    fn line_voltage_v(&self, phase: usize) -> f64 {
        let (a, b) = (self.voltage_v(phase), self.voltage_v((phase + 1) % 3));
        (a * a + b * b + a * b).sqrt()
    }

    fn current_a(&self, phase: usize) -> f64 {
        self.apparent_va(phase) / self.voltage_v(phase)
    }

    fn power_w(&self, phase: usize) -> f64 {
        self.load_w(phase) * (1.0 + SWING * self.swing(POWER_PERIOD_S, phase).sin())
    }

    fn apparent_va(&self, phase: usize) -> f64 {
        self.power_w(phase) / POWER_FACTOR[phase]
    }

    fn reactive_var(&self, phase: usize) -> f64 {
        self.power_w(phase) * reactive_share(phase)
    }

    const fn power_factor(&self, phase: usize) -> f64 {
        POWER_FACTOR[phase]
    }

    fn angle_degrees(&self, phase: usize) -> f64 {
        POWER_FACTOR[phase].acos().to_degrees()
    }

    fn frequency_hz(&self) -> f64 {
        FREQUENCY_HZ + FREQUENCY_SWING_HZ * self.swing(FREQUENCY_PERIOD_S, 0).sin()
    }

    /// What it had counted before, and the integral of the power since.
    fn energy_kwh(&self, phase: usize) -> f64 {
        let start = Meter { seconds: 0.0, ..*self };
        let swung = start.swing(POWER_PERIOD_S, phase).cos() - self.swing(POWER_PERIOD_S, phase).cos();
        let joules = self.load_w(phase) * (self.seconds + SWING * swung * POWER_PERIOD_S / TAU);
        100.0 + 10.0 * self.unit + joules / JOULES_PER_KWH
    }

    fn reactive_kvarh(&self, phase: usize) -> f64 {
        self.energy_kwh(phase) * reactive_share(phase)
    }

    fn load_w(&self, phase: usize) -> f64 {
        LOAD_W[phase] + LOAD_PER_UNIT_W * self.unit
    }

    /// Where a swing is, in radians: units and phases are apart.
    fn swing(&self, period_s: f64, phase: usize) -> f64 {
        let phase = [0.0, 1.0, 2.0][phase];
        TAU * (self.seconds / period_s + phase / 3.0 + self.unit * 0.137)
    }
}

/// Reactive power for each watt.
fn reactive_share(phase: usize) -> f64 {
    POWER_FACTOR[phase].acos().tan()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST_UNIT: u8 = 247;

    /// Minutes of a day, seen from a few units.
    fn moments() -> impl Iterator<Item = (u8, Duration)> {
        [1, 2, 100, LAST_UNIT]
            .into_iter()
            .flat_map(|unit| (0..1440).map(move |minute| (unit, Duration::from_secs(minute * 60 + 7))))
    }

    fn at(address: u16, unit: u8, elapsed: Duration) -> f64 {
        f64::from(value(address, unit, elapsed).unwrap())
    }

    #[track_caller]
    fn check_near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= expected.abs() * 1e-5, "{value} is not near {expected}");
    }

    #[test]
    fn voltages_and_frequency_stay_where_a_grid_keeps_them() {
        for (unit, elapsed) in moments() {
            for address in [0, 2, 4, 42] {
                assert!((225.0..=235.0).contains(&at(address, unit, elapsed)));
            }
            assert!((390.0..=407.0).contains(&at(200, unit, elapsed)));
            assert!((49.9499..=50.0501).contains(&at(70, unit, elapsed)));
        }
    }

    #[test]
    fn power_is_voltage_times_current_times_factor_and_the_total_is_the_sum() {
        for (unit, elapsed) in moments() {
            let phases = [0, 2, 4].map(|n| {
                let power = at(12 + n, unit, elapsed);
                check_near(
                    power,
                    at(n, unit, elapsed) * at(6 + n, unit, elapsed) * at(30 + n, unit, elapsed),
                );
                power
            });
            check_near(at(52, unit, elapsed), phases.iter().sum());
            check_near(at(62, unit, elapsed), at(52, unit, elapsed) / at(56, unit, elapsed));
        }
    }

    #[test]
    fn energy_never_falls_and_grows_by_the_power() {
        let mut before = 0.0;
        for second in (0..100_000).map(|tenth| Duration::from_millis(tenth * 100)) {
            let now = at(72, 3, second);
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
        let hour = Duration::from_secs(3600);
        let mean_kw = (0..3600).map(|s| at(52, 3, Duration::from_secs(s)) / 1000.0).sum::<f64>() / 3600.0;
        let grown = at(72, 3, hour) - at(72, 3, Duration::ZERO);
        assert!((grown - mean_kw).abs() < 0.01, "{grown} kWh at {mean_kw} kW");
    }

    #[test]
    fn the_same_unit_and_time_give_the_same_value_and_others_another() {
        let elapsed = Duration::from_millis(12_345);
        for address in [0, 6, 12, 52, 70, 72] {
            assert_eq!(value(address, 5, elapsed), value(address, 5, elapsed));
            assert_ne!(value(address, 5, elapsed), value(address, 6, elapsed));
            assert_ne!(value(address, 5, elapsed), value(address, 5, elapsed + Duration::from_secs(60)));
        }
    }

    #[test]
    fn registers_are_the_halves_of_singles_and_end_with_the_table() {
        let elapsed = Duration::from_secs(3);
        let [high, low] = [70, 71].map(|address| register(address, 1, elapsed).unwrap());
        let bits = u32::from(high) << 16 | u32::from(low);
        assert_eq!(f32::from_bits(bits), value(70, 1, elapsed).unwrap());
        assert_eq!(value(71, 1, elapsed), None);
        assert_eq!(register(300, 1, elapsed), Some(0));
        assert!(register(ADDRESS_LAST, 1, elapsed).is_some());
        assert_eq!(register(ADDRESS_LAST + 1, 1, elapsed), None);
    }
}
