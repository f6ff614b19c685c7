//! Documents for tests.

use std::collections::BTreeMap;

use super::hub::View;
use super::message::*;

pub(super) fn view(now_ms: u64) -> View {
    let hop = || Hop { level: HopLevel::Good, code: "x".into(), params: Params::new(), text: "x".into() };
    let link = LinkNow {
        state: LinkState::Off,
        central: None,
        says: String::new(),
        round_trip_ms: None,
        since_at_ms: None,
        retry_at_ms: None,
    };
    let site = Site {
        hub: "hub_1".into(),
        name: "site".into(),
        version: "0".into(),
        clock: ClockState::Unset,
        started_at_ms: 0,
        verdict: Vec::new(),
        needs: Vec::new(),
        more_needs: 0,
        path: Path { devices: hop(), hub: hop(), stored: hop(), link: hop(), central: hop() },
        counts: Counts::default(),
        link,
    };
    let data = Data {
        classes: Vec::new(),
        totals: Totals::default(),
        gap_rows: 0,
        room: Room::default(),
        trouble: None,
        epoch: "0".into(),
    };
    View { now_ms, time: None, site, data, devices: Vec::new(), series: BTreeMap::new() }
}

pub(super) fn device(id: &str, heard_at_ms: i64) -> Device {
    Device {
        id: id.into(),
        name: format!("device-{id}"),
        kind: DeviceKind::Mqtt,
        state: State::Live,
        heard_at_ms: Some(heard_at_ms),
        heard_time: None,
        interval_ms: None,
        late_after_ms: None,
        silent_after_ms: None,
        series_count: 0,
        values: Vec::new(),
        trouble: None,
        endpoint: None,
        unit: None,
        profile: None,
        tags: BTreeMap::new(),
    }
}

pub(super) fn series(number: u32, value: i64) -> Series {
    let last = LastValue {
        series: number,
        metric: format!("m{number}"),
        value_type: "i64",
        unit: String::new(),
        value: Some(Scalar::Whole(value)),
        value_omitted: false,
        quality: "good".into(),
        at_ms: Some(value),
        time: None,
    };
    Series { last, interval_ms: None, state: State::Live }
}
