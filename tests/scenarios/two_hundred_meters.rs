//! A hub and two hundred meters behind twenty gateways, every fourth of them dead. The dead cost the living nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use relais_sim::modbus::{Options, Server, Units};
use serde_json::Value;
use site_tests::{Hub, HubConfig, Metrics, Stopwatch, eventually, pause, report};

const ENDPOINTS: usize = 20;
const UNITS: u8 = 10;
/// Every so many units, counted over all endpoints, is dead.
const DEAD_EVERY: usize = 4;
/// Until the dead are known to be dead.
const WARM_UP: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);
/// Of the cycles that its endpoint's clock gives a living unit.
const COMPLETE_PERCENT_MIN: f64 = 95.0;
/// What the design allows for units that are silent, and some room: a percent of half a minute is one timeout.
const PROBE_PERCENT_MAX: f64 = 12.0;
const METRICS: [&str; 3] = ["a", "b", "c"];

/// Cycles of a device, as the API tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cycles {
    complete: u64,
    failed: u64,
    skipped: u64,
}

/// A share of a hundred.
#[expect(clippy::cast_precision_loss, reason = "counts of half a minute")]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

fn name(endpoint: usize, unit: u8) -> String {
    format!("meter-{endpoint}-{unit}")
}

fn is_dead(endpoint: usize, unit: u8) -> bool {
    (endpoint * usize::from(UNITS) + usize::from(unit)).is_multiple_of(DEAD_EVERY)
}

fn gateway(endpoint: usize) -> Server {
    let dead = (1..=UNITS).filter(|unit| is_dead(endpoint, *unit)).collect();
    let options = Options { units: Units((1..=UNITS).collect()), dead: Units(dead), ..Options::default() };
    Server::start(options).expect("a free port")
}

/// Two requests in each cycle.
fn device_file(endpoint: usize, unit: u8, gateway: &Server) -> (String, String) {
    let (name, address) = (name(endpoint, unit), gateway.address());
    let head = format!(
        "name = \"{name}\"\ndriver = \"modbus\"\nendpoint = \"tcp://{address}\"\nunit = {unit}\ninterval = \"1s\"\n"
    );
    let register = |metric: &str, place: &str| {
        format!("\n[[register]]\nmetric = \"{metric}\"\naddress = \"{place}\"\ntype = \"u64\"\n")
    };
    let places = ["input:0", "input:4", "holding:100"];
    let registers: String =
        METRICS.iter().zip(places).map(|(metric, place)| register(metric, place)).collect();
    (name, head + &registers)
}

fn cycles(hub: &Hub) -> BTreeMap<String, Cycles> {
    let page = hub.get_json("/api/v1/devices?page_size=500");
    let devices = page["devices"].as_array().expect("a list").clone();
    let count = |device: &Value, name: &str| device["modbus"]["cycles"][name].as_u64().expect("a count");
    let of = |device: &Value| Cycles {
        complete: count(device, "complete"),
        failed: count(device, "failed"),
        skipped: count(device, "skipped"),
    };
    devices.iter().map(|device| (device["name"].as_str().expect("a name").to_owned(), of(device))).collect()
}

/// What was counted between two looks.
fn since(before: &BTreeMap<String, Cycles>, after: &BTreeMap<String, Cycles>) -> BTreeMap<String, Cycles> {
    let of = |(name, now): (&String, &Cycles)| {
        let then = before.get(name).copied().unwrap_or_default();
        let cycles = Cycles {
            complete: now.complete - then.complete,
            failed: now.failed - then.failed,
            skipped: now.skipped - then.skipped,
        };
        (name.clone(), cycles)
    };
    after.iter().map(of).collect()
}

/// Percent of the time in which a request was out that went to silent units, by endpoint, between two scrapes.
fn probe_shares(gateways: &[Server], before: &Metrics, after: &Metrics) -> Vec<f64> {
    let risen = |name: &str, endpoint: &str| after.sum(&[name, endpoint]) - before.sum(&[name, endpoint]);
    let share = |gateway: &Server| {
        let endpoint = format!("\"tcp://{}\"", gateway.address());
        risen("relais_modbus_probe_seconds_total", &endpoint) * 100.0 / MEASURED.as_secs_f64()
    };
    gateways.iter().map(share).collect()
}

/// Least, middle and greatest.
fn spread(mut numbers: Vec<f64>) -> (f64, f64, f64) {
    numbers.sort_by(f64::total_cmp);
    (numbers[0], numbers[numbers.len() / 2], numbers[numbers.len() - 1])
}

fn columns((least, middle, most): (f64, f64, f64)) -> String {
    format!("{least:>7.1} {middle:>7.1} {most:>7.1}")
}

#[test]
fn the_dead_of_two_hundred_meters_cost_the_living_nothing() {
    let gateways: Vec<Server> = (0..ENDPOINTS).map(gateway).collect();
    let of = |(endpoint, gateway)| (1..=UNITS).map(move |unit| device_file(endpoint, unit, gateway));
    let devices = gateways.iter().enumerate().flat_map(of).collect();
    let mut hub = Hub::start_with("two-hundred", HubConfig { devices, ..HubConfig::default() });
    let all = ENDPOINTS * usize::from(UNITS);
    eventually(WARM_UP, "every meter to be known", || {
        let known = cycles(&hub).len();
        if known == all { Ok(()) } else { Err(format!("{known} of {all}")) }
    });
    pause(WARM_UP);
    let (before, scraped, cpu, watch) =
        (cycles(&hub), hub.metrics(), hub.process().cpu_time(), Stopwatch::start());
    pause(MEASURED);
    let counted = since(&before, &cycles(&hub));
    let (took, cpu) = (watch.elapsed(), hub.process().cpu_time() - cpu);
    let probes = probe_shares(&gateways, &scraped, &hub.metrics());

    let (mut shares, mut complete, mut expected, mut skipped, mut dead) = (Vec::new(), 0, 0, 0, 0);
    for endpoint in 0..ENDPOINTS {
        let (mut of_endpoint, mut given) = (0, 0);
        for unit in 1..=UNITS {
            let now = counted[&name(endpoint, unit)];
            if is_dead(endpoint, unit) {
                dead += 1;
                assert_eq!(now.complete, 0, "{} is dead, {now:?}", name(endpoint, unit));
                continue;
            }
            let due = now.complete + now.failed + now.skipped;
            let share = percent(now.complete, due);
            assert!(due > 0 && share >= COMPLETE_PERCENT_MIN, "{}: {now:?}", name(endpoint, unit));
            (of_endpoint, given, skipped) = (of_endpoint + now.complete, given + due, skipped + now.skipped);
        }
        shares.push(percent(of_endpoint, given));
        (complete, expected) = (complete + of_endpoint, expected + given);
    }
    // A clock that stands still makes no cycles to miss.
    let by_the_wall = u64::try_from(all - dead).expect("few") * MEASURED.as_secs();
    assert!(percent(expected, by_the_wall) > 90.0, "{expected} cycles in {MEASURED:?}, not {by_the_wall}");
    let probe_most = spread(probes.clone()).2;
    report(&format!(
        "modbus: {all} meters, {dead} of them dead, at {ENDPOINTS} endpoints, interval 1 s, for {} s:\n\
         \u{20}   by endpoint            min  median     max\n\
         \u{20}   cycles complete, % {}\n\
         \u{20}   time for probes, % {}\n\
         \u{20}   complete {complete} of {expected} cycles of the living, left out {skipped}; the hub took {:.2} s of \
         processor time",
        took.as_secs(),
        columns(spread(shares)),
        columns(spread(probes)),
        cpu.as_secs_f64(),
    ));
    assert!(probe_most <= PROBE_PERCENT_MAX, "{probe_most} % of the time went to the dead");
    assert_eq!(dead, all / DEAD_EVERY);
    the_dead_say_so(&hub);
}

/// Every register of a dead unit says why it has no value.
fn the_dead_say_so(hub: &Hub) {
    for endpoint in 0..ENDPOINTS {
        for unit in (1..=UNITS).filter(|unit| is_dead(endpoint, *unit)) {
            let device = name(endpoint, unit);
            let page = hub.get_json(&format!("/api/v1/series?device={device}"));
            let series = page["series"].as_array().expect("a list");
            let said: Vec<(&Value, &Value)> =
                series.iter().map(|series| (&series["last"]["quality"], &series["last"]["value"])).collect();
            let right = said.iter().all(|(quality, value)| **quality == "bad:no-answer" && value.is_null());
            assert!(right && said.len() == METRICS.len(), "{device}: {page}");
        }
    }
}
