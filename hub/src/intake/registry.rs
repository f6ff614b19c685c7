//! Which device, which series: the core of the intake, without I/O, clock or entropy of its own.

use std::collections::BTreeMap;

use hub_model::{
    BootStamp, Device, DeviceId, DeviceName, Event, EventRecord, MetricName, Quality, Reason, Sample, Series,
    SeriesId, SeriesKey, Severity, Stamp, Ulid, Unit, UtcMs, Value, ValueType, WallSource,
};
use hub_store::{Append, Catalog, Definition, PublishMark, SampleClass, Urgency};
use southbound::ingest::DevicePublish;
use southbound_wire::{DeviceEvent, DeviceMessage, Reading};

use super::LastValue;
use crate::clock::EARLIEST_PLAUSIBLE;

/// Ten random bytes for a new id.
pub type Entropy = [u8; 10];

/// How much devices may define. Past a bound the message or reading is refused for good and counted: what one
/// client invents must not take the room of the others, nor the hub's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Devices of the site.
    pub devices_max: usize,
    /// Series of the site, former ones included.
    pub series_max: usize,
    /// Metrics of one device.
    pub metrics_per_device_max: usize,
}

impl Default for Limits {
    /// A large site has hundreds of devices with tens of metrics; ten times that still fits into 60 MB.
    fn default() -> Limits {
        Limits { devices_max: 10_000, series_max: 100_000, metrics_per_device_max: 1_000 }
    }
}

/// Why something a device said is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A new device beyond [`Limits::devices_max`]: the whole message.
    DeviceLimit,
    /// A new series beyond [`Limits::series_max`]: that reading.
    SeriesLimit,
    /// A new metric beyond [`Limits::metrics_per_device_max`]: that reading.
    MetricLimit,
    /// "No reading" of a metric that never had one, so that its type is unknown: that reading.
    NullOfUnknown,
    /// The log refused the append (too large for one commit): the whole message.
    Log,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 5] = [
        Refusal::DeviceLimit,
        Refusal::SeriesLimit,
        Refusal::MetricLimit,
        Refusal::NullOfUnknown,
        Refusal::Log,
    ];

    /// The word in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::DeviceLimit => "device-limit",
            Refusal::SeriesLimit => "series-limit",
            Refusal::MetricLimit => "metric-limit",
            Refusal::NullOfUnknown => "null-of-unknown-metric",
            Refusal::Log => "log",
        }
    }
}

/// What the intake has done since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages taken from drivers.
    pub messages: u64,
    /// Readings handed to the log.
    pub samples: u64,
    /// Events handed to the log.
    pub events: u64,
    /// Resends the log recognised.
    pub duplicates: u64,
    /// By [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
}

/// Every device and series, and what they said last.
#[derive(Debug)]
pub struct Registry {
    catalog: Catalog,
    limits: Limits,
    /// Of each metric the series it used last: nulls go there, and almost every value.
    latest: BTreeMap<DeviceId, BTreeMap<MetricName, SeriesId>>,
    device_count: usize,
    series_count: usize,
    last: BTreeMap<SeriesId, LastValue>,
    heard: BTreeMap<DeviceId, BootStamp>,
    counts: Counts,
}

impl Registry {
    /// A registry that knows what the log knows. Of a metric with several series the newest counts as used last.
    pub fn new(catalog: Catalog, limits: Limits) -> Registry {
        let mut latest: BTreeMap<DeviceId, BTreeMap<MetricName, SeriesId>> = BTreeMap::new();
        for series in catalog.all_series() {
            latest.entry(series.key.device).or_default().insert(series.key.metric.clone(), series.id);
        }
        Registry {
            device_count: catalog.devices().count(),
            series_count: catalog.all_series().count(),
            catalog,
            limits,
            latest,
            last: BTreeMap::new(),
            heard: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// The definitions, kept up to date by what comes in.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What a series said last.
    pub fn last(&self, series: SeriesId) -> Option<&LastValue> {
        self.last.get(&series)
    }

    /// The series a metric used last.
    pub fn latest(&self, device: DeviceId, metric: &MetricName) -> Option<SeriesId> {
        self.latest.get(&device)?.get(metric).copied()
    }

    /// Takes in a definition made elsewhere (a clock record).
    pub fn learn(&mut self, definition: &Definition) {
        self.catalog.insert(definition);
    }

    /// Takes in a reading of an earlier run, as the log has it, so that lists do not start empty. Oldest first.
    pub fn recall(&mut self, sample: &Sample) {
        let Some(series) = self.catalog.series(sample.series) else { return };
        let (device, metric) = (series.key.device, series.key.metric.clone());
        self.latest.entry(device).or_default().insert(metric, sample.series);
        self.last.insert(sample.series, sample.into());
        self.heard.insert(device, sample.received);
    }

    /// When a device was last heard, as far as known.
    pub fn heard(&self, device: DeviceId) -> Option<BootStamp> {
        self.heard.get(&device).copied()
    }

    /// How many devices and series are known.
    pub fn sizes(&self) -> (usize, usize) {
        (self.device_count, self.series_count)
    }

    /// How many devices were heard at or after a moment of this boot.
    pub fn heard_since(&self, since: BootStamp) -> usize {
        self.heard.values().filter(|at| at.boot == since.boot && at.mono_ms >= since.mono_ms).count()
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts a message the log refused.
    pub fn count_refused(&mut self, refusal: Refusal) {
        self.counts.refused[refusal as usize] += 1;
    }

    /// Counts a resend the log recognised.
    pub fn count_duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// Turns a message into an append. New devices and series are taken into the registry right away: an append that
    /// then fails must at least get its definitions stored (see [`super::Intake`]), or later ones would use ids
    /// nobody can explain. `None`: nothing of it can be stored, now or later.
    ///
    /// `wall` is the hub's time as far as known, for the sortable part of a new id only.
    pub fn plan(
        &mut self,
        publish: &DevicePublish,
        wall: UtcMs,
        entropy: &mut dyn FnMut() -> Entropy,
    ) -> Option<Append> {
        self.counts.messages += 1;
        let mut append = Append {
            mark: publish.mark.map(mark),
            urgency: if publish.stored.is_some() { Urgency::Publisher } else { Urgency::Lazy },
            sample_class: SampleClass::Telemetry,
            ..Append::default()
        };
        let device = self.device(&publish.device, wall, entropy, &mut append)?;
        match &publish.message {
            DeviceMessage::Telemetry(readings) => {
                for reading in readings {
                    match self.sample(device, reading, publish.received, &mut append) {
                        Ok(sample) => append.samples.push(sample),
                        Err(refusal) => self.count_refused(refusal),
                    }
                }
            }
            DeviceMessage::Event(event) => {
                if event.severity == Severity::Alarm {
                    append.urgency = Urgency::Now;
                }
                append.events.push(event_record(device, event, publish.received));
            }
        }
        (!append.is_empty()).then_some(append)
    }

    /// After the log took an append: last values and counts.
    pub fn note(&mut self, device: &DeviceName, received: BootStamp, append: &Accepted) {
        for (series, value) in &append.last {
            self.last.insert(*series, value.clone());
        }
        if let Some(device) = self.catalog.device_by_name(device.as_str()) {
            self.heard.insert(device.id, received);
        }
        self.counts.samples += append.samples;
        self.counts.events += append.events;
    }

    fn device(
        &mut self,
        name: &DeviceName,
        wall: UtcMs,
        entropy: &mut dyn FnMut() -> Entropy,
        append: &mut Append,
    ) -> Option<DeviceId> {
        if let Some(device) = self.catalog.device_by_name(name.as_str()) {
            return Some(device.id);
        }
        if self.device_count >= self.limits.devices_max {
            self.count_refused(Refusal::DeviceLimit);
            return None;
        }
        let time_ms = u64::try_from(wall.0.max(EARLIEST_PLAUSIBLE.0)).unwrap_or(0);
        let id = DeviceId::new(Ulid::new(time_ms, entropy()));
        self.define(Definition::Device(Device { id, name: name.clone() }), append);
        self.device_count += 1;
        Some(id)
    }

    fn sample(
        &mut self,
        device: DeviceId,
        reading: &Reading,
        received: BootStamp,
        append: &mut Append,
    ) -> Result<Sample, Refusal> {
        let stamp = stamp_of(reading.ts, received);
        match &reading.value {
            Some(value) => {
                let series = self.series(device, &reading.metric, value.value_type(), append)?;
                let value = Some(Value::clone(value));
                Ok(Sample { series, stamp, received, value, quality: Quality::GOOD })
            }
            None => {
                let series = self.latest(device, &reading.metric).ok_or(Refusal::NullOfUnknown)?;
                Ok(Sample {
                    series,
                    stamp,
                    received,
                    value: None,
                    quality: Quality::bad(Reason::NotReported),
                })
            }
        }
    }

    fn series(
        &mut self,
        device: DeviceId,
        metric: &MetricName,
        value_type: ValueType,
        append: &mut Append,
    ) -> Result<SeriesId, Refusal> {
        let latest = self.latest(device, metric);
        if let Some(id) = latest
            && self
                .catalog
                .series(id)
                .is_some_and(|s| s.key.value_type == value_type && s.key.unit == Unit::none())
        {
            return Ok(id);
        }
        let key = SeriesKey { device, metric: metric.clone(), value_type, unit: Unit::none() };
        let id = match self.catalog.series_by_key(&key) {
            Some(id) => id,
            None => self.new_series(key, latest.is_none(), append)?,
        };
        self.latest.entry(device).or_default().insert(metric.clone(), id);
        Ok(id)
    }

    fn new_series(
        &mut self,
        key: SeriesKey,
        new_metric: bool,
        append: &mut Append,
    ) -> Result<SeriesId, Refusal> {
        if self.series_count >= self.limits.series_max {
            return Err(Refusal::SeriesLimit);
        }
        let metrics = self.latest.get(&key.device).map_or(0, BTreeMap::len);
        if new_metric && metrics >= self.limits.metrics_per_device_max {
            return Err(Refusal::MetricLimit);
        }
        let id = self.catalog.next_series_id();
        self.define(Definition::Series(Series { id, key, dictionary: Vec::new() }), append);
        self.series_count += 1;
        Ok(id)
    }

    fn define(&mut self, definition: Definition, append: &mut Append) {
        self.catalog.insert(&definition);
        append.definitions.push(definition);
    }
}

/// What is kept of an append for the moment the log has taken it.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    last: Vec<(SeriesId, LastValue)>,
    samples: u64,
    events: u64,
}

impl From<&Append> for Accepted {
    fn from(append: &Append) -> Accepted {
        Accepted {
            last: append.samples.iter().map(|sample| (sample.series, sample.into())).collect(),
            samples: u64::try_from(append.samples.len()).unwrap_or(u64::MAX),
            events: u64::try_from(append.events.len()).unwrap_or(u64::MAX),
        }
    }
}

fn stamp_of(stated: Option<UtcMs>, received: BootStamp) -> Stamp {
    stated.map_or(Stamp::Boot(received), |utc| Stamp::Wall(utc, WallSource::Device))
}

fn event_record(device: DeviceId, event: &DeviceEvent, received: BootStamp) -> EventRecord {
    EventRecord {
        device: Some(device),
        stamp: stamp_of(event.ts, received),
        received,
        event: Event {
            id: event.id.clone(),
            severity: event.severity,
            code: event.code.clone(),
            params: event.params.clone(),
            text: event.text.clone(),
        },
    }
}

fn mark(mark: southbound::ingest::PublishMark) -> PublishMark {
    PublishMark {
        incarnation: mark.incarnation,
        packet_id: mark.packet_id,
        content_hash: mark.content_hash,
        dup: mark.dup,
    }
}

#[cfg(test)]
mod tests {
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

    fn say(registry: &mut Registry, device: &str, readings: Vec<Reading>) -> Option<Append> {
        let publish = DevicePublish {
            device: device.parse().unwrap(),
            message: DeviceMessage::Telemetry(readings),
            received: AT,
            mark: None,
            stored: None,
        };
        let mut id = [0; 10];
        id[..device.len()].copy_from_slice(device.as_bytes());
        let append = registry.plan(&publish, WALL, &mut || id);
        if let Some(append) = &append {
            registry.note(&publish.device, AT, &append.into());
        }
        append
    }

    fn number(value: f64) -> Option<Value> {
        Some(Value::F64(value))
    }

    #[test]
    fn the_first_message_defines_device_and_series_in_the_same_append() {
        let mut registry = registry(Limits::default());
        let append =
            say(&mut registry, "boiler", vec![reading("t", number(1.0)), reading("p", number(2.0))]).unwrap();
        let [Definition::Device(device), Definition::Series(t), Definition::Series(p)] =
            &append.definitions[..]
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
        let again = say(&mut registry, "boiler", vec![reading("t", number(3.0))]).unwrap();
        assert!(again.definitions.is_empty());
        assert_eq!(registry.last(t.id).unwrap().value, number(3.0));
        assert_eq!(registry.sizes(), (1, 2));
        assert_eq!(registry.counts().samples, 3);
    }

    #[test]
    fn one_message_with_the_same_new_metric_twice_defines_it_once() {
        let mut registry = registry(Limits::default());
        let append =
            say(&mut registry, "a", vec![reading("t", number(1.0)), reading("t", number(2.0))]).unwrap();
        assert_eq!(append.definitions.len(), 2);
        assert_eq!(append.samples.len(), 2);
    }

    #[test]
    fn another_type_is_another_series_and_an_old_type_finds_its_series_again() {
        let mut registry = registry(Limits::default());
        let series = |append: Option<Append>| append.unwrap().samples[0].series;
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
        // The device itself is worth remembering even when its first message has nothing else.
        let first = say(&mut registry, "a", vec![reading("t", None)]).unwrap();
        assert!(first.samples.is_empty() && first.definitions.len() == 1);
        assert_eq!(registry.counts().refused[Refusal::NullOfUnknown as usize], 1);
        assert!(say(&mut registry, "a", vec![reading("t", None)]).is_none());
        say(&mut registry, "a", vec![reading("t", number(1.0))]);
        let append = say(&mut registry, "a", vec![reading("t", None)]).unwrap();
        assert_eq!(append.samples[0].quality, Quality::bad(Reason::NotReported));
        assert_eq!(append.samples[0].value, None);
    }

    #[test]
    fn what_is_beyond_a_bound_is_refused_and_the_rest_stands() {
        let limits = Limits { devices_max: 2, series_max: 3, metrics_per_device_max: 2 };
        let mut registry = registry(limits);
        let names = ["x", "y", "z"].map(|metric| reading(metric, number(1.0)));
        let append = say(&mut registry, "a", names.to_vec()).unwrap();
        assert_eq!(append.samples.len(), 2);
        assert_eq!(say(&mut registry, "b", names.to_vec()).unwrap().samples.len(), 1);
        assert!(say(&mut registry, "c", names.to_vec()).is_none());
        let refused = registry.counts().refused;
        assert_eq!(refused[Refusal::MetricLimit as usize], 1);
        assert_eq!(refused[Refusal::SeriesLimit as usize], 2);
        assert_eq!(refused[Refusal::DeviceLimit as usize], 1);
        // Known ones go on.
        assert_eq!(say(&mut registry, "a", names.to_vec()).unwrap().samples.len(), 2);
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
            message: DeviceMessage::Telemetry(vec![Reading {
                ts: Some(UtcMs(9)),
                ..reading("t", number(1.0))
            }]),
            received: AT,
            mark: None,
            stored: Some(stored),
        };
        let append = registry.plan(&publish, WALL, &mut || [0; 10]).unwrap();
        assert_eq!(append.urgency, Urgency::Publisher);
        assert_eq!(append.samples[0].stamp, Stamp::Wall(UtcMs(9), WallSource::Device));
        assert_eq!(append.samples[0].received, AT);
        publish.stored = None;
        assert_eq!(registry.plan(&publish, WALL, &mut || [0; 10]).unwrap().urgency, Urgency::Lazy);
        publish.message = DeviceMessage::Event(event);
        let append = registry.plan(&publish, WALL, &mut || [0; 10]).unwrap();
        assert_eq!(append.urgency, Urgency::Now);
        assert_eq!(append.events[0].stamp, Stamp::Wall(UtcMs(5), WallSource::Device));
    }

    #[test]
    fn a_restarted_registry_knows_what_the_log_knew() {
        let mut before = registry(Limits::default());
        let series = say(&mut before, "a", vec![reading("t", number(1.0))]).unwrap().samples[0].series;
        let mut after = Registry::new(before.catalog().clone(), Limits::default());
        let append = say(&mut after, "a", vec![reading("t", number(2.0))]).unwrap();
        assert!(append.definitions.is_empty());
        assert_eq!(append.samples[0].series, series);
    }
}
