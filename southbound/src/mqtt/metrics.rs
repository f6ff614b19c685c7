//! What the broker counts. Every label value is a word from the code, so the number of rows is bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A count that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: usize) {
        self.0.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn rise(&self, by: usize) {
        self.0.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Never below what [`Gauge::rise`] has added.
    pub(crate) fn fall(&self, by: usize) {
        self.0.fetch_sub(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by reason.
#[derive(Debug, Default)]
pub(crate) struct ByReason(Mutex<BTreeMap<&'static str, u64>>);

impl ByReason {
    pub(crate) fn add(&self, reason: &'static str) {
        self.add_many(reason, 1);
    }

    pub(crate) fn add_many(&self, reason: &'static str, count: usize) {
        if count > 0 {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(reason).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    #[cfg(test)]
    pub(crate) fn get(&self, reason: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(reason).copied().unwrap_or(0)
    }

    fn rows(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything the broker counts. The help texts of [`Metrics::rows`] say what each is.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) connected: Counter,
    pub(crate) refused_connections: ByReason,
    pub(crate) disconnects: ByReason,
    pub(crate) published: Counter,
    pub(crate) published_bytes: Counter,
    pub(crate) stored: Counter,
    pub(crate) refused_publishes: ByReason,
    pub(crate) refused_readings: ByReason,
    pub(crate) retain_ignored: Counter,
    pub(crate) refused_subscriptions: ByReason,
    pub(crate) delivered: Counter,
    pub(crate) delivered_bytes: Counter,
    pub(crate) dropped: ByReason,
    pub(crate) queued_bytes: Gauge,
    pub(crate) subscriptions: Gauge,
    pub(crate) sessions: Gauge,
    pub(crate) sessions_ended: ByReason,
    pub(crate) session_store_errors: Counter,
    pub(crate) session_store_commits: Counter,
    pub(crate) session_store_written_bytes: Counter,
    pub(crate) session_files_set_aside: Counter,
    pub(crate) router_rebuilds: Counter,
}

/// One number, as Prometheus wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRow {
    /// The metric's name; `_total` marks a counter, anything else is a gauge. Rows of one name follow each other.
    pub name: &'static str,
    /// What it is, in one sentence without a line break.
    pub help: &'static str,
    /// At most one label: name and value, neither of which needs escaping.
    pub label: Option<(&'static str, &'static str)>,
    /// The number.
    pub value: u64,
}

impl Metrics {
    /// Every number, ordered by name within its group.
    pub(crate) fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        let mut plain = |name, help, value| rows.push(MetricRow { name, help, label: None, value });
        plain("relais_mqtt_connections", "Open connections.", self.connections.get());
        plain("relais_mqtt_sessions", "Persistent sessions kept on flash.", self.sessions.get());
        plain("relais_mqtt_subscriptions", "Filters of all sessions.", self.subscriptions.get());
        plain(
            "relais_mqtt_queued_bytes",
            "Bytes waiting for subscribers; a message counts for each of them.",
            self.queued_bytes.get(),
        );
        plain("relais_mqtt_accepted_total", "Connections accepted by listeners.", self.accepted.get());
        plain("relais_mqtt_connected_total", "Clients let in by CONNACK.", self.connected.get());
        plain("relais_mqtt_published_total", "PUBLISH packets taken from clients.", self.published.get());
        plain("relais_mqtt_published_bytes_total", "Payload bytes of those.", self.published_bytes.get());
        plain(
            "relais_mqtt_stored_total",
            "PUBLISH packets acknowledged after the log's commit.",
            self.stored.get(),
        );
        plain(
            "relais_mqtt_retain_ignored_total",
            "PUBLISH packets and wills whose retain flag was ignored.",
            self.retain_ignored.get(),
        );
        plain("relais_mqtt_delivered_total", "PUBLISH packets written to subscribers.", self.delivered.get());
        plain("relais_mqtt_delivered_bytes_total", "Payload bytes of those.", self.delivered_bytes.get());
        plain(
            "relais_mqtt_session_store_errors_total",
            "Failed transactions of the session file.",
            self.session_store_errors.get(),
        );
        plain(
            "relais_mqtt_session_store_commits_total",
            "Transactions of the session file.",
            self.session_store_commits.get(),
        );
        plain(
            "relais_mqtt_session_store_written_bytes_total",
            "Bytes written to the session file.",
            self.session_store_written_bytes.get(),
        );
        plain(
            "relais_mqtt_session_files_set_aside_total",
            "Damaged session files moved away.",
            self.session_files_set_aside.get(),
        );
        plain(
            "relais_mqtt_router_rebuilds_total",
            "Restarts of the message router.",
            self.router_rebuilds.get(),
        );
        self.rows_by_reason(&mut rows);
        rows
    }

    fn rows_by_reason(&self, rows: &mut Vec<MetricRow>) {
        let groups: [(&'static str, &'static str, &ByReason); 7] = [
            ("relais_mqtt_refused_connections_total", "Connections refused.", &self.refused_connections),
            ("relais_mqtt_disconnects_total", "Connections ended.", &self.disconnects),
            (
                "relais_mqtt_refused_publishes_total",
                "PUBLISH packets refused whole.",
                &self.refused_publishes,
            ),
            (
                "relais_mqtt_refused_readings_total",
                "Readings refused, those of wholly refused messages included.",
                &self.refused_readings,
            ),
            ("relais_mqtt_refused_subscriptions_total", "Filters refused.", &self.refused_subscriptions),
            ("relais_mqtt_dropped_total", "Deliveries to subscribers dropped.", &self.dropped),
            ("relais_mqtt_sessions_ended_total", "Persistent sessions ended.", &self.sessions_ended),
        ];
        for (name, help, counts) in groups {
            for (reason, value) in counts.rows() {
                rows.push(MetricRow { name, help, label: Some(("reason", reason)), value });
            }
        }
    }
}
