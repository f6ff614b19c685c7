//! `/v1/gaps`: what hubs lost, or never had, and why.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_chassis::http::{PAGE_SIZE, Params, Problem, token};
use hub_chassis::time_text::format_utc;
use hub_model::{Class, HubId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page;
use super::problem::{ProblemView, storage_failed};
use crate::app::App;
use crate::query::{GapFound, GapPlace};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GapParams {
    /// Only of this hub.
    hub: Option<String>,
    /// Only of this class: `alarm`, `event`, `audit`, `meta`, `telemetry`, `bulk` or `rollup`.
    class: Option<String>,
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct GapList {
    gaps: Vec<GapView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A row of the loss ledger. Times are null where the clock of that moment is unset or unknown.
#[derive(Serialize, ToSchema)]
#[schema(as = Gap)]
pub(super) struct GapView {
    /// Whose.
    hub_id: String,
    /// The life of the hub's log.
    epoch: String,
    class: &'static str,
    /// First sequence number.
    from: u64,
    /// One past the last; equal to `from` where readings never got a number.
    to: u64,
    /// `restart`, `corrupted`, `evicted`, `thinned`, `shed`, `expired` or `deleted`; `damaged` where the
    /// block went bad here and its hub is asked for it again.
    cause: &'static str,
    /// The last moment known before.
    #[schema(required)]
    since: Option<String>,
    /// The first moment known after.
    #[schema(required)]
    until: Option<String>,
}

/// Gaps, by hub, epoch, class and number; of each class, those without numbers follow those with
#[utoipa::path(
    get,
    path = "/v1/gaps",
    operation_id = "list_gaps",
    tag = "data",
    params(GapParams),
    responses(
        (status = 200, description = "A page of gaps", body = GapList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 401, description = "No good token", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such hub", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn gaps(
    State(app): State<Arc<App>>,
    Params(params): Params<GapParams>,
) -> Result<Json<GapList>, Problem> {
    let size = PAGE_SIZE.size(params.page_size)?;
    let place: Option<Place> = token(params.page_token.as_deref())?;
    let class = page::class(params.class.as_deref())?;
    let (gaps, next) = match page::known_hub(&app, params.hub.as_deref()).await? {
        Some(hub) => of_hub(&app, hub, class, place, size).await?,
        None => of_all(&app, class, place, size).await?,
    };
    Ok(Json(GapList { gaps, next_page_token: next.map(|place| place.to_string()) }))
}

/// Hubs looked at for one page: most have no gaps, and a page may be short.
const HUBS_PER_PAGE: usize = 200;

/// Where a page begins: at a gap of a hub, or at its first.
#[derive(Clone, Copy, Debug)]
struct Place {
    hub: HubId,
    gap: Option<GapPlace>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gap {
            Some(gap) => write!(f, "{}~{gap}", self.hub),
            None => write!(f, "{}", self.hub),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let (hub, gap) = text.split_once('~').map_or((text, None), |(hub, gap)| (hub, Some(gap)));
        let gap = gap.map(str::parse).transpose().map_err(|_| ())?;
        Ok(Place { hub: hub.parse().map_err(|_| ())?, gap })
    }
}

type Page = (Vec<GapView>, Option<Place>);

async fn of_hub(
    app: &App,
    hub: HubId,
    class: Option<Class>,
    place: Option<Place>,
    size: usize,
) -> Result<Page, Problem> {
    let place = place.filter(|place| place.hub == hub).and_then(|place| place.gap);
    let (gaps, next) = app.query.gaps(hub, class, place, size).await.map_err(storage_failed)?;
    let gaps = gaps.iter().map(|gap| gap_view(hub, gap)).collect();
    Ok((gaps, next.map(|gap| Place { hub, gap: Some(gap) })))
}

async fn of_all(app: &App, class: Option<Class>, place: Option<Place>, size: usize) -> Result<Page, Problem> {
    let mut reading = app.storage.read().await.map_err(storage_failed)?;
    let after = place.map(|place| place.hub);
    let mut hubs: Vec<HubId> = after.into_iter().collect();
    let rows = reading.db().hubs(after, HUBS_PER_PAGE).await.map_err(storage_failed)?;
    drop(reading);
    let is_last = rows.len() < HUBS_PER_PAGE;
    hubs.extend(rows.iter().map(|row| row.id));
    let (mut found, mut at) = (Vec::new(), place.and_then(|place| place.gap));
    for (n, hub) in hubs.iter().copied().enumerate() {
        let room = size - found.len();
        if room == 0 || (n == HUBS_PER_PAGE && !is_last) {
            return Ok((found, Some(Place { hub, gap: None })));
        }
        let (gaps, next) = app.query.gaps(hub, class, at.take(), room).await.map_err(storage_failed)?;
        found.extend(gaps.iter().map(|gap| gap_view(hub, gap)));
        if let Some(gap) = next {
            return Ok((found, Some(Place { hub, gap: Some(gap) })));
        }
    }
    Ok((found, None))
}

pub(super) fn gap_view(hub: HubId, gap: &GapFound) -> GapView {
    GapView {
        hub_id: hub.to_string(),
        epoch: gap.epoch.to_string(),
        class: gap.class.name(),
        from: gap.range.from,
        to: gap.range.to,
        cause: gap.cause.name(),
        since: gap.since.map(format_utc),
        until: gap.until.map(format_utc),
    }
}
