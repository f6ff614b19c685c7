//! `status`: the hub on one screen. The path strip is the one of the pages.

use std::fmt::Write as _;
use std::time::Duration;

use hub_chassis::cli::Failure;
use hub_chassis::cli::output;
use hub_chassis::config::ByteSize;
use hub_chassis::number_text::{counted, duration, thousands};

use super::args::StatusArgs;
use super::client::Client;
use super::config::socket;
use crate::web::Status;

/// Asks the hub and prints what it says.
pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    if args.json {
        return output::line(&client.text("/api/v1/status")?);
    }
    let status: Status = client.json("/api/v1/status")?;
    output::text(&render(&status))
}

fn render(status: &Status) -> String {
    let mut text = format!("{}\n{}\n\n", status.site, status.verdict);
    text.push_str(&strip(status));
    text.push('\n');
    let facts = [
        ("hub", status.hub.clone()),
        ("version", status.version.clone()),
        (
            "up",
            format!(
                "{}{}",
                duration(Duration::from_secs(status.uptime_s)),
                if status.started_clean { "" } else { ", after a run that did not end in order" }
            ),
        ),
        ("clock", clock(status)),
        ("storage", storage(status)),
        ("refused", refused(status)),
    ];
    let listeners =
        status.listeners.iter().map(|listener| (listener.kind.as_str(), listener.address.clone()));
    for (name, value) in facts.into_iter().chain(listeners) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<9}{value}");
    }
    text
}

/// Three stations with their state, shape and word, and two lines each.
fn strip(status: &Status) -> String {
    let (known, heard) = (status.devices.known, status.devices.heard_5m);
    let devices = match (known, heard) {
        (0, _) => "\u{25cb} none yet",
        (_, 0) => "\u{25a0} Silent",
        (known, heard) if heard < known => "\u{25d0} some Silent",
        _ => "\u{25cf} Live",
    };
    let hub = if status.working { "\u{25cf} Live" } else { "\u{25b2} Fault" };
    let stored =
        if status.storage.lost == 0 && status.storage.balanced { "\u{25cf} Pass" } else { "\u{25b2} Fault" };
    let columns = [
        [
            "Devices".to_owned(),
            devices.to_owned(),
            format!("{heard} of {known} heard in 5 min"),
            format!("{} series", thousands(u64::try_from(status.devices.series).unwrap_or(u64::MAX))),
        ],
        [
            "Hub".to_owned(),
            hub.to_owned(),
            counted(status.intake.samples, "reading", "readings"),
            format!("{} since start", counted(status.intake.events, "event", "events")),
        ],
        [
            "Stored".to_owned(),
            stored.to_owned(),
            format!("{} on flash", counted(status.storage.stored, "record", "records")),
            missing(status),
        ],
    ];
    let widths =
        columns.each_ref().map(|column| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in 0..columns[0].len() {
        let joint = if line == 0 { "  \u{2192}  " } else { "     " };
        let cells: Vec<String> = columns
            .iter()
            .zip(widths)
            .map(|(column, width)| {
                format!("{}{}", column[line], " ".repeat(width - column[line].chars().count()))
            })
            .collect();
        text.push_str(cells.join(joint).trim_end());
        text.push('\n');
    }
    text
}

/// What is not there any more. A full quota is no fault, so it has another word.
fn missing(status: &Status) -> String {
    let lost = format!("{} lost", thousands(status.storage.lost));
    match (status.storage.evicted, status.storage.lost) {
        (0, _) => lost,
        (evicted, 0) => format!("{} given up", thousands(evicted)),
        (evicted, _) => format!("{lost}, {} given up", thousands(evicted)),
    }
}

fn clock(status: &Status) -> String {
    let meaning = match status.clock.as_str() {
        "synced" => "synced: a time source keeps it right",
        "holdover" => "holdover: set, but no time source is known to keep it right",
        _ => "unset: readings get their time once it is set",
    };
    match &status.time {
        Some(time) => format!("{time}, {meaning}"),
        None => meaning.to_owned(),
    }
}

fn storage(status: &Status) -> String {
    let storage = &status.storage;
    let (used, quota) = (ByteSize::from_bytes(storage.used_bytes), ByteSize::from_bytes(storage.quota_bytes));
    format!("{}, {used} of {quota} used", storage.dir)
}

fn refused(status: &Status) -> String {
    match status.intake.refused {
        0 => "nothing since start".to_owned(),
        count => {
            let web = status.listeners.iter().find(|listener| listener.kind == "web");
            let address = web.map_or("127.0.0.1:8080", |web| web.address.as_str());
            format!(
                "{} since start; why: the hub's log, and curl -s http://{address}/metrics | grep _refused_",
                thousands(count)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Listener;

    fn example() -> Status {
        serde_json::from_value(serde_json::json!({
            "hub": "hub_01", "site": "Hall 3", "version": "0.0.1", "working": true,
            "verdict": "Working, nothing is lost. 2 of 3 devices heard in the last 5 minutes.",
            "time": "2026-11-22T03:00:00.000Z", "clock": "holdover", "uptime_s": 7_260, "started_clean": true,
            "listeners": [{ "kind": "mqtt", "address": "127.0.0.1:1883" }],
            "devices": { "known": 3, "heard_5m": 2, "series": 12 },
            "intake": { "messages": 5, "samples": 1_234, "events": 2, "duplicates": 0, "refused": 0 },
            "storage": {
                "dir": "/var/lib/relais-hub", "used_bytes": 20_971_520_u64, "quota_bytes": 8_589_934_592_u64,
                "stored": 1_250, "pending_bytes": 0, "evicted": 0, "lost": 0, "balanced": true, "epoch": "00"
            },
            "ledger": []
        }))
        .unwrap()
    }

    #[test]
    fn the_screen_reads_well() {
        assert_eq!(
            render(&example()),
            "Hall 3\n\
             Working, nothing is lost. 2 of 3 devices heard in the last 5 minutes.\n\n\
             Devices                \u{2192}  Hub                   \u{2192}  Stored\n\
             \u{25d0} some Silent             \u{25cf} Live                   \u{25cf} Pass\n\
             2 of 3 heard in 5 min     1,234 readings           1,250 records on flash\n\
             12 series                 2 events since start     0 lost\n\n\
             hub      hub_01\n\
             version  0.0.1\n\
             up       2 h 1 min\n\
             clock    2026-11-22T03:00:00.000Z, holdover: set, but no time source is known to keep it right\n\
             storage  /var/lib/relais-hub, 20 MiB of 8 GiB used\n\
             refused  nothing since start\n\
             mqtt     127.0.0.1:1883\n"
        );
        let mut one = example();
        one.intake.samples = 1;
        one.intake.events = 1;
        one.intake.refused = 1;
        one.storage.stored = 1;
        one.listeners.push(Listener { kind: "web".into(), address: "127.0.0.1:9".into() });
        let screen = render(&one);
        for line in [
            "2 of 3 heard in 5 min     1 reading               1 record on flash\n",
            "12 series                 1 event since start     0 lost\n",
            "refused  1 since start; why: the hub's log, and curl -s http://127.0.0.1:9/metrics | grep _refused_\n",
        ] {
            assert!(screen.contains(line), "{line} is not in\n{screen}");
        }
        let mut full = example();
        full.storage.evicted = 25_938;
        let screen = render(&full);
        assert!(screen.contains("\u{25cf} Pass\n") && screen.contains("     25,938 given up\n"), "{screen}");
        full.storage.lost = 2;
        let screen = render(&full);
        assert!(
            screen.contains("\u{25b2} Fault\n") && screen.contains("     2 lost, 25,938 given up\n"),
            "{screen}"
        );
        assert_eq!(example().listeners, [Listener { kind: "mqtt".into(), address: "127.0.0.1:1883".into() }]);
    }
}
