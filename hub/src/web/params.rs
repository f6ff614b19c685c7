//! Parameters that name what the hub knows.

#![expect(dead_code, reason = "`Page` describes parameters that `PageParams` reads")]

use axum::http::StatusCode;
use hub_chassis::http::Problem;
use hub_model::{Device, DeviceId};
use hub_store::Catalog;
use utoipa::IntoParams;

/// [`hub_chassis::http::PageParams`], for the description of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A device by name or id.
pub(super) fn device<'a>(catalog: &'a Catalog, name_or_id: &str) -> Result<&'a Device, Problem> {
    let found = match name_or_id.parse::<DeviceId>() {
        Ok(id) => catalog.device(id),
        Err(_) => catalog.device_by_name(name_or_id),
    };
    found.ok_or_else(|| {
        let detail = format!("no device {name_or_id:?} is known here; /api/v1/devices lists those that are");
        Problem::new(StatusCode::NOT_FOUND, "device-not-found", "No such device", detail)
    })
}
