//! `device list` and `device test`.

use std::fmt::Write as _;
use std::process::ExitCode;

use hub_chassis::cli::output::{self, printable};
use hub_chassis::cli::{Failure, Table, exit, percent_encoded, with_query};
use hub_chassis::number_text::counted;
use serde::Deserialize;

use super::args::{DeviceCommand, DeviceTestArgs, StatusArgs};
use super::client::Client;
use super::config::socket;
use crate::web::{ReadTest, RequestView};

/// Devices asked for at once.
const PAGE: &str = "500";

#[derive(Deserialize)]
struct Page {
    devices: Vec<serde_json::Value>,
    next_page_token: Option<String>,
}

/// Runs a device command.
pub(super) fn device(command: &DeviceCommand) -> Result<ExitCode, Failure> {
    match command {
        DeviceCommand::List(args) => list(args).map(|()| ExitCode::SUCCESS),
        DeviceCommand::Test(args) => test(args),
    }
}

fn list(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let mut devices = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let params = [("page_size", Some(PAGE)), ("page_token", token.as_deref())];
        let page: Page = client.json(&with_query("/api/v1/devices", &params))?;
        devices.extend(page.devices);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    if args.json {
        return output::line(&serde_json::json!({ "devices": devices }).to_string());
    }
    output::text(&render_list(&devices))
}

fn render_list(devices: &[serde_json::Value]) -> String {
    if devices.is_empty() {
        return "No devices yet. They come by MQTT, or by files in devices.d: see `relais-hub config show`.\n".to_owned();
    }
    let mut table = Table::new(&["name", "state", "by", ">series", ">ms", "last heard", "trouble"]);
    for device in devices {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| "-".to_owned(), printable);
        let modbus = &device["modbus"];
        let by = match (modbus["endpoint"].as_str(), modbus["unit"].as_u64()) {
            (Some(endpoint), Some(unit)) => format!("modbus {} unit {unit}", printable(endpoint)),
            _ => "mqtt".to_owned(),
        };
        let trouble = modbus["trouble"].as_str().map(printable).unwrap_or_default();
        table.row(vec![
            text(&device["name"]),
            text(&device["state"]),
            by,
            device["series_count"].to_string(),
            modbus["latency_ms"].as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")),
            text(&device["heard_time"]),
            trouble,
        ]);
    }
    table.render()
}

fn test(args: &DeviceTestArgs) -> Result<ExitCode, Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let path = format!("/api/v1/devices/{}/read-tests", percent_encoded(&args.device));
    let text = client.post(&path, String::new())?;
    let test: ReadTest = serde_json::from_str(&text).map_err(|error| {
        Failure::failed(format!("the hub's answer is not what this version expects: {error}"))
    })?;
    if args.json {
        output::line(&text)?;
    } else {
        output::text(&render_test(&test))?;
    }
    Ok(if test.passed { ExitCode::SUCCESS } else { ExitCode::from(exit::PROBLEMS_FOUND) })
}

fn render_test(test: &ReadTest) -> String {
    let mut text = String::new();
    for request in &test.requests {
        text.push_str(&render_request(request));
    }
    // Writing to a `String` cannot fail.
    if let Some(why) = &test.stopped {
        let _ = writeln!(text, "Stopped: {}", printable(why));
    }
    let readings = test.requests.iter().flat_map(|request| &request.readings);
    let (good, bad): (Vec<_>, Vec<_>) = readings.partition(|reading| !reading.quality.starts_with("bad"));
    let sum =
        format!("{} read", counted(u64::try_from(good.len()).unwrap_or(u64::MAX), "register", "registers"));
    let failed = if bad.is_empty() { String::new() } else { format!(", {} not", bad.len()) };
    let _ = writeln!(text, "{}: {sum}{failed}.", printable(&test.device));
    text
}

fn render_request(request: &RequestView) -> String {
    let (table, address, count) = (&request.table, request.address, request.count);
    let what = if matches!(table.as_str(), "coil" | "discrete") { "bits" } else { "registers" };
    let mut text = format!("{} {address}, {count} {what}, {:.1} ms\n", printable(table), request.took_ms);
    let received = if request.received.is_empty() { "nothing" } else { &request.received };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "  sent      {}\n  received  {}", printable(&request.sent), printable(received));
    if let Some(trouble) = &request.trouble {
        let _ = writeln!(text, "  {}", printable(trouble));
    }
    let mut table = Table::new(&["  metric", "place", ">value", "unit", "quality"]);
    for reading in &request.readings {
        let value = reading.value.as_ref().map_or("-", |value| value.get());
        table.row(vec![
            format!("  {}", printable(&reading.metric)),
            printable(&reading.place),
            printable(value),
            printable(&reading.unit),
            printable(&reading.quality),
        ]);
    }
    text.push_str(&table.render());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_reads_well() {
        let test: ReadTest = serde_json::from_value(serde_json::json!({
            "device": "meter-1", "passed": false, "stopped": null,
            "requests": [
                { "table": "input", "address": 0, "count": 2, "sent": "12 34 00 00", "received": "12 34", "took_ms": 4.26,
                  "trouble": null,
                  "readings": [{ "metric": "voltage_l1", "place": "input:0 (30001)", "value": 230.1, "unit": "V", "quality": "good" }] },
                { "table": "coil", "address": 7, "count": 1, "sent": "12 35", "received": "", "took_ms": 1000.0,
                  "trouble": "no whole answer within 1000 ms",
                  "readings": [{ "metric": "pump", "place": "coil:7 (00008)", "value": null, "unit": "", "quality": "bad:no-answer" }] },
            ]
        }))
        .unwrap();
        assert_eq!(
            render_test(&test),
            "input 0, 2 registers, 4.3 ms\n  sent      12 34 00 00\n  received  12 34\n\
             \u{20} metric      place            value  unit  quality\n\
             \u{20} voltage_l1  input:0 (30001)  230.1  V     good\n\n\
             coil 7, 1 bits, 1000.0 ms\n  sent      12 35\n  received  nothing\n  no whole answer within 1000 ms\n\
             \u{20} metric  place           value  unit  quality\n\
             \u{20} pump    coil:7 (00008)      -        bad:no-answer\n\n\
             meter-1: 1 register read, 1 not.\n"
        );
    }

    #[test]
    fn the_list_shows_who_is_asked_and_who_speaks() {
        let devices = [
            serde_json::json!({ "name": "boiler", "state": "late", "series_count": 3, "heard_time": "2026-11-22T04:00:00.000Z", "modbus": null }),
            serde_json::json!({ "name": "meter", "state": "silent", "series_count": 36, "heard_time": null, "modbus": {
                "endpoint": "tcp://192.0.2.1:502", "unit": 4, "state": "silent", "latency_ms": 12.34,
                "trouble": "no whole answer within 1000 ms" } }),
        ];
        assert_eq!(
            render_list(&devices),
            "name    state   by                                 series    ms  last heard                trouble\n\
             boiler  late    mqtt                                    3     -  2026-11-22T04:00:00.000Z\n\
             meter   silent  modbus tcp://192.0.2.1:502 unit 4      36  12.3  -                         no whole answer within 1000 ms\n"
        );
        assert!(render_list(&[]).starts_with("No devices yet."));
    }

    #[test]
    fn a_name_cannot_change_the_path() {
        assert_eq!(percent_encoded("meter-1"), "meter-1");
        assert_eq!(percent_encoded("../a b?x"), "..%2Fa%20b%3Fx");
    }
}
