//! `/api/v1/stream`: what the page shows, as it changes. `hub_ui::live` sends it; here it is made.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

mod data;
mod devices;
mod link;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{Params, Problem};
use hub_chassis::time_text::format_utc;
use hub_model::ClockQuality;
use hub_ui::live::message::{ClockState, Site, StreamMessage};
use hub_ui::live::{Asked, Hub, Live, View};
use serde::Deserialize;
use tracing::warn;
use utoipa::IntoParams;

use super::api::Api;
use super::picture::{LogNow, roster};
use super::problem::ProblemView;
use crate::findings::{Picture, needs, path, verdict};

/// The hub, as the page's stream sees it.
pub struct LiveHub {
    api: Arc<Api>,
    /// The log's numbers as they were read last: what is shown while they cannot be.
    log: Mutex<LogNow>,
}

impl LiveHub {
    /// Over this API.
    pub fn new(api: Arc<Api>) -> LiveHub {
        LiveHub { api, log: Mutex::default() }
    }

    fn log_now(&self) -> (LogNow, Option<String>) {
        let mut last = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match self.api.log_now() {
            Ok(log) => {
                last.clone_from(&log);
                (log, None)
            }
            Err(error) => {
                warn!(%error, "the log does not say what it holds: the page shows what it held before");
                (last.clone(), Some(format!("the log does not say what it holds: {error}")))
            }
        }
    }
}

impl Hub for LiveHub {
    fn device(&self, name_or_id: &str) -> Result<String, Problem> {
        let registry = self.api.registry.lock();
        let known =
            super::params::device(registry.catalog(), name_or_id).map(|device| device.name.to_string());
        drop(registry);
        known.or_else(|unknown| {
            // A device of the files, of which nothing is stored yet.
            let asked = self.api.devices.modbus().devices();
            let found = asked.iter().any(|view| view.device.name.as_str() == name_or_id);
            if found { Ok(name_or_id.to_owned()) } else { Err(unknown) }
        })
    }

    fn look(&self, devices: &[String]) -> View {
        let api = &self.api;
        let (log, unreadable) = self.log_now();
        let asked = api.devices.modbus().devices();
        let registry = api.registry.lock();
        let roster = roster(api, &registry, &asked);
        let members = roster.members();
        let series = devices.iter().filter_map(|name| {
            let member = members.iter().find(|member| member.name == name)?;
            Some((name.clone(), devices::series(&roster, member)))
        });
        let series = series.collect();
        let views = devices::devices(&roster, &members);
        let mut picture = api.picture_of(&log, &registry, &members);
        let clock = registry.catalog().clock().resolve(api.clock.now());
        drop(registry);
        picture.troubles.fatal = picture.troubles.fatal.or(unreadable);
        let status = api.link.status();
        let status = status.borrow();
        View {
            now_ms: api.clock.now().mono_ms,
            time: clock.utc.map(|_| format_utc(api.clock.utc())),
            site: site(api, &picture, clock.quality, link::link_now(&status, &picture.link)),
            data: data::data(api, &log, &picture.troubles, &status.lanes),
            devices: views,
            series,
        }
    }
}

fn site(api: &Api, picture: &Picture, clock: ClockQuality, link: hub_ui::live::message::LinkNow) -> Site {
    let (needs, more_needs) = needs(picture);
    Site {
        hub: api.facts.hub.to_string(),
        name: api.facts.settings.now().site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: match clock {
            ClockQuality::Synced => ClockState::Synced,
            ClockQuality::Holdover => ClockState::Holdover,
            ClockQuality::Unset => ClockState::Unset,
        },
        started_at_ms: devices::signed(api.clock.started().mono_ms),
        verdict: verdict(picture),
        needs,
        more_needs,
        path: path(picture),
        counts: picture.counts,
        link,
    }
}

/// Parameters of the stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParams {
    /// A device, by name or id, whose series are wanted too.
    device: Option<String>,
    /// The id of the last event taken, for clients that cannot send `Last-Event-ID`, which goes before it.
    last_event_id: Option<String>,
}

/// What the page shows, as it changes: Server-Sent Events, each with a `StreamMessage`
///
/// An event `change` comes when something changed, looked at once a second, and at least every 5 s. Its id, given back as
/// `Last-Event-ID`, lets the stream go on where it was; an id of another run of the hub, or of a stream for another
/// device, gets everything. A slow client gets the newest state only.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    operation_id = "stream",
    tag = "live",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event taken")),
    responses(
        (status = 200, description = "Events; the data of each is a `StreamMessage`", body = StreamMessage, content_type = "text/event-stream"),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 403, description = "A page from elsewhere asks", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "No such device", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "32 streams are open already", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    Params(params): Params<StreamParams>,
) -> Response {
    let asked = Asked { device: params.device, last_event_id: params.last_event_id };
    live.open(asked, &headers).unwrap_or_else(IntoResponse::into_response)
}
