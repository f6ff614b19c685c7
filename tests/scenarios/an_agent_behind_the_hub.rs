//! The real agent at the real hub: what it measures arrives, once and in order, whatever ends in between.
//!
//! A relay stands between them, which writes down every message that passes: their packet identifiers count up by one, so
//! that one which was lost would be missed, whatever the time.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use device_agent::Moment;
use device_agent::queue::{Kind, Queue, QueueFile, Record, Ring, Taken};
use hub_chassis::time_text::parse_utc;
use serde_json::Value;
use site_tests::{Agent, Hub, HubConfig, MqttRelay, Published, ReadingRow, eventually, pause, utc_now};

const SOON: Duration = Duration::from_secs(30);
/// For the agent to find the hub again: its pauses double, up to a minute.
const RECONNECT_DEADLINE: Duration = Duration::from_secs(90);
/// The metric that is looked at for all of a set.
const METRIC: &str = "uptime_s";
/// What the agent said is told to the queue as of this boot, where a story writes it.
const OTHER_BOOT: u64 = 1;
/// The smallest queue there is.
const QUEUE_BYTES: u64 = 256 * 1024;

/// A hub, and a relay before it.
struct Site {
    hub: Hub,
    relay: MqttRelay,
}

impl Site {
    fn start(story: &str) -> Site {
        let hub = Hub::start_with(&format!("{story}-hub"), HubConfig::default());
        let relay = MqttRelay::start(hub.mqtt());
        Site { hub, relay }
    }

    fn rows(&self, metric: &str) -> Vec<ReadingRow> {
        self.hub.readings(Agent::NAME, metric).rows
    }

    /// Waits until the hub has so many sets; the rows it has then.
    #[track_caller]
    fn wait_for_rows(&self, metric: &str, count: usize, deadline: Duration) -> Vec<ReadingRow> {
        eventually(deadline, &format!("{count} readings of {metric}"), || {
            let rows = self.rows(metric);
            if rows.len() >= count { Ok(rows) } else { Err(format!("{} readings", rows.len())) }
        })
    }

    /// Every message the agent ever made, by its identifier: none is missing, and all copies of one are the same.
    #[track_caller]
    fn messages(&self) -> BTreeMap<u16, Published> {
        let mut messages: BTreeMap<u16, Published> = BTreeMap::new();
        for published in self.relay.published() {
            let first = messages.entry(published.packet_id).or_insert_with(|| published.clone());
            assert_eq!(
                (&first.topic, &first.payload),
                (&published.topic, &published.payload),
                "a resend says the same"
            );
        }
        let ids: Vec<u16> = messages.keys().copied().collect();
        // The first message of a queue has the number 1, and so the identifier 2.
        let all: Vec<u16> = (2..).take(ids.len()).collect();
        assert_eq!(ids, all, "none is missing");
        messages
    }

    /// What the hub stored is what the agent said, once each, in order, with time and value.
    #[track_caller]
    fn compare(&self) {
        let said: Vec<(u64, f64)> = self
            .messages()
            .values()
            .filter(|message| message.topic.ends_with("/telemetry"))
            .map(|message| {
                let set: Value = serde_json::from_slice(&message.payload).expect("an object");
                let ts = set["ts"].as_u64().unwrap_or_else(|| panic!("no time in {set}"));
                (ts, set[METRIC].as_f64().unwrap_or_else(|| panic!("no {METRIC} in {set}")))
            })
            .collect();
        // The last ones may still be under way.
        let stored = eventually(RECONNECT_DEADLINE, "everything that was said to be stored", || {
            let stored: Vec<(u64, f64)> = self.rows(METRIC).iter().map(told).collect();
            if stored.len() >= said.len() { Ok(stored) } else { Err(format!("{} rows", stored.len())) }
        });
        assert_eq!(stored, said, "each once, in the order in which it was measured");
        assert!(said.windows(2).all(|pair| pair[0].0 < pair[1].0), "time goes on: {said:?}");
    }

    fn hellos(&self) -> Vec<Value> {
        let page = self.hub.get_json("/api/v1/events?page_size=100");
        let events = page["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().filter(|event| event["code"] == "agent-hello").collect()
    }
}

fn told(row: &ReadingRow) -> (u64, f64) {
    let time = row.time.as_str().and_then(parse_utc).unwrap_or_else(|| panic!("no time: {row:?}"));
    (u64::try_from(time.0).expect("after 1970"), row.value.as_f64().unwrap_or_else(|| panic!("{row:?}")))
}

/// The number after a word in a file of the kernel.
fn kernel_says(path: &str, word: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
}

#[test]
fn metrics_of_every_kind_arrive_with_sane_values() {
    let site = Site::start("agent-kinds");
    let mut agent = Agent::start("agent-kinds", site.relay.address());
    // A rate needs two readings.
    let _rows = site.wait_for_rows("cpu_percent", 3, SOON);
    let newest = |metric: &str| site.rows(metric).last().and_then(|row| row.value.as_f64());
    let check = |metric: &str, least: f64, most: f64| {
        let value = newest(metric).unwrap_or_else(|| panic!("no {metric} at the hub"));
        assert!((least..=most).contains(&value), "{metric} is {value}, not {least} to {most}");
    };

    check("cpu_percent", 0.0, 100.0);
    check("load_1m", 0.0, 10_000.0);
    let memory = kernel_says("/proc/meminfo", "MemTotal:").expect("the kernel says how much memory there is");
    check("memory_total_bytes", memory * 1024.0, memory * 1024.0);
    check("memory_used_bytes", 1e6, memory * 1024.0);
    let uptime = kernel_says("/proc/uptime", "").expect("the kernel says since when it runs");
    check("uptime_s", uptime - 60.0, uptime + 1.0);
    check("disk_used_percent_root", 0.0, 100.0);
    let rss = kernel_says(&format!("/proc/{}/status", agent.process().id()), "VmRSS:").expect("it runs");
    check("agent_rss_bytes", rss * 512.0, rss * 2048.0);
    check("agent_queue_bytes", 0.0, 65_536.0);
    check("agent_dropped", 0.0, 0.0);

    // What this machine has beyond that, it tells; what it has not, nobody makes up.
    let page = site.hub.get_json(&format!("/api/v1/series?device={}&page_size=500", Agent::NAME));
    let known = page["series"].as_array().cloned().unwrap_or_else(|| panic!("no series in {page}"));
    let names: Vec<&str> = known.iter().filter_map(|series| series["metric"].as_str()).collect();
    let of = |start: &str| names.iter().filter(|name| name.starts_with(start)).copied().collect::<Vec<_>>();
    let entries = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(!of("temperature_c_").is_empty(), entries("/sys/class/thermal") > 0, "{names:?}");
    for name in of("temperature_c_") {
        check(name, -100.0, 250.0);
    }
    for name in of("disk_written_bytes_").into_iter().chain(of("disk_lifetime_written_bytes_")) {
        check(name, 0.0, 1e18);
    }
    for name in of("disk_life_used_percent_") {
        check(name, 10.0, 110.0);
    }
    for name in of("net_rx_bytes_per_s_").into_iter().chain(of("net_tx_bytes_per_s_")) {
        check(name, 0.0, 1e11);
    }
    let links = |name: &str| format!("/sys/class/net/{name}/device");
    let physical = fs::read_dir("/sys/class/net").map_or(0, |all| {
        all.flatten()
            .filter(|entry| fs::metadata(links(&entry.file_name().to_string_lossy())).is_ok())
            .count()
    });
    assert!(of("net_rx_errors_").len() >= physical.min(8), "{physical} interfaces, {names:?}");

    let hellos = site.hellos();
    assert_eq!(hellos.len(), 1, "{hellos:?}");
    let params = &hellos[0]["params"];
    assert!(params["kernel"].is_string() && params["arch"] == std::env::consts::ARCH, "{params}");
    assert_eq!(agent.terminate().code, Some(0));
    site.compare();
}

#[test]
fn a_hub_that_is_killed_and_restarted_gets_everything_once() {
    let mut site = Site::start("agent-kills");
    let mut agent = Agent::start("agent-kills", site.relay.address());
    let rows = site.wait_for_rows(METRIC, 3, SOON).len();

    // The hub stores and its acknowledgement is lost, then it is killed: what comes again is known after its restart.
    site.relay.swallow_answers(true);
    let _rows = site.wait_for_rows(METRIC, rows + 1, SOON);
    site.hub.kill9();
    site.relay.cut();
    site.relay.swallow_answers(false);
    site.hub.start_again();
    let duplicates = eventually(RECONNECT_DEADLINE, "a resend to be recognised", || {
        let status = site.hub.status();
        let count = status["intake"]["duplicates"].as_u64().unwrap_or(0);
        if count > 0 { Ok(count) } else { Err(status["intake"].to_string()) }
    });
    let resent = site.relay.published().iter().filter(|published| published.dup).count();
    assert!(resent as u64 >= duplicates, "{duplicates} of {resent} with DUP");

    // Killed and restarted in order while messages flow.
    let rows = site.wait_for_rows(METRIC, rows + 4, RECONNECT_DEADLINE).len();
    site.hub.restart9();
    let rows = site.wait_for_rows(METRIC, rows + 2, RECONNECT_DEADLINE).len();
    assert_eq!(site.hub.terminate().code, Some(0));
    site.hub.start_again();
    let _rows = site.wait_for_rows(METRIC, rows + 2, RECONNECT_DEADLINE);
    assert_eq!(agent.terminate().code, Some(0));
    site.compare();
    assert_eq!(site.hellos().len(), 1);
}

#[test]
fn an_agent_that_is_restarted_while_the_hub_is_away_keeps_its_queue() {
    let mut site = Site::start("agent-away");
    let mut agent = Agent::start("agent-away", site.relay.address());
    let before = site.wait_for_rows(METRIC, 2, SOON).len();
    assert_eq!(site.hub.terminate().code, Some(0));

    // Three lives of the agent without a hub; each measures for some seconds.
    for _ in 0..2 {
        pause(Duration::from_secs(3));
        assert_eq!(agent.terminate().code, Some(0));
        agent.start_again();
    }
    pause(Duration::from_secs(2));
    assert_eq!(agent.terminate().code, Some(0));
    let waiting = agent.log().lines().rev().find_map(waiting_at_stop).expect("it says how many wait");
    assert!(waiting >= 8, "{waiting} wait:\n{}", agent.log());

    site.hub.start_again();
    agent.start_again();
    let _rows = site.wait_for_rows(METRIC, before + 8, RECONNECT_DEADLINE);
    assert_eq!(agent.terminate().code, Some(0));
    site.compare();
    assert_eq!(site.hellos().len(), 4, "one for each start");
    let messages = site.messages();
    let late = messages.values().filter(|message| message.dup).count();
    assert!(late >= 8, "what was in the file may have been sent before, and says so: {late}");
}

fn waiting_at_stop(line: &str) -> Option<u64> {
    line.split_once("stopped; ")?.1.split(' ').next()?.parse().ok()
}

/// Writes messages as an agent did that found no hub: `{"filled":n}`, each so old.
fn fill(agent: &Agent, numbers: std::ops::RangeInclusive<u64>, age: Duration, bytes: usize) -> u64 {
    let file = QueueFile::open(&agent.queue_dir(), QUEUE_BYTES).expect("the queue can be made");
    let mut ring = Ring::open(file).expect("it is one");
    let now = u64::try_from(utc_now().0).expect("after 1970");
    let wall_ms = Some(now - u64::try_from(age.as_millis()).expect("some hours"));
    let mut dropped = 0;
    for number in numbers {
        let taken =
            Taken { boot: OTHER_BOOT, since_boot_ms: 1_000 * number, wall_ms: wall_ms.map(|ms| ms + number) };
        let body = format!("{{\"filled\":{number},\"pad\":\"{}\"}}", "x".repeat(bytes)).into_bytes();
        let record = Record { number, kind: Kind::Telemetry, taken, body };
        ring.append(&[record], &mut dropped).expect("it can be written");
    }
    dropped
}

#[test]
fn what_is_too_old_is_dropped_and_counted_at_the_hub() {
    let site = Site::start("agent-old");
    let mut agent = Agent::new("agent-old", site.relay.address(), "max = \"256KiB\"\nmax_age = \"1h\"");
    assert_eq!(fill(&agent, 1..=20, Duration::from_secs(7_200), 10), 0);
    assert_eq!(fill(&agent, 21..=30, Duration::from_secs(600), 10), 0);
    agent.start_again();
    let rows = site.wait_for_rows("filled", 10, SOON);
    let values: Vec<f64> = rows.iter().filter_map(|row| row.value.as_f64()).collect();
    assert_eq!(values, (21..=30).map(f64::from).collect::<Vec<_>>(), "those that are young enough, in order");
    let dropped = site.wait_for_rows("agent_dropped", 1, SOON);
    assert_eq!(dropped[0].value.as_f64(), Some(20.0), "the hub is told how many were dropped");
    assert!(agent.log().contains("20 messages dropped since the start"), "{}", agent.log());
    assert_eq!(agent.terminate().code, Some(0));
}

#[test]
fn a_full_queue_drops_the_oldest_and_says_how_many() {
    let mut site = Site::start("agent-full");
    assert_eq!(site.hub.terminate().code, Some(0));
    let mut agent = Agent::new("agent-full", site.relay.address(), "max = \"256KiB\"");
    // Room for 16 segments of 16 KiB, with 7 such messages in each.
    let filled = 16 * 7;
    assert_eq!(
        fill(&agent, 1..=filled, Duration::from_secs(600), 2_200),
        0,
        "it is full to the last segment"
    );
    agent.start_again();
    pause(Duration::from_secs(3));
    // What is in memory goes to the file now, for which its oldest segment must go.
    assert_eq!(agent.terminate().code, Some(0));
    let log = agent.log();
    let told = log.lines().find_map(|line| line.split_once(" messages dropped since the start"));
    let words = told.map(|(before, _)| before.rsplit(' ').next().unwrap_or_default());
    let dropped: u64 = words.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("not told:\n{log}"));
    assert!((1..=14).contains(&dropped), "{dropped}: a sixteenth at a time");

    site.hub.start_again();
    agent.start_again();
    let left = usize::try_from(filled - dropped).expect("some");
    let rows = site.wait_for_rows("filled", left, RECONNECT_DEADLINE);
    let values: Vec<f64> = rows.iter().filter_map(|row| row.value.as_f64()).collect();
    let expected: Vec<f64> =
        (dropped + 1..=filled).map(|n| f64::from(u32::try_from(n).expect("few"))).collect();
    assert_eq!(values, expected, "the oldest are gone, the others are there, once, in order");
    // Acknowledgements come in order: once what was measured since is there, those before it have come.
    let _rows = site.wait_for_rows(METRIC, 6, RECONNECT_DEADLINE);
    assert_eq!(agent.terminate().code, Some(0));
    // The harness reads the queue as the agent does, and finds nothing that waits.
    let file = QueueFile::open(&agent.queue_dir(), QUEUE_BYTES).expect("nobody else has it");
    let mut queue = Queue::new(Some(Ring::open(file).expect("it is whole")), 2, Duration::from_secs(3_600));
    let filled = std::iter::from_fn(|| queue.next(Moment::read()))
        .filter(|sent| sent.payload.windows(8).any(|eight| eight == b"\"filled\""))
        .count();
    assert_eq!(filled, 0, "what was acknowledged is done with");
}
