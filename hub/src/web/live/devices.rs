//! Devices and series, as the stream tells of them.

use hub_model::{
    BootClock, BootStamp, ClockQuality, Series as SeriesDefinition, SeriesId, Stamp, Value, ValueType,
};
use hub_ui::live::message::{Device, DeviceKind, Finding, LastValue, Scalar, Series};

use super::super::api::{view_boot, view_stamp};
use crate::findings::of_device;
use crate::intake::{self, Heard};
use crate::roster::{Member, Roster};

/// Values shown in a list of devices.
const HEADLINE: usize = 3;

/// Whole numbers up to this are exact in every JSON reader.
const EXACT_MAX: u64 = 1 << 53;

/// All devices.
pub(super) fn devices(roster: &Roster<'_>, members: &[Member<'_>]) -> Vec<Device> {
    members.iter().map(|member| device(roster, member)).collect()
}

fn device(roster: &Roster<'_>, member: &Member<'_>) -> Device {
    let catalog = roster.registry.catalog();
    let now = roster.silence.now;
    let asked = member.asked.map(|view| &view.device);
    let (series_count, values) = headline(roster, member);
    Device {
        id: member.id.map_or_else(|| format!("file:{}", member.name), |id| id.to_string()),
        name: member.name.to_owned(),
        kind: if asked.is_some() { DeviceKind::Modbus } else { DeviceKind::Mqtt },
        state: member.state,
        heard_at_ms: member.heard.filter(|at| at.boot == now.boot).map(|at| signed(at.mono_ms)),
        heard_time: member.heard.and_then(|at| view_boot(catalog.clock(), at).time),
        interval_ms: member.interval_ms,
        late_after_ms: member.late_after_ms,
        silent_after_ms: member.silent_after_ms,
        series_count,
        values,
        trouble: member.cause.as_ref().map(|cause| trouble(member, cause)),
        endpoint: asked.map(|device| device.endpoint.to_string()),
        unit: asked.map(|device| device.unit),
        profile: asked.and_then(|device| device.profile.clone()),
        tags: asked.map(|device| device.tags.clone()).unwrap_or_default(),
    }
}

fn trouble(member: &Member<'_>, cause: &crate::roster::Cause) -> Finding {
    of_device(member.name, cause)
}

/// How many metrics a device has, and the last values of some: numbers first, the oldest series first.
fn headline(roster: &Roster<'_>, member: &Member<'_>) -> (u64, Vec<LastValue>) {
    let Some(device) = member.id else { return (0, Vec::new()) };
    let catalog = roster.registry.catalog();
    let mut count = 0;
    let mut first: Vec<(bool, SeriesId)> = Vec::with_capacity(HEADLINE + 1);
    for (_, series) in roster.registry.metrics(device) {
        count += 1;
        let is_number = catalog.series(series).is_some_and(|series| is_number(series.key.value_type));
        let place = (!is_number, series);
        if first.len() < HEADLINE || first.last().is_some_and(|last| place < *last) {
            let at = first.partition_point(|known| *known < place);
            first.insert(at, place);
            first.truncate(HEADLINE);
        }
    }
    let value = |(_, series): &(bool, SeriesId)| {
        let definition = catalog.series(*series)?;
        Some(last_value(roster, definition, roster.registry.series_heard(*series)))
    };
    (count, first.iter().filter_map(value).collect())
}

const fn is_number(value_type: ValueType) -> bool {
    match value_type {
        ValueType::F64 | ValueType::F32 | ValueType::I64 | ValueType::U64 => true,
        ValueType::Bool | ValueType::String | ValueType::Bytes | ValueType::Enum => false,
    }
}

/// The series of one device.
pub(super) fn series(roster: &Roster<'_>, member: &Member<'_>) -> Vec<Series> {
    let catalog = roster.registry.catalog();
    let view = |now: &crate::roster::SeriesNow<'_>| {
        let definition = catalog.series(now.series)?;
        let last = last_value(roster, definition, now.heard);
        Some(Series { last, interval_ms: now.interval_ms, state: now.state })
    };
    roster.series(member).iter().filter_map(view).collect()
}

fn last_value(roster: &Roster<'_>, series: &SeriesDefinition, heard: Option<&Heard>) -> LastValue {
    let last = heard.map(|heard| &heard.last);
    let clock = roster.registry.catalog().clock();
    LastValue {
        series: series.id.0,
        metric: series.key.metric.to_string(),
        value_type: series.key.value_type.name(),
        unit: series.key.unit.as_str().to_owned(),
        value: last.and_then(|last| last.value.as_ref()).map(scalar),
        value_omitted: last.is_some_and(|last| last.value_omitted),
        quality: last.map(|last| last.quality.to_string()).unwrap_or_default(),
        at_ms: last.and_then(|last| taken_at_ms(clock, last, roster.silence.now)),
        time: last.and_then(|last| view_stamp(clock, last.stamp, last.received).time),
    }
}

/// When a reading was taken, by the monotonic clock of this boot. A time that the device stated is turned into it, and
/// is never later than the arrival.
fn taken_at_ms(clock: &BootClock, last: &intake::LastValue, now: BootStamp) -> Option<i64> {
    let received_ms = (last.received.boot == now.boot).then(|| signed(last.received.mono_ms));
    let Stamp::Wall(utc, _) = last.stamp else { return received_ms };
    let offset = clock.at(now).filter(|record| record.quality != ClockQuality::Unset);
    let stated_ms = offset.map(|record| utc.0.saturating_sub(record.offset_ms));
    match (stated_ms, received_ms) {
        (Some(stated), Some(received)) => Some(stated.min(received)),
        (stated, received) => stated.or(received),
    }
}

fn scalar(value: &Value) -> Scalar {
    match value {
        Value::F64(number) if number.is_finite() => Scalar::Number(*number),
        Value::F32(number) if number.is_finite() => Scalar::Single(*number),
        Value::F64(number) => Scalar::Text(not_finite(*number)),
        Value::F32(number) => Scalar::Text(not_finite(f64::from(*number))),
        Value::I64(number) if number.unsigned_abs() <= EXACT_MAX => Scalar::Whole(*number),
        Value::I64(number) => Scalar::Text(number.to_string()),
        Value::U64(number) if *number <= EXACT_MAX => Scalar::Whole(signed(*number)),
        Value::U64(number) => Scalar::Text(number.to_string()),
        Value::Bool(yes) => Scalar::Bool(*yes),
        Value::String(text) => Scalar::Text(text.to_string()),
        Value::Bytes(bytes) => Scalar::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Value::Enum(number) => Scalar::Whole(i64::from(*number)),
    }
}

fn not_finite(number: f64) -> String {
    let name = match (number.is_nan(), number > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    };
    name.to_owned()
}

/// Milliseconds of a boot are far below the bounds of both types.
pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
