//! What comes behind the `?`.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hub_chassis::time_text::parse_utc;
use hub_model::{Device, DeviceId, UtcMs};
use hub_store::Catalog;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A list without `page_size` has this many.
pub(super) const PAGE_SIZE_DEFAULT: usize = 100;

/// More would hold the registry's lock for too long.
pub(super) const PAGE_SIZE_MAX: usize = 1_000;

/// Query parameters, with an error people can read.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::bad_parameter(detail))
            }
        }
    }
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    pub(super) page_size: Option<usize>,
    pub(super) page_token: Option<String>,
}

impl PageParams {
    /// The size asked for, within its bound.
    pub(super) fn size(&self) -> Result<usize, Problem> {
        size_within(self.page_size, "page_size", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    }
}

pub(super) fn size_within(
    asked: Option<usize>,
    name: &str,
    default: usize,
    max: usize,
) -> Result<usize, Problem> {
    match asked.unwrap_or(default) {
        size if (1..=max).contains(&size) => Ok(size),
        size => Err(Problem::bad_parameter(format!("{name}={size}: use 1 to {max}"))),
    }
}

/// Reads a token this hub has given out.
pub(super) fn token<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let bad = |_| Problem::bad_parameter("page_token is not one this hub has given out; begin without it");
    text.map(|text| text.parse().map_err(bad)).transpose()
}

/// A span of time, its end excluded.
pub(super) fn span(from: Option<&str>, to: Option<&str>) -> Result<(Option<UtcMs>, Option<UtcMs>), Problem> {
    let (from, to) = (time(from, "from")?, time(to, "to")?);
    if matches!((from, to), (Some(from), Some(to)) if from > to) {
        return Err(Problem::bad_parameter("from is later than to; swap them"));
    }
    Ok((from, to))
}

/// RFC 3339 or milliseconds since 1970.
fn time(text: Option<&str>, name: &str) -> Result<Option<UtcMs>, Problem> {
    let read = |text: &str| {
        parse_utc(text).ok_or_else(|| {
            let example = "write RFC 3339 such as 2026-11-22T03:00:00Z (a + is sent as %2B), or milliseconds since 1970";
            Problem::bad_parameter(format!("{name}={text}: {example}"))
        })
    };
    text.map(read).transpose()
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
