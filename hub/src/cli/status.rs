//! `status`: the hub on one screen. The path strip is the one of the pages.

use std::fmt::Write as _;
use std::time::Duration;

use hub_chassis::cli::Failure;
use hub_chassis::cli::output;
use hub_chassis::config::ByteSize;
use hub_chassis::number_text::{counted, duration, thousands};

use hub_ui::live::message::{HopLevel, Level};

use super::args::StatusArgs;
use super::client::Client;
use super::config::socket;
use crate::north::LinkView;
use crate::web::{AskedStatus, ConfigurationStatus, Status, WearStatus};

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
    text.push_str(&needs(status));
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
        ("org", status.link.org.clone().unwrap_or_default()),
        ("site", site(&status.link)),
        ("cert", certificate(&status.link)),
        ("storage", storage(status)),
        ("wear", wear(&status.wear)),
        ("refused", refused(status)),
    ];
    let listeners =
        status.listeners.iter().map(|listener| (listener.kind.as_str(), listener.address.clone()));
    for (name, value) in facts.into_iter().chain(listeners).filter(|(_, value)| !value.is_empty()) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<9}{value}");
    }
    text.push_str(&asked(&status.asked));
    text.push_str(&configuration(&status.configuration));
    text
}

/// What needs somebody, with the devices it concerns. Nothing where all is well.
fn needs(status: &Status) -> String {
    let mut text = String::new();
    for need in &status.needs {
        let shape = match need.finding.level {
            Level::Bad => shape(HopLevel::Bad),
            Level::Warn => shape(HopLevel::Warn),
            Level::Good => shape(HopLevel::Good),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{shape} {}", output::printable(&need.finding.text));
        if need.device_count > 1 {
            let names: Vec<String> = need.devices.iter().map(|name| output::printable(name)).collect();
            let more = match need.device_count.saturating_sub(need.devices.len() as u64) {
                0 => String::new(),
                more => format!(" and {} more", thousands(more)),
            };
            let _ = writeln!(text, "  {}{more}", names.join(", "));
        }
    }
    if status.more_needs > 0 {
        let _ = writeln!(text, "  and {} more", thousands(status.more_needs));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Devices of files: how many answer, and what is wrong with those that do not. Nothing where there are none.
fn asked(asked: &AskedStatus) -> String {
    let mut text = String::new();
    if asked.files == 0 && asked.file_problems.is_empty() {
        return text;
    }
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "modbus   {} of {} live", asked.live, counted_devices(asked.devices));
    for device in &asked.troubled {
        let why = device.trouble.as_deref().map(output::printable).unwrap_or_default();
        let _ = writeln!(text, "         {}: {}, {why}", output::printable(&device.device), device.state);
    }
    let troubled = asked.devices.saturating_sub(asked.live);
    if troubled > asked.troubled.len() && !asked.troubled.is_empty() {
        let _ = writeln!(text, "         all of them: relais-hub device list");
    }
    for problem in &asked.file_problems {
        let _ = writeln!(text, "files    {}", output::printable(problem));
    }
    text
}

/// How the last reload went. Nothing before the first.
fn configuration(configuration: &ConfigurationStatus) -> String {
    let mut text = String::new();
    let ConfigurationStatus { in_force, reloads, last_reload_time, problems, .. } = configuration;
    let at = last_reload_time.as_deref().map(|at| format!(" of {at}")).unwrap_or_default();
    let said = match (in_force, reloads) {
        (true, 0) => return text,
        (true, _) => format!("in force since the reload{at}"),
        (false, _) => format!("not in force: the reload{at} was refused, nothing was changed"),
    };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "config   {said}");
    for problem in problems {
        let _ = writeln!(text, "         {}", output::printable(problem));
    }
    text
}

fn counted_devices(devices: usize) -> String {
    counted(u64::try_from(devices).unwrap_or(u64::MAX), "device", "devices")
}

/// The path of a reading: five stations, each with its shape, phrase and facts.
fn strip(status: &Status) -> String {
    let series = thousands(u64::try_from(status.devices.series).unwrap_or(u64::MAX));
    let path = &status.path;
    let stations = [
        ("Devices", &path.devices, format!("{series} series")),
        (
            "\u{2192} Hub",
            &path.hub,
            format!(
                "{}, {} since start",
                counted(status.intake.samples, "reading", "readings"),
                counted(status.intake.events, "event", "events")
            ),
        ),
        ("\u{2192} Stored", &path.stored, stored(status)),
        ("\u{2192} Link", &path.link, link(&status.link)),
        ("\u{2192} Central", &path.central, central(status)),
    ];
    let width = stations.iter().map(|(_, hop, _)| hop.text.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, hop, facts) in stations {
        let gap = " ".repeat(width - hop.text.chars().count());
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<11}{} {}{gap}  {facts}", shape(hop.level), hop.text);
    }
    text
}

/// As on the page: never colour alone.
const fn shape(level: HopLevel) -> char {
    match level {
        HopLevel::Good => '\u{25cf}',
        HopLevel::Warn => '\u{25d0}',
        HopLevel::Bad => '\u{25b2}',
        HopLevel::Off => '\u{25cb}',
    }
}

fn link(link: &LinkView) -> String {
    let mut facts = output::printable(&link.says).to_string();
    if let Some(connected) = link.connected_s {
        // Writing to a `String` cannot fail.
        let _ = write!(facts, " for {}", duration(Duration::from_secs(connected)));
    }
    if let Some(round_trip) = link.round_trip_ms {
        // Writing to a `String` cannot fail.
        let _ = write!(facts, ", {round_trip} ms away");
    }
    facts
}

/// What the phrase of the station does not say already.
fn stored(status: &Status) -> String {
    match status.path.stored.code.as_str() {
        "safe" => missing(status),
        _ => format!("{} on flash, {}", counted(status.storage.stored, "record", "records"), missing(status)),
    }
}

/// The same. Readings that wait for their block are no delay: central gets blocks.
fn central(status: &Status) -> String {
    if status.link.state == "off" {
        return "nothing is sent".to_owned();
    }
    if let Some(overtaken) = &status.link.overtaken {
        return output::printable(overtaken).clone();
    }
    let central = &status.central;
    let waiting = central.unconfirmed.saturating_sub(central.unsealed);
    let code = status.path.central.code.as_str();
    let mut facts = Vec::new();
    if code != "confirmed-all" {
        facts.push(format!("{} confirmed", counted(central.confirmed, "record", "records")));
    }
    if code != "behind" {
        facts.push(format!("{} to send", thousands(waiting)));
    }
    if central.unsealed > 0 {
        facts.push(format!("{} gathering", thousands(central.unsealed)));
    }
    if status.link.parked > 0 {
        facts.push(format!("{} refused and kept here", thousands(status.link.parked)));
    }
    facts.join(", ")
}

/// What is not there any more. A full quota is no fault, so it has another word.
fn missing(status: &Status) -> String {
    let storage = &status.storage;
    let mut facts = Vec::new();
    if storage.lost > 0 || storage.evicted == 0 {
        let up_to = if storage.lost_at_most > 0 { "up to " } else { "" };
        facts.push(format!("{up_to}{} lost", thousands(storage.lost)));
    }
    if storage.damaged > 0 {
        facts.push(format!("{} damaged", thousands(storage.damaged)));
    }
    if storage.evicted > 0 {
        facts.push(format!("{} given up", thousands(storage.evicted)));
    }
    if storage.trouble.is_some() {
        facts.push("blocks cannot be written".to_owned());
    }
    facts.join(", ")
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

/// What central calls the site, and its id; nothing before the hub is enrolled.
fn site(link: &LinkView) -> String {
    let (name, id) =
        (link.site_name.as_deref().unwrap_or_default(), link.site.as_deref().unwrap_or_default());
    let name = output::printable(name);
    if name.is_empty() || id.is_empty() { format!("{name}{id}") } else { format!("{name}, {id}") }
}

fn certificate(link: &LinkView) -> String {
    let Some(ends) = &link.certificate_ends else { return String::new() };
    match &link.renewal_error {
        None => format!("until {ends}"),
        Some(error) => format!("until {ends}, and not renewed so far: {}", output::printable(error)),
    }
}

fn storage(status: &Status) -> String {
    let storage = &status.storage;
    let (used, quota) = (ByteSize::from_bytes(storage.used_bytes), ByteSize::from_bytes(storage.quota_bytes));
    format!("{}, {used} of {quota} used", storage.dir)
}

/// How fast the flash is used up, as far as it is known.
fn wear(wear: &WearStatus) -> String {
    let bytes = ByteSize::from_bytes;
    let (Some(per_day), Some(measured_s)) = (wear.bytes_per_day, wear.measured_s) else {
        let told_after = duration(Duration::from_secs(wear.told_after_s));
        return format!(
            "{} written since start; how much in a day is told {told_after} after it",
            bytes(wear.written_bytes)
        );
    };
    let mut text = format!("{} written per day", bytes(per_day));
    if let Some(per_reading) = wear.bytes_per_reading {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ", {per_reading:.0} bytes per reading");
    }
    // Writing to a `String` cannot fail.
    let _ = write!(text, "; measured over {}", duration(Duration::from_secs(measured_s)));
    if let Some(machine) = wear.machine_bytes_per_day {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "; the whole machine writes {} per day to this disk", bytes(machine));
    }
    text
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
    use hub_ui::live::message::Hop;

    fn example() -> Status {
        serde_json::from_value(serde_json::json!({
            "hub": "hub_01", "site": "Hall 3", "version": "0.0.1", "working": true,
            "verdict": "Working, nothing is lost. 1 of 3 devices is late.",
            "time": "2026-11-22T03:00:00.000Z", "clock": "holdover", "uptime_s": 7_260, "started_clean": true,
            "listeners": [{ "kind": "mqtt", "address": "127.0.0.1:1883" }],
            "devices": { "known": 3, "live": 2, "late": 1, "silent": 0, "fault": 0, "not_tested": 0, "series": 12 },
            "path": {
                "devices": { "level": "warn", "code": "live", "params": { "live": 2, "count": 3 }, "text": "2 of 3 live" },
                "hub": { "level": "good", "code": "working", "params": {}, "text": "working" },
                "stored": { "level": "good", "code": "safe", "params": { "stored": 1_250 }, "text": "1,250 records safe" },
                "link": { "level": "good", "code": "connected", "params": {}, "text": "connected" },
                "central": { "level": "warn", "code": "behind", "params": { "unconfirmed": 40 }, "text": "40 to send" }
            },
            "intake": { "messages": 5, "samples": 1_234, "events": 2, "duplicates": 0, "refused": 0 },
            "storage": {
                "dir": "/var/lib/relais-hub", "used_bytes": 20_971_520_u64, "quota_bytes": 8_589_934_592_u64,
                "stored": 1_250, "pending_bytes": 0, "evicted": 0, "lost": 0, "balanced": true, "epoch": "00"
            },
            "wear": {
                "written_bytes": 300_000_000_u64, "wal_bytes": 200_000_000, "tables_bytes": 100_000_000, "sessions_bytes": 0,
                "measured_s": 86_400, "told_after_s": 900, "bytes_per_day": 943_718_400_u64,
                "bytes_per_reading": 41.2, "machine_bytes_per_day": 2_147_483_648_u64
            },
            "link": {
                "state": "connected", "says": "connected to central.example:7443",
                "central": "central.example:7443", "connected_s": 200, "round_trip_ms": 42, "parked": 0, "org": "org_01",
                "site": "site_01", "site_name": "Hall\u{7} 3", "certificate_ends": "2027-11-22T04:05:00.000Z"
            },
            "central": { "confirmed": 1_200, "unconfirmed": 50, "unsealed": 10 },
            "ledger": []
        }))
        .unwrap()
    }

    #[test]
    fn devices_that_do_not_answer_are_told_with_the_reason() {
        let mut status = example();
        assert!(!render(&status).contains("modbus"));
        status.asked = serde_json::from_value(serde_json::json!({
            "files": 3, "devices": 2, "live": 1,
            "troubled": [{ "device": "meter-2", "state": "silent", "trouble": "no whole answer within 1000 ms" }],
            "file_problems": ["devices.d/c.toml:1:1: name: is missing"]
        }))
        .unwrap();
        let screen = render(&status);
        assert!(
            screen.ends_with(
                "modbus   1 of 2 devices live\n         meter-2: silent, no whole answer within 1000 ms\n\
                 files    devices.d/c.toml:1:1: name: is missing\n"
            ),
            "{screen}"
        );
    }

    #[test]
    fn how_the_last_reload_went_is_told() {
        let mut status = example();
        let at = Some("2026-11-22T03:00:00.000Z".to_owned());
        status.configuration =
            ConfigurationStatus { reloads: 1, last_reload_time: at, ..ConfigurationStatus::default() };
        let screen = render(&status);
        assert!(
            screen.ends_with("config   in force since the reload of 2026-11-22T03:00:00.000Z\n"),
            "{screen}"
        );
        status.configuration.in_force = false;
        status.configuration.problems = vec!["hub.toml:2:1: site.nmae: unknown key".to_owned()];
        let screen = render(&status);
        let expected = "config   not in force: the reload of 2026-11-22T03:00:00.000Z was refused, nothing was changed\n         \
                        hub.toml:2:1: site.nmae: unknown key\n";
        assert!(screen.ends_with(expected), "{screen}");
    }

    #[test]
    fn the_screen_reads_well() {
        assert_eq!(
            render(&example()),
            "Hall 3\n\
             Working, nothing is lost. 1 of 3 devices is late.\n\n\
             Devices    \u{25d0} 2 of 3 live         12 series\n\
             \u{2192} Hub      \u{25cf} working             1,234 readings, 2 events since start\n\
             \u{2192} Stored   \u{25cf} 1,250 records safe  0 lost\n\
             \u{2192} Link     \u{25cf} connected           connected to central.example:7443 for 3 min, 42 ms away\n\
             \u{2192} Central  \u{25d0} 40 to send          1,200 records confirmed, 10 gathering\n\n\
             hub      hub_01\n\
             version  0.0.1\n\
             up       2 h 1 min\n\
             clock    2026-11-22T03:00:00.000Z, holdover: set, but no time source is known to keep it right\n\
             org      org_01\n\
             site     Hall\u{fffd} 3, site_01\n\
             cert     until 2027-11-22T04:05:00.000Z\n\
             storage  /var/lib/relais-hub, 20 MiB of 8 GiB used\n\
             wear     900 MiB written per day, 41 bytes per reading; measured over 1 d 0 h; \
             the whole machine writes 2 GiB per day to this disk\n\
             refused  nothing since start\n\
             mqtt     127.0.0.1:1883\n"
        );
        let mut one = example();
        one.intake.samples = 1;
        one.intake.events = 1;
        one.intake.refused = 1;
        one.listeners.push(Listener { kind: "web".into(), address: "127.0.0.1:9".into() });
        let screen = render(&one);
        for line in [
            "1 reading, 1 event since start\n",
            "refused  1 since start; why: the hub's log, and curl -s http://127.0.0.1:9/metrics | grep _refused_\n",
        ] {
            assert!(screen.contains(line), "{line} is not in\n{screen}");
        }
    }

    #[test]
    fn wear_that_is_not_known_yet_is_not_made_up() {
        let mut status = example();
        status.wear = WearStatus { written_bytes: 17 << 20, told_after_s: 900, ..WearStatus::default() };
        let screen = render(&status);
        assert!(
            screen
                .contains("wear     17 MiB written since start; how much in a day is told 15 min after it\n"),
            "{screen}"
        );
    }

    fn hop(code: &str, level: HopLevel, text: &str) -> Hop {
        Hop { level, code: code.into(), params: std::collections::BTreeMap::new(), text: text.into() }
    }

    #[test]
    fn what_is_missing_or_troubled_is_on_the_screen() {
        let mut full = example();
        full.storage.evicted = 25_938;
        let screen = render(&full);
        assert!(screen.contains("\u{25cf} 1,250 records safe  25,938 given up\n"), "{screen}");
        full.storage.lost = 2;
        full.path.stored = hop("lost", HopLevel::Warn, "2 lost");
        let screen = render(&full);
        assert!(
            screen.contains("\u{25d0} 2 lost       1,250 records on flash, 2 lost, 25,938 given up\n"),
            "{screen}"
        );
        let mut troubled = example();
        troubled.storage.trouble = Some("blocks cannot be written for 3 min: the disk is full".into());
        troubled.storage.damaged = 350;
        (troubled.storage.lost, troubled.storage.lost_at_most) = (64, 64);
        troubled.path.hub = hop("not-working", HopLevel::Bad, "not working");
        troubled.path.stored = hop("waiting", HopLevel::Bad, "safe, no more");
        troubled.central.unsealed = 0;
        let screen = render(&troubled);
        for line in [
            "Hub      \u{25b2} not working",
            "Stored   \u{25b2} safe, no more  1,250 records on flash, up to 64 lost, 350 damaged, blocks cannot be written\n",
            "Central  \u{25d0} 40 to send     1,200 records confirmed\n",
        ] {
            assert!(screen.contains(line), "{line} is not in\n{screen}");
        }
    }

    #[test]
    fn where_the_link_is_stands_on_the_screen() {
        let mut overtaken = example();
        overtaken.path.central = hop("overtaken", HopLevel::Bad, "holds another log");
        overtaken.link.overtaken = Some("central holds more than this hub has given out: start anew".into());
        overtaken.link.renewal_error = Some("busy".into());
        let screen = render(&overtaken);
        for line in [
            "Link     \u{25cf} connected           connected to central.example:7443 for 3 min, 42 ms away\n",
            "Central  \u{25b2} holds another log   central holds more than this hub has given out: start anew\n",
            "cert     until 2027-11-22T04:05:00.000Z, and not renewed so far: busy\n",
        ] {
            assert!(screen.contains(line), "{line} is not in\n{screen}");
        }
        let mut out = example();
        out.path.link = hop("away", HopLevel::Warn, "out of reach");
        out.path.central = hop("off", HopLevel::Off, "none");
        out.link = LinkView {
            state: "connecting".into(),
            says: "central.example:7443 does not answer (attempt 4, the next in 7 s)".into(),
            ..LinkView::default()
        };
        let screen = render(&out);
        assert!(screen.contains("Link     \u{25d0} out of reach"), "{screen}");
        assert!(
            screen.contains("central.example:7443 does not answer (attempt 4, the next in 7 s)\n"),
            "{screen}"
        );
        out.link =
            LinkView { state: "off".into(), says: "no central is configured".into(), ..LinkView::default() };
        let screen = render(&out);
        assert!(screen.contains("Central  \u{25cb} none                nothing is sent\n"), "{screen}");
        assert!(
            !screen.contains("\norg ") && !screen.contains("\nsite ") && !screen.contains("\ncert "),
            "{screen}"
        );
        assert_eq!(example().listeners, [Listener { kind: "mqtt".into(), address: "127.0.0.1:1883".into() }]);
    }
}
