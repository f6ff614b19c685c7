//! Which device, which series: the core of the intake, without I/O, clock or entropy of its own.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hub_model::{
    BootStamp, Device, DeviceId, DeviceName, Event, EventRecord, MetricName, Quality, Reason, Sample, Series,
    SeriesId, SeriesKey, Severity, Stamp, Ulid, Unit, UtcMs, Value, ValueType, WallSource,
};
use hub_store::{Append, Catalog, Definition, PublishMark, Publisher, Urgency};
use southbound::ingest::{Content, DevicePublish, Polled};
use southbound::modbus::is_gateway_exception;
use southbound_wire::{DeviceEvent, DeviceMessage, Reading};

use super::{Heard, LastValue, Refusal};
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

/// What the intake has done since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages taken from drivers.
    pub messages: u64,
    /// Readings on flash; a recognised resend counts no second time.
    pub samples: u64,
    /// Events on flash, likewise.
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
    last: BTreeMap<SeriesId, Heard>,
    heard: BTreeMap<DeviceId, BootStamp>,
    /// The last reading of an earlier run: until then the hub listened.
    recalled_to: Option<BootStamp>,
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
            recalled_to: None,
            counts: Counts::default(),
        }
    }

    /// The definitions, kept up to date by what comes in.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What a series said last.
    pub fn last(&self, series: SeriesId) -> Option<&LastValue> {
        self.last.get(&series).map(|heard| &heard.last)
    }

    /// What is known of a series that was heard.
    pub fn series_heard(&self, series: SeriesId) -> Option<&Heard> {
        self.last.get(&series)
    }

    /// The metrics of a device by name, each with the series it used last.
    pub fn metrics(&self, device: DeviceId) -> impl Iterator<Item = (&MetricName, SeriesId)> {
        self.latest.get(&device).into_iter().flatten().map(|(metric, series)| (metric, *series))
    }

    /// When an earlier run heard anything last, as far as known.
    pub fn recalled_to(&self) -> Option<BootStamp> {
        self.recalled_to
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
        self.take_last(sample.series, sample.into());
        self.heard.insert(device, sample.received);
        let at = sample.received;
        let is_older = self.recalled_to.is_some_and(|to| to.boot == at.boot && to.mono_ms > at.mono_ms);
        if !is_older {
            self.recalled_to = Some(at);
        }
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

    /// Counts a resend the log recognised. It says nothing new: a later reading may be known already.
    pub fn count_duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// Turns a message into an append. New devices and series are taken into the registry right away: an append that
    /// then fails must at least get its definitions stored (see [`super::Intake`]), or later ones would use ids
    /// nobody can explain. A known device counts as heard, whatever becomes of its message.
    ///
    /// `wall` is the hub's time as far as known, for the sortable part of a new id only.
    pub fn plan(
        &mut self,
        publish: &DevicePublish,
        wall: UtcMs,
        entropy: &mut dyn FnMut() -> Entropy,
    ) -> Plan {
        self.counts.messages += 1;
        let mut plan = Plan::default();
        plan.append.mark = publish.mark.map(mark);
        plan.append.publisher =
            publish.publisher.map(|waits| Publisher { id: waits.id, at_limit: waits.at_limit });
        plan.append.urgency = if publish.stored.is_some() { Urgency::Publisher } else { Urgency::Lazy };
        let Some(device) = self.device(&publish.device, wall, entropy, &mut plan.append) else {
            self.count_refused(Refusal::DeviceLimit);
            plan.refused.push((Refusal::DeviceLimit, None));
            return plan;
        };
        match &publish.content {
            Content::Message(DeviceMessage::Telemetry(readings)) => {
                self.heard.insert(device, publish.received);
                for reading in readings {
                    let sample = self.sample(device, reading, publish.received, &mut plan.append);
                    self.take(sample, &reading.metric, &mut plan);
                }
            }
            Content::Polled(readings) => {
                if readings.iter().any(is_sign_of_life) {
                    self.heard.insert(device, publish.received);
                }
                for reading in readings {
                    let sample = self.polled(device, reading, &mut plan.append);
                    self.take(sample, &reading.metric, &mut plan);
                }
            }
            Content::Message(DeviceMessage::Event(event)) => {
                self.heard.insert(device, publish.received);
                if event.severity == Severity::Alarm {
                    plan.append.urgency = Urgency::Now;
                }
                plan.append.events.push(event_record(device, event, publish.received));
            }
        }
        plan
    }

    /// After the log has stored an append, and not recognised it as a resend: last values and counts. A reading that was
    /// held back while a newer one passed it is not the last one.
    pub fn note(&mut self, stored: &Accepted) {
        for (series, value) in &stored.last {
            let known = self.last.get(series).map(|heard| heard.last.received);
            let at = value.received;
            if known.is_some_and(|known| known.boot == at.boot && known.mono_ms > at.mono_ms) {
                continue;
            }
            self.take_last(*series, value.clone());
        }
        self.counts.samples += stored.samples;
        self.counts.events += stored.events;
    }

    fn take_last(&mut self, series: SeriesId, last: LastValue) {
        match self.last.entry(series) {
            Entry::Occupied(mut known) => known.get_mut().take(last),
            Entry::Vacant(place) => {
                place.insert(Heard::first(last));
            }
        }
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
            return None;
        }
        let time_ms = u64::try_from(wall.0.max(EARLIEST_PLAUSIBLE.0)).unwrap_or(0);
        let id = DeviceId::new(Ulid::new(time_ms, entropy()));
        self.define(Definition::Device(Device { id, name: name.clone() }), append);
        self.device_count += 1;
        Some(id)
    }

    /// A sample goes into the append; what is refused is counted and told.
    fn take(&mut self, sample: Result<Sample, Refusal>, metric: &MetricName, plan: &mut Plan) {
        match sample {
            Ok(sample) => plan.append.samples.push(sample),
            Err(refusal) => {
                self.count_refused(refusal);
                plan.refused.push((refusal, Some(metric.clone())));
            }
        }
    }

    /// A reading the hub asked for. Its series is known also when it failed.
    fn polled(&mut self, device: DeviceId, reading: &Polled, append: &mut Append) -> Result<Sample, Refusal> {
        let Polled { metric, unit, value_type, value, quality, at } = reading;
        let series = self.series(device, metric, *value_type, unit, append)?;
        Ok(Sample { series, stamp: Stamp::Boot(*at), received: *at, value: value.clone(), quality: *quality })
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
                let series =
                    self.series(device, &reading.metric, value.value_type(), &Unit::none(), append)?;
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
        unit: &Unit,
        append: &mut Append,
    ) -> Result<SeriesId, Refusal> {
        let latest = self.latest(device, metric);
        if let Some(id) = latest
            && self.catalog.series(id).is_some_and(|s| s.key.value_type == value_type && s.key.unit == *unit)
        {
            return Ok(id);
        }
        let key = SeriesKey { device, metric: metric.clone(), value_type, unit: unit.clone() };
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

/// What the registry makes of a message.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is to be stored; perhaps only definitions, or nothing at all.
    pub append: Append,
    /// What is refused, already counted: a reading with its metric, or the whole message.
    pub refused: Vec<(Refusal, Option<MetricName>)>,
}

impl Plan {
    /// Whether anything the device said is in it. Where nothing is, the message is refused, even though its device
    /// is worth remembering.
    pub fn holds_message(&self) -> bool {
        !self.append.samples.is_empty() || !self.append.events.is_empty()
    }
}

/// What is kept of an append for the moment the log has stored it.
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

/// Whether a device was there to be read: an exception is an answer too, but for those a gateway gives in its place.
fn is_sign_of_life(reading: &Polled) -> bool {
    match reading.quality.reason() {
        Reason::NoAnswer | Reason::NotConnected | Reason::Stale | Reason::Malformed => false,
        Reason::Exception => !is_gateway_exception(reading.quality.detail()),
        Reason::None
        | Reason::OutOfRange
        | Reason::Unsupported
        | Reason::Substituted
        | Reason::NotReported => true,
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
mod tests;
