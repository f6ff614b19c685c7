//! `/v1/series`: the list of series; with `metric`, the readings of one metric.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hub_chassis::http::{PAGE_SIZE, Params, Problem};
use hub_model::{LogEpoch, SeriesId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page;
use super::problem::{ProblemView, not_known, storage_failed};
use super::readings::{self, ReadingsView};
use crate::app::App;
use crate::storage::{DeviceRow, SeriesListing, SeriesPlace};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParams {
    /// Only of this hub.
    hub: Option<String>,
    /// Only of this device, by id or by name. A name that several hubs use needs `hub` as well.
    device: Option<String>,
    /// Readings of this metric; needs `device`.
    pub(super) metric: Option<String>,
    /// Readings of this type only: `f64`, `f32`, `i64`, `u64`, `bool`, `string`, `bytes` or `enum`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub(super) value_type: Option<String>,
    /// Readings from this time on: RFC 3339, or milliseconds since 1970.
    pub(super) from: Option<String>,
    /// Readings before this time.
    pub(super) to: Option<String>,
    /// Readings at most, 1 to 10000; 1000 without it.
    pub(super) limit: Option<usize>,
    /// `telemetry`, which is the default, or `bulk`.
    pub(super) class: Option<String>,
    /// How many at most, 1 to 1000; 100 without it. With `metric`, taken in place of `limit`.
    pub(super) page_size: Option<usize>,
    /// `next_page_token` of the page before.
    pub(super) page_token: Option<String>,
}

/// A list, or readings.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SeriesAnswer {
    /// Without `metric`.
    List(SeriesList),
    /// With `metric`.
    Readings(ReadingsView),
}

#[derive(Serialize, ToSchema)]
pub(super) struct SeriesList {
    series: Vec<SeriesView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A series: one metric of a device, with a type and a unit.
#[derive(Serialize, ToSchema)]
#[schema(as = Series)]
struct SeriesView {
    /// The hub.
    hub_id: String,
    /// The life of the hub's log that its number belongs to.
    epoch: String,
    /// Its number there.
    id: u32,
    /// The device's name; its id until the name is known.
    device: String,
    /// `dev_…`.
    device_id: String,
    /// The metric's name.
    metric: String,
    /// Of every value.
    #[serde(rename = "type")]
    value_type: &'static str,
    /// UCUM code; may be empty.
    unit: String,
}

/// The list of series; with `metric`, the readings of one
#[utoipa::path(
    get,
    path = "/v1/series",
    operation_id = "list_series",
    tag = "data",
    params(SeriesParams),
    responses(
        (status = 200, description = "A page", body = SeriesAnswer),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such hub, device or metric", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn series(
    State(app): State<Arc<App>>,
    Params(params): Params<SeriesParams>,
) -> Result<Json<SeriesAnswer>, Problem> {
    if params.metric.is_some() {
        let device = device(&app, &params).await?;
        let device = device.ok_or_else(|| Problem::bad_parameter("metric needs device as well"))?;
        return Ok(Json(SeriesAnswer::Readings(readings::readings(&app, device, &params).await?)));
    }
    params.refuse_for_list()?;
    let size = PAGE_SIZE.size(params.page_size)?;
    let after = params.page_token.as_deref().map(place).transpose()?;
    let device = device(&app, &params).await?;
    let hub = match &device {
        Some(device) => Some(device.hub),
        None => page::known_hub(&app, params.hub.as_deref()).await?,
    };
    let mut reading = app.storage.read().await.map_err(storage_failed)?;
    let rows =
        reading.db().series(hub, device.map(|d| d.id), after, size + 1).await.map_err(storage_failed)?;
    let (rows, next_page_token) =
        page::cut(rows, size, |l| format!("{}.{}.{}", l.row.hub, l.row.epoch, l.row.series.id.0));
    let series = rows.into_iter().map(view).collect();
    Ok(Json(SeriesAnswer::List(SeriesList { series, next_page_token })))
}

impl SeriesParams {
    /// What makes no sense in the list.
    fn refuse_for_list(&self) -> Result<(), Problem> {
        let given = [
            ("type", self.value_type.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("limit", self.limit.is_some()),
            ("class", self.class.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => {
                let detail =
                    format!("{name} needs device and metric; without metric this is the list of series");
                Err(Problem::bad_parameter(detail))
            }
        }
    }
}

/// The device that is meant, when one is named.
async fn device(app: &App, params: &SeriesParams) -> Result<Option<DeviceRow>, Problem> {
    let Some(name) = &params.device else { return Ok(None) };
    let hub = page::known_hub(app, params.hub.as_deref()).await?;
    let mut reading = app.storage.read().await.map_err(storage_failed)?;
    let mut found = reading.db().devices_called(name, hub).await.map_err(storage_failed)?;
    match (found.pop(), found.is_empty()) {
        (Some(device), true) => Ok(Some(device)),
        (Some(_), false) => {
            let detail =
                format!("{name:?} is a device of several hubs; say which with hub=hub_…, or use its id");
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "device-ambiguous",
                "Several devices of that name",
                detail,
            ))
        }
        (None, _) => {
            let detail = format!("no device {name:?} is known here; /v1/devices lists those that are");
            Err(not_known("device-not-found", "No such device", detail))
        }
    }
}

fn place(text: &str) -> Result<SeriesPlace, Problem> {
    let read = || {
        let mut parts = text.splitn(3, '.');
        let hub = parts.next()?.parse().ok()?;
        let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
        let id = parts.next()?.parse().ok()?;
        Some((hub, LogEpoch(epoch), SeriesId(id)))
    };
    read().ok_or_else(|| {
        Problem::bad_parameter("page_token is not one that was given out here; begin without it")
    })
}

fn view(listing: SeriesListing) -> SeriesView {
    let SeriesListing { row, device_name } = listing;
    let key = row.series.key;
    SeriesView {
        hub_id: row.hub.to_string(),
        epoch: row.epoch.to_string(),
        id: row.series.id.0,
        device: device_name.unwrap_or_else(|| key.device.to_string()),
        device_id: key.device.to_string(),
        metric: key.metric.to_string(),
        value_type: key.value_type.name(),
        unit: key.unit.as_str().to_owned(),
    }
}
