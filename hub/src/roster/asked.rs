//! Devices that the hub asks over Modbus.

use std::time::Duration;

use hub_model::{DeviceId, MetricName, Reason};
use southbound::modbus::register::{Group, Register};
use southbound::modbus::{DeviceState, DeviceView};

use super::{Cause, Member, Roster, State, bad_readings};
use crate::intake::Heard;
use crate::liveness::{Deadlines, Silent, late_after_ms};

/// A unit that answered so shortly ago is not called silent: it may answer every second request.
const GRACE_MAX_MS: u64 = 30_000;

pub(super) fn member<'a>(roster: &Roster<'a>, id: Option<DeviceId>, view: &'a DeviceView) -> Member<'a> {
    let interval_ms = view.device.groups.iter().map(|group| ms(group.interval)).min();
    let heard = heard(roster, id, view);
    let mut member = Member {
        id,
        name: view.device.name.as_str(),
        state: State::NotTested,
        cause: None,
        heard,
        interval_ms,
        late_after_ms: interval_ms.map(late_after_ms),
        silent_after_ms: None,
        asked: Some(view),
    };
    let answered_ms = view.answered.map(|at| roster.silence.now.mono_ms.saturating_sub(at.mono_ms));
    let grace_ms = interval_ms.map_or(0, |ms| ms.saturating_mul(2).saturating_add(3_000)).min(GRACE_MAX_MS);
    member.state = match (view.state, answered_ms) {
        (DeviceState::Unknown, _) => before_it_was_asked(roster, &member),
        (DeviceState::Live, Some(ms)) => in_time(ms, interval_ms),
        (DeviceState::Silent | DeviceState::Unreachable, Some(ms)) if ms <= grace_ms => {
            in_time(ms, interval_ms)
        }
        (DeviceState::Live, None) => State::Live,
        (DeviceState::Silent | DeviceState::Unreachable, _) => State::Silent,
    };
    member.cause = match member.state {
        State::Silent => Some(silent_because(view)),
        State::Live | State::Late => stays_bad(roster, id, view).map(|why| Cause::Fault { why }),
        State::Fault | State::NotTested => None,
    };
    if matches!(member.cause, Some(Cause::Fault { .. })) {
        member.state = State::Fault;
    }
    member
}

fn in_time(answered_ms: u64, interval_ms: Option<u64>) -> State {
    if interval_ms.is_some_and(|ms| answered_ms > late_after_ms(ms)) { State::Late } else { State::Live }
}

/// After a start the pollers know nothing yet; what the runs before heard still counts.
fn before_it_was_asked(roster: &Roster<'_>, member: &Member<'_>) -> State {
    let Some(heard) = member.heard else { return State::NotTested };
    match roster.silence.since(Some(heard), roster.registry.catalog().clock()) {
        Silent::For(silent_ms) => match Deadlines::of(member.interval_ms).state(silent_ms) {
            // Nobody knows before it was asked.
            State::Silent => State::NotTested,
            state @ (State::Live | State::Late | State::Fault | State::NotTested) => state,
        },
        Silent::NeverHeard(_) => State::NotTested,
    }
}

/// When it was last heard, or answered without saying anything worth a sample.
fn heard(roster: &Roster<'_>, id: Option<DeviceId>, view: &DeviceView) -> Option<hub_model::BootStamp> {
    let heard = id.and_then(|id| roster.registry.heard(id));
    match (heard, view.answered) {
        (Some(heard), Some(answered)) if heard.boot == answered.boot && heard.mono_ms >= answered.mono_ms => {
            Some(heard)
        }
        (heard, answered) => answered.or(heard),
    }
}

fn silent_because(view: &DeviceView) -> Cause {
    let endpoint = view.device.endpoint.to_string();
    let why = view.trouble.clone();
    if view.state == DeviceState::Unreachable {
        let why = why.unwrap_or_else(|| "no connection".to_owned());
        return Cause::Endpoint { endpoint, why };
    }
    let why = why.unwrap_or_else(|| "no answer".to_owned());
    Cause::Unit { endpoint, unit: view.device.unit, why }
}

/// Readings that stay bad while the device answers, with one of them.
fn stays_bad(roster: &Roster<'_>, id: Option<DeviceId>, view: &DeviceView) -> Option<String> {
    let device = id?;
    let (mut bad, mut all, mut first) = (0, 0, None);
    for group in &view.device.groups {
        for register in &group.registers {
            all += 1;
            let series = roster.registry.latest(device, &register.metric);
            let Some(known) = series.and_then(|series| roster.registry.series_heard(series)) else {
                continue;
            };
            if is_bad(roster, view, group, known) {
                bad += 1;
                first.get_or_insert((&register.metric, known.last.quality));
            }
        }
    }
    first.map(|(metric, quality)| bad_readings(bad, all, metric.as_str(), quality))
}

/// Whether a reading is bad and stays so. A failure is stored once, and again only after a long while, so one that is
/// older than a cycle has been confirmed by another.
fn is_bad(roster: &Roster<'_>, view: &DeviceView, group: &Group, known: &Heard) -> bool {
    let now = roster.silence.now;
    if !known.last.quality.is_bad() {
        return false;
    }
    let cycle_ms = ms(group.interval).saturating_mul(3) / 2;
    let lasts = |since: hub_model::BootStamp| {
        since.boot != now.boot || now.mono_ms.saturating_sub(since.mono_ms) > cycle_ms
    };
    if !lasts(known.last.received) && known.bad < 2 {
        return false;
    }
    // What failed with the connection is asked for again with the next cycle after it is back.
    let was_cut =
        matches!(known.last.quality.reason(), Reason::NoAnswer | Reason::NotConnected | Reason::Stale);
    !was_cut || view.recovered.is_some_and(lasts)
}

pub(super) fn series(
    roster: &Roster<'_>,
    member: &Member<'_>,
    view: &DeviceView,
    metric: &MetricName,
    heard: Option<&Heard>,
) -> (State, Option<u64>) {
    let Some((group, register)) = register_of(view, metric) else {
        // It was read once, and is not any more.
        let state = if heard.is_some() { State::Silent } else { State::NotTested };
        return (state, None);
    };
    let interval_ms = stored_every_ms(group, register);
    let Some(known) = heard else { return (State::NotTested, Some(interval_ms)) };
    let clock = roster.registry.catalog().clock();
    let state = match member.state {
        State::Silent | State::NotTested => member.state,
        _ if is_bad(roster, view, group, known) => State::Fault,
        State::Live | State::Late | State::Fault => {
            match roster.silence.since(Some(known.last.received), clock) {
                _ if known.last.quality.is_bad() => State::Late,
                Silent::For(ms) => in_time(ms, Some(interval_ms)),
                Silent::NeverHeard(_) => State::NotTested,
            }
        }
    };
    (state, Some(interval_ms))
}

fn register_of<'a>(view: &'a DeviceView, metric: &MetricName) -> Option<(&'a Group, &'a Register)> {
    view.device
        .groups
        .iter()
        .flat_map(|group| group.registers.iter().map(move |register| (group, register)))
        .find(|(_, register)| register.metric == *metric)
}

/// How often a reading is stored at least: with a deadband, one that does not move comes seldom.
fn stored_every_ms(group: &Group, register: &Register) -> u64 {
    let interval_ms = ms(group.interval);
    match register.report.deadband {
        Some(_) => interval_ms.max(ms(register.report.silence_max)),
        None => interval_ms,
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
