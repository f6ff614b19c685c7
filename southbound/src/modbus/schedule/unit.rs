//! What is known of one unit: whether it answers, how fast, and when a silent one is asked again.

use std::time::{Duration, Instant};

use hub_model::{Quality, Reason};

use super::random::Random;

/// A unit is offline after this many failed cycles in a row …
const FAILED_CYCLES_MAX: u32 = 2;

/// … and this long without an answer: a short interval alone makes nobody offline.
const FAILED_TIME_MIN: Duration = Duration::from_secs(3);

/// Between the first probes; doubled each time.
const PROBE_AFTER_MIN: Duration = Duration::from_secs(1);

/// The longest time between probes, whatever the interval.
pub(super) const PROBE_AFTER_MAX: Duration = Duration::from_secs(60);

/// Probes come at least this often for each interval (with the jitter: within two), so that a unit that is back is
/// read again within two cycles. Bus time may stretch it.
const PROBE_AFTER_INTERVALS: f64 = 1.6;

/// No answer is waited for longer.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Of a silent unit, where others answer: what is waited beyond their pace costs them their cycle.
const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(250);

/// Where no other unit answers, every so many probes wait as long as it takes: the unit may have become slow.
const PATIENT_ALONE: u32 = 4;

/// Where others answer, a patient probe costs them a cycle: this one is the first, and each comes after four times as
/// many as the one before.
const PATIENT_FROM: u32 = 16;

/// One unit of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Of the first device on it.
    timeout_min: Duration,
    /// The shortest of its jobs.
    interval: Duration,
    smoothed: Option<Duration>,
    /// Doubles the patience: timeouts of a unit that had answered before.
    stretch: u32,
    failed_cycles: u32,
    failing_since: Option<Instant>,
    probes: u32,
    pub(super) offline: Option<Offline>,
}

/// A unit that is not asked in its cycles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offline {
    /// When it is asked next.
    pub(super) probe_at: Instant,
    /// What its registers are meanwhile.
    pub(super) quality: Quality,
}

impl Unit {
    pub(super) fn new(timeout_min: Duration, interval: Duration) -> Unit {
        Unit {
            timeout_min,
            interval,
            smoothed: None,
            stretch: 0,
            failed_cycles: 0,
            failing_since: None,
            probes: 0,
            offline: None,
        }
    }

    /// Another device or group on the same unit.
    pub(super) fn also(&mut self, timeout_min: Duration, interval: Duration) {
        self.timeout_min = self.timeout_min.max(timeout_min);
        self.interval = self.interval.min(interval);
    }

    /// Whether it answered in its last cycle. Only then is a failure worth a second request at once: of a silent unit,
    /// that would cost the others.
    pub(super) fn is_well(&self) -> bool {
        self.failed_cycles == 0 && self.smoothed.is_some()
    }

    /// How long its answers take, as far as known.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.smoothed
    }

    /// It answered, be it with an exception.
    pub(super) fn answered(&mut self, took: Duration) {
        self.smoothed = Some(self.smoothed.map_or(took, |smoothed| (smoothed * 7 + took) / 8));
        self.stretch = 0;
        self.failed_cycles = 0;
        self.failing_since = None;
        self.probes = 0;
        self.offline = None;
    }

    /// One request of it ran out of time.
    pub(super) fn timed_out(&mut self) {
        self.stretch = (self.stretch + 1).min(3);
    }

    /// A cycle or a probe came to nothing.
    pub(super) fn failed(&mut self, quality: Quality, now: Instant, random: &mut Random) {
        self.failed_cycles = self.failed_cycles.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        let long_enough = now.saturating_duration_since(since) >= FAILED_TIME_MIN;
        if self.offline.is_some() || (self.failed_cycles >= FAILED_CYCLES_MAX && long_enough) {
            let probe_at = now + random.around(self.probe_after());
            self.probes = self.probes.saturating_add(1);
            self.offline = Some(Offline { probe_at, quality });
        }
    }

    /// The way to it is open again: what is known of its silence is out of date.
    pub(super) fn give_a_chance(&mut self, now: Instant) {
        if let Some(offline) = &mut self.offline {
            offline.probe_at = now;
            self.probes = 0;
        }
    }

    fn probe_after(&self) -> Duration {
        let cap = self.interval.mul_f64(PROBE_AFTER_INTERVALS).clamp(PROBE_AFTER_MIN, PROBE_AFTER_MAX);
        (PROBE_AFTER_MIN * 2_u32.saturating_pow(self.probes.min(6))).min(cap)
    }

    /// How long to wait for an answer to the second request of a cycle: the first one has been waited for in full.
    pub(super) fn retry_timeout(&self, neighbours: Option<Duration>) -> Duration {
        neighbours.map_or_else(|| self.timeout(None), |neighbours| self.quick_timeout(neighbours))
    }

    /// How long to wait for an answer. `neighbours` is the slowest of the units that answer; `None` when none does, so
    /// that nobody is kept waiting.
    pub(super) fn timeout(&self, neighbours: Option<Duration>) -> Duration {
        let own = self.smoothed.map_or(self.timeout_min, |smoothed| self.timeout_min.max(smoothed * 4));
        let most = TIMEOUT_MAX.max(self.timeout_min);
        let Some(neighbours) = neighbours else {
            let is_patient = self.failed_cycles == 0 || self.probes % PATIENT_ALONE == PATIENT_ALONE - 1;
            return if is_patient { (own * 2_u32.pow(self.stretch)).min(most) } else { own.min(most) };
        };
        let probe = self.probes + 1;
        let is_patient =
            probe >= PATIENT_FROM && probe.is_power_of_two() && probe.trailing_zeros().is_multiple_of(2);
        if self.failed_cycles == 0 || is_patient {
            return own.min(most);
        }
        self.quick_timeout(neighbours)
    }

    /// As long as an answer may be expected to take, where others wait for their turn.
    fn quick_timeout(&self, neighbours: Duration) -> Duration {
        let own = self.smoothed.map_or(self.timeout_min, |smoothed| self.timeout_min.max(smoothed * 4));
        let pace = (neighbours * 8).max(self.smoothed.unwrap_or_default() * 4);
        pace.max(PROBE_TIMEOUT_MIN).min(own).min(TIMEOUT_MAX.max(self.timeout_min))
    }
}

/// What registers are when their unit does not answer.
pub(super) const NO_ANSWER: Quality = Quality::bad(Reason::NoAnswer);
