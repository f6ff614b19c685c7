//! Rates from counters. A counter that goes back gives no rate this once: a restart of its driver and the wrap of a
//! 32-bit counter look alike, and a wrong rate is worse than none.

use std::time::Duration;

use super::CpuTimes;

/// The share of time the CPUs had work between two readings.
#[derive(Clone, Debug, Default)]
pub struct CpuRate {
    last: Option<CpuTimes>,
}

impl CpuRate {
    /// Takes a reading; gives 0 to 100 for all CPUs together, from the second reading on.
    pub fn handle_times(&mut self, times: CpuTimes) -> Option<f64> {
        let last = self.last.replace(times)?;
        let busy = times.busy.checked_sub(last.busy)?;
        // The kernel may count waiting for disks back a little (proc(5)).
        let idle = times.idle.saturating_sub(last.idle);
        let all = busy.checked_add(idle).filter(|all| *all > 0)?;
        Some(as_float(busy) / as_float(all) * 100.0)
    }
}

/// What a counter grew by each second between two readings.
#[derive(Clone, Debug, Default)]
pub struct CounterRate {
    last: Option<(u64, Duration)>,
}

impl CounterRate {
    /// Takes a reading; gives a rate from the second one on.
    pub fn handle_count(&mut self, count: u64, since_boot: Duration) -> Option<f64> {
        let (last, at) = self.last.replace((count, since_boot))?;
        let grown = count.checked_sub(last)?;
        let seconds = since_boot.checked_sub(at).map(|time| time.as_secs_f64()).filter(|s| *s > 0.0)?;
        Some(as_float(grown) / seconds)
    }
}

/// Rounded: differences of counters are far below where that matters.
#[expect(clippy::cast_precision_loss, reason = "a rate is told with one digit behind the point")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_cpu_is_as_busy_as_its_ticks_say() {
        let mut rate = CpuRate::default();
        let mut at = |busy, idle| rate.handle_times(CpuTimes { busy, idle });
        assert_eq!(at(100, 100), None);
        assert_eq!(at(125, 175), Some(25.0));
        assert_eq!(at(125, 175), None);
        assert_eq!(at(135, 174), Some(100.0), "idle may go back a little");
        assert_eq!(at(0, 0), None, "a reset");
        assert_eq!(at(0, 10), Some(0.0));
    }

    #[test]
    fn a_counter_that_wraps_or_is_reset_gives_no_rate_once() {
        let mut rate = CounterRate::default();
        assert_eq!(rate.handle_count(1000, 10 * S), None);
        assert_eq!(rate.handle_count(3000, 20 * S), Some(200.0));
        assert_eq!(rate.handle_count(3000, 20 * S), None, "no time went by");
        assert_eq!(rate.handle_count(u64::from(u32::MAX), 30 * S), Some(429496429.5));
        assert_eq!(rate.handle_count(100, 40 * S), None, "wrapped or reset");
        assert_eq!(rate.handle_count(200, 50 * S), Some(10.0));
    }
}
