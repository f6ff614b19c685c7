//! `/ledger` and `/gaps`: what is stored, what is not, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{PageParams, Params, Problem, token};
use hub_chassis::time_text::format_utc;
use hub_model::{BootClock, Class, Gap, SeqRange, UtcMs};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::params::Page;
use super::problem::{ProblemView, unreadable};
use super::status::{ClassView, class_view};

/// Where every sequence number went.
#[derive(Serialize, ToSchema)]
#[schema(as = Ledger)]
struct LedgerView {
    hub: String,
    epoch: String,
    /// Whether every class adds up: `next = tail + stored + expired + gaps`.
    balanced: bool,
    classes: Vec<ClassView>,
}

/// The ledger: of each class, where every sequence number went
#[utoipa::path(
    get,
    path = "/api/v1/ledger",
    operation_id = "get_ledger",
    tag = "data",
    responses(
        (status = 200, description = "All seven classes", body = LedgerView),
        (status = 500, description = "The log could not be read", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ledger(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let ledger = api.read(|api| api.reader.ledger().map_err(unreadable)).await?;
    let view = LedgerView {
        hub: ledger.hub.to_string(),
        epoch: ledger.epoch.to_string(),
        balanced: ledger.classes.iter().all(|class| class.balanced()),
        classes: ledger.classes.iter().map(class_view).collect(),
    };
    Ok(Json(view).into_response())
}

/// A page of gaps.
#[derive(Serialize, ToSchema)]
struct GapList {
    gaps: Vec<GapView>,
    /// Blocks that were met damaged since start and are in no gap: all of them, on the first page.
    damaged: Vec<DamagedView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A range of numbers of a class whose block is damaged.
#[derive(Serialize, ToSchema)]
#[schema(as = DamagedRange)]
struct DamagedView {
    class: &'static str,
    from: u64,
    to: u64,
}

/// A gap as the API states it. Times are null where the clock of that moment is unset or unknown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Gap)]
pub(super) struct GapView {
    class: &'static str,
    /// First sequence number.
    from: u64,
    /// One past the last.
    to: u64,
    /// `restart`, `corrupted`, `missing` or `evicted`.
    cause: &'static str,
    #[schema(required)]
    since: Option<String>,
    #[schema(required)]
    until: Option<String>,
    #[serde(skip)]
    span: (Option<UtcMs>, Option<UtcMs>),
}

impl GapView {
    /// Whether it may lie in a span of time. An unknown end counts as reaching it.
    pub(super) fn touches(&self, from: Option<UtcMs>, to: Option<UtcMs>) -> bool {
        let (since, until) = self.span;
        let ends_before = matches!((until, from), (Some(until), Some(from)) if until < from);
        let begins_after = matches!((since, to), (Some(since), Some(to)) if since >= to);
        !ends_before && !begins_after
    }
}

/// Gaps, oldest first
#[utoipa::path(
    get,
    path = "/api/v1/gaps",
    operation_id = "list_gaps",
    tag = "data",
    params(Page),
    responses(
        (status = 200, description = "A page", body = GapList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 500, description = "The log could not be read", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn gaps(
    State(api): State<Arc<Api>>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let from: usize = token(page.page_token.as_deref())?.unwrap_or(0);
    let size = page.size()?;
    let list = api.read(move |api| {
        let gaps = api.reader.gaps().map_err(unreadable)?;
        let clock = api.reader.catalog();
        let to = from.saturating_add(size);
        let damaged = if from == 0 { api.reader.damaged().map_err(unreadable)? } else { Vec::new() };
        let damaged_view = |(class, range): (Class, SeqRange)| DamagedView {
            class: class.name(),
            from: range.from,
            to: range.to,
        };
        Ok(GapList {
            gaps: gaps.iter().skip(from).take(size).map(|gap| gap_view(gap, clock.clock())).collect(),
            damaged: damaged.into_iter().map(damaged_view).collect(),
            next_page_token: (to < gaps.len()).then(|| to.to_string()),
        })
    });
    Ok(Json(list.await?).into_response())
}

/// A gap with its times resolved.
pub(super) fn gap_view(gap: &Gap, clock: &BootClock) -> GapView {
    let since = gap.since.and_then(|at| clock.resolve(at).utc);
    let until = clock.resolve(gap.until).utc;
    GapView {
        class: gap.class.name(),
        from: gap.range.from,
        to: gap.range.to,
        cause: gap.cause.name(),
        since: since.map(format_utc),
        until: until.map(format_utc),
        span: (since, until),
    }
}
