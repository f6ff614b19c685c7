//! Time: the only place of this program that reads clocks. Everything else is handed moments.

use std::time::{Duration, Instant};

use hub_model::UtcMs;
use rustix::time::{ClockId, clock_gettime};

/// The machine's clocks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Duration,
}

impl Clock {
    /// The clocks, with this moment as the start of the process.
    pub fn new() -> Clock {
        Clock { started: read(ClockId::Boottime) }
    }

    /// What the machine holds for the time.
    pub fn utc(&self) -> UtcMs {
        UtcMs(i64::try_from(read(ClockId::Realtime).as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds of a clock that is never set: for waits, rates and protocol cores.
    pub fn mono_ms(&self) -> u64 {
        u64::try_from(read(ClockId::Boottime).as_millis()).unwrap_or(u64::MAX)
    }

    /// When this clock was made, on the clock of [`Clock::mono_ms`].
    pub fn started_ms(&self) -> u64 {
        u64::try_from(self.started.as_millis()).unwrap_or(u64::MAX)
    }

    /// How long the process runs.
    pub fn uptime(&self) -> Duration {
        read(ClockId::Boottime).saturating_sub(self.started)
    }

    /// Processor time this process has used.
    pub fn cpu_time(&self) -> Duration {
        read(ClockId::ProcessCPUTime)
    }

    /// For timeouts.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads clocks")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// A clock set before 1970 reads as 1970.
fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
