//! What the registry makes of messages.

use super::*;
use hub_model::BootId;

const BOOT: BootId = BootId::from_bytes([1; 16]);
const WALL: UtcMs = UtcMs(EARLIEST_PLAUSIBLE.0 + 5);
const AT: BootStamp = BootStamp { boot: BOOT, mono_ms: 7 };

fn registry(limits: Limits) -> Registry {
    Registry::new(Catalog::default(), limits)
}

fn reading(metric: &str, value: Option<Value>) -> Reading {
    Reading { metric: metric.parse().unwrap(), value, ts: None }
}

/// Plans a message, and notes it as the log would have it stored.
fn hear(registry: &mut Registry, device: &str, readings: Vec<Reading>) -> Plan {
    let publish = DevicePublish {
        device: device.parse().unwrap(),
        content: Content::Message(DeviceMessage::Telemetry(readings)),
        received: AT,
        mark: None,
        stored: None,
        publisher: None,
    };
    let mut id = [0; 10];
    id[..device.len()].copy_from_slice(device.as_bytes());
    let plan = registry.plan(&publish, WALL, &mut || id);
    if plan.holds_message() {
        registry.note(&(&plan.append).into());
    }
    plan
}

/// A message of which something can be stored.
fn say(registry: &mut Registry, device: &str, readings: Vec<Reading>) -> Append {
    let plan = hear(registry, device, readings);
    assert!(plan.holds_message(), "{plan:?}");
    plan.append
}

fn number(value: f64) -> Option<Value> {
    Some(Value::F64(value))
}

#[test]
fn the_first_message_defines_device_and_series_in_the_same_append() {
    let mut registry = registry(Limits::default());
    let append = say(&mut registry, "boiler", vec![reading("t", number(1.0)), reading("p", number(2.0))]);
    let [Definition::Device(device), Definition::Series(t), Definition::Series(p)] = &append.definitions[..]
    else {
        panic!("{append:?}")
    };
    assert_eq!(device.name.as_str(), "boiler");
    assert!(device.id >= DeviceId::new(Ulid::new(u64::try_from(WALL.0).unwrap(), [0; 10])));
    assert_eq!((t.id, p.id), (SeriesId(1), SeriesId(2)));
    assert_eq!(
        append.samples,
        [Sample::observed(t.id, AT, Value::F64(1.0)), Sample::observed(p.id, AT, Value::F64(2.0))]
    );
    let again = say(&mut registry, "boiler", vec![reading("t", number(3.0))]);
    assert!(again.definitions.is_empty());
    assert_eq!(registry.last(t.id).unwrap().value, number(3.0));
    assert_eq!(registry.sizes(), (1, 2));
    assert_eq!(registry.counts().samples, 3);
}

#[test]
fn one_message_with_the_same_new_metric_twice_defines_it_once() {
    let mut registry = registry(Limits::default());
    let append = say(&mut registry, "a", vec![reading("t", number(1.0)), reading("t", number(2.0))]);
    assert_eq!(append.definitions.len(), 2);
    assert_eq!(append.samples.len(), 2);
}

#[test]
fn another_type_is_another_series_and_an_old_type_finds_its_series_again() {
    let mut registry = registry(Limits::default());
    let series = |append: Append| append.samples[0].series;
    let first = series(say(&mut registry, "a", vec![reading("t", number(1.0))]));
    let text = series(say(&mut registry, "a", vec![reading("t", Some(Value::string("hot").unwrap()))]));
    assert_ne!(first, text);
    assert_eq!(series(say(&mut registry, "a", vec![reading("t", None)])), text);
    assert_eq!(series(say(&mut registry, "a", vec![reading("t", number(2.0))])), first);
    assert_eq!(series(say(&mut registry, "a", vec![reading("t", None)])), first);
    assert_eq!(registry.sizes(), (1, 2));
}

#[test]
fn null_is_a_failed_reading_and_refused_when_nothing_is_known() {
    let mut registry = registry(Limits::default());
    // The message is refused, but the device itself is worth remembering.
    let refused = vec![(Refusal::NullOfUnknown, Some("t".parse().unwrap()))];
    let first = hear(&mut registry, "a", vec![reading("t", None)]);
    assert_eq!((first.append.definitions.len(), &first.refused), (1, &refused));
    assert_eq!(registry.counts().refused[Refusal::NullOfUnknown as usize], 1);
    let second = hear(&mut registry, "a", vec![reading("t", None)]);
    assert_eq!((second.append.definitions.len(), &second.refused), (0, &refused));
    assert_eq!(registry.counts().samples, 0);
    assert_eq!(registry.heard(registry.catalog().device_by_name("a").unwrap().id), Some(AT));
    say(&mut registry, "a", vec![reading("t", number(1.0))]);
    let append = say(&mut registry, "a", vec![reading("t", None)]);
    assert_eq!(append.samples[0].quality, Quality::bad(Reason::NotReported));
    assert_eq!(append.samples[0].value, None);
}

#[test]
fn what_is_beyond_a_bound_is_refused_and_the_rest_stands() {
    let limits = Limits { devices_max: 2, series_max: 3, metrics_per_device_max: 2 };
    let mut registry = registry(limits);
    let names = ["x", "y", "z"].map(|metric| reading(metric, number(1.0)));
    let append = say(&mut registry, "a", names.to_vec());
    assert_eq!(append.samples.len(), 2);
    assert_eq!(say(&mut registry, "b", names.to_vec()).samples.len(), 1);
    let refused = hear(&mut registry, "c", names.to_vec());
    assert!(refused.append.is_empty());
    assert_eq!(refused.refused, [(Refusal::DeviceLimit, None)]);
    let refused = registry.counts().refused;
    assert_eq!(refused[Refusal::MetricLimit as usize], 1);
    assert_eq!(refused[Refusal::SeriesLimit as usize], 2);
    assert_eq!(refused[Refusal::DeviceLimit as usize], 1);
    // Known ones go on.
    assert_eq!(say(&mut registry, "a", names.to_vec()).samples.len(), 2);
}

#[test]
fn a_stated_time_is_kept_and_urgency_follows_who_waits() {
    let mut registry = registry(Limits::default());
    let (stored, _wait) = tokio::sync::oneshot::channel();
    let event = DeviceEvent {
        id: "".into(),
        severity: Severity::Alarm,
        code: "door".into(),
        text: "open".into(),
        ts: Some(UtcMs(5)),
        params: Vec::new(),
    };
    let mut publish = DevicePublish {
        device: "a".parse().unwrap(),
        content: Content::Message(DeviceMessage::Telemetry(vec![Reading {
            ts: Some(UtcMs(9)),
            ..reading("t", number(1.0))
        }])),
        received: AT,
        mark: None,
        stored: Some(stored),
        publisher: Some(southbound::ingest::Publisher { id: 3, at_limit: true }),
    };
    let append = registry.plan(&publish, WALL, &mut || [0; 10]).append;
    assert_eq!(append.urgency, Urgency::Publisher);
    assert_eq!(append.publisher.map(|p| (p.id, p.at_limit)), Some((3, true)));
    assert_eq!(append.samples[0].stamp, Stamp::Wall(UtcMs(9), WallSource::Device));
    assert_eq!(append.samples[0].received, AT);
    publish.stored = None;
    assert_eq!(registry.plan(&publish, WALL, &mut || [0; 10]).append.urgency, Urgency::Lazy);
    publish.content = Content::Message(DeviceMessage::Event(event));
    let append = registry.plan(&publish, WALL, &mut || [0; 10]).append;
    assert_eq!(append.urgency, Urgency::Now);
    assert_eq!(append.events[0].stamp, Stamp::Wall(UtcMs(5), WallSource::Device));
}

#[test]
fn a_restarted_registry_knows_what_the_log_knew() {
    let mut before = registry(Limits::default());
    let series = say(&mut before, "a", vec![reading("t", number(1.0))]).samples[0].series;
    let mut after = Registry::new(before.catalog().clone(), Limits::default());
    let append = say(&mut after, "a", vec![reading("t", number(2.0))]);
    assert!(append.definitions.is_empty());
    assert_eq!(append.samples[0].series, series);
}

/// A cycle of a poller, planned and noted.
fn poll(registry: &mut Registry, readings: Vec<Polled>) -> Append {
    let publish = DevicePublish {
        device: "meter".parse().unwrap(),
        content: Content::Polled(readings),
        received: BootStamp { boot: BOOT, mono_ms: 99 },
        mark: None,
        stored: None,
        publisher: None,
    };
    let plan = registry.plan(&publish, WALL, &mut || [1; 10]);
    assert!(plan.holds_message(), "{plan:?}");
    registry.note(&(&plan.append).into());
    plan.append
}

fn polled(unit: &str, value: Option<Value>, quality: Quality) -> Polled {
    let (metric, unit) = ("power".parse().unwrap(), unit.parse().unwrap());
    Polled { metric, unit, value_type: ValueType::F32, value, quality, at: AT }
}

#[test]
fn a_polled_reading_has_its_unit_its_moment_and_its_series_also_when_it_failed() {
    let mut registry = registry(Limits::default());
    let no_answer = Quality::bad(Reason::NoAnswer);
    let append = poll(&mut registry, vec![polled("W", None, no_answer)]);
    let [Definition::Device(device), Definition::Series(power)] = &append.definitions[..] else {
        panic!("{append:?}")
    };
    assert_eq!((power.key.unit.as_str(), power.key.value_type), ("W", ValueType::F32));
    let failed =
        Sample { series: power.id, stamp: Stamp::Boot(AT), received: AT, value: None, quality: no_answer };
    assert_eq!(append.samples, [failed]);
    assert_eq!(registry.heard(device.id), None, "a device that does not answer was not heard");
    let value = Value::F32(7.0);
    let good = poll(&mut registry, vec![polled("W", Some(value.clone()), Quality::GOOD)]);
    assert_eq!(good.samples, [Sample::observed(power.id, AT, value)]);
    assert!(good.definitions.is_empty());
    assert!(registry.heard(device.id).is_some());
    let other_unit = poll(&mut registry, vec![polled("kW", Some(Value::F32(0.007)), Quality::GOOD)]);
    assert_ne!(other_unit.samples[0].series, power.id, "another unit is another series");
}

#[test]
fn an_exception_is_a_sign_of_life_unless_a_gateway_gives_it() {
    for (code, is_heard) in [(2, true), (6, true), (10, false), (11, false)] {
        let mut registry = registry(Limits::default());
        let quality = Quality::new(hub_model::Level::Bad, Reason::Exception, code);
        poll(&mut registry, vec![polled("W", None, quality)]);
        let device = registry.catalog().device_by_name("meter").unwrap().id;
        assert_eq!(registry.heard(device).is_some(), is_heard, "exception {code}");
    }
}
