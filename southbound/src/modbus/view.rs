//! What a link tells about itself: to the API, to metrics, to people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_chassis::metrics::{MetricRow, float};
use hub_model::{BootStamp, Quality, Reason};

use super::client::Outcome;
use super::device::{Device, Endpoint};
use super::schedule::{Ask, JobCounts, JobId, Schedule};
use super::test::is_gateway_exception;

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Live,
    /// It does not answer, or not with what was asked for.
    Silent,
    /// Its endpoint is out of reach.
    Unreachable,
}

impl DeviceState {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            DeviceState::Unknown => "unknown",
            DeviceState::Live => "live",
            DeviceState::Silent => "silent",
            DeviceState::Unreachable => "unreachable",
        }
    }
}

/// A device that has not answered for this long, and two of its intervals, was away.
const AWAY_MIN: Duration = Duration::from_secs(30);

/// A device, as lists show it.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// As configured. Shared, for it may be large and is asked for every second.
    pub device: Arc<Device>,
    /// How it is.
    pub state: DeviceState,
    /// Its mean time to an answer.
    pub latency: Option<Duration>,
    /// Cycles of all its groups.
    pub cycles: JobCounts,
    /// What is wrong, for people.
    pub trouble: Option<String>,
    /// When it answered last, whether that was worth a sample or not.
    pub answered: Option<BootStamp>,
    /// When it first answered after it had been away: of readings that failed before, it is not known yet whether they
    /// still do.
    pub recovered: Option<BootStamp>,
}

/// What was done on one unit.
#[derive(Clone, Copy, Debug, Default)]
struct UnitCounts {
    polls: u64,
    answers: u64,
    timeouts: u64,
    exceptions: u64,
    mismatches: u64,
    disconnects: u64,
    answer_time: Duration,
}

/// When a device that does not answer counts as having been away.
fn away_after(device: &Device) -> Duration {
    let interval = device.groups.iter().map(|group| group.interval).min().unwrap_or_default();
    AWAY_MIN.max(interval * 2)
}

/// Shared by the task of a link and whoever asks about it. Locked for a few synchronous lines only.
#[derive(Debug)]
pub(super) struct LinkShared {
    endpoint: Endpoint,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    devices: Vec<DeviceView>,
    units: BTreeMap<u8, UnitCounts>,
    connects: u64,
    connect_failures: u64,
    bus_time: Duration,
    probe_time: Duration,
    is_connected: bool,
    connect_error: Option<String>,
}

impl LinkShared {
    pub(super) fn new(endpoint: Endpoint, devices: &[Device]) -> LinkShared {
        let view = |device: &Device| DeviceView {
            device: Arc::new(device.clone()),
            state: DeviceState::Unknown,
            latency: None,
            cycles: JobCounts::default(),
            trouble: None,
            answered: None,
            recovered: None,
        };
        let state = State {
            devices: devices.iter().map(view).collect(),
            units: devices.iter().map(|device| (device.unit, UnitCounts::default())).collect(),
            connects: 0,
            connect_failures: 0,
            bus_time: Duration::ZERO,
            probe_time: Duration::ZERO,
            is_connected: false,
            connect_error: None,
        };
        LinkShared { endpoint, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) {
        let mut state = self.lock();
        state.connects += 1;
        state.is_connected = true;
        state.connect_error = None;
    }

    pub(super) fn connect_failed(&self, why: String) {
        let mut state = self.lock();
        state.connect_failures += 1;
        state.is_connected = false;
        state.connect_error = Some(why);
    }

    /// Why the last connect failed.
    pub(super) fn last_error(&self) -> String {
        self.lock().connect_error.clone().unwrap_or_default()
    }

    pub(super) fn asked(&self, ask: Ask, outcome: &Outcome, took: Duration) {
        let mut state = self.lock();
        state.bus_time += took;
        if ask.is_probe {
            state.probe_time += took;
        }
        let unit = state.units.entry(ask.unit).or_default();
        unit.polls += 1;
        match outcome {
            Outcome::Answer(_) => {
                unit.answers += 1;
                unit.answer_time += took;
            }
            Outcome::Exception(_) => unit.exceptions += 1,
            Outcome::Timeout => unit.timeouts += 1,
            Outcome::Mismatch(_) => unit.mismatches += 1,
            Outcome::Closed(_) => unit.disconnects += 1,
        }
        let trouble = super::test::Exchanged::outcome_text(outcome, ask.timeout);
        for view in state.devices.iter_mut().filter(|view| view.device.unit == ask.unit) {
            view.trouble.clone_from(&trouble);
        }
    }

    /// The device answered for a register.
    pub(super) fn read(&self, job: JobId, at: BootStamp) {
        self.set_state(job, DeviceState::Live, at);
    }

    /// A register could not be read.
    pub(super) fn failed(&self, job: JobId, quality: Quality, at: BootStamp) {
        let reason = quality.reason();
        let state = if reason == Reason::NotConnected {
            DeviceState::Unreachable
        } else if reason == Reason::Exception && !is_gateway_exception(quality.detail()) {
            DeviceState::Live
        } else {
            DeviceState::Silent
        };
        self.set_state(job, state, at);
    }

    fn set_state(&self, job: JobId, state: DeviceState, at: BootStamp) {
        if let Some(view) = self.lock().devices.get_mut(job.device) {
            view.state = state;
            if state == DeviceState::Live {
                let away = away_after(&view.device);
                let since =
                    |before: BootStamp| Duration::from_millis(at.mono_ms.saturating_sub(before.mono_ms));
                let was_away = |before| since(before) >= away;
                if view.answered.is_none_or(was_away) {
                    view.recovered = Some(at);
                }
                view.answered = Some(at);
            }
        }
    }

    /// After each step.
    pub(super) fn update(&self, schedule: &Schedule) {
        let mut state = self.lock();
        for view in &mut state.devices {
            view.cycles = JobCounts::default();
        }
        for (job, counts) in schedule.counts() {
            if let Some(view) = state.devices.get_mut(job.device) {
                view.cycles.complete += counts.complete;
                view.cycles.failed += counts.failed;
                view.cycles.skipped += counts.skipped;
            }
        }
        for (at, view) in state.devices.iter_mut().enumerate() {
            view.latency = schedule.latency(at);
        }
    }

    pub(super) fn devices(&self) -> Vec<DeviceView> {
        let state = self.lock();
        let view = |view: &DeviceView| {
            let mut view = view.clone();
            if view.state == DeviceState::Unreachable && state.connect_error.is_some() {
                view.trouble.clone_from(&state.connect_error);
            }
            view
        };
        state.devices.iter().map(view).collect()
    }

    pub(super) fn metrics(&self) -> Vec<MetricRow> {
        let state = self.lock();
        let endpoint = self.endpoint.to_string();
        let counter = |name: &str, help, value| {
            MetricRow::counter(name, help, value).label("endpoint", endpoint.clone())
        };
        let mut rows = vec![
            MetricRow::gauge(
                "relais_modbus_connected",
                "Whether the last connect worked.",
                state.is_connected.into(),
            )
            .label("endpoint", endpoint.clone()),
            counter("relais_modbus_connects_total", "Connections opened.", state.connects),
            counter("relais_modbus_connect_failures_total", "Connects that failed.", state.connect_failures),
            counter("relais_modbus_bus_seconds_total", "Time in which a request was out.", 0)
                .with_value(state.bus_time.as_secs_f64()),
            counter("relais_modbus_probe_seconds_total", "Of it, for units that were silent.", 0)
                .with_value(state.probe_time.as_secs_f64()),
        ];
        for (unit, counts) in &state.units {
            let of_unit =
                |name: &str, help, value| counter(name, help, value).label("unit", unit.to_string());
            rows.extend([
                of_unit("relais_modbus_polls_total", "Requests sent.", counts.polls),
                of_unit("relais_modbus_answers_total", "Requests answered as asked.", counts.answers),
                of_unit(
                    "relais_modbus_timeouts_total",
                    "Requests without a whole answer in time.",
                    counts.timeouts,
                ),
                of_unit(
                    "relais_modbus_exceptions_total",
                    "Requests answered with an exception.",
                    counts.exceptions,
                ),
                of_unit(
                    "relais_modbus_mismatches_total",
                    "Answers that belong to no request.",
                    counts.mismatches,
                ),
                of_unit(
                    "relais_modbus_disconnects_total",
                    "Requests cut off by the device.",
                    counts.disconnects,
                ),
                of_unit("relais_modbus_answer_seconds_total", "Time to the answers, in sum.", 0)
                    .with_value(counts.answer_time.as_secs_f64()),
            ]);
        }
        for view in &state.devices {
            let results = [
                ("complete", view.cycles.complete),
                ("failed", view.cycles.failed),
                ("skipped", view.cycles.skipped),
            ];
            for (result, count) in results {
                let help =
                    "Cycles of a device, by how they ended; skipped ones found the bus busy for an interval.";
                let row = MetricRow::counter("relais_modbus_cycles_total", help, 0).with_value(float(count));
                rows.push(row.label("device", view.device.name.to_string()).label("result", result));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use hub_model::BootId;

    use super::*;
    use crate::modbus::testing;

    #[test]
    fn a_device_that_was_away_has_recovered_and_one_that_skips_a_beat_has_not() {
        let device = testing::device(1, Duration::from_secs(20));
        let shared = LinkShared::new(device.endpoint.clone(), &[device]);
        let at = |mono_ms| BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms };
        let job = JobId { device: 0, group: 0 };
        let recovered = || shared.devices()[0].recovered.map(|at| at.mono_ms);
        assert_eq!(recovered(), None);
        shared.read(job, at(1_000));
        assert_eq!(recovered(), Some(1_000), "the first answer is one");
        shared.failed(job, Quality::bad(Reason::NoAnswer), at(21_000));
        shared.read(job, at(40_999));
        assert_eq!(recovered(), Some(1_000));
        shared.failed(job, Quality::bad(Reason::NoAnswer), at(60_000));
        shared.read(job, at(80_999));
        assert_eq!(recovered(), Some(80_999));
    }
}
