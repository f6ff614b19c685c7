//! The first steps of every user: publish with the tools at hand, and get the values back bit for bit.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use site_tests::mqtt::Version;
use site_tests::{Hub, MosquittoSub, Process, Reading, eventually, mosquitto_pub, paho_script};

const SOON: Duration = Duration::from_secs(10);

/// Numbers that get lost or bent in careless hands, as a device would write them.
const NUMBERS: [&str; 14] = [
    "0.1",
    "-0.0",
    "0",
    "5e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "123456789.123456789",
    "9007199254740991",
    "-9007199254740991",
    "0.30000000000000004",
    "1e23",
    "9.5367431640625e-7",
    "21.5",
];

/// Publishes lines of topic and payload with paho.
fn publish_with_paho(hub: &Hub, protocol: &str, lines: &[(String, String)]) {
    let mut command = paho_script("publish_lines.py");
    command.args(["--port", &hub.mqtt().port().to_string(), "--protocol", protocol]);
    let log = hub.place().file(&format!("paho-{protocol}.log"));
    let mut process = Process::start("publish_lines.py", &mut command, &log);
    for (topic, payload) in lines {
        let input = process.stdin().expect("its input is open");
        writeln!(input, "{topic}\t{payload}").expect("it reads");
    }
    process.close_stdin();
    let status = process.wait(SOON);
    assert!(status.success(), "{status}: {}", process.log());
}

/// Everything a device's metric holds, in the order of arrival.
fn values(readings: &[Reading], device: &str, metric: &str) -> Vec<Value> {
    let mine = readings.iter().filter(|r| r.device == device && r.metric == metric);
    mine.map(|r| r.value.clone()).collect()
}

fn bits(values: &[Value]) -> Vec<u64> {
    values.iter().map(|v| v.as_f64().expect("a number").to_bits()).collect()
}

fn parsed(number: &str) -> u64 {
    number.parse::<f64>().expect("a number").to_bits()
}

/// The series of a metric through the API, by age: type and values of each.
fn api_series(hub: &Hub, device: &str, metric: &str) -> Vec<(String, Vec<Value>)> {
    let answer = hub.get_json(&format!("/api/v1/series?device={device}&metric={metric}"));
    assert!(answer["gaps"].is_array(), "every answer lists its gaps: {answer}");
    let all = answer["series"].as_array().unwrap_or_else(|| panic!("no series in {answer}"));
    let text = |series: &Value| series["type"].as_str().unwrap_or_default().to_owned();
    let values = |series: &Value| series["value"].as_array().cloned().unwrap_or_default();
    all.iter().map(|series| (text(series), values(series))).collect()
}

#[test]
fn numbers_come_back_bit_for_bit() {
    let hub = Hub::start("numbers");
    for (version, device) in [(Version::V4, "pub-v4"), (Version::V5, "pub-v5")] {
        for number in NUMBERS {
            let topic = format!("relais/v1/{device}/telemetry");
            mosquitto_pub(hub.mqtt(), version, 1, &topic, &format!("{{\"v\": {number}}}")).success();
        }
    }
    for (protocol, device) in [("4", "paho-v4"), ("5", "paho-v5")] {
        let topic = format!("relais/v1/{device}/telemetry/v");
        let lines: Vec<_> = NUMBERS.iter().map(|n| (topic.clone(), (*n).to_owned())).collect();
        publish_with_paho(&hub, protocol, &lines);
    }
    let sent: Vec<u64> = NUMBERS.iter().map(|n| parsed(n)).collect();
    let readings = hub.export();
    for device in ["pub-v4", "pub-v5", "paho-v4", "paho-v5"] {
        assert_eq!(bits(&values(&readings, device, "v")), sent, "exported for {device}");
        let api = api_series(&hub, device, "v");
        assert_eq!(api.len(), 1, "one series for {device}");
        assert_eq!(bits(&api[0].1), sent, "through the API for {device}");
    }
}

#[test]
fn every_shape_of_payload_is_taken() {
    let hub = Hub::start("shapes");
    let publish = |topic: &str, payload: &str| {
        mosquitto_pub(hub.mqtt(), Version::V5, 1, &format!("relais/v1/boiler/{topic}"), payload).success();
    };
    publish("telemetry", r#"{"temp": 21.5, "on": true, "mode": "eco", "température": 1, "温度 é": 2}"#);
    publish(
        "telemetry",
        r#"[{"ts": 1700000000000, "temp": 1}, {"ts": 1700000001000, "temp": 2}, {"temp": 3}]"#,
    );
    publish("telemetry/humidity", "40.25");
    publish("telemetry/door", "false");
    publish("telemetry/label", "\"grün\\n\\\"quoted\\\", 1\"");

    let readings = hub.export();
    let check = |metric: &str, expected: Value| {
        assert_eq!(Value::from(values(&readings, "boiler", metric)), expected, "{metric}");
    };
    check("temp", json!([21.5, 1.0, 2.0, 3.0]));
    check("on", json!([true]));
    check("mode", json!(["eco"]));
    check("température", json!([1.0]));
    check("温度 é", json!([2.0]));
    check("humidity", json!([40.25]));
    check("door", json!([false]));
    check("label", json!(["grün\n\"quoted\", 1"]));
    let stated: Vec<&str> = readings
        .iter()
        .filter(|r| r.metric == "temp" && (r.value == json!(1.0) || r.value == json!(2.0)))
        .map(|r| r.line["time"].as_str().expect("a time the device stated"))
        .collect();
    assert_eq!(
        stated.iter().map(|t| &t[..19]).collect::<Vec<_>>(),
        ["2023-11-14T22:13:20", "2023-11-14T22:13:21"]
    );
    let csv = hub.cli(&["data", "export", "--format", "csv"]).success();
    let head = csv.lines().next().unwrap_or_default();
    assert_eq!(head, "device,metric,type,time,received_time,seq,value,quality,clock");
    // The label holds a line break, so its record is not one line.
    assert!(csv.contains("\"grün\n\"\"quoted\"\", 1\""), "{csv}");
}

#[test]
fn a_subscriber_gets_what_devices_publish() {
    let hub = Hub::start("subscriber");
    for version in Version::ALL {
        let log = hub.place().file(&format!("sub-{version:?}.log"));
        let sub = MosquittoSub::start(hub.mqtt(), version, 1, "relais/v1/+/#", &log);
        let sent: Vec<(String, String)> = (0..20)
            .map(|n| (format!("relais/v1/pump-{}/telemetry", n % 3), format!("{{\"n\":{n}}}")))
            .collect();
        for (topic, payload) in &sent {
            mosquitto_pub(hub.mqtt(), version, 1, topic, payload).success();
        }
        eventually(SOON, "the messages", || {
            let got = sub.messages();
            if got == sent { Ok(()) } else { Err(format!("{} messages: {got:?}", got.len())) }
        });
    }
}

/// Name and id of every device.
fn devices(hub: &Hub) -> BTreeMap<String, String> {
    let answer = hub.get_json("/api/v1/devices");
    let text = |device: &Value, key: &str| device[key].as_str().expect("a text").to_owned();
    let all = answer["devices"].as_array().expect("a list of devices");
    all.iter().map(|device| (text(device, "name"), text(device, "id"))).collect()
}

#[test]
fn a_device_keeps_its_id_across_every_kind_of_restart() {
    let mut hub = Hub::start("devices");
    for name in ["pump", "boiler-1", "hall.north_2"] {
        let topic = format!("relais/v1/{name}/telemetry");
        mosquitto_pub(hub.mqtt(), Version::V4, 1, &topic, r#"{"x":1}"#).success();
    }
    let first = devices(&hub);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["boiler-1", "hall.north_2", "pump"]);
    assert!(first.values().all(|id| id.starts_with("dev_") && id.len() == 30), "{first:?}");
    hub.restart9();
    assert_eq!(devices(&hub), first, "after kill -9");
    let status = hub.status();
    hub.terminate();
    hub.start_again();
    assert_eq!(devices(&hub), first, "after SIGTERM");
    assert_eq!(hub.status()["hub"], status["hub"], "the hub keeps its own id, too");
}

#[test]
fn another_type_makes_another_series() {
    let mut hub = Hub::start("types");
    let publish = |hub: &Hub, payload: &str| {
        mosquitto_pub(hub.mqtt(), Version::V4, 1, "relais/v1/valve/telemetry/state", payload).success();
    };
    for payload in ["1", "\"open\"", "2", "true"] {
        publish(&hub, payload);
    }
    hub.restart9();
    publish(&hub, "3");
    let all = values(&hub.export(), "valve", "state");
    assert_eq!(Value::from(all), json!([1.0, "open", 2.0, true, 3.0]), "in the order of arrival");
    let series = api_series(&hub, "valve", "state");
    let series: Vec<(&str, Value)> =
        series.iter().map(|(t, values)| (t.as_str(), Value::from(values.clone()))).collect();
    let expected = [("f64", json!([1.0, 2.0, 3.0])), ("string", json!(["open"])), ("bool", json!([true]))];
    assert_eq!(series, expected, "a type seen before finds its series again, also after a restart");
}
