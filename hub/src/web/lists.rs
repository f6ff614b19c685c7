//! `/devices` and `/series`: what is known, from the registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{PageParams, Params, Problem, token};
use hub_chassis::value_text::JsonValue;
use hub_model::{DeviceId, Series};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::api::{Api, view_boot, view_stamp};
use super::bins::BinsView;
use super::params::Page;
use super::picture::roster;
use super::problem::ProblemView;
use super::readings::{self, ReadingParams, ReadingsView};
use crate::intake::{LastValue, Registry};
use crate::roster::State as DeviceState;

/// A page of devices.
#[derive(Serialize, ToSchema)]
struct DeviceList {
    devices: Vec<DeviceView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A device in the list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedDevice)]
struct DeviceView {
    id: String,
    name: String,
    /// As on the page.
    state: DeviceState,
    /// When the hub last heard it, if since its start.
    #[schema(required)]
    heard_time: Option<String>,
    series_count: usize,
    /// How the hub reads it; null for a device that speaks by itself.
    #[schema(required)]
    modbus: Option<ModbusView>,
}

/// A device that the hub asks over Modbus.
#[derive(Serialize, ToSchema)]
#[schema(as = ModbusDevice)]
struct ModbusView {
    endpoint: String,
    unit: u8,
    #[schema(required)]
    profile: Option<String>,
    tags: BTreeMap<String, String>,
    /// `unknown`, `live`, `silent` or `unreachable`.
    state: &'static str,
    /// What is wrong, for people.
    #[schema(required)]
    trouble: Option<String>,
    /// Mean time to an answer.
    #[schema(required)]
    latency_ms: Option<f64>,
    /// Its registers by how they were read last.
    good: usize,
    bad: usize,
    cycles: CyclesView,
}

/// Cycles since the device's link was started.
#[derive(Serialize, ToSchema)]
#[schema(as = Cycles)]
struct CyclesView {
    complete: u64,
    failed: u64,
    skipped: u64,
}

/// Devices, by id, and so by age
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    operation_id = "list_devices",
    tag = "devices",
    params(Page),
    responses(
        (status = 200, description = "A page", body = DeviceList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn devices(
    State(api): State<Arc<Api>>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let after: Option<DeviceId> = token(page.page_token.as_deref())?;
    let size = page.size()?;
    let asked = api.devices.modbus().devices();
    let registry = api.registry.lock();
    let members = roster(&api, &registry, &asked).members();
    let states = members.iter().filter_map(|member| Some((member.id?, member.state))).collect();
    let list = device_page(&registry, &asked, &states, after, size);
    drop(registry);
    Ok(Json(list).into_response())
}

fn device_page(
    registry: &Registry,
    asked: &[southbound::modbus::DeviceView],
    states: &BTreeMap<DeviceId, DeviceState>,
    after: Option<DeviceId>,
    size: usize,
) -> DeviceList {
    let catalog = registry.catalog();
    let mut rest = catalog.devices().skip_while(|device| after.is_some_and(|after| device.id <= after));
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let mut series_counts: BTreeMap<DeviceId, usize> = page.iter().map(|device| (device.id, 0)).collect();
    for series in catalog.all_series() {
        if let Some(count) = series_counts.get_mut(&series.key.device) {
            *count += 1;
        }
    }
    let view = |device: &&hub_model::Device| DeviceView {
        id: device.id.to_string(),
        name: device.name.to_string(),
        state: states.get(&device.id).copied().unwrap_or(DeviceState::NotTested),
        heard_time: heard(registry, asked, device).and_then(|at| view_boot(catalog.clock(), at).time),
        series_count: series_counts.get(&device.id).copied().unwrap_or(0),
        modbus: asked
            .iter()
            .find(|view| view.device.name == device.name)
            .map(|view| modbus_view(registry, device.id, view)),
    };
    DeviceList {
        devices: page.iter().map(view).collect(),
        next_page_token: page.last().filter(|_| more).map(|device| device.id.to_string()),
    }
}

/// When a device was last heard, or answered without saying anything worth a sample.
fn heard(
    registry: &Registry,
    asked: &[southbound::modbus::DeviceView],
    device: &hub_model::Device,
) -> Option<hub_model::BootStamp> {
    let answered = asked.iter().find(|view| view.device.name == device.name).and_then(|view| view.answered);
    match (registry.heard(device.id), answered) {
        (Some(heard), Some(answered)) if heard.boot == answered.boot && heard.mono_ms >= answered.mono_ms => {
            Some(heard)
        }
        (heard, answered) => answered.or(heard),
    }
}

fn modbus_view(registry: &Registry, device: DeviceId, view: &southbound::modbus::DeviceView) -> ModbusView {
    let registers = view.device.groups.iter().flat_map(|group| &group.registers);
    let last = registers.filter_map(|register| {
        registry.latest(device, &register.metric).and_then(|series| registry.last(series))
    });
    let (mut good, mut bad) = (0, 0);
    last.for_each(|last| if last.quality.is_bad() { bad += 1 } else { good += 1 });
    ModbusView {
        endpoint: view.device.endpoint.to_string(),
        unit: view.device.unit,
        profile: view.device.profile.clone(),
        tags: view.device.tags.clone(),
        state: view.state.name(),
        trouble: view.trouble.clone(),
        latency_ms: view.latency.map(|latency| latency.as_secs_f64() * 1_000.0),
        good,
        bad,
        cycles: CyclesView {
            complete: view.cycles.complete,
            failed: view.cycles.failed,
            skipped: view.cycles.skipped,
        },
    }
}

/// A list, readings, or bins.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum SeriesAnswer {
    /// Without `metric`.
    List(SeriesList),
    /// With `metric`.
    Readings(ReadingsView),
    /// With `metric` and `step`.
    Bins(BinsView),
}

/// A page of series.
#[derive(Serialize, ToSchema)]
struct SeriesList {
    series: Vec<SeriesView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A series in the list: one metric of a device, with a type and a unit.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedSeries)]
struct SeriesView {
    id: u32,
    device: String,
    device_id: String,
    metric: String,
    #[serde(rename = "type")]
    value_type: &'static str,
    unit: String,
    /// Null until the series was heard since the hub started.
    #[schema(required)]
    last: Option<LastView>,
}

/// What a series said last.
#[derive(Serialize, ToSchema)]
#[schema(as = LastReading)]
struct LastView {
    #[schema(required)]
    time: Option<String>,
    #[schema(required)]
    received_time: Option<String>,
    #[schema(required, value_type = Option<serde_json::Value>)]
    value: Option<Box<RawValue>>,
    /// There is a value too long for this list.
    value_omitted: bool,
    quality: String,
    clock: &'static str,
}

/// The list of series; with `metric`, the readings of one metric of a device
#[utoipa::path(
    get,
    path = "/api/v1/series",
    operation_id = "list_series",
    tag = "data",
    params(ReadingParams),
    responses(
        (status = 200, description = "A page", body = SeriesAnswer),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such device or metric", body = ProblemView, content_type = "application/problem+json"),
        (status = 500, description = "The log could not be read", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn series(
    State(api): State<Arc<Api>>,
    Params(params): Params<ReadingParams>,
) -> Result<Response, Problem> {
    if params.metric.is_some() && params.step.is_some() {
        return Ok(Json(SeriesAnswer::Bins(readings::bins(api, params).await?)).into_response());
    }
    if params.metric.is_some() {
        return Ok(Json(SeriesAnswer::Readings(readings::readings(api, params).await?)).into_response());
    }
    if let Some(name) = params.only_with_metric() {
        let detail = format!("{name} needs device and metric; without metric this is the list of series");
        return Err(Problem::bad_parameter(detail));
    }
    let after: Option<u32> = token(params.page_token.as_deref())?;
    let page = PageParams { page_size: params.page_size, page_token: None };
    let size = page.size()?;
    let list = series_page(&api.registry.lock(), params.device.as_deref(), after, size)?;
    Ok(Json(SeriesAnswer::List(list)).into_response())
}

fn series_page(
    registry: &Registry,
    device: Option<&str>,
    after: Option<u32>,
    size: usize,
) -> Result<SeriesList, Problem> {
    let catalog = registry.catalog();
    let device = device.map(|name| super::params::device(catalog, name)).transpose()?.map(|device| device.id);
    let mut rest = catalog
        .all_series()
        .filter(|series| after.is_none_or(|after| series.id.0 > after))
        .filter(|series| device.is_none_or(|device| series.key.device == device));
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    Ok(SeriesList {
        series: page.iter().map(|series| series_view(registry, series)).collect(),
        next_page_token: page.last().filter(|_| more).map(|series| series.id.0.to_string()),
    })
}

fn series_view(registry: &Registry, series: &Series) -> SeriesView {
    let catalog = registry.catalog();
    let key = &series.key;
    SeriesView {
        id: series.id.0,
        device: catalog.device(key.device).map_or_else(|| key.device.to_string(), |d| d.name.to_string()),
        device_id: key.device.to_string(),
        metric: key.metric.to_string(),
        value_type: key.value_type.name(),
        unit: key.unit.as_str().to_owned(),
        last: registry.last(series.id).map(|last| last_view(catalog.clock(), last)),
    }
}

fn last_view(clock: &hub_model::BootClock, last: &LastValue) -> LastView {
    let time = view_stamp(clock, last.stamp, last.received);
    let stated = matches!(last.stamp, hub_model::Stamp::Wall(..));
    LastView {
        time: time.time,
        received_time: if stated { view_boot(clock, last.received).time } else { None },
        value: last.value.as_ref().and_then(|value| serde_json::value::to_raw_value(&JsonValue(value)).ok()),
        value_omitted: last.value_omitted,
        quality: last.quality.to_string(),
        clock: time.clock,
    }
}
