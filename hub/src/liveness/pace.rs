//! How often a series speaks, learned from when it was heard: the median of its last gaps.
//!
//! A hub may have 100,000 series, so a gap takes two bytes: a small float of milliseconds, right to 0.1 %.

use hub_model::{BootId, BootStamp, Sample, Stamp};

/// Gaps remembered. A median of five stands two that are odd: a restart, an outage, a value sent out of turn.
const GAPS: usize = 5;

/// Gaps from which a pace is told: three arrivals.
const GAPS_MIN: usize = 2;

/// What is learned of one series. 12 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    gaps: [ShortTime; GAPS],
    /// How many gaps there are, and behind them where the next one goes.
    count: u8,
}

impl Pace {
    /// Takes in an arrival after another one of the same series. Readings that come at once, as after an outage of the
    /// device's own link, count by the times the device states.
    pub fn heard(&mut self, before: &Arrival, now: &Arrival) {
        let heard = match (before.boot == now.boot, now.received_ms.checked_sub(before.received_ms)) {
            (true, Some(gap)) => gap,
            // A boot lies between: how long it took is not known.
            _ => return,
        };
        let stated = match (before.stated_ms, now.stated_ms) {
            (Some(before), Some(now)) => u64::try_from(now.saturating_sub(before)).unwrap_or(0),
            _ => 0,
        };
        let gap = heard.max(stated);
        // Two readings of one message.
        if gap == 0 {
            return;
        }
        self.gaps[usize::from(self.count) % GAPS] = ShortTime::of(gap);
        // Below `GAPS` it counts; from there on it turns.
        self.count = if usize::from(self.count) + 1 < 2 * GAPS { self.count + 1 } else { GAPS_U8 };
    }

    /// From one arrival to the next, in ms; `None` before that is known.
    pub fn interval_ms(&self) -> Option<u64> {
        let known = usize::from(self.count).min(GAPS);
        if known < GAPS_MIN {
            return None;
        }
        let mut gaps = self.gaps;
        let gaps = &mut gaps[..known];
        gaps.sort_unstable();
        // Of two the longer one: better late to worry than wrong.
        gaps.get(known / 2).map(|gap| gap.ms())
    }
}

const GAPS_U8: u8 = 5;

/// When a reading came, and when it says it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    boot: BootId,
    received_ms: u64,
    stated_ms: Option<i64>,
}

impl Arrival {
    /// Of a reading.
    pub fn new(received: BootStamp, stamp: Stamp) -> Arrival {
        let stated_ms = match stamp {
            Stamp::Boot(_) => None,
            Stamp::Wall(utc, _) => Some(utc.0),
        };
        Arrival { boot: received.boot, received_ms: received.mono_ms, stated_ms }
    }
}

impl From<&Sample> for Arrival {
    fn from(sample: &Sample) -> Arrival {
        Arrival::new(sample.received, sample.stamp)
    }
}

/// Milliseconds in two bytes: ten bits of mantissa below a leading one, six of exponent. Up to 1,023 ms exactly, then
/// to 0.1 %; their order is that of the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ShortTime(u16);

const MANTISSA_BITS: u32 = 10;

impl ShortTime {
    fn of(ms: u64) -> ShortTime {
        let bits = u64::BITS - ms.leading_zeros();
        let exponent = bits.saturating_sub(MANTISSA_BITS);
        let mantissa = ms >> exponent;
        let packed = (u64::from(exponent) << MANTISSA_BITS) + mantissa;
        ShortTime(u16::try_from(packed).unwrap_or(u16::MAX))
    }

    fn ms(self) -> u64 {
        let (exponent, mantissa) = (self.0 >> MANTISSA_BITS, self.0 & ((1 << MANTISSA_BITS) - 1));
        u64::from(mantissa) << exponent
    }
}

#[cfg(test)]
mod tests {
    use hub_model::{UtcMs, WallSource};
    use proptest::prelude::*;

    use super::*;

    const BOOT: BootId = BootId::from_bytes([1; 16]);

    fn at(mono_ms: u64) -> Arrival {
        let received = BootStamp { boot: BOOT, mono_ms };
        Arrival::new(received, Stamp::Boot(received))
    }

    fn stated(mono_ms: u64, utc_ms: i64) -> Arrival {
        Arrival::new(BootStamp { boot: BOOT, mono_ms }, Stamp::Wall(UtcMs(utc_ms), WallSource::Device))
    }

    fn learn(arrivals: &[Arrival]) -> Option<u64> {
        let mut pace = Pace::default();
        arrivals.windows(2).for_each(|pair| pace.heard(&pair[0], &pair[1]));
        pace.interval_ms()
    }

    /// What is learned from these gaps.
    #[track_caller]
    fn check(gaps: &[u64], expected: Option<u64>) {
        let mut now = 1_000;
        let mut arrivals = vec![at(now)];
        arrivals.extend(gaps.iter().map(|gap| {
            now += gap;
            at(now)
        }));
        assert_eq!(learn(&arrivals), expected, "{gaps:?}");
    }

    #[test]
    fn three_arrivals_are_a_pace_and_odd_ones_do_not_count() {
        assert_eq!(learn(&[]), None);
        check(&[1_000], None);
        check(&[900, 1_000], Some(1_000));
        check(&[1_000, 1_000, 600_000], Some(1_000));
        check(&[1_000, 600_000, 1_000, 1, 1_000], Some(1_000));
        check(&[1_000, 1_000, 1_000, 1_000, 1_000, 60_000, 60_000], Some(1_000));
        check(&[1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 60_000, 60_000, 60_000], Some(60_000 / 64 * 64));
    }

    #[test]
    fn it_follows_for_ever() {
        for count in 2..200 {
            let mut gaps = vec![10; count];
            gaps.extend([500; 3]);
            check(&gaps, Some(500));
        }
    }

    #[test]
    fn what_a_device_sends_late_counts_by_its_own_times() {
        let backlog: Vec<_> = (0..6).map(|n| stated(5_000 + n, i64::try_from(n).unwrap() * 1_000)).collect();
        assert_eq!(learn(&backlog), Some(1_000));
        let one_message = [at(5), at(5), at(5), at(5)];
        assert_eq!(learn(&one_message), None);
        let backwards = [stated(1_000, 900_000), stated(2_000, 500), stated(3_000, 1_500)];
        assert_eq!(learn(&backwards), Some(1_000), "a clock that was set back");
    }

    #[test]
    fn a_boot_between_two_readings_is_no_gap() {
        let other = Arrival { boot: BootId::from_bytes([2; 16]), ..at(7_000) };
        assert_eq!(learn(&[at(1), at(1_001), other, Arrival { received_ms: 8_000, ..other }]), Some(1_000));
        assert_eq!(learn(&[at(9_000), at(10_000), at(500), at(1_500)]), Some(1_000), "never backwards");
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Pace>(), 12);
    }

    proptest! {
        #[test]
        fn a_time_survives_to_one_part_in_five_hundred(ms in 0u64..1 << 60, other in 0u64..1 << 60) {
            let (short, back) = (ShortTime::of(ms), ShortTime::of(ms).ms());
            prop_assert!(back <= ms && ms - back <= ms / 512, "{} came back as {}", ms, back);
            prop_assert!(ms < other || short >= ShortTime::of(other));
        }
    }
}
