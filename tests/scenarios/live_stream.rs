//! The page's stream: values come by themselves, a lost connection goes on where it was, and devices that fall silent
//! are told.

use std::collections::BTreeMap;
use std::time::Duration;

use relais_sim::modbus::{Options, Server};
use serde_json::Value;
use site_tests::mqtt::Version;
use site_tests::{EventStream, Hub, HubConfig, mosquitto_pub, pause};

const SOON: Duration = Duration::from_secs(20);

/// What a person would call at once.
const AT_ONCE: Duration = Duration::from_secs(3);

const STREAMS_MAX: usize = 32;

fn open(hub: &Hub, query: &str, last_id: Option<&str>) -> EventStream {
    let path = format!("/api/v1/stream{query}");
    EventStream::open(hub.web(), &path, last_id, "").unwrap_or_else(|answer| panic!("{}", answer.text()))
}

fn publish(hub: &Hub, device: &str, payload: &str) {
    let topic = format!("relais/v1/{device}/telemetry");
    mosquitto_pub(hub.mqtt(), Version::V5, 1, &topic, payload).success();
}

/// A device in a message.
fn device<'a>(message: &'a Value, name: &str) -> Option<&'a Value> {
    message["devices"].as_array()?.iter().find(|device| device["name"] == name)
}

fn names(message: &Value) -> Vec<&str> {
    let devices = message["devices"].as_array().expect("a list");
    devices.iter().filter_map(|device| device["name"].as_str()).collect()
}

/// Waits until a device is in some state; the document that says so.
#[track_caller]
fn until_state(stream: &mut EventStream, name: &str, state: &str) -> Value {
    stream.until(SOON, &format!("{name} to be {state}"), |message| match device(message, name) {
        Some(found) if found["state"] == state => Ok(found.clone()),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn values_come_by_themselves_and_a_lost_connection_goes_on_where_it_was() {
    let mut hub = Hub::start("live-stream");
    let mut stream = open(&hub, "", None);
    let first = stream.next(SOON).expect("an event");
    assert_eq!(first["resync"], true);
    assert_eq!(first["site"]["verdict"][1]["text"], "No device has said anything yet.");
    assert_eq!(first["devices"], Value::Array(Vec::new()));

    publish(&hub, "boiler", r#"{"temperature": 81.5}"#);
    let found = stream.until(AT_ONCE, "the value", |message| {
        let found = device(message, "boiler").ok_or_else(|| message.to_string())?;
        Ok(found["values"][0].clone())
    });
    assert_eq!(
        (&found["metric"], &found["value"], &found["quality"]),
        (&"temperature".into(), &81.5.into(), &"good".into())
    );
    publish(&hub, "pump", r#"{"on": true}"#);
    stream.until(AT_ONCE, "the pump", |message| {
        device(message, "pump").map(drop).ok_or_else(|| message.to_string())
    });

    // Cut off: what changes meanwhile, and nothing else, comes with the next connection.
    let id = stream.last_id.clone();
    drop(stream);
    publish(&hub, "pump", r#"{"on": false}"#);
    let mut stream = open(&hub, "", Some(&id));
    let mut seen = Vec::new();
    stream.until(AT_ONCE, "the change", |message| {
        assert_eq!(message["resync"], false, "{message}");
        seen.extend(names(message).into_iter().map(str::to_owned));
        match device(message, "pump") {
            Some(pump) if pump["values"][0]["value"] == false => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(seen, ["pump"], "the boiler has not changed");

    // The series of one device, by name and by id.
    let mut series = open(&hub, "?device=boiler", None);
    let message = series.next(SOON).expect("an event");
    assert_eq!(
        (&message["series"][0]["metric"], &message["series"][0]["value"]),
        (&"temperature".into(), &81.5.into())
    );
    let boiler = device(&message, "boiler").expect("it is there")["id"].as_str().expect("an id").to_owned();
    let by_id = open(&hub, &format!("?device={boiler}"), Some(&series.last_id)).next(SOON).expect("an event");
    assert_eq!(by_id["resync"], false, "the same stream by another name: {by_id}");
    let other = open(&hub, "?device=pump", Some(&series.last_id)).next(SOON).expect("an event");
    assert_eq!(other["resync"], true, "another stream");

    // A restart ends the streams in order, and begins anew.
    let id = stream.last_id.clone();
    let ended = hub.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    while stream.next(SOON).is_some() {}
    hub.start_again();
    let mut stream = open(&hub, "", Some(&id));
    let message = stream.next(SOON).expect("an event");
    assert_eq!((&message["resync"], names(&message).len()), (&Value::Bool(true), 2));
    for name in ["boiler", "pump"] {
        let found = device(&message, name).expect("it is there");
        assert_eq!(found["state"], "live", "a restart makes nobody silent: {found}");
    }
}

#[test]
fn streams_are_few_and_for_our_own_pages_only() {
    let hub = Hub::start("live-streams");
    let mut streams: Vec<EventStream> = (0..STREAMS_MAX).map(|_| open(&hub, "", None)).collect();
    streams.iter_mut().for_each(|stream| assert_eq!(stream.next(SOON).expect("an event")["resync"], true));
    let refused = EventStream::open(hub.web(), "/api/v1/stream", None, "").expect_err("one too many");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"too-many-streams".into()));
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    // All of them go on.
    streams.iter_mut().for_each(|stream| assert_eq!(stream.next(SOON).expect("an event")["resync"], false));
    drop(streams.pop());
    site_tests::eventually(SOON, "the place of the one that left", || {
        EventStream::open(hub.web(), "/api/v1/stream", None, "").map(drop).map_err(|answer| answer.text())
    });
    drop(streams);

    for (headers, status, code) in [
        ("Origin: http://evil.example\r\n", 403, "foreign-origin"),
        ("Origin: null\r\n", 403, "foreign-origin"),
    ] {
        let refused =
            EventStream::open(hub.web(), "/api/v1/stream", None, headers).expect_err("a page from elsewhere");
        assert_eq!((refused.status, &refused.json()["code"]), (status, &code.into()));
    }
    let own = format!("Origin: http://{}\r\n", hub.web());
    assert!(EventStream::open(hub.web(), "/api/v1/stream", None, &own).is_ok());
    let unknown = EventStream::open(hub.web(), "/api/v1/stream?device=nobody", None, "").expect_err("nobody");
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &"device-not-found".into()));
    let foreign = b"GET /api/v1/stream HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let foreign = site_tests::raw_exchange(hub.web(), foreign).expect("an answer");
    assert_eq!(foreign.status, 421);
    let leave = hub.get("/api/v1/status");
    assert!(leave.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("access-control-")));
}

#[test]
fn devices_that_fall_silent_are_told_and_so_is_their_return() {
    let server = Server::start(Options::default()).expect("a port");
    let text = format!(
        "name = \"meter\"\ndriver = \"modbus\"\nendpoint = \"tcp://{}\"\nunit = 3\ninterval = \"300ms\"\ntimeout = \"200ms\"\n\n\
         [[register]]\nmetric = \"seen\"\naddress = \"input:0\"\ntype = \"u64\"\n",
        server.address()
    );
    let devices = BTreeMap::from([("meter".to_owned(), text)]);
    let hub = Hub::start_with("live-silence", HubConfig { devices, ..HubConfig::default() });
    let mut stream = open(&hub, "", None);
    let live = until_state(&mut stream, "meter", "live");
    assert_eq!(
        (&live["kind"], &live["interval_ms"], &live["unit"]),
        (&"modbus".into(), &300.into(), &3.into())
    );

    server.set_dead("3".parse().expect("a unit"));
    let silent = until_state(&mut stream, "meter", "silent");
    assert_eq!(silent["trouble"]["code"], "unit-silent", "{silent}");
    let mut other = open(&hub, "", None);
    let site = other.next(SOON).expect("an event")["site"].clone();
    assert_eq!((&site["verdict"][1]["code"], &site["counts"]["silent"]), (&"silent".into(), &1.into()));
    let need = &site["needs"][0];
    assert_eq!(
        (&need["code"], &need["devices"][0], &need["device_count"]),
        (&"unit-silent".into(), &"meter".into(), &1.into())
    );
    let screen = hub.cli(&["status"]).success();
    assert!(
        screen.contains("The one device is silent.") && screen.contains("Devices    \u{25b2} 0 of 1 live"),
        "{screen}"
    );
    server.set_dead(relais_sim::modbus::Units::default());
    until_state(&mut stream, "meter", "live");

    // One that speaks by itself: its pace is learned, and then it is late.
    for number in 0..4 {
        publish(&hub, "boiler", &format!("{{\"temperature\": {number}}}"));
        pause(Duration::from_millis(200));
    }
    let late = until_state(&mut stream, "boiler", "late");
    assert!(late["interval_ms"].as_u64().is_some_and(|ms| (100..3_000).contains(&ms)), "{late}");
    assert_eq!(
        late["late_after_ms"],
        Value::from(late["interval_ms"].as_u64().expect("learned").saturating_mul(3).max(3_000))
    );
    publish(&hub, "boiler", "{\"temperature\": 9}");
    until_state(&mut stream, "boiler", "live");
}
