//! The lists of the API: where they are, which columns they have.

use super::cells::Kind;

/// A list of the API.
#[derive(Debug)]
pub(super) struct List {
    pub(super) path: &'static str,
    /// The field with the entries.
    pub(super) key: &'static str,
    pub(super) columns: &'static [Column],
    /// What `-o name` prints: fields with a tab between.
    pub(super) name: &'static [&'static str],
    /// What an entry and several are called.
    pub(super) entry: (&'static str, &'static str),
    /// In place of an empty table.
    pub(super) none: &'static str,
}

/// A column of a table and of CSV.
#[derive(Debug)]
pub(super) struct Column {
    /// With `>` in front to the right; empty where the column is for CSV only.
    pub(super) head: &'static str,
    /// Its name in the API; empty where the column is for people only.
    pub(super) field: &'static str,
    pub(super) kind: Kind,
}

const fn text(head: &'static str, field: &'static str) -> Column {
    Column { head, field, kind: Kind::Text }
}

const fn count(head: &'static str, field: &'static str) -> Column {
    Column { head, field, kind: Kind::Count }
}

pub(super) static HUBS: List = List {
    path: "/v1/hubs",
    key: "hubs",
    columns: &[
        text("hub", "id"),
        text("site", "site"),
        text("state", "state"),
        text("connected", "connected"),
        text("seen", "seen_time"),
        text("program", "program"),
        text("certificate until", "certificate_end_time"),
        text("", "site_id"),
        text("", "enrolled_time"),
        text("", "protocol"),
        text("", "boot"),
        text("", "address"),
        text("", "key_fingerprint"),
        text("", "certificate_serial"),
    ],
    name: &["id"],
    entry: ("hub", "hubs"),
    none: "No hubs. Make a claim token at central with `relais-central token create`, and give it to a hub.",
};

pub(super) static DEVICES: List = List {
    path: "/v1/devices",
    key: "devices",
    columns: &[
        text("device", "name"),
        text("id", "id"),
        text("hub", "hub_id"),
        count(">series", "series_count"),
    ],
    name: &["id"],
    entry: ("device", "devices"),
    none: "No devices.",
};

pub(super) static SERIES: List = List {
    path: "/v1/series",
    key: "series",
    columns: &[
        text("device", "device"),
        text("metric", "metric"),
        text("type", "type"),
        text("unit", "unit"),
        text("hub", "hub_id"),
        text("epoch", "epoch"),
        text("", "id"),
        text("", "device_id"),
    ],
    name: &["device", "metric"],
    entry: ("series", "series"),
    none: "No series.",
};

pub(super) static GAPS: List = List {
    path: "/v1/gaps",
    key: "gaps",
    columns: &[
        text("hub", "hub_id"),
        text("class", "class"),
        text("cause", "cause"),
        Column { head: ">records", field: "", kind: Kind::Range },
        count(">from", "from"),
        text("", "to"),
        text("since", "since"),
        text("until", "until"),
        text("epoch", "epoch"),
    ],
    name: &["hub_id", "epoch", "class", "from", "to"],
    entry: ("gap", "gaps"),
    none: "No gaps: central knows of nothing that is lost.",
};

pub(super) static AUDIT: List = List {
    path: "/v1/audit-events",
    key: "audit_events",
    columns: &[
        count(">seq", "seq"),
        text("time", "time"),
        text("actor", "actor"),
        text("action", "action"),
        text("target", "target"),
        text("outcome", "outcome"),
        text("from", "address"),
        text("detail", "detail"),
        text("", "hash"),
    ],
    name: &["seq"],
    entry: ("audit event", "audit events"),
    none: "No audit events.",
};
