//! `/v1/devices`: the devices hubs told of.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_chassis::http::{PAGE_SIZE, Params, Problem};
use hub_model::{DeviceId, HubId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page;
use super::problem::{ProblemView, storage_failed};
use crate::app::App;
use crate::storage::DeviceListing;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceParams {
    /// Only of this hub.
    hub: Option<String>,
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeviceList {
    devices: Vec<DeviceView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceView {
    /// `dev_…`.
    id: String,
    /// Its present name; unique within its hub.
    name: String,
    /// The hub that tells of it.
    hub_id: String,
    /// Series it has, of all epochs.
    series_count: u64,
}

/// Devices, by id
#[utoipa::path(
    get,
    path = "/v1/devices",
    operation_id = "list_devices",
    tag = "data",
    params(DeviceParams),
    responses(
        (status = 200, description = "A page of devices", body = DeviceList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such hub", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn devices(
    State(app): State<Arc<App>>,
    Params(params): Params<DeviceParams>,
) -> Result<Json<DeviceList>, Problem> {
    let size = PAGE_SIZE.size(params.page_size)?;
    let hub = page::known_hub(&app, params.hub.as_deref()).await?;
    let after = params.page_token.as_deref().map(place).transpose()?;
    let mut reading = app.storage.read().await.map_err(storage_failed)?;
    let rows = reading.db().devices(hub, after, size + 1).await.map_err(storage_failed)?;
    let (rows, next_page_token) =
        page::cut(rows, size, |row| format!("{}.{}", row.device.id, row.device.hub));
    Ok(Json(DeviceList { devices: rows.into_iter().map(view).collect(), next_page_token }))
}

fn place(text: &str) -> Result<(DeviceId, HubId), Problem> {
    let parts =
        text.split_once('.').and_then(|(device, hub)| Some((device.parse().ok()?, hub.parse().ok()?)));
    parts.ok_or_else(|| {
        Problem::bad_parameter("page_token is not one that was given out here; begin without it")
    })
}

fn view(row: DeviceListing) -> DeviceView {
    DeviceView {
        id: row.device.id.to_string(),
        name: row.device.name.to_string(),
        hub_id: row.device.hub.to_string(),
        series_count: row.series_count,
    }
}
