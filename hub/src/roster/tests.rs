//! Devices over time, as they are heard and asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_model::{BootId, Level, Quality, Reason, Unit, Value, ValueType};
use hub_store::Catalog;
use southbound::ingest::{Content, DevicePublish, Polled};
use southbound::modbus::address::{Place, Table};
use southbound::modbus::device::{Device, RequestLimits};
use southbound::modbus::order::ByteOrder;
use southbound::modbus::register::{DataType, Group, Limits, Register};
use southbound::modbus::report::{Deadband, ReportRule};
use southbound::modbus::scale::Scale;
use southbound::modbus::{DeviceState, DeviceView};
use southbound_wire::{DeviceEvent, DeviceMessage, Reading};

use super::*;
use crate::clock::EARLIEST_PLAUSIBLE;

const BOOT: BootId = BootId::from_bytes([1; 16]);

/// The hub started at this moment of the boot.
const STARTED: u64 = 1_000_000;

const fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

struct Site {
    registry: Registry,
    asked: Vec<DeviceView>,
}

impl Site {
    fn new() -> Site {
        Site {
            registry: Registry::new(Catalog::default(), crate::intake::Limits::default()),
            asked: Vec::new(),
        }
    }

    fn publish(&mut self, device: &str, received: BootStamp, content: Content) {
        let device = device.parse().unwrap();
        let publish = DevicePublish { device, content, received, mark: None, stored: None, publisher: None };
        let mut id = [0; 10];
        id[..publish.device.as_str().len()].copy_from_slice(publish.device.as_str().as_bytes());
        let plan = self.registry.plan(&publish, EARLIEST_PLAUSIBLE, &mut || id);
        self.registry.note(&(&plan.append).into());
    }

    /// A device says values of metrics, or null.
    fn say(&mut self, device: &str, mono_ms: u64, values: &[(&str, Option<f64>)]) {
        let reading = |(metric, value): &(&str, Option<f64>)| Reading {
            metric: metric.parse().unwrap(),
            value: value.map(Value::F64),
            ts: None,
        };
        let telemetry = DeviceMessage::Telemetry(values.iter().map(reading).collect());
        self.publish(device, at(mono_ms), Content::Message(telemetry));
    }

    /// A register of a device was read.
    fn poll(&mut self, device: &str, mono_ms: u64, metric: &str, quality: Quality) {
        let value = (!quality.is_bad()).then_some(Value::F64(1.0));
        let polled = Polled {
            metric: metric.parse().unwrap(),
            unit: Unit::none(),
            value_type: ValueType::F64,
            value,
            quality,
            at: at(mono_ms),
        };
        self.publish(device, at(mono_ms), Content::Polled(vec![polled]));
    }

    /// The hub starts again in the same boot: what it knew comes back from the log.
    fn restart(&mut self) {
        let mut again = Registry::new(self.registry.catalog().clone(), crate::intake::Limits::default());
        let all: Vec<_> = self.registry.catalog().all_series().map(|series| series.id).collect();
        let mut samples: Vec<hub_model::Sample> = all
            .into_iter()
            .filter_map(|series| {
                let last = self.registry.last(series)?.clone();
                let (stamp, received) = (last.stamp, last.received);
                Some(hub_model::Sample { series, stamp, received, value: last.value, quality: last.quality })
            })
            .collect();
        samples.sort_by_key(|sample| sample.received.mono_ms);
        samples.iter().for_each(|sample| again.recall(sample));
        self.registry = again;
    }

    fn roster(&self, now_ms: u64) -> Roster<'_> {
        let heard_before = self.registry.recalled_to();
        let silence = Silence { now: at(now_ms), started: at(STARTED), heard_before };
        Roster { registry: &self.registry, asked: &self.asked, silence }
    }

    /// State and deadlines of a device.
    fn device(&self, name: &str, now_ms: u64) -> (State, Option<u64>, Option<Cause>) {
        let roster = self.roster(now_ms);
        let member = roster.members().into_iter().find(|member| member.name == name).unwrap();
        (member.state, member.interval_ms, member.cause)
    }

    #[track_caller]
    fn check(&self, name: &str, now_ms: u64, expected: State) {
        assert_eq!(self.device(name, now_ms).0, expected, "{name} at {now_ms}");
    }

    #[track_caller]
    fn check_series(&self, name: &str, now_ms: u64, expected: &[(&str, State)]) {
        let roster = self.roster(now_ms);
        let member = roster.members().into_iter().find(|member| member.name == name).unwrap();
        let found: Vec<(&str, State)> =
            roster.series(&member).into_iter().map(|series| (series.metric.as_str(), series.state)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_device_that_speaks_is_late_and_then_silent() {
    let mut site = Site::new();
    for n in 0..4 {
        site.say("a", STARTED + n * 10_000, &[("t", Some(1.0))]);
    }
    let last = STARTED + 30_000;
    assert_eq!(site.device("a", last), (State::Live, Some(10_000 / 16 * 16), None));
    site.check("a", last + 29_000, State::Live);
    site.check("a", last + 31_000, State::Late);
    assert_eq!(
        site.device("a", last + 101_000).2,
        Some(Cause::Mqtt { heard_ms: Some(i64::try_from(last).unwrap()) })
    );
    site.check("a", last + 101_000, State::Silent);
    site.say("a", last + 102_000, &[("t", Some(1.0))]);
    site.check("a", last + 102_000, State::Live);
}

#[test]
fn one_metric_that_is_given_up_does_not_make_a_device_silent() {
    let mut site = Site::new();
    for n in 0..4 {
        site.say("a", STARTED + n * 1_000, &[("fast", Some(1.0)), ("slow", Some(1.0))]);
    }
    for n in 1..10 {
        site.say("a", STARTED + n * 60_000, &[("slow", Some(1.0))]);
    }
    let now = STARTED + 9 * 60_000 + 20_000;
    site.check("a", now, State::Live);
    site.check_series("a", now, &[("fast", State::Silent), ("slow", State::Live)]);
    assert_eq!(site.device("a", now).1, Some(60_000 / 64 * 64), "the pace of what it still says");
}

#[test]
fn nulls_are_a_fault_when_there_is_nothing_else() {
    let mut site = Site::new();
    for n in 0..4 {
        site.say("a", STARTED + n * 1_000, &[("t", Some(1.0)), ("u", Some(1.0))]);
    }
    site.say("a", STARTED + 4_000, &[("t", None), ("u", Some(1.0))]);
    site.check("a", STARTED + 4_000, State::Live);
    site.check_series("a", STARTED + 4_000, &[("t", State::Fault), ("u", State::Live)]);
    site.say("a", STARTED + 5_000, &[("t", None), ("u", None)]);
    let why = "all 2 readings are bad, t: the device says that it has none".to_owned();
    assert_eq!(site.device("a", STARTED + 5_000).2, Some(Cause::Fault { why }));
    site.check("a", STARTED + 5_000, State::Fault);
    site.check("a", STARTED + 60_000, State::Silent);
}

#[test]
fn events_are_signs_of_life() {
    let mut site = Site::new();
    let event = DeviceEvent {
        id: "".into(),
        severity: hub_model::Severity::Info,
        code: "x".into(),
        text: "".into(),
        ts: None,
        params: Vec::new(),
    };
    site.publish("a", at(STARTED), Content::Message(DeviceMessage::Event(event)));
    site.check("a", STARTED + 299_000, State::Live);
    site.check("a", STARTED + 301_000, State::Silent);
}

#[test]
fn a_restart_makes_nobody_silent_who_was_not() {
    let mut site = Site::new();
    for n in 0..4 {
        site.say("a", 600_000 + n * 1_000, &[("t", Some(1.0))]);
        site.say("b", 600_000 + n * 5_000, &[("t", Some(1.0))]);
    }
    site.restart();
    // Six minutes without a hub, and it has just started.
    for device in ["a", "b"] {
        site.check(device, STARTED + 1_000, State::Live);
        site.check(device, STARTED + 250_000, State::Live);
        site.check(device, STARTED + 301_000, State::Silent);
    }
}

#[test]
fn who_was_silent_before_the_restart_stays_so() {
    let mut site = Site::new();
    site.say("c", 1_000, &[("t", Some(1.0))]);
    site.say("a", 900_000, &[("t", Some(1.0))]);
    site.restart();
    site.check("a", STARTED + 1_000, State::Live);
    site.check("c", STARTED + 1_000, State::Silent);
}

#[test]
fn who_is_known_by_name_only_is_not_tested_and_then_silent() {
    let mut site = Site::new();
    site.say("a", 1_000, &[("t", Some(1.0))]);
    site.registry = Registry::new(site.registry.catalog().clone(), crate::intake::Limits::default());
    site.check("a", STARTED + 1_000, State::NotTested);
    site.check("a", STARTED + 300_001, State::Silent);
    assert_eq!(site.device("a", STARTED + 300_001).2, Some(Cause::Mqtt { heard_ms: None }));
}

fn register(metric: &str, address: u16, deadband: Option<Deadband>) -> Register {
    Register {
        metric: metric.parse().unwrap(),
        place: Place { table: Table::Holding, address },
        data: DataType::U16,
        order: ByteOrder::BIG,
        unit: Unit::none(),
        scale: Scale::new(1.0, 0.0),
        invalid: Vec::new(),
        limits: Limits::default(),
        report: ReportRule { deadband, ..ReportRule::default() },
    }
}

/// A meter read every 10 s, one register of it with a deadband.
fn meter(state: DeviceState, answered_ms: Option<u64>) -> DeviceView {
    let registers = vec![register("volts", 0, None), register("total", 1, Some(Deadband::Absolute(1.0)))];
    let group = Group { name: "main".into(), interval: Duration::from_secs(10), phase: None, registers };
    let device = Device {
        name: "meter".parse().unwrap(),
        endpoint: "tcp://gw:502".parse().unwrap(),
        unit: 3,
        groups: vec![group],
        limits: RequestLimits::default(),
        profile: None,
        tags: BTreeMap::new(),
    };
    DeviceView {
        device: Arc::new(device),
        state,
        latency: None,
        cycles: southbound::modbus::schedule::JobCounts::default(),
        trouble: Some("no whole answer within 300 ms".into()),
        answered: answered_ms.map(at),
        recovered: answered_ms.map(|_| at(STARTED)),
    }
}

#[test]
fn a_device_that_is_asked_is_what_its_poller_says() {
    let mut site = Site::new();
    let now = STARTED + 600_000;
    let mut check = |state, answered_ms, expected| {
        site.asked = vec![meter(state, answered_ms)];
        assert_eq!(site.device("meter", now).0, expected, "{state:?} {answered_ms:?}");
    };
    check(DeviceState::Unknown, None, State::NotTested);
    check(DeviceState::Live, Some(now - 10_000), State::Live);
    check(DeviceState::Live, Some(now - 31_000), State::Late);
    check(DeviceState::Silent, Some(now - 24_000), State::Silent);
    check(DeviceState::Silent, Some(now - 22_000), State::Live);
    check(DeviceState::Unreachable, None, State::Silent);
    let why = "no whole answer within 300 ms".to_owned();
    let endpoint = "tcp://gw:502".to_owned();
    assert_eq!(
        site.device("meter", now).2,
        Some(Cause::Endpoint { endpoint: endpoint.clone(), why: why.clone() })
    );
    site.asked = vec![meter(DeviceState::Silent, None)];
    assert_eq!(site.device("meter", now).2, Some(Cause::Unit { endpoint, unit: 3, why }));
    assert_eq!(counts(&site.roster(now).members()).silent, 1);
}

#[test]
fn readings_that_stay_bad_are_a_fault_and_those_of_one_cycle_are_not() {
    let mut site = Site::new();
    let exception = Quality::new(Level::Bad, Reason::Exception, 2);
    let now = STARTED + 600_000;
    site.asked = vec![meter(DeviceState::Live, Some(now))];
    site.poll("meter", now - 5_000, "volts", Quality::GOOD);
    site.poll("meter", now - 5_000, "total", exception);
    site.check("meter", now, State::Live);
    site.check("meter", now + 11_000, State::Fault);
    let why = "1 of 2 readings is bad, total: exception 2, the device has nothing at this address; is the profile right, \
               and does it count from 0?";
    assert_eq!(site.device("meter", now + 11_000).2, Some(Cause::Fault { why: why.into() }));
    site.poll("meter", now + 11_000, "total", Quality::GOOD);
    site.check("meter", now + 11_000, State::Live);
}

#[test]
fn what_failed_with_the_connection_is_waited_for_after_it_is_back() {
    let mut site = Site::new();
    let now = STARTED + 600_000;
    site.poll("meter", now - 300_000, "volts", Quality::bad(Reason::NotConnected));
    let mut back = meter(DeviceState::Live, Some(now));
    back.recovered = Some(at(now - 1_000));
    site.asked = vec![back];
    site.check("meter", now, State::Live);
    site.check_series("meter", now, &[("volts", State::Late)]);
    site.asked[0].answered = Some(at(now + 20_000));
    site.check("meter", now + 20_000, State::Fault);
}

#[test]
fn a_value_behind_a_deadband_may_be_old() {
    let mut site = Site::new();
    let now = STARTED + 600_000;
    site.asked = vec![meter(DeviceState::Live, Some(now))];
    site.poll("meter", now - 100_000, "volts", Quality::GOOD);
    site.poll("meter", now - 600_000, "total", Quality::GOOD);
    site.check_series("meter", now, &[("volts", State::Late), ("total", State::Live)]);
}

#[test]
fn the_runs_before_count_until_the_first_question() {
    let mut site = Site::new();
    site.poll("meter", STARTED - 60_000, "volts", Quality::GOOD);
    site.restart();
    site.asked = vec![meter(DeviceState::Unknown, None)];
    site.check("meter", STARTED + 1_000, State::Live);
    site.check("meter", STARTED + 200_000, State::NotTested);
}
