//! `/healthz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::metrics::{MEDIA_TYPE, MetricRow, float, process, render};
use hub_chassis::number_text::duration;
use hub_store::SealTrouble;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::problem::ProblemView;
use crate::findings::Troubles;
use crate::intake::Refusal;

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`: when it is not, the answer is an error.
    status: &'static str,
}

/// Whether the hub does its work: log and broker run
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "get_health",
    tag = "about",
    responses(
        (status = 200, description = "It works", body = Health),
        (status = 503, description = "It does not", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn healthz(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    match api.trouble() {
        None => Ok(Json(Health { status: "ok" }).into_response()),
        Some(why) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-working", "The hub does not work", why))
        }
    }
}

/// Every number, in Prometheus text
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "about",
    responses(
        (status = 200, description = "Prometheus text", body = String, content_type = "text/plain; version=0.0.4"),
    )
)]
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let mut rows = process(env!("CARGO_PKG_VERSION"), api.clock.uptime(), api.clock.cpu_time());
    rows.extend(intake(&api));
    rows.extend(log(&api));
    rows.extend(api.wear_metrics());
    rows.extend(api.counts.metrics());
    rows.extend(api.supervisor.metrics());
    for source in &api.metric_sources {
        rows.extend(source());
    }
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], render(&rows)).into_response()
}

impl Api {
    /// Why the hub does not do its work; `None` when it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.troubles().worst().map(str::to_owned)
    }

    /// What keeps the hub from its work.
    pub(super) fn troubles(&self) -> Troubles {
        let (stats, now_ms) = (self.log.stats(), self.clock.now().mono_ms);
        let fatal = self.log.fatal().borrow().clone();
        Troubles {
            fatal: fatal.map(|why| format!("the telemetry log has stopped: {why}")),
            commits: blocked(stats.blocked_since_ms, now_ms)
                .or_else(|| stalled(stats.writing_since_ms, now_ms)),
            held: held_back(stats.held_since_ms, now_ms),
            blocks: self.unsealable(),
            part: self.health_sources.iter().find_map(|source| source()),
        }
    }
}

/// A failure of the disk is told when it lasts so long.
const LASTING_MS: u64 = 5_000;

impl Api {
    /// Why nothing reaches the blocks, when that lasts.
    pub(super) fn unsealable(&self) -> Option<String> {
        let trouble = self.log.seal_trouble()?;
        unsealable(&trouble, self.clock.now().mono_ms, self.log.stats().wal_used_percent)
    }
}

/// The WAL goes on for a while, so this is the time to make room: when it is full, devices must wait.
fn unsealable(trouble: &SealTrouble, now_ms: u64, wal_used_percent: u64) -> Option<String> {
    let lasts_ms = now_ms.saturating_sub(trouble.since_ms);
    (lasts_ms >= LASTING_MS).then(|| {
        let (lasts, why) = (duration(Duration::from_millis(lasts_ms)), &trouble.why);
        format!(
            "blocks cannot be written for {lasts}: {why}; readings are still safe in the write-ahead log, \
             {wal_used_percent} % of it is used, but central gets nothing new"
        )
    })
}

/// Why nothing is stored, when that lasts: a moment without room is normal under load.
fn blocked(since_ms: u64, now_ms: u64) -> Option<String> {
    let lasts = since_ms > 0 && now_ms.saturating_sub(since_ms) >= LASTING_MS;
    lasts.then(|| {
        let seconds = now_ms.saturating_sub(since_ms) / 1000;
        format!("nothing can be stored for {seconds} s, the disk is full or fails; acknowledgements are withheld, nothing acknowledged is lost")
    })
}

/// Why readings are not stored although alarms are, when that lasts: a moment of it is normal under load.
fn held_back(since_ms: u64, now_ms: u64) -> Option<String> {
    let lasts = since_ms > 0 && now_ms.saturating_sub(since_ms) >= LASTING_MS;
    lasts.then(|| {
        let lasts = duration(Duration::from_millis(now_ms.saturating_sub(since_ms)));
        format!(
            "no readings are taken for {lasts}: the write-ahead log is nearly full because blocks cannot be written, and \
             the rest of it is kept for alarms and events, which are still stored; devices keep their readings and wait \
             for their acknowledgement, nothing acknowledged is lost; make room on the disk or replace it"
        )
    })
}

/// Why nothing is stored, when one write takes that long.
fn stalled(since_ms: u64, now_ms: u64) -> Option<String> {
    let lasts = since_ms > 0 && now_ms.saturating_sub(since_ms) >= LASTING_MS;
    lasts.then(|| {
        let seconds = now_ms.saturating_sub(since_ms) / 1000;
        format!("the disk has not finished a write for {seconds} s; acknowledgements are withheld, nothing acknowledged is lost")
    })
}

fn intake(api: &Api) -> Vec<MetricRow> {
    let registry = api.registry.lock();
    let (counts, (devices, series)) = (registry.counts(), registry.sizes());
    drop(registry);
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let mut rows = vec![
        MetricRow::gauge("relais_devices", "Devices known.", size(devices)),
        MetricRow::gauge("relais_series", "Series known.", size(series)),
        MetricRow::counter("relais_intake_messages_total", "Messages taken from drivers.", counts.messages),
        MetricRow::counter("relais_intake_samples_total", "Readings on flash.", counts.samples),
        MetricRow::counter("relais_intake_events_total", "Events on flash.", counts.events),
        MetricRow::counter(
            "relais_intake_duplicates_total",
            "Resent messages that were on flash already.",
            counts.duplicates,
        ),
    ];
    for (refusal, count) in Refusal::ALL.iter().zip(counts.refused) {
        let row = MetricRow::counter(
            "relais_intake_refused_total",
            "Messages and readings refused for good: messages for device-limit and log, readings otherwise.",
            count,
        );
        rows.push(row.label("reason", refusal.name()));
    }
    rows
}

fn log(api: &Api) -> Vec<MetricRow> {
    let stats = api.log.stats();
    let now_ms = api.clock.now().mono_ms;
    let failing_s = api.log.seal_trouble().map_or(0, |t| (now_ms.saturating_sub(t.since_ms) / 1000).max(1));
    let counters = [
        ("relais_log_commits_total", "Commits synced to flash.", stats.commits),
        (
            "relais_log_commit_failures_total",
            "Failed writes or syncs: look at the disk.",
            stats.commit_failures,
        ),
        ("relais_log_wal_bytes_total", "Bytes written by commits, padding included.", stats.wal_bytes),
        ("relais_log_records_total", "Records committed.", stats.records),
        ("relais_log_duplicates_total", "Resends recognised.", stats.duplicates),
        ("relais_log_seals_total", "Seals: the tail made into blocks.", stats.seals),
        ("relais_log_seal_failures_total", "Seals that failed and were tried again.", stats.seal_failures),
        ("relais_log_blocks_sealed_total", "Blocks sealed.", stats.blocks_sealed),
        ("relais_log_block_bytes_sealed_total", "Bytes of the sealed blocks.", stats.block_bytes_sealed),
        ("relais_log_records_sealed_total", "Records in the sealed blocks.", stats.records_sealed),
        ("relais_log_blocks_evicted_total", "Blocks given up for the quota.", stats.blocks_evicted),
        ("relais_log_block_bytes_evicted_total", "Bytes of these blocks.", stats.block_bytes_evicted),
        ("relais_log_damaged_total", "Places where stored bytes went bad.", stats.damaged),
        ("relais_log_damaged_reads_total", "Damaged blocks met by queries.", stats.damaged_reads),
    ];
    let gauges = [
        ("relais_log_block_bytes", "Size of all blocks held.", stats.block_bytes_held),
        ("relais_log_pending_bytes", "Appended, not yet on flash.", stats.pending_bytes),
        ("relais_log_tail_records", "On flash, not yet sealed.", stats.tail_records),
        ("relais_log_wal_files", "Files of the write-ahead log.", stats.wal_files),
        (
            "relais_log_wal_used_percent",
            "Part of these files taken until the next seal.",
            stats.wal_used_percent,
        ),
        (
            "relais_log_readings_held_seconds",
            "For how long readings are held back, because the rest of the write-ahead log is for alarms; 0 while they are taken.",
            if stats.held_since_ms == 0 {
                0
            } else {
                (now_ms.saturating_sub(stats.held_since_ms) / 1000).max(1)
            },
        ),
        (
            "relais_log_seal_failing_seconds",
            "For how long blocks cannot be written; 0 while they can.",
            failing_s,
        ),
        ("relais_storage_used_bytes", "Room taken in the storage folder.", api.storage_used()),
    ];
    let counters = counters.map(|(name, help, value)| MetricRow::counter(name, help, value));
    let gauges = gauges.map(|(name, help, value)| MetricRow::gauge(name, help, value));
    let mut rows = Vec::from(counters);
    rows.extend(gauges);
    let mut quota = MetricRow::gauge("relais_storage_quota_bytes", "Room the hub may take.", 0);
    quota.value = float(api.facts.settings.now().quota.bytes());
    rows.push(quota);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_room_is_trouble_when_it_lasts() {
        assert_eq!(blocked(0, 100_000), None);
        assert_eq!(blocked(97_000, 100_000), None);
        assert!(blocked(90_000, 100_000).is_some_and(|why| why.contains("for 10 s")));
    }

    #[test]
    fn readings_that_must_wait_are_trouble_when_it_lasts() {
        assert_eq!(held_back(0, 100_000), None);
        assert_eq!(held_back(97_000, 100_000), None);
        let said = held_back(40_000, 160_000).unwrap();
        assert!(
            said.starts_with("no readings are taken for 2 min: the write-ahead log is nearly full"),
            "{said}"
        );
        assert!(said.contains("kept for alarms and events, which are still stored"), "{said}");
    }

    #[test]
    fn a_write_that_does_not_end_is_trouble_when_it_lasts() {
        assert_eq!(stalled(0, 100_000), None);
        assert_eq!(stalled(97_000, 100_000), None);
        assert!(stalled(90_000, 100_000).is_some_and(|why| why.contains("a write for 10 s")));
    }

    #[test]
    fn blocks_that_cannot_be_written_are_trouble_when_it_lasts() {
        let trouble = SealTrouble { since_ms: 20_000, why: "the disk is full".to_owned() };
        assert_eq!(unsealable(&trouble, 24_000, 12), None);
        assert_eq!(
            unsealable(&trouble, 200_000, 12).as_deref(),
            Some(
                "blocks cannot be written for 3 min: the disk is full; readings are still safe in the \
                 write-ahead log, 12 % of it is used, but central gets nothing new"
            )
        );
    }
}
