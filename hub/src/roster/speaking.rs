//! Devices that speak by themselves.

use hub_model::Device;

use super::{Cause, Member, Roster, State, bad_readings};
use crate::intake::Heard;
use crate::liveness::{Deadlines, Silent};

/// A device of which nothing is known but its name is not called silent before this.
const UNKNOWN_MS: u64 = 300_000;

pub(super) fn member<'a>(roster: &Roster<'a>, device: &'a Device) -> Member<'a> {
    let registry = roster.registry;
    let heard = registry.heard(device.id);
    let mut member = Member {
        id: Some(device.id),
        name: device.name.as_str(),
        state: State::NotTested,
        cause: None,
        heard,
        interval_ms: None,
        late_after_ms: None,
        silent_after_ms: None,
        asked: None,
    };
    let (state, deadlines) = best(roster, device, heard);
    member.state = state;
    if let Some(deadlines) = deadlines {
        member.interval_ms = deadlines.interval_ms;
        member.late_after_ms = deadlines.late_after_ms;
        member.silent_after_ms = Some(deadlines.silent_after_ms);
    }
    if matches!(state, State::Live | State::Late)
        && let Some(why) = all_bad(roster, device)
    {
        member.state = State::Fault;
        member.cause = Some(Cause::Fault { why });
    }
    if state == State::Silent {
        let this_boot = heard.filter(|at| at.boot == roster.silence.now.boot);
        member.cause =
            Some(Cause::Mqtt { heard_ms: this_boot.and_then(|at| i64::try_from(at.mono_ms).ok()) });
    }
    member
}

/// The state of the best series, with the shortest deadlines that give it.
fn best(
    roster: &Roster<'_>,
    device: &Device,
    heard: Option<hub_model::BootStamp>,
) -> (State, Option<Deadlines>) {
    let clock = roster.registry.catalog().clock();
    let mut best: Option<(State, Deadlines)> = None;
    // What is no reading, such as an event, is a word too.
    let mut said_more = heard;
    for (_, series) in roster.registry.metrics(device.id) {
        let Some(known) = roster.registry.series_heard(series) else { continue };
        let received = known.last.received;
        said_more = said_more.filter(|at| at.boot != received.boot || at.mono_ms > received.mono_ms);
        let deadlines = Deadlines::of(known.pace.interval_ms());
        let Silent::For(silent_ms) = roster.silence.since(Some(received), clock) else { continue };
        let found = (deadlines.state(silent_ms), deadlines);
        let rank = |(state, deadlines): &(State, Deadlines)| {
            (*state, deadlines.interval_ms.is_none(), deadlines.interval_ms)
        };
        if best.as_ref().is_none_or(|best| rank(&found) < rank(best)) {
            best = Some(found);
        }
    }
    // How often there is one is not known.
    if let Some(at) = said_more
        && let Silent::For(silent_ms) = roster.silence.since(Some(at), clock)
    {
        let deadlines = Deadlines::of(None);
        let state = deadlines.state(silent_ms);
        if best.as_ref().is_none_or(|(best, _)| state < *best) {
            best = Some((state, best.map_or(deadlines, |(_, deadlines)| deadlines)));
        }
    }
    match best {
        Some((state, deadlines)) => (state, Some(deadlines)),
        None => match roster.silence.since(None, clock) {
            Silent::NeverHeard(listened_ms) if listened_ms <= UNKNOWN_MS => (State::NotTested, None),
            Silent::NeverHeard(_) | Silent::For(_) => (State::Silent, None),
        },
    }
}

/// Why, where all that it said last is bad.
fn all_bad(roster: &Roster<'_>, device: &Device) -> Option<String> {
    let mut first = None;
    let mut count = 0;
    for (metric, series) in roster.registry.metrics(device.id) {
        let Some(known) = roster.registry.series_heard(series) else { continue };
        if !known.last.quality.is_bad() {
            return None;
        }
        count += 1;
        first.get_or_insert((metric, known.last.quality));
    }
    first.map(|(metric, quality)| bad_readings(count, count, metric.as_str(), quality))
}

pub(super) fn series(roster: &Roster<'_>, heard: Option<&Heard>) -> (State, Option<u64>) {
    let Some(known) = heard else { return (State::NotTested, None) };
    let interval_ms = known.pace.interval_ms();
    let clock = roster.registry.catalog().clock();
    let state = match roster.silence.since(Some(known.last.received), clock) {
        Silent::For(silent_ms) => Deadlines::of(interval_ms).state(silent_ms),
        Silent::NeverHeard(_) => State::NotTested,
    };
    let is_bad = known.last.quality.is_bad() && matches!(state, State::Live | State::Late);
    (if is_bad { State::Fault } else { state }, interval_ms)
}
