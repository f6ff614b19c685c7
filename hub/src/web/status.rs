//! `/api/v1/status`: the hub in one object. Its shape is a promise; `relais-hub status` renders it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::metrics::MetricRow;
use hub_chassis::time_text::format_utc;
use hub_ui::live::message::{Counts, LinkState, Need, Path};
use serde::{Deserialize, Serialize};
use southbound::modbus::{DeviceState, DeviceView};
use utoipa::ToSchema;

use super::api::{Api, Listener, view_boot};
use super::configuration::{ConfigurationStatus, configuration};
use super::picture::LogNow;
use super::problem::{ProblemView, unreadable};
use super::wear::WearStatus;
use crate::devices::Devices;
use crate::findings::{needs, path, verdict};
use crate::north::{LinkView, link_view, lost_enrolment};

/// A screen of them; `/api/v1/devices` has all.
const TROUBLED_MAX: usize = 20;

/// The hub in one object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// `hub_…`.
    pub hub: String,
    /// The site's name.
    pub site: String,
    /// Of the program.
    pub version: String,
    /// One to three sentences: the hub, its devices, its link.
    pub verdict: String,
    /// What needs somebody, the gravest first: at most 20.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// How many more there are.
    #[serde(default)]
    pub more_needs: u64,
    /// The way of a reading.
    pub path: Path,
    /// Whether it does.
    pub working: bool,
    /// The hub's time; null while its clock is unset.
    #[schema(required)]
    pub time: Option<String>,
    /// `synced`, `holdover` or `unset`.
    pub clock: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Whether the run before this one ended in order.
    pub started_clean: bool,
    /// What listens, with actual ports.
    pub listeners: Vec<Listener>,
    /// Who is heard.
    pub devices: DevicesStatus,
    /// Devices that the hub asks.
    #[serde(default)]
    pub asked: AskedStatus,
    /// Whether the configuration, as it was read last, is in force.
    #[serde(default)]
    pub configuration: ConfigurationStatus,
    /// What came in since start.
    pub intake: IntakeStatus,
    /// What is kept.
    pub storage: StorageStatus,
    /// What is written to flash.
    #[serde(default)]
    pub wear: WearStatus,
    /// The way to central.
    pub link: LinkView,
    /// What central has.
    pub central: CentralStatus,
    /// Where every sequence number went, by class.
    pub ledger: Vec<ClassView>,
}

/// Who is heard.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DevicesStatus {
    /// Devices known.
    pub known: u64,
    /// Of these, heard in time.
    pub live: u64,
    /// Overdue.
    pub late: u64,
    /// Past their deadline.
    pub silent: u64,
    /// They answer, and their readings are bad.
    pub fault: u64,
    /// Never heard or asked yet.
    pub not_tested: u64,
    /// Series known.
    pub series: usize,
}

/// Devices that the hub asks, by their files.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct AskedStatus {
    /// Files looked at.
    pub files: usize,
    /// Devices that are read.
    pub devices: usize,
    /// Of these, those that answered when they were asked last.
    pub live: usize,
    /// Devices that do not, with what is wrong: at most 20.
    pub troubled: Vec<Troubled>,
    /// What is wrong with the files, one line for each problem.
    pub file_problems: Vec<String>,
}

/// A device that does not answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Troubled {
    /// Its name.
    pub device: String,
    /// `silent` or `unreachable`.
    pub state: String,
    /// What is wrong, for people.
    #[schema(required)]
    pub trouble: Option<String>,
}

/// What came in since start.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntakeStatus {
    /// Messages.
    pub messages: u64,
    /// Readings.
    pub samples: u64,
    /// Events.
    pub events: u64,
    /// Resends recognised.
    pub duplicates: u64,
    /// Refused for good: messages, readings, connections, subscriptions.
    pub refused: u64,
}

/// What is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StorageStatus {
    /// The folder.
    pub dir: String,
    /// Room taken.
    pub used_bytes: u64,
    /// Room allowed.
    pub quota_bytes: u64,
    /// Records on flash, of all classes.
    pub stored: u64,
    /// Appended, not yet on flash, in bytes.
    pub pending_bytes: u64,
    /// The oldest records, given up because the quota is full.
    #[serde(default)]
    pub evicted: u64,
    /// Holes in the ledger of any other cause.
    pub lost: u64,
    /// Of these, the numbers of records that WAL files can have held that are gone: gaps of cause `missing`. At most so
    /// many were lost with them.
    #[serde(default)]
    pub lost_at_most: u64,
    /// Records in blocks that were met damaged since start, and are not in a gap.
    #[serde(default)]
    pub damaged: u64,
    /// Why blocks cannot be written, while they cannot.
    #[serde(default)]
    #[schema(required)]
    pub trouble: Option<String>,
    /// Whether every class adds up.
    pub balanced: bool,
    /// The log's life.
    pub epoch: String,
}

/// What central has.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CentralStatus {
    /// Records central has confirmed, of all classes: stored there, or accounted for by a gap.
    pub confirmed: u64,
    /// Records it has not.
    pub unconfirmed: u64,
    /// Of these, records that are in no block yet and so not on their way. Those that should be in one count as to send.
    pub unsealed: u64,
}

/// One class of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ClassView {
    /// Its word.
    pub class: String,
    /// Sequence numbers given out.
    pub next: u64,
    /// On flash, not yet sealed.
    pub tail: u64,
    /// In sealed blocks.
    pub stored: u64,
    /// Past retention.
    pub expired: u64,
    /// Gone, with a gap row.
    pub gaps: u64,
    /// Confirmed by central.
    #[serde(default)]
    pub confirmed: u64,
    /// `next = tail + stored + expired + gaps`.
    pub balanced: bool,
}

/// A class as the API states it.
pub(super) fn class_view(class: &hub_store::ClassLedger) -> ClassView {
    ClassView {
        class: class.class.name().to_owned(),
        next: class.next,
        tail: class.tail,
        stored: class.stored,
        expired: class.expired,
        gaps: class.gaps,
        confirmed: class.confirmed,
        balanced: class.balanced(),
    }
}

/// The hub in one object
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "get_status",
    tag = "hub",
    responses(
        (status = 200, description = "The hub in one object", body = Status),
        (status = 500, description = "The log could not be read", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let status = api.read(status_of).await?;
    Ok(Json(status).into_response())
}

fn status_of(api: &Api) -> Result<Status, Problem> {
    let log = api.log_now().map_err(unreadable)?;
    let picture = api.picture(&log);
    let now = api.clock.now();
    let registry = api.registry.lock();
    let (_, series) = registry.sizes();
    let counts = registry.counts();
    let time = view_boot(registry.catalog().clock(), now);
    drop(registry);
    let mut link = link_view(&api.link.status().borrow(), now.mono_ms);
    if picture.link.state == LinkState::NotEnrolled {
        link.says.push_str(lost_enrolment(&link.says, log.central.confirmed));
    }
    let findings = verdict(&picture);
    let (needs, more_needs) = needs(&picture);
    let sentences: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    Ok(Status {
        hub: api.facts.hub.to_string(),
        site: api.facts.settings.now().site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: sentences.join(" "),
        needs,
        more_needs,
        path: path(&picture),
        working: picture.troubles.worst().is_none(),
        time: time.time.map(|_| format_utc(api.clock.utc())),
        clock: time.clock.to_owned(),
        uptime_s: api.clock.uptime().as_secs(),
        started_clean: api.facts.started_clean,
        listeners: api.facts.listeners.clone(),
        devices: devices(picture.counts, series),
        asked: asked(&api.devices),
        configuration: configuration(api),
        intake: IntakeStatus {
            messages: counts.messages,
            samples: counts.samples,
            events: counts.events,
            duplicates: counts.duplicates,
            refused: counts.refused.iter().sum::<u64>()
                + refused_by_drivers(api.metric_sources.iter().flat_map(|source| source())),
        },
        storage: storage(api, &log),
        wear: api.wear_status(),
        link,
        central: CentralStatus {
            confirmed: log.central.confirmed,
            unconfirmed: log.central.unconfirmed,
            unsealed: log.central.unsealed,
        },
        ledger: log.ledger,
    })
}

fn devices(counts: Counts, series: usize) -> DevicesStatus {
    let Counts { devices: known, live, late, silent, fault, not_tested } = counts;
    DevicesStatus { known, live, late, silent, fault, not_tested, series }
}

fn asked(devices: &Devices) -> AskedStatus {
    let files = devices.file_state();
    let views = devices.modbus().devices();
    let is_live = |view: &&DeviceView| view.state == DeviceState::Live;
    let is_troubled =
        |view: &&DeviceView| matches!(view.state, DeviceState::Silent | DeviceState::Unreachable);
    let troubled = |view: &DeviceView| Troubled {
        device: view.device.name.to_string(),
        state: view.state.name().to_owned(),
        trouble: view.trouble.clone(),
    };
    AskedStatus {
        files: files.files,
        devices: views.len(),
        live: views.iter().filter(is_live).count(),
        troubled: views.iter().filter(is_troubled).take(TROUBLED_MAX).map(troubled).collect(),
        file_problems: files.problems,
    }
}

/// What the broker refused: connections, messages, readings, subscriptions. What it refused because the intake did
/// is counted there already.
fn refused_by_drivers(rows: impl Iterator<Item = MetricRow>) -> u64 {
    let again = |row: &MetricRow| row.labels.iter().any(|(_, reason)| reason == "refused-by-hub");
    rows.filter(|row| row.name.contains("_refused_") && !again(row)).map(|row| row.count()).sum()
}

fn storage(api: &Api, log: &LogNow) -> StorageStatus {
    let kept = log.kept;
    StorageStatus {
        dir: api.facts.storage_dir.display().to_string(),
        used_bytes: api.storage_used(),
        quota_bytes: api.facts.settings.now().quota.bytes(),
        stored: kept.stored,
        pending_bytes: api.log.stats().pending_bytes,
        evicted: kept.evicted,
        lost: kept.lost,
        lost_at_most: kept.lost_at_most,
        damaged: kept.damaged,
        trouble: api.unsealable(),
        balanced: kept.balanced,
        epoch: api.facts.epoch.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_refused_is_counted_once() {
        let row = |name, reason, value| MetricRow::counter(name, "", value).label("reason", reason);
        let rows = [
            row("relais_mqtt_refused_publishes_total", "refused-by-hub", 3),
            row("relais_mqtt_refused_publishes_total", "not-json", 2),
            row("relais_mqtt_refused_connections_total", "connect-timeout", 1),
            row("relais_mqtt_disconnects_total", "protocol-error", 9),
        ];
        assert_eq!(refused_by_drivers(rows.into_iter()), 3);
    }
}
