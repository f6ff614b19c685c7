//! Reads the machine's clocks.

use std::path::Path;
use std::time::{Duration, Instant};

use hub_model::{BootId, BootStamp, UtcMs};
use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

use super::Observation;

/// Made by systemd-timesyncd once it has disciplined the kernel clock in this boot. Reading the kernel's own flag
/// (adjtimex) would need unsafe code; where another program keeps the time, the clock counts as holdover.
const SYNCHRONIZED_MARK: &str = "/run/systemd/timesync/synchronized";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How often an observation is tried for one in which reading the two clocks was not interrupted.
const OBSERVE_TRIES: u32 = 5;

/// Two readings of one clock further apart than this had an interruption between them.
const OBSERVE_SPREAD_MAX: Duration = Duration::from_micros(200);

/// The machine's clocks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: BootId,
    started: BootStamp,
}

impl Clock {
    /// Finds out which boot this is. Without the kernel's word a random one stands in: then every start of the hub
    /// counts as a boot of its own, which is correct but resolves no stamps of earlier runs anew.
    pub fn new() -> Clock {
        let text = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let boot = text.trim().parse().unwrap_or_else(|()| {
            warn!(file = BOOT_ID, "the kernel does not name this boot; using a random name");
            let mut bytes = [0; 16];
            if getrandom::fill(&mut bytes).is_err() {
                bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
            }
            BootId::from_bytes(bytes)
        });
        let mut clock = Clock { boot, started: BootStamp { boot, mono_ms: 0 } };
        clock.started = clock.now();
        clock
    }

    /// The moment, as samples are stamped: CLOCK_BOOTTIME counts through suspend and is never set.
    pub fn now(&self) -> BootStamp {
        let since_boot = read(ClockId::Boottime);
        BootStamp { boot: self.boot, mono_ms: u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The moment this clock was made, near enough the start of the process.
    pub fn started(&self) -> BootStamp {
        self.started
    }

    /// How long the process runs.
    pub fn uptime(&self) -> Duration {
        Duration::from_millis(self.now().mono_ms.saturating_sub(self.started.mono_ms))
    }

    /// Processor time this process has used.
    pub fn cpu_time(&self) -> Duration {
        read(ClockId::ProcessCPUTime)
    }

    /// What the machine holds for the time, right or wrong.
    pub fn utc(&self) -> UtcMs {
        UtcMs(i64::try_from(read(ClockId::Realtime).as_millis()).unwrap_or(i64::MAX))
    }

    /// For timeouts.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads clocks")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// How the two clocks stand to each other, and whether someone keeps the wall clock right.
    pub fn observe(&self) -> Observation {
        let mut best = self.observe_once();
        for _ in 1..OBSERVE_TRIES {
            if best.0 <= OBSERVE_SPREAD_MAX {
                break;
            }
            let next = self.observe_once();
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }

    fn observe_once(&self) -> (Duration, Observation) {
        let before = read(ClockId::Boottime);
        let utc = read(ClockId::Realtime);
        let after = read(ClockId::Boottime);
        let spread = after.saturating_sub(before);
        let between = before + spread / 2;
        let offset_ns = i128_nanos(utc) - i128_nanos(between);
        let observation = Observation {
            at: self.now(),
            offset_ms: i64::try_from(offset_ns.div_euclid(1_000_000)).unwrap_or(0),
            synced: Path::new(SYNCHRONIZED_MARK).exists(),
        };
        (spread, observation)
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

impl southbound::tasks::Clock for Clock {
    fn now(&self) -> BootStamp {
        Clock::now(self)
    }

    fn instant(&self) -> Instant {
        Clock::instant(self)
    }
}

/// A clock set before 1970 reads as 1970: unset either way.
fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn i128_nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::EARLIEST_PLAUSIBLE;

    #[test]
    fn the_clocks_agree_with_each_other() {
        let clock = Clock::new();
        let observation = clock.observe();
        let utc = i128::from(observation.at.mono_ms) + i128::from(observation.offset_ms);
        assert!((utc - i128::from(clock.utc().0)).abs() < 1000);
        assert_eq!(observation.at.boot, clock.now().boot);
        assert!(clock.now().mono_ms >= clock.started().mono_ms);
    }

    #[test]
    fn the_earliest_plausible_time_is_what_it_says() {
        assert_eq!(hub_chassis::time_text::format_utc(EARLIEST_PLAUSIBLE), "2026-11-01T00:00:00.000Z");
    }
}
