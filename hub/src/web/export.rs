//! `/api/v1/export`: every reading as NDJSON or CSV, streamed with bounded memory.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{Params, Problem, span};
use hub_chassis::time_text::format_utc;
use hub_chassis::value_text::{JsonValue, csv_text, csv_value};
use hub_model::{SeriesId, Value};
use hub_store::{Catalog, ReadError, Reader, Reading, SampleClass, SampleQuery};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::IntoParams;

use super::api::Api;
use super::chunks::{CHUNK_BYTES, Ended, Out, streamed};
use super::params::device;
use super::problem::ProblemView;
use super::readings::{received_time, sample_class};

/// How readings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// Only of this device, by id or by name.
    device: Option<String>,
    /// Only of this metric.
    metric: Option<String>,
    /// From this time on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Before this time.
    to: Option<String>,
    /// `telemetry`, which is the default, or `bulk`.
    class: Option<String>,
    /// `ndjson`, which is the default, or `csv`. The `Accept` header says the same.
    format: Option<String>,
}

/// Streams the readings asked for
///
/// An answer that breaks off lacks its end on purpose: the reader sees an error, not a short file.
#[utoipa::path(
    get,
    path = "/api/v1/export",
    operation_id = "export",
    tag = "data",
    params(ExportParams),
    responses(
        (status = 200, description = "One object or row for each reading", content((String = "application/x-ndjson"), (String = "text/csv; charset=utf-8; header=present"))),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such device or metric", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "Two exports run already", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    let format = format_of(params.format.as_deref(), &headers)?;
    let catalog = api.registry.lock().catalog().clone();
    let query = query_of(&params, &catalog)?;
    let permit = api.exports.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many exports as this hub serves at once are running; try again when one has ended";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-exports", "Too many exports", detail)
    })?;
    let reader = api.reader.clone();
    let body = streamed("export", permit, move |out| write_all(out, &reader, &catalog, query, format));
    let disposition = match format {
        Format::Ndjson => "attachment; filename=\"relais-export.ndjson\"",
        Format::Csv => "attachment; filename=\"relais-export.csv\"",
    };
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

fn format_of(asked: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match asked {
        Some("ndjson") => Ok(Format::Ndjson),
        Some("csv") => Ok(Format::Csv),
        Some(other) => Err(Problem::bad_parameter(format!("format={other}: use ndjson or csv"))),
        None if accept.contains("text/csv") => Ok(Format::Csv),
        None => Ok(Format::Ndjson),
    }
}

fn query_of(params: &ExportParams, catalog: &Catalog) -> Result<SampleQuery, Problem> {
    let device =
        params.device.as_deref().map(|name| device(catalog, name)).transpose()?.map(|device| device.id);
    let metric = params.metric.as_deref();
    let wanted = |series: &&hub_model::Series| {
        device.is_none_or(|device| series.key.device == device)
            && metric.is_none_or(|metric| series.key.metric.as_str() == metric)
    };
    let series: BTreeSet<SeriesId> = catalog.all_series().filter(wanted).map(|series| series.id).collect();
    let all = device.is_none() && metric.is_none();
    if !all && series.is_empty() {
        let detail = "no series fits device and metric; /api/v1/series lists those there are";
        return Err(Problem::new(StatusCode::NOT_FOUND, "series-not-found", "No such series", detail));
    }
    let (from, to) = span(params.from.as_deref(), params.to.as_deref())?;
    let class: SampleClass = sample_class(params.class.as_deref())?;
    Ok(SampleQuery { class, series: if all { None } else { Some(series) }, from, to, from_seq: 0 })
}

fn write_all(
    out: &mut Out,
    reader: &Reader,
    catalog: &Catalog,
    query: SampleQuery,
    format: Format,
) -> Result<(), Ended> {
    if format == Format::Csv {
        out.buffer.extend_from_slice(CSV_HEAD);
    }
    let mut catalog = catalog.clone();
    for reading in reader.samples(&query) {
        let reading = match reading {
            Ok(reading) => reading,
            // What can be read goes on: one bad block must not make all the others unreadable.
            Err(error @ ReadError::Damaged { .. }) => {
                warn!(%error, "an export leaves out a damaged block");
                continue;
            }
            Err(error @ ReadError::Tables(_)) => return Err(Ended::Failed(error.to_string())),
        };
        if catalog.series(reading.sample.series).is_none() {
            // A series that came to be after the export began.
            catalog = reader.catalog();
        }
        write_reading(&mut out.buffer, &reading, &catalog, format)
            .map_err(|error| Ended::Failed(error.to_string()))?;
        if out.buffer.len() >= CHUNK_BYTES {
            out.flush()?;
        }
    }
    out.flush()
}

const CSV_HEAD: &[u8] = b"device,metric,type,time,received_time,seq,value,quality,clock\r\n";

#[derive(Serialize)]
struct Row<'a> {
    device: &'a str,
    device_id: String,
    metric: &'a str,
    #[serde(rename = "type")]
    value_type: &'static str,
    unit: &'a str,
    time: Option<String>,
    received_time: Option<String>,
    seq: u64,
    value: Option<JsonValue<'a>>,
    quality: String,
    clock: &'static str,
}

fn write_reading(
    buffer: &mut Vec<u8>,
    reading: &Reading,
    catalog: &Catalog,
    format: Format,
) -> std::io::Result<()> {
    let Some(series) = catalog.series(reading.sample.series) else {
        return Err(std::io::Error::other(format!("series {} has no definition", reading.sample.series.0)));
    };
    let key = &series.key;
    let value: Option<&Value> = reading.sample.value.as_ref();
    let row = Row {
        device: catalog.device(key.device).map_or("", |device| device.name.as_str()),
        device_id: key.device.to_string(),
        metric: key.metric.as_str(),
        value_type: key.value_type.name(),
        unit: key.unit.as_str(),
        time: reading.time.utc.map(format_utc),
        received_time: received_time(reading),
        seq: reading.seq,
        value: value.map(JsonValue),
        quality: reading.sample.quality.to_string(),
        clock: reading.time.quality.name(),
    };
    match format {
        Format::Ndjson => {
            serde_json::to_writer(&mut *buffer, &row)?;
            buffer.push(b'\n');
            Ok(())
        }
        Format::Csv => write!(
            buffer,
            "{},{},{},{},{},{},{},{},{}\r\n",
            row.device,
            csv_text(row.metric),
            row.value_type,
            row.time.as_deref().unwrap_or_default(),
            row.received_time.as_deref().unwrap_or_default(),
            row.seq,
            csv_value(value),
            row.quality,
            row.clock,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{
        BootId, BootStamp, Class, ClockQuality, Device, DeviceId, Quality, Reason, Resolved, Sample, Series,
        SeriesKey, Stamp, Unit, UtcMs, ValueType, WallSource,
    };
    use hub_store::Definition;

    fn catalog() -> Catalog {
        let id = DeviceId::from_bytes([0; 16]);
        let mut catalog = Catalog::default();
        catalog.insert(&Definition::Device(Device { id, name: "boiler".parse().unwrap() }));
        let metric = "L1, \"max\"".parse().unwrap();
        let key = SeriesKey { device: id, metric, value_type: ValueType::F64, unit: Unit::none() };
        catalog.insert(&Definition::Series(Series { id: SeriesId(1), key, dictionary: Vec::new() }));
        catalog
    }

    fn check(value: Option<Value>, quality: Quality, format: Format, expected: &str) {
        let at = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: 5 };
        let stamp = Stamp::Wall(UtcMs(1_000), WallSource::Device);
        let reading = Reading {
            seq: 7,
            class: Class::Telemetry,
            sample: Sample { series: SeriesId(1), stamp, received: at, value, quality },
            time: Resolved { utc: Some(UtcMs(1_000)), quality: ClockQuality::Unset },
            received: Resolved { utc: None, quality: ClockQuality::Unset },
        };
        let mut buffer = Vec::new();
        write_reading(&mut buffer, &reading, &catalog(), format).unwrap();
        assert_eq!(String::from_utf8(buffer).unwrap(), expected);
    }

    #[test]
    fn rows_read_well() {
        check(
            Some(Value::F64(-0.0)),
            Quality::GOOD,
            Format::Ndjson,
            "{\"device\":\"boiler\",\"device_id\":\"dev_00000000000000000000000000\",\
             \"metric\":\"L1, \\\"max\\\"\",\"type\":\"f64\",\"unit\":\"\",\"time\":\"1970-01-01T00:00:01.000Z\",\
             \"received_time\":null,\"seq\":7,\"value\":-0.0,\"quality\":\"good\",\"clock\":\"unset\"}\n",
        );
        check(
            None,
            Quality::bad(Reason::NotReported),
            Format::Csv,
            "boiler,\"L1, \"\"max\"\"\",f64,1970-01-01T00:00:01.000Z,,7,,\
             bad:not-reported,unset\r\n",
        );
    }
}
