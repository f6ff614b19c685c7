//! Time as cores are told it. The only place that reads clocks.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Before this the wall clock is not believed: 2026-01-01, older than any release of this program. A device without a
/// battery-backed clock begins at 1970 or at the build date of its image.
pub const WALL_MS_MIN: u64 = 1_767_225_600_000;

/// From this on the wall clock is not believed either: 2100-01-01, what a flat battery may leave behind.
pub const WALL_MS_MAX: u64 = 4_102_444_800_000;

/// Now, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the device booted, time asleep included. Never goes back.
    pub since_boot: Duration,
    /// UTC, in milliseconds since 1970; `None` while the clock is not plausible.
    pub wall_ms: Option<u64>,
}

impl Moment {
    /// Takes the wall clock as it is, believed or not.
    pub fn new(since_boot: Duration, wall_ms: u64) -> Moment {
        let plausible = (WALL_MS_MIN..WALL_MS_MAX).contains(&wall_ms);
        Moment { since_boot, wall_ms: plausible.then_some(wall_ms) }
    }

    /// Reads the clocks of this device.
    pub fn read() -> Moment {
        let wall = clock_gettime(ClockId::Realtime);
        Moment::new(duration(clock_gettime(ClockId::Boottime)), millis(duration(wall)))
    }
}

/// A duration in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A clock set before 1970 counts as 1970, which is not plausible anyway.
fn duration(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plausible_wall_clock_is_told() {
        let at = |wall_ms| Moment::new(Duration::ZERO, wall_ms).wall_ms;
        assert_eq!(at(0), None);
        assert_eq!(at(WALL_MS_MIN - 1), None);
        assert_eq!(at(WALL_MS_MIN), Some(WALL_MS_MIN));
        assert_eq!(at(WALL_MS_MAX), None);
    }

    #[test]
    fn the_clocks_of_this_machine_go_forward() {
        let first = Moment::read();
        assert!(Moment::read().since_boot >= first.since_boot);
    }
}
