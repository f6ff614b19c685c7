//! `/api/v1/status`: the hub in one object. Its shape is a promise; `relais-hub status` renders it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::metrics::MetricRow;
use hub_chassis::number_text::{counted, thousands};
use hub_chassis::time_text::format_utc;
use hub_model::{BootStamp, Gap, GapCause};
use serde::{Deserialize, Serialize};
use southbound::modbus::{DeviceState, DeviceView};
use utoipa::ToSchema;

use super::api::{Api, Listener, view_boot};
use super::configuration::{ConfigurationStatus, configuration};
use super::problem::{ProblemView, unreadable};
use crate::devices::Devices;
use crate::intake::Registry;
use crate::north::{LinkView, link_view};

/// A device heard within this span counts as heard of late. Devices have no expected interval yet.
const RECENT: Duration = Duration::from_secs(300);

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
    /// One sentence on whether the hub does its work.
    pub verdict: String,
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
    pub known: usize,
    /// Heard in the last five minutes.
    pub heard_5m: usize,
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
    let ledger = api.reader.ledger().map_err(unreadable)?;
    let ledger: Vec<ClassView> = ledger.classes.iter().map(class_view).collect();
    // Read after the ledger, so that an eviction in between is never told as a loss.
    let gaps = api.reader.gaps().map_err(unreadable)?;
    let given_up =
        GivenUp { evicted: in_gaps(&gaps, GapCause::Evicted), missing: in_gaps(&gaps, GapCause::Missing) };
    let damaged = api.reader.damaged().map_err(unreadable)?;
    let storage = storage(api, &ledger, given_up, damaged.iter().map(|(_, range)| range.len()).sum());
    let now = api.clock.now();
    let registry = api.registry.lock();
    let (devices, series) = registry.sizes();
    let recent_ms = u64::try_from(RECENT.as_millis()).unwrap_or(u64::MAX);
    let since = BootStamp { boot: now.boot, mono_ms: now.mono_ms.saturating_sub(recent_ms) };
    let asked_devices = api.devices.modbus().devices();
    let heard = registry.heard_since(since) + answered_since(&registry, &asked_devices, since);
    let counts = registry.counts();
    let time = view_boot(registry.catalog().clock(), now);
    drop(registry);
    let trouble = api.trouble();
    let mut link = link_view(&api.link.status().borrow(), now.mono_ms);
    let central = central(&ledger, api.log.overdue_records());
    tell_lost_enrolment(&mut link, central.confirmed);
    Ok(Status {
        hub: api.facts.hub.to_string(),
        site: api.facts.settings.now().site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: verdict(trouble.as_deref(), devices, heard, &storage) + &outage(&link, &central),
        working: trouble.is_none(),
        time: time.time.map(|_| format_utc(api.clock.utc())),
        clock: time.clock.to_owned(),
        uptime_s: api.clock.uptime().as_secs(),
        started_clean: api.facts.started_clean,
        listeners: api.facts.listeners.clone(),
        devices: DevicesStatus { known: devices, heard_5m: heard, series },
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
        storage,
        link,
        central,
        ledger,
    })
}

/// Devices that answered without saying anything worth a sample, and so were not heard by the log.
fn answered_since(registry: &Registry, asked: &[DeviceView], since: BootStamp) -> usize {
    let is_recent = |at: BootStamp| at.boot == since.boot && at.mono_ms >= since.mono_ms;
    let is_news = |view: &&DeviceView| {
        let device = registry.catalog().device_by_name(view.device.name.as_str());
        view.answered.is_some_and(is_recent)
            && device.is_some_and(|device| !registry.heard(device.id).is_some_and(is_recent))
    };
    asked.iter().filter(is_news).count()
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

fn central(ledger: &[ClassView], overdue: u64) -> CentralStatus {
    let sum = |of: fn(&ClassView) -> u64| ledger.iter().map(of).sum::<u64>();
    let confirmed = sum(|class| class.confirmed);
    CentralStatus {
        confirmed,
        unconfirmed: sum(|class| class.next).saturating_sub(confirmed),
        unsealed: sum(|class| class.tail).saturating_sub(overdue),
    }
}

/// Without its folder the link does not know that the hub was enrolled; what central has confirmed tells.
fn tell_lost_enrolment(link: &mut LinkView, confirmed: u64) {
    if link.state == "not-enrolled" && confirmed > 0 && !link.says.contains("was enrolled") {
        link.says.push_str(
            "; the hub was enrolled once, for central has records of it, so its folder `north` with key and certificate \
             is gone: put back a copy of it, or enrol the hub again with a new token",
        );
    }
}

/// What the verdict adds about the way north: nothing while it works or is not wanted. An outage is no fault of the
/// hub, so it comes last.
fn outage(link: &LinkView, central: &CentralStatus) -> String {
    let waiting = match central.unconfirmed {
        0 => String::new(),
        1 => "; 1 record waits here".to_owned(),
        count => format!("; {} records wait here", thousands(count)),
    };
    match link.state.as_str() {
        "connected" if link.overtaken.is_some() => {
            format!(" Central holds records that this hub never gave out{waiting}.")
        }
        "off" | "connected" => String::new(),
        "not-enrolled" => format!(" Not enrolled at central yet{waiting}."),
        "refused" => format!(" Central and this hub do not accept each other{waiting}."),
        _ => format!(" Central is out of reach{waiting}."),
    }
}

/// What the broker refused: connections, messages, readings, subscriptions. What it refused because the intake did
/// is counted there already.
fn refused_by_drivers(rows: impl Iterator<Item = MetricRow>) -> u64 {
    let again = |row: &MetricRow| row.labels.iter().any(|(_, reason)| reason == "refused-by-hub");
    rows.filter(|row| row.name.contains("_refused_") && !again(row)).map(|row| row.count()).sum()
}

/// Numbers in gaps that are told apart from the others.
struct GivenUp {
    /// For the quota.
    evicted: u64,
    /// With files that are gone; an upper bound.
    missing: u64,
}

fn in_gaps(gaps: &[Gap], cause: GapCause) -> u64 {
    gaps.iter().filter(|gap| gap.cause == cause).map(|gap| gap.range.len()).sum()
}

fn storage(api: &Api, ledger: &[ClassView], given_up: GivenUp, damaged: u64) -> StorageStatus {
    let stats = api.log.stats();
    let GivenUp { evicted, missing } = given_up;
    let gaps: u64 = ledger.iter().map(|class| class.gaps).sum();
    let lost = gaps.saturating_sub(evicted);
    StorageStatus {
        dir: api.facts.storage_dir.display().to_string(),
        used_bytes: api.storage_used(),
        quota_bytes: api.facts.settings.now().quota.bytes(),
        stored: ledger.iter().map(|class| class.tail + class.stored).sum(),
        pending_bytes: stats.pending_bytes,
        evicted: evicted.min(gaps),
        lost,
        lost_at_most: missing.min(lost),
        damaged,
        trouble: api.unsealable(),
        balanced: ledger.iter().all(|class| class.balanced),
        epoch: api.facts.epoch.to_string(),
    }
}

/// The worst thing first. "Nothing is lost" is said only when the ledger has no hole. What was
/// given up for the quota is no fault: a hub whose quota is full does it for ever.
fn verdict(trouble: Option<&str>, known: usize, heard: usize, storage: &StorageStatus) -> String {
    if let Some(why) = trouble {
        return format!("Not working: {why}.");
    }
    if !storage.balanced {
        return "The ledger does not add up: this is a bug, please report it.".to_owned();
    }
    if storage.damaged > 0 {
        let what = counted(storage.damaged, "record", "records");
        let up_to = if storage.lost_at_most > 0 { "up to " } else { "" };
        let lost = match storage.lost {
            0 => String::new(),
            count => format!("; {up_to}{} lost", counted(count, "record is", "records are")),
        };
        return format!("{what} cannot be read, damaged on disk{lost}; `relais-hub data gaps` says which.");
    }
    if storage.lost > 0 {
        let what = counted(storage.lost, "record was", "records were");
        let told = "`relais-hub data gaps` says when and why";
        return match (storage.lost_at_most, storage.lost - storage.lost_at_most.min(storage.lost)) {
            (0, _) => format!("{what} lost; {told}."),
            (_, 0) => {
                format!("Files of the write-ahead log were gone or cut: up to {what} lost with them; {told}.")
            }
            (_, sure) => format!("Between {} and {what} lost; {told}.", thousands(sure)),
        };
    }
    let lossless = match storage.evicted {
        0 => "Working, nothing is lost.".to_owned(),
        1 => "Working. The oldest record was given up: the quota is full.".to_owned(),
        count => {
            format!("Working. The {} oldest records were given up: the quota is full.", thousands(count))
        }
    };
    match (known, heard) {
        (0, _) if storage.evicted > 0 => lossless,
        (0, _) => "Working. No device has said anything yet.".to_owned(),
        (_, 0) if storage.evicted > 0 => format!("{lossless} No device was heard in the last 5 minutes."),
        (_, 0) => "Working, but no device was heard in the last 5 minutes.".to_owned(),
        (known, heard) if heard < known => {
            format!("{lossless} {heard} of {known} devices heard in the last 5 minutes.")
        }
        (1, _) => format!("{lossless} The one device was heard in the last 5 minutes."),
        (known, _) => format!("{lossless} All {known} devices heard in the last 5 minutes."),
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

    #[test]
    fn only_what_the_quota_took_counts_as_given_up() {
        let until = BootStamp { boot: hub_model::BootId::from_bytes([1; 16]), mono_ms: 0 };
        let gap = |from, to, cause| Gap {
            class: hub_model::Class::Telemetry,
            range: hub_model::SeqRange::new(from, to),
            cause,
            since: None,
            until,
        };
        let gaps = [
            gap(0, 5, GapCause::Evicted),
            gap(5, 7, GapCause::Corrupted),
            gap(9, 9, GapCause::Restart),
            gap(9, 12, GapCause::Evicted),
        ];
        assert_eq!(in_gaps(&gaps, GapCause::Evicted), 8);
    }

    #[test]
    fn an_enrolment_that_is_gone_is_told() {
        let told = |state: &str, says: &str, confirmed| {
            let (state, says) = (state.to_owned(), says.to_owned());
            let mut link = LinkView { state, says, ..LinkView::default() };
            tell_lost_enrolment(&mut link, confirmed);
            link.says
        };
        assert_eq!(told("not-enrolled", "there is no claim token", 0), "there is no claim token");
        assert_eq!(told("connected", "connected", 5), "connected");
        let gone = "the hub was enrolled, and identity.pem is gone";
        assert_eq!(told("not-enrolled", gone, 5), gone);
        let says = told("not-enrolled", "there is no claim token", 5);
        assert!(says.starts_with("there is no claim token; the hub was enrolled once, "), "{says}");
    }

    #[test]
    fn an_outage_is_added_to_the_verdict() {
        let said = |state: &str, unconfirmed| {
            let link = LinkView { state: state.to_owned(), ..LinkView::default() };
            outage(&link, &CentralStatus { confirmed: 0, unconfirmed, unsealed: 0 })
        };
        assert_eq!(said("off", 5), "");
        assert_eq!(said("connected", 5), "");
        assert_eq!(said("connecting", 0), " Central is out of reach.");
        assert_eq!(said("connecting", 1), " Central is out of reach; 1 record waits here.");
        assert_eq!(
            said("refused", 12_345),
            " Central and this hub do not accept each other; 12,345 records wait here."
        );
        assert_eq!(said("not-enrolled", 2), " Not enrolled at central yet; 2 records wait here.");
    }

    #[test]
    fn the_verdict_names_the_worst_thing_first() {
        let say = |trouble: Option<&str>, (known, heard): (usize, usize), lost: u64, evicted: u64| {
            let storage = StorageStatus { evicted, lost, balanced: true, ..StorageStatus::default() };
            verdict(trouble, known, heard, &storage)
        };
        let check = |trouble: Option<&str>, devices: (usize, usize), lost: u64, expected: &str| {
            assert_eq!(say(trouble, devices, lost, 0), expected);
        };
        let full = "Working. The 25,938 oldest records were given up: the quota is full.";
        assert_eq!(say(None, (0, 0), 0, 25_938), full);
        assert_eq!(
            say(None, (2, 2), 0, 25_938),
            format!("{full} All 2 devices heard in the last 5 minutes.")
        );
        assert_eq!(
            say(None, (2, 0), 0, 25_938),
            format!("{full} No device was heard in the last 5 minutes.")
        );
        assert!(say(None, (1, 1), 0, 1).starts_with("Working. The oldest record was given up: "));
        assert!(say(None, (1, 1), 2, 25_938).starts_with("2 records were lost; "), "a loss goes first");
        let missing = |lost, lost_at_most| {
            let storage = StorageStatus { lost, lost_at_most, balanced: true, ..StorageStatus::default() };
            verdict(None, 1, 1, &storage)
        };
        assert_eq!(
            missing(5_000, 5_000),
            "Files of the write-ahead log were gone or cut: up to 5,000 records were lost with them; \
             `relais-hub data gaps` says when and why."
        );
        assert!(missing(5_002, 5_000).starts_with("Between 2 and 5,002 records were lost; "));
        let damaged = |damaged, lost| {
            let storage = StorageStatus { damaged, lost, ..StorageStatus::default() };
            verdict(None, 1, 1, &StorageStatus { balanced: true, ..storage })
        };
        let which = "`relais-hub data gaps` says which.";
        assert_eq!(damaged(350, 0), format!("350 records cannot be read, damaged on disk; {which}"));
        assert_eq!(
            damaged(1, 2),
            format!("1 record cannot be read, damaged on disk; 2 records are lost; {which}")
        );
        check(Some("the disk is full"), (1, 1), 5, "Not working: the disk is full.");
        let gaps = "`relais-hub data gaps` says when and why.";
        check(None, (1, 1), 1, &format!("1 record was lost; {gaps}"));
        check(None, (1, 1), 2, &format!("2 records were lost; {gaps}"));
        check(None, (0, 0), 0, "Working. No device has said anything yet.");
        check(None, (1, 1), 0, "Working, nothing is lost. The one device was heard in the last 5 minutes.");
        check(None, (2, 2), 0, "Working, nothing is lost. All 2 devices heard in the last 5 minutes.");
        check(None, (2, 1), 0, "Working, nothing is lost. 1 of 2 devices heard in the last 5 minutes.");
        check(None, (2, 0), 0, "Working, but no device was heard in the last 5 minutes.");
    }
}
