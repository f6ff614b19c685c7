//! `/series?device=&metric=`: the readings of one series, as columns, always with the gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::StatusCode;
use hub_chassis::http::{Problem, SizeBounds, span, token};
use hub_chassis::time_text::format_utc;
use hub_chassis::value_text::JsonValue;
use hub_model::{DeviceId, MetricName, Series, SeriesId, Stamp, UtcMs, ValueType};
use hub_store::{Catalog, ReadError, Reader, Reading, SampleClass, SampleQuery};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::api::Api;
use super::bins::{Bins, BinsView, Step};
use super::ledger::{GapView, gap_view};
use super::params::device;
use super::problem::unreadable;

/// Rows in one answer: more than this is an export.
const LIMIT: SizeBounds = SizeBounds { name: "limit", default: 1_000, max: 10_000 };

/// Gaps named in one answer; a site with more has worse problems, and `/api/v1/gaps` has them all.
const GAPS_MAX: usize = 1_000;

/// Parameters of `/series`, for the list and for the readings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadingParams {
    /// Only of this device, by id or by name.
    pub(super) device: Option<String>,
    /// Readings of this metric; needs `device`.
    pub(super) metric: Option<String>,
    /// Readings of this type only: `f64`, `f32`, `i64`, `u64`, `bool`, `string`, `bytes` or `enum`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    value_type: Option<String>,
    /// Readings from this time on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Readings before this time.
    to: Option<String>,
    /// Readings at most, 1 to 10000; 1000 without it.
    limit: Option<usize>,
    /// Bins of this length in place of readings, such as `60s`: at least 1s, at most 2000 bins; needs `from` and `to`.
    pub(super) step: Option<String>,
    /// `telemetry`, which is the default, or `bulk`.
    class: Option<String>,
    /// How many at most, 1 to 1000; 100 without it. With `metric`, taken in place of `limit`.
    pub(super) page_size: Option<usize>,
    /// `next_page_token` of the page before.
    pub(super) page_token: Option<String>,
}

impl ReadingParams {
    /// A parameter that makes no sense in the list.
    pub(super) fn only_with_metric(&self) -> Option<&'static str> {
        let given = [
            ("type", self.value_type.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("limit", self.limit.is_some()),
            ("step", self.step.is_some()),
            ("class", self.class.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// The readings of a metric.
#[derive(Serialize, ToSchema)]
#[schema(as = Readings)]
pub(super) struct ReadingsView {
    device: String,
    device_id: String,
    metric: String,
    /// One entry per series of the metric: more than one after a change of type or unit. By age.
    series: Vec<SeriesColumns>,
    gaps: Vec<GapView>,
    /// Blocks that could not be read: their readings are left out of this answer.
    damaged: Vec<DamagedView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A range of sequence numbers whose block is damaged.
#[derive(Serialize, ToSchema)]
#[schema(as = SeqRange)]
pub(super) struct DamagedView {
    from: u64,
    to: u64,
}

/// A series and its readings as columns: one entry per reading in each, in the order of arrival.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadingColumns)]
struct SeriesColumns {
    id: u32,
    #[serde(rename = "type")]
    value_type: &'static str,
    unit: String,
    time: Vec<Option<String>>,
    /// When the hub had it, where the device stated the time itself.
    received_time: Vec<Option<String>>,
    seq: Vec<u64>,
    #[schema(value_type = Vec<Option<serde_json::Value>>)]
    value: Vec<Option<Box<RawValue>>>,
    quality: Vec<String>,
    clock: Vec<&'static str>,
}

/// Answers one page.
pub(super) async fn readings(api: Arc<Api>, params: ReadingParams) -> Result<ReadingsView, Problem> {
    let asked = Asked::new(&params)?;
    api.read(move |api| view(api, &asked)).await
}

/// Answers in bins.
pub(super) async fn bins(api: Arc<Api>, params: ReadingParams) -> Result<BinsView, Problem> {
    if params.limit.is_some() || params.page_size.is_some() || params.page_token.is_some() {
        let detail = "step gives all bins at once: it goes without limit, page_size and page_token";
        return Err(Problem::bad_parameter(detail));
    }
    let asked = Asked::new(&params)?;
    let step = Step::new(params.step.as_deref().unwrap_or_default(), asked.from, asked.to)?;
    api.read(move |api| in_bins(api, &asked, step)).await
}

struct Asked {
    device: String,
    metric: MetricName,
    value_type: Option<String>,
    class: SampleClass,
    from: Option<UtcMs>,
    to: Option<UtcMs>,
    limit: usize,
    from_seq: u64,
}

impl Asked {
    fn new(params: &ReadingParams) -> Result<Asked, Problem> {
        let device =
            params.device.clone().ok_or_else(|| Problem::bad_parameter("metric needs device as well"))?;
        let metric = params.metric.as_deref().unwrap_or_default();
        let metric = metric.parse().map_err(|e| Problem::bad_parameter(format!("metric={metric}: {e}")))?;
        let (from, to) = span(params.from.as_deref(), params.to.as_deref())?;
        Ok(Asked {
            device,
            metric,
            value_type: params.value_type.clone(),
            class: sample_class(params.class.as_deref())?,
            from,
            to,
            limit: LIMIT.size(params.limit.or(params.page_size))?,
            from_seq: token(params.page_token.as_deref())?.unwrap_or(0),
        })
    }
}

impl Asked {
    /// The series meant, by age; an error when there is none.
    fn series<'a>(&self, catalog: &'a Catalog, device: DeviceId) -> Result<Vec<&'a Series>, Problem> {
        let is_meant = |series: &&Series| {
            series.key.device == device
                && series.key.metric == self.metric
                && self.value_type.as_ref().is_none_or(|name| series.key.value_type.name() == name)
        };
        let series: Vec<_> = catalog.all_series().filter(is_meant).collect();
        if series.is_empty() { Err(no_series(self)) } else { Ok(series) }
    }

    fn query(&self, series: BTreeSet<SeriesId>) -> SampleQuery {
        SampleQuery {
            class: self.class,
            series: Some(series),
            from: self.from,
            to: self.to,
            from_seq: self.from_seq,
        }
    }
}

/// The class samples are read from.
pub(super) fn sample_class(name: Option<&str>) -> Result<SampleClass, Problem> {
    match name {
        None | Some("telemetry") => Ok(SampleClass::Telemetry),
        Some("bulk") => Ok(SampleClass::Bulk),
        Some(other) => Err(Problem::bad_parameter(format!("class={other}: use telemetry or bulk"))),
    }
}

fn view(api: &Api, asked: &Asked) -> Result<ReadingsView, Problem> {
    let catalog = api.reader.catalog();
    let device = device(&catalog, &asked.device)?;
    let series = asked.series(&catalog, device.id)?;
    let mut columns: BTreeMap<SeriesId, SeriesColumns> =
        series.iter().map(|series| (series.id, SeriesColumns::new(series))).collect();
    let mut damaged = Vec::new();
    let next = read(&api.reader, asked, &mut columns, &mut damaged)?;
    Ok(ReadingsView {
        device: device.name.to_string(),
        device_id: device.id.to_string(),
        metric: asked.metric.to_string(),
        series: columns.into_values().collect(),
        gaps: gaps(&api.reader, &catalog, asked)?,
        damaged,
        next_page_token: next.map(|seq| seq.to_string()),
    })
}

fn in_bins(api: &Api, asked: &Asked, step: Step) -> Result<BinsView, Problem> {
    let catalog = api.reader.catalog();
    let device = device(&catalog, &asked.device)?;
    let series = asked.series(&catalog, device.id)?;
    let mut bins = Bins::new(step);
    let mut damaged = Vec::new();
    for reading in api.reader.samples(&asked.query(series.iter().map(|series| series.id).collect())) {
        match reading {
            Ok(reading) => bins.add(&reading),
            Err(ReadError::Damaged { range, .. }) => {
                damaged.push(DamagedView { from: range.from, to: range.to });
            }
            Err(error @ ReadError::Tables(_)) => return Err(unreadable(error)),
        }
    }
    Ok(BinsView {
        device: device.name.to_string(),
        device_id: device.id.to_string(),
        metric: asked.metric.to_string(),
        step_ms: step.ms,
        series: series.iter().filter(|series| is_number(series)).map(|series| bins.columns(series)).collect(),
        gaps: gaps(&api.reader, &catalog, asked)?,
        backfilled: bins.backfilled(),
        damaged,
    })
}

const fn is_number(series: &Series) -> bool {
    !matches!(series.key.value_type, ValueType::String | ValueType::Bytes | ValueType::Enum)
}

fn no_series(asked: &Asked) -> Problem {
    let of_type = asked.value_type.as_ref().map_or(String::new(), |name| format!(" of type {name}"));
    let detail = format!(
        "{:?} has no metric {:?}{of_type}; /api/v1/series?device={} lists what it has",
        asked.device, asked.metric, asked.device
    );
    Problem::new(StatusCode::NOT_FOUND, "series-not-found", "No such series", detail)
}

/// Reads one page; the number of the first reading behind it, if there is one.
fn read(
    reader: &Reader,
    asked: &Asked,
    series: &mut BTreeMap<SeriesId, SeriesColumns>,
    damaged: &mut Vec<DamagedView>,
) -> Result<Option<u64>, Problem> {
    let mut count = 0;
    for reading in reader.samples(&asked.query(series.keys().copied().collect())) {
        let reading = match reading {
            Ok(reading) => reading,
            Err(ReadError::Damaged { range, .. }) => {
                damaged.push(DamagedView { from: range.from, to: range.to });
                continue;
            }
            Err(error @ ReadError::Tables(_)) => return Err(unreadable(error)),
        };
        if count == asked.limit {
            return Ok(Some(reading.seq));
        }
        if let Some(columns) = series.get_mut(&reading.sample.series) {
            columns.push(&reading);
            count += 1;
        }
    }
    Ok(None)
}

fn gaps(reader: &Reader, catalog: &Catalog, asked: &Asked) -> Result<Vec<GapView>, Problem> {
    let class = asked.class.class();
    let gaps = reader.gaps().map_err(unreadable)?;
    let views = gaps.iter().filter(|gap| gap.class == class).map(|gap| gap_view(gap, catalog.clock()));
    Ok(views.filter(|gap| gap.touches(asked.from, asked.to)).take(GAPS_MAX).collect())
}

impl SeriesColumns {
    fn new(series: &Series) -> SeriesColumns {
        SeriesColumns {
            id: series.id.0,
            value_type: series.key.value_type.name(),
            unit: series.key.unit.as_str().to_owned(),
            time: Vec::new(),
            received_time: Vec::new(),
            seq: Vec::new(),
            value: Vec::new(),
            quality: Vec::new(),
            clock: Vec::new(),
        }
    }

    fn push(&mut self, reading: &Reading) {
        let sample = &reading.sample;
        self.time.push(reading.time.utc.map(format_utc));
        self.received_time.push(received_time(reading));
        self.seq.push(reading.seq);
        let value = sample.value.as_ref();
        self.value.push(value.and_then(|value| serde_json::value::to_raw_value(&JsonValue(value)).ok()));
        self.quality.push(sample.quality.to_string());
        self.clock.push(reading.time.quality.name());
    }
}

/// When the hub had a reading, where that is not its time.
pub(super) fn received_time(reading: &Reading) -> Option<String> {
    match reading.sample.stamp {
        Stamp::Boot(_) => None,
        Stamp::Wall(..) => reading.received.utc.map(format_utc),
    }
}
