//! Who is at the site, and how: every device with its state, decided from what the registry heard and what the pollers
//! found. A core: no I/O, and the time is given.
//!
//! A device that speaks is as well as the best of its series: one metric that it gave up does not make it silent. One that
//! the hub asks is what its poller says, but for a moment of grace: a unit that answers half of its requests is not silent.

mod asked;
mod speaking;
mod words;

use std::collections::BTreeMap;

use hub_model::{BootStamp, DeviceId, MetricName, SeriesId};
use hub_ui::live::message::Counts;
use southbound::modbus::DeviceView;

pub use hub_ui::live::message::State;
pub use words::{bad_readings, quality_words};

use crate::intake::{Heard, Registry};
use crate::liveness::Silence;

/// A device, and how it is.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// `None` for one that has a file, and of which nothing is stored yet.
    pub id: Option<DeviceId>,
    /// Its name.
    pub name: &'a str,
    /// How it is.
    pub state: State,
    /// Why it needs somebody.
    pub cause: Option<Cause>,
    /// When it was last heard, as far as known.
    pub heard: Option<BootStamp>,
    /// From one reading to the next.
    pub interval_ms: Option<u64>,
    /// When it is late.
    pub late_after_ms: Option<u64>,
    /// When it is silent; `None` for one that the hub asks.
    pub silent_after_ms: Option<u64>,
    /// For one that the hub asks, how it is asked.
    pub asked: Option<&'a DeviceView>,
}

/// Why a device needs somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The endpoint is out of reach, and with it the device.
    Endpoint {
        /// Which.
        endpoint: String,
        /// What went wrong there.
        why: String,
    },
    /// Its unit does not answer.
    Unit {
        /// Where.
        endpoint: String,
        /// Which.
        unit: u8,
        /// What went wrong.
        why: String,
    },
    /// It does not speak any more.
    Mqtt {
        /// When it spoke last, by the clock of this boot; `None` where that was in another one.
        heard_ms: Option<i64>,
    },
    /// Its readings are bad.
    Fault {
        /// Which, and why.
        why: String,
    },
}

impl Cause {
    /// The state that it gives a device.
    pub const fn state(&self) -> State {
        match self {
            Cause::Endpoint { .. } | Cause::Unit { .. } | Cause::Mqtt { .. } => State::Silent,
            Cause::Fault { .. } => State::Fault,
        }
    }
}

/// A series of a device, and how it is.
#[derive(Clone, Copy, Debug)]
pub struct SeriesNow<'a> {
    /// Its number.
    pub series: SeriesId,
    /// What is measured.
    pub metric: &'a MetricName,
    /// What is known of it; `None` when it was not heard.
    pub heard: Option<&'a Heard>,
    /// From one reading to the next.
    pub interval_ms: Option<u64>,
    /// How it is.
    pub state: State,
}

/// What the roster is made from.
#[derive(Clone, Copy, Debug)]
pub struct Roster<'a> {
    /// What was heard.
    pub registry: &'a Registry,
    /// How devices that the hub asks are.
    pub asked: &'a [DeviceView],
    /// When the hub listened.
    pub silence: Silence,
}

impl<'a> Roster<'a> {
    /// Every device, by id; then those of which nothing is stored yet, by name.
    pub fn members(&self) -> Vec<Member<'a>> {
        let catalog = self.registry.catalog();
        let mut asked: BTreeMap<&str, &DeviceView> =
            self.asked.iter().map(|view| (view.device.name.as_str(), view)).collect();
        let member = |device: &'a hub_model::Device| match asked.remove(device.name.as_str()) {
            Some(view) => asked::member(self, Some(device.id), view),
            None => speaking::member(self, device),
        };
        let mut members: Vec<Member<'a>> = catalog.devices().map(member).collect();
        members.extend(asked.values().map(|view| asked::member(self, None, view)));
        members
    }

    /// The metrics of a device, by number of their series.
    pub fn series(&self, member: &Member<'a>) -> Vec<SeriesNow<'a>> {
        let Some(device) = member.id else { return Vec::new() };
        let metrics = self.registry.metrics(device);
        let now = |(metric, series)| {
            let heard = self.registry.series_heard(series);
            let (state, interval_ms) = match member.asked {
                Some(view) => asked::series(self, member, view, metric, heard),
                None => speaking::series(self, heard),
            };
            SeriesNow { series, metric, heard, interval_ms, state }
        };
        let mut all: Vec<SeriesNow<'a>> = metrics.map(now).collect();
        all.sort_unstable_by_key(|series| series.series);
        all
    }
}

/// How many are how.
pub fn counts(members: &[Member<'_>]) -> Counts {
    let mut counts = Counts::default();
    for member in members {
        counts.devices += 1;
        *match member.state {
            State::Live => &mut counts.live,
            State::Late => &mut counts.late,
            State::Silent => &mut counts.silent,
            State::Fault => &mut counts.fault,
            State::NotTested => &mut counts.not_tested,
        } += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
