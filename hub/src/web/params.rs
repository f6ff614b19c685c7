//! Parameters that name what the hub knows.

use axum::http::StatusCode;
use hub_chassis::http::Problem;
use hub_model::{Device, DeviceId};
use hub_store::Catalog;

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
