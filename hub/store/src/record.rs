//! Records as bytes: samples, events and definitions, the same in WAL frames and in the blocks of classes 0–3.
//!
//! Stamps are written relative to a base (a monotonic millisecond) of one boot, which stands in the frame or block
//! around them.

use hub_model::{
    BootId, BootStamp, ClockQuality, ClockRecord, Device, DeviceId, DeviceName, Event, EventRecord,
    MetricName, Quality, Sample, Series, SeriesId, SeriesKey, Severity, Stamp, TEXT_BYTES_MAX, Unit, UtcMs,
    Value, ValueType, WallSource,
};

use crate::field::{Malformed, Put, Reader, unzigzag, zigzag};

/// The longest code or id of an event, and the longest name of a parameter, in bytes.
pub(crate) const EVENT_CODE_BYTES_MAX: usize = 64;
/// The longest value of an event's parameter, in bytes.
pub(crate) const EVENT_PARAM_BYTES_MAX: usize = 256;
/// The most parameters of an event.
pub(crate) const EVENT_PARAMS_MAX: usize = 32;
/// The most members of an enum's dictionary.
pub(crate) const DICTIONARY_MAX: usize = 256;
/// The longest label in a dictionary, in bytes.
pub(crate) const LABEL_BYTES_MAX: usize = 64;

/// What other records need to be understood; class meta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A device and its present name.
    Device(Device),
    /// A series.
    Series(Series),
    /// A clock record.
    Clock(ClockRecord),
}

/// One numbered thing in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Classes telemetry and bulk.
    Sample(Sample),
    /// Classes alarm and event.
    Event(EventRecord),
    /// Class meta.
    Definition(Definition),
}

/// The moment a frame's or block's stamps are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) boot: BootId,
    pub(crate) mono_ms: u64,
}

impl Base {
    fn delta(self, stamp: BootStamp) -> u64 {
        zigzag(stamp.mono_ms.wrapping_sub(self.mono_ms).cast_signed())
    }

    fn stamp(self, delta: u64) -> BootStamp {
        BootStamp { boot: self.boot, mono_ms: self.mono_ms.wrapping_add(unzigzag(delta).cast_unsigned()) }
    }
}

const TYPE_MASK: u8 = 0x0f;
const HAS_QUALITY: u8 = 0x10;
const HAS_WALL: u8 = 0x20;

pub(crate) fn put_sample(out: &mut Vec<u8>, base: Base, sample: &Sample) {
    let mut head = sample.value.as_ref().map_or(0, |v| v.value_type().number());
    if sample.quality != Quality::GOOD {
        head |= HAS_QUALITY;
    }
    let (observed, wall) = match sample.stamp {
        Stamp::Boot(at) => (at, None),
        Stamp::Wall(utc, source) => (sample.received, Some((utc, source))),
    };
    if wall.is_some() {
        head |= HAS_WALL;
    }
    out.put_u8(head);
    out.put_varint(u64::from(sample.series.0));
    out.put_varint(base.delta(observed));
    if let Some((utc, source)) = wall {
        out.put_signed(utc.0);
        out.put_u8(source as u8);
    }
    if sample.quality != Quality::GOOD {
        out.put_u16(sample.quality.bits());
    }
    if let Some(value) = &sample.value {
        put_value(out, value);
    }
}

pub(crate) fn read_sample(r: &mut Reader<'_>, base: Base) -> Result<Sample, Malformed> {
    let head = r.u8("sample head")?;
    if head & !(TYPE_MASK | HAS_QUALITY | HAS_WALL) != 0 {
        return Err(Malformed("sample head"));
    }
    let series = SeriesId(r.varint_u32("series id")?);
    let received = base.stamp(r.varint("stamp")?);
    let stamp = if head & HAS_WALL == 0 { Stamp::Boot(received) } else { read_wall(r)? };
    let quality = if head & HAS_QUALITY == 0 {
        Quality::GOOD
    } else {
        Quality::from_bits(r.u16("quality")?).ok_or(Malformed("quality"))?
    };
    let value = match head & TYPE_MASK {
        0 => None,
        number => {
            let value_type = ValueType::from_number(number).ok_or(Malformed("value type"))?;
            Some(read_value(r, value_type)?)
        }
    };
    Ok(Sample { series, stamp, received, value, quality })
}

fn read_wall(r: &mut Reader<'_>) -> Result<Stamp, Malformed> {
    let utc = UtcMs(r.signed("wall time")?);
    let source = WallSource::from_number(r.u8("wall source")?).ok_or(Malformed("wall source"))?;
    Ok(Stamp::Wall(utc, source))
}

pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::F64(v) => out.put_u64(v.to_bits()),
        Value::F32(v) => out.put_u32(v.to_bits()),
        Value::I64(v) => out.put_signed(*v),
        Value::U64(v) => out.put_varint(*v),
        Value::Bool(v) => out.put_u8(u8::from(*v)),
        Value::String(v) => out.put_bytes(v.as_bytes()),
        Value::Bytes(v) => out.put_bytes(v),
        Value::Enum(v) => out.put_varint(u64::from(*v)),
    }
}

pub(crate) fn read_value(r: &mut Reader<'_>, value_type: ValueType) -> Result<Value, Malformed> {
    Ok(match value_type {
        ValueType::F64 => Value::F64(f64::from_bits(r.u64("f64")?)),
        ValueType::F32 => Value::F32(f32::from_bits(r.u32("f32")?)),
        ValueType::I64 => Value::I64(r.signed("i64")?),
        ValueType::U64 => Value::U64(r.varint("u64")?),
        ValueType::Bool => match r.u8("bool")? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(Malformed("bool")),
        },
        ValueType::String => Value::String(r.text(TEXT_BYTES_MAX, "string")?.into()),
        ValueType::Bytes => Value::Bytes(r.bytes(TEXT_BYTES_MAX, "bytes")?.into()),
        ValueType::Enum => Value::Enum(r.varint_u32("enum")?),
    })
}

pub(crate) fn put_event(out: &mut Vec<u8>, base: Base, record: &EventRecord) {
    let (observed, wall) = match record.stamp {
        Stamp::Boot(at) => (at, None),
        Stamp::Wall(utc, source) => (record.received, Some((utc, source))),
    };
    out.put_u8(u8::from(record.device.is_some()) | (u8::from(wall.is_some()) << 1));
    out.put_varint(base.delta(observed));
    if let Some((utc, source)) = wall {
        out.put_signed(utc.0);
        out.put_u8(source as u8);
    }
    if let Some(device) = record.device {
        out.put(&device.to_bytes());
    }
    let event = &record.event;
    out.put_u8(event.severity as u8);
    out.put_bytes(event.id.as_bytes());
    out.put_bytes(event.code.as_bytes());
    out.put_bytes(event.text.as_bytes());
    out.put_varint(event.params.len() as u64);
    for (name, value) in &event.params {
        out.put_bytes(name.as_bytes());
        out.put_bytes(value.as_bytes());
    }
}

pub(crate) fn read_event(r: &mut Reader<'_>, base: Base) -> Result<EventRecord, Malformed> {
    let head = r.u8("event head")?;
    if head > 3 {
        return Err(Malformed("event head"));
    }
    let received = base.stamp(r.varint("stamp")?);
    let stamp = if head & 2 == 0 { Stamp::Boot(received) } else { read_wall(r)? };
    let device = if head & 1 == 0 { None } else { Some(DeviceId::from_bytes(r.array("device id")?)) };
    let severity = Severity::from_number(r.u8("severity")?).ok_or(Malformed("severity"))?;
    let id = r.text(EVENT_CODE_BYTES_MAX, "event id")?.into();
    let code = r.text(EVENT_CODE_BYTES_MAX, "event code")?.into();
    let text = r.text(TEXT_BYTES_MAX, "event text")?.into();
    let count = usize::try_from(r.varint("event params")?).map_err(|_| Malformed("event params"))?;
    if count > EVENT_PARAMS_MAX {
        return Err(Malformed("event params"));
    }
    let mut params = Vec::with_capacity(count);
    for _ in 0..count {
        let name = r.text(EVENT_CODE_BYTES_MAX, "event param")?.into();
        params.push((name, r.text(EVENT_PARAM_BYTES_MAX, "event param")?.into()));
    }
    Ok(EventRecord { device, stamp, received, event: Event { id, severity, code, params, text } })
}

const DEVICE: u8 = 1;
const SERIES: u8 = 2;
const CLOCK: u8 = 3;

pub(crate) fn put_definition(out: &mut Vec<u8>, definition: &Definition) {
    match definition {
        Definition::Device(device) => {
            out.put_u8(DEVICE);
            out.put(&device.id.to_bytes());
            out.put_bytes(device.name.as_str().as_bytes());
        }
        Definition::Series(series) => {
            out.put_u8(SERIES);
            out.put_varint(u64::from(series.id.0));
            out.put(&series.key.device.to_bytes());
            out.put_bytes(series.key.metric.as_str().as_bytes());
            out.put_u8(series.key.value_type.number());
            out.put_bytes(series.key.unit.as_str().as_bytes());
            out.put_varint(series.dictionary.len() as u64);
            for (id, label) in &series.dictionary {
                out.put_varint(u64::from(*id));
                out.put_bytes(label.as_bytes());
            }
        }
        Definition::Clock(clock) => {
            out.put_u8(CLOCK);
            out.put(&clock.boot.to_bytes());
            out.put_varint(clock.mono_from_ms);
            out.put_signed(clock.offset_ms);
            out.put_u8(clock.quality as u8);
            out.put_varint(u64::from(clock.revision));
        }
    }
}

pub(crate) fn read_definition(r: &mut Reader<'_>) -> Result<Definition, Malformed> {
    match r.u8("definition kind")? {
        DEVICE => {
            let id = DeviceId::from_bytes(r.array("device id")?);
            let name: DeviceName =
                r.text(DeviceName::LEN_MAX, "device name")?.parse().map_err(|_| Malformed("device name"))?;
            Ok(Definition::Device(Device { id, name }))
        }
        SERIES => read_series(r).map(Definition::Series),
        CLOCK => Ok(Definition::Clock(ClockRecord {
            boot: BootId::from_bytes(r.array("boot id")?),
            mono_from_ms: r.varint("clock start")?,
            offset_ms: r.signed("clock offset")?,
            quality: ClockQuality::from_number(r.u8("clock quality")?).ok_or(Malformed("clock quality"))?,
            revision: r.varint_u32("clock revision")?,
        })),
        _ => Err(Malformed("definition kind")),
    }
}

fn read_series(r: &mut Reader<'_>) -> Result<Series, Malformed> {
    let id = SeriesId(r.varint_u32("series id")?);
    let device = DeviceId::from_bytes(r.array("device id")?);
    let metric: MetricName =
        r.text(MetricName::LEN_MAX, "metric name")?.parse().map_err(|_| Malformed("metric name"))?;
    let value_type = ValueType::from_number(r.u8("value type")?).ok_or(Malformed("value type"))?;
    let unit: Unit = r.text(Unit::LEN_MAX, "unit")?.parse().map_err(|_| Malformed("unit"))?;
    let count = usize::try_from(r.varint("dictionary")?).map_err(|_| Malformed("dictionary"))?;
    if count > DICTIONARY_MAX {
        return Err(Malformed("dictionary"));
    }
    let mut dictionary = Vec::with_capacity(count);
    for _ in 0..count {
        let id = r.varint_u32("dictionary id")?;
        dictionary.push((id, r.text(LABEL_BYTES_MAX, "dictionary label")?.into()));
    }
    Ok(Series { id, key: SeriesKey { device, metric, value_type, unit }, dictionary })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hub_model::{Level, Reason};
    use proptest::prelude::*;

    pub(crate) const BOOT: BootId = BootId::from_bytes([7; 16]);

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
            any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
            any::<i64>().prop_map(Value::I64),
            any::<u64>().prop_map(Value::U64),
            any::<bool>().prop_map(Value::Bool),
            "\\PC{0,40}".prop_map(|s| Value::String(s.into())),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(|b| Value::Bytes(b.into())),
            any::<u32>().prop_map(Value::Enum),
        ]
    }

    prop_compose! {
        pub(crate) fn any_sample()(
            series: u32, mono in 0u64..1 << 50, wall in proptest::option::of(any::<i64>()),
            value in proptest::option::weighted(0.9, any_value()), detail: u8, uncertain: bool,
        ) -> Sample {
            let received = BootStamp { boot: BOOT, mono_ms: mono };
            let quality = match (&value, uncertain) {
                (None, _) => Quality::new(Level::Bad, Reason::Exception, detail),
                (Some(_), true) => Quality::new(Level::Uncertain, Reason::Stale, 0),
                (Some(_), false) => Quality::GOOD,
            };
            let stamp = wall.map_or(Stamp::Boot(received), |ms| Stamp::Wall(UtcMs(ms), WallSource::Device));
            Sample { series: SeriesId(series), stamp, received, value, quality }
        }
    }

    proptest! {
        #[test]
        fn samples_round_trip(sample in any_sample(), base_ms: u64) {
            let base = Base { boot: BOOT, mono_ms: base_ms };
            let mut out = Vec::new();
            put_sample(&mut out, base, &sample);
            let mut r = Reader::new(&out);
            prop_assert_eq!(read_sample(&mut r, base), Ok(sample));
            prop_assert!(r.is_empty());
        }

        #[test]
        fn any_bytes_are_a_record_or_malformed(bytes: Vec<u8>) {
            let base = Base { boot: BOOT, mono_ms: 0 };
            drop(read_sample(&mut Reader::new(&bytes), base));
            drop(read_event(&mut Reader::new(&bytes), base));
            drop(read_definition(&mut Reader::new(&bytes)));
        }
    }

    #[test]
    fn events_and_definitions_round_trip() {
        let base = Base { boot: BOOT, mono_ms: 500 };
        let received = BootStamp { boot: BOOT, mono_ms: 400 };
        let device = DeviceId::from_bytes([3; 16]);
        let event = EventRecord {
            device: Some(device),
            stamp: Stamp::Wall(UtcMs(-5), WallSource::Device),
            received,
            event: Event {
                id: "42".into(),
                severity: Severity::Alarm,
                code: "door-open".into(),
                params: vec![("door".into(), "north".into())],
                text: "The north door is open".into(),
            },
        };
        let mut out = Vec::new();
        put_event(&mut out, base, &event);
        assert_eq!(read_event(&mut Reader::new(&out), base), Ok(event));

        let key = SeriesKey {
            device,
            metric: "mode".parse().unwrap(),
            value_type: ValueType::Enum,
            unit: "Cel".parse().unwrap(),
        };
        let clock = ClockRecord {
            boot: BOOT,
            mono_from_ms: 9,
            offset_ms: -1,
            quality: ClockQuality::Holdover,
            revision: 3,
        };
        for definition in [
            Definition::Device(Device { id: device, name: "boiler".parse().unwrap() }),
            Definition::Series(Series {
                id: SeriesId(9),
                key,
                dictionary: vec![(0, "off".into()), (1, "on".into())],
            }),
            Definition::Clock(clock),
        ] {
            let mut out = Vec::new();
            put_definition(&mut out, &definition);
            assert_eq!(read_definition(&mut Reader::new(&out)), Ok(definition));
        }
    }
}
