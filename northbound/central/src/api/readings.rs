//! Readings of one metric, as columns, always with what is missing.

use hub_chassis::http::{Problem, SizeBounds, span, token};
use hub_chassis::time_text::format_utc;
use hub_chassis::value_text::JsonValue;
use hub_model::{Class, MetricName, ValueType};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::gaps::{GapView, gap_view};
use super::problem::{not_known, storage_failed};
use super::series::SeriesParams;
use crate::app::App;
use crate::query::{Damaged, Reading, SeriesReadings, Wanted};
use crate::storage::DeviceRow;

/// Bounds of `limit`: more than the most is an export.
const LIMIT: SizeBounds = SizeBounds { name: "limit", default: 1_000, max: 10_000 };

/// Readings of one metric of a device.
#[derive(Serialize, ToSchema)]
#[schema(as = Readings)]
pub(super) struct ReadingsView {
    hub_id: String,
    device: String,
    device_id: String,
    metric: String,
    /// One entry per series of the metric: more than one after a change of type, unit or epoch. By age.
    series: Vec<ColumnsView>,
    /// What is missing of the class in the span asked for; at most 1000.
    gaps: Vec<GapView>,
    /// Blocks looked at whose definitions have not arrived yet: more readings may come out of them.
    pending: u64,
    /// Blocks that went bad: their readings are left out, and the hub is asked for them again.
    damaged: Vec<DamagedView>,
    /// A page may have fewer readings than asked for, or none, and still not be the last.
    #[schema(required)]
    next_page_token: Option<String>,
}

/// Sequence numbers of a block that is damaged, `to` excluded.
#[derive(Serialize, ToSchema)]
#[schema(as = DamagedRange)]
struct DamagedView {
    epoch: String,
    from: u64,
    to: u64,
}

/// A series and its readings as columns: one entry per reading in each, in the order of their numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesColumns)]
struct ColumnsView {
    epoch: String,
    id: u32,
    #[serde(rename = "type")]
    value_type: &'static str,
    unit: String,
    /// Null while the hub's clock of that moment is unset.
    time: Vec<Option<String>>,
    /// When the hub had it, where the device stated the time itself.
    received_time: Vec<Option<String>>,
    seq: Vec<u64>,
    /// Null exactly when the quality is bad. What JSON has no number for is an object, such as
    /// `{"$f64":"7ff8000000000000"}`.
    #[schema(value_type = Vec<serde_json::Value>)]
    value: Vec<Option<Box<RawValue>>>,
    /// `good`, or level, reason and detail: `bad:no-answer`.
    quality: Vec<String>,
    /// `synced`, `holdover` or `unset`.
    clock: Vec<&'static str>,
}

/// Answers one page.
pub(super) async fn readings(
    app: &App,
    device: DeviceRow,
    params: &SeriesParams,
) -> Result<ReadingsView, Problem> {
    let wanted = wanted(device, params)?;
    let found = app.query.readings(&wanted).await.map_err(storage_failed)?;
    let Wanted { device, metric, .. } = wanted;
    if found.series.is_empty() {
        let detail = format!(
            "{:?} has no such metric {:?}; /v1/series?device={} lists what it has",
            device.name.as_str(),
            metric.as_str(),
            device.id
        );
        return Err(not_known("series-not-found", "No such series", detail));
    }
    Ok(ReadingsView {
        hub_id: device.hub.to_string(),
        device: device.name.to_string(),
        device_id: device.id.to_string(),
        metric: metric.to_string(),
        series: found.series.iter().map(columns).collect(),
        gaps: found.gaps.iter().map(|gap| gap_view(device.hub, gap)).collect(),
        pending: found.pending,
        damaged: found.damaged.iter().map(damaged).collect(),
        next_page_token: found.next.map(|place| place.to_string()),
    })
}

fn wanted(device: DeviceRow, params: &SeriesParams) -> Result<Wanted, Problem> {
    let metric = params.metric.as_deref().unwrap_or_default();
    let metric: MetricName =
        metric.parse().map_err(|e| Problem::bad_parameter(format!("metric={metric}: {e}")))?;
    let (from, to) = span(params.from.as_deref(), params.to.as_deref())?;
    Ok(Wanted {
        device,
        metric,
        value_type: params.value_type.as_deref().map(value_type).transpose()?,
        class: class(params.class.as_deref())?,
        from,
        to,
        limit: LIMIT.size(params.limit.or(params.page_size))?,
        place: token(params.page_token.as_deref())?,
    })
}

fn value_type(text: &str) -> Result<ValueType, Problem> {
    let found = ValueType::ALL.into_iter().find(|t| t.name() == text);
    let words: Vec<&str> = ValueType::ALL.iter().map(|t| t.name()).collect();
    found.ok_or_else(|| Problem::bad_parameter(format!("type={text}: use one of {}", words.join(", "))))
}

/// The class readings are read from.
fn class(text: Option<&str>) -> Result<Class, Problem> {
    match text {
        None | Some("telemetry") => Ok(Class::Telemetry),
        Some("bulk") => Ok(Class::Bulk),
        Some(other) => Err(Problem::bad_parameter(format!("class={other}: use telemetry or bulk"))),
    }
}

fn columns(found: &SeriesReadings) -> ColumnsView {
    let SeriesReadings { series: row, readings } = found;
    let value = |reading: &Reading| {
        let value = reading.value.as_ref();
        value.and_then(|value| serde_json::value::to_raw_value(&JsonValue(value)).ok())
    };
    ColumnsView {
        epoch: row.epoch.to_string(),
        id: row.series.id.0,
        value_type: row.series.key.value_type.name(),
        unit: row.series.key.unit.as_str().to_owned(),
        time: readings.iter().map(|reading| reading.time.utc.map(format_utc)).collect(),
        received_time: readings.iter().map(|reading| reading.received.map(format_utc)).collect(),
        seq: readings.iter().map(|reading| reading.seq).collect(),
        value: readings.iter().map(value).collect(),
        quality: readings.iter().map(|reading| reading.quality.to_string()).collect(),
        clock: readings.iter().map(|reading| reading.time.quality.name()).collect(),
    }
}

fn damaged(found: &Damaged) -> DamagedView {
    DamagedView { epoch: found.epoch.to_string(), from: found.range.from, to: found.range.to }
}
