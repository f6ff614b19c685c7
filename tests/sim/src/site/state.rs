//! How a site is: for programs as one line of JSON, for people as a few lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Site;
use super::command::METER;
use crate::sensors::SensorState;

/// Whether the link carries anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// There is none.
    None,
    /// Everything goes through.
    Whole,
    /// Nothing does.
    Cut,
}

/// Whether the hub's disk has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskState {
    /// It has no disk that could be filled.
    None,
    /// Nothing is taken away.
    Free,
    /// All of it is taken.
    Full,
}

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceState {
    /// Its name.
    pub(super) name: String,
    /// Whether it was told to say nothing.
    pub(super) is_silent: bool,
    /// A sensor's connection and messages; `None` for the meter, which is asked.
    pub(super) sensor: Option<SensorState>,
    /// What the meter answers with, in the words of the command; empty when it answers as it should.
    pub(super) faults: Vec<String>,
}

/// How all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteState {
    /// The link between hub and central.
    pub(super) link: LinkState,
    /// The hub's disk.
    pub(super) disk: DiskState,
    /// The sensors, then the meter.
    pub(super) devices: Vec<DeviceState>,
}

pub(super) fn of(site: &Site) -> SiteState {
    let link = site
        .link
        .as_ref()
        .map_or(LinkState::None, |link| if link.is_cut() { LinkState::Cut } else { LinkState::Whole });
    let disk = site
        .disk
        .as_ref()
        .map_or(DiskState::None, |disk| if disk.is_full() { DiskState::Full } else { DiskState::Free });
    let sensor = |state: SensorState| DeviceState {
        name: state.name.to_owned(),
        is_silent: state.is_silent,
        sensor: Some(state),
        faults: Vec::new(),
    };
    let meter = DeviceState {
        name: METER.to_owned(),
        is_silent: site.meter.is_dead(super::METER_UNIT),
        sensor: None,
        faults: site.meter.rules().iter().map(ToString::to_string).collect(),
    };
    let devices = site.sensors.states().into_iter().map(sensor).chain([meter]).collect();
    SiteState { link, disk, devices }
}

impl SiteState {
    /// One line of JSON: `link` (`none`, `whole`, `cut`), `disk` (`none`, `free`, `full`) and `devices`, each with `name`
    /// and `silent`; sensors with `connected`, `waiting`, `acknowledged` and `dropped` (messages), the meter with `faults`.
    pub(super) fn to_json(&self) -> String {
        let devices: Vec<Value> = self.devices.iter().map(DeviceState::to_json).collect();
        json!({"link": self.link.word(), "disk": self.disk.word(), "devices": devices}).to_string()
    }
}

/// The line of `SiteState::to_json` as lines for people; `None` when it is none.
pub fn for_people(json: &str) -> Option<String> {
    let state: Value = serde_json::from_str(json).ok()?;
    let mut text = format!("  {:<10}{}\n", "link", state["link"].as_str()?);
    let _infallible = writeln!(text, "  {:<10}{}", "disk", state["disk"].as_str()?);
    for device in state["devices"].as_array()? {
        let name = device["name"].as_str()?;
        let mut words = vec![if device["silent"].as_bool()? { "silent" } else { "speaks" }.to_owned()];
        if let Some(connected) = device["connected"].as_bool() {
            let (waiting, dropped) = (device["waiting"].as_u64()?, device["dropped"].as_u64()?);
            words.push(if connected { "connected" } else { "not connected" }.to_owned());
            words.push(format!("{} acknowledged", device["acknowledged"].as_u64()?));
            words.extend((waiting > 0).then(|| format!("{waiting} waiting")));
            words.extend((dropped > 0).then(|| format!("{dropped} dropped")));
        }
        words.extend(
            device["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
        );
        let _infallible = writeln!(text, "  {name:<10}{}", words.join(", "));
    }
    text.pop();
    Some(text)
}

impl DeviceState {
    fn to_json(&self) -> Value {
        let mut json = json!({"name": self.name, "silent": self.is_silent});
        match &self.sensor {
            Some(sensor) => {
                json["connected"] = sensor.is_connected.into();
                json["waiting"] = sensor.waiting.into();
                json["acknowledged"] = sensor.acknowledged.into();
                json["dropped"] = sensor.dropped.into();
            }
            None => json["faults"] = self.faults.clone().into(),
        }
        json
    }
}

impl LinkState {
    const fn word(self) -> &'static str {
        match self {
            LinkState::None => "none",
            LinkState::Whole => "whole",
            LinkState::Cut => "cut",
        }
    }
}

impl DiskState {
    const fn word(self) -> &'static str {
        match self {
            DiskState::None => "none",
            DiskState::Free => "free",
            DiskState::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> SiteState {
        let boiler = SensorState {
            name: "boiler",
            is_silent: true,
            is_connected: false,
            waiting: 2,
            acknowledged: 40,
            dropped: 0,
        };
        let boiler = DeviceState {
            name: "boiler".to_owned(),
            is_silent: true,
            sensor: Some(boiler),
            faults: Vec::new(),
        };
        let meter = DeviceState {
            name: "meter".to_owned(),
            is_silent: false,
            sensor: None,
            faults: vec!["late:1500".to_owned()],
        };
        SiteState { link: LinkState::Cut, disk: DiskState::Free, devices: vec![boiler, meter] }
    }

    #[test]
    fn programs_get_one_line() {
        assert_eq!(
            state().to_json(),
            r#"{"devices":[{"acknowledged":40,"connected":false,"dropped":0,"name":"boiler","silent":true,"waiting":2},{"faults":["late:1500"],"name":"meter","silent":false}],"disk":"free","link":"cut"}"#
        );
    }

    #[test]
    fn people_get_some() {
        assert_eq!(
            for_people(&state().to_json()).unwrap(),
            "  link      cut\n  disk      free\n  boiler    silent, not connected, 40 acknowledged, 2 waiting\n  meter     speaks, late:1500"
        );
        assert_eq!(for_people("ok"), None);
        assert_eq!(for_people("{}"), None);
    }
}
