//! The API over a real log: what comes in by the intake's core comes out by HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hub_chassis::config::ByteSize;
use hub_chassis::supervisor::Supervisor;
use hub_model::{HubId, Severity, Ulid, UtcMs, Value};
use hub_store::{LogConfig, OpenContext};
use hub_ui::live::Live;
use serde_json::Value as Json;
use southbound::ingest::{Content, DevicePublish};
use southbound_wire::{DeviceEvent, DeviceMessage, Reading};
use tower::ServiceExt;

use super::{Api, Facts, LiveHub, Sides, Surface, router};
use crate::clock::{Clock, EARLIEST_PLAUSIBLE};
use crate::config::{DevicesConfig, NorthConfig};
use crate::devices::{DeviceFiles, Devices};
use crate::intake::{Limits, Registry, SharedRegistry};
use crate::north::Who;
use crate::settings::Settings;

struct Site {
    api: Arc<Api>,
    dir: PathBuf,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

impl Site {
    fn new(story: &str) -> Site {
        let dir = std::env::temp_dir().join(format!("relais-web-{}-{story}", std::process::id()));
        let clock = Clock::new();
        let context = OpenContext { hub: HubId::new(Ulid::new(1, [1; 10])), now: clock.now(), seed: [7; 32] };
        let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
        let now = Arc::new(move || clock.now());
        let (log, recovery) = hub_store::open(&dir, config, &context, now).unwrap();
        let registry = SharedRegistry::new(Registry::new(log.catalog(), Limits::default()));
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let settings = Settings {
            site: "test".into(),
            hosts: vec!["localhost".into(), "[::1]".into()],
            quota: ByteSize::from_bytes(1 << 30),
            seal_after: std::time::Duration::ZERO,
        };
        let facts = Facts {
            hub: recovery.hub,
            storage_dir: dir.clone(),
            listeners: Vec::new(),
            started_clean: true,
            epoch: recovery.epoch,
            settings: settings.shared().1,
        };
        let north = NorthConfig { central: Vec::new(), enroll_token_file: None };
        let now = clock.now();
        let run = hub_store::Run { token: 1, starts: [0; 7] };
        let who = Who { hub: recovery.hub, boot: now.boot, last_known_good: UtcMs(0), seed: 1, run };
        let link = crate::north::link(&north, &dir, who, &log, clock, &supervisor);
        let (ingest, _inbox) = southbound::ingest::ingest(1);
        let folders = DevicesConfig { dir: dir.join("devices.d"), profiles_dir: dir.join("profiles.d") };
        let devices = Devices::new(&folders, DeviceFiles::default(), ingest, Arc::new(clock), 1);
        let sides = Sides { link, devices };
        Site { api: Arc::new(Api::new(facts, clock, log, registry, supervisor, sides)), dir }
    }

    async fn say(&self, device: &str, metric: &str, value: Option<Value>, ts: Option<UtcMs>) {
        let reading = Reading { metric: metric.parse().unwrap(), value, ts };
        self.publish(device, DeviceMessage::Telemetry(vec![reading])).await;
    }

    async fn report(&self, device: &str, severity: Severity, code: &str, ts: Option<UtcMs>) {
        let params = vec![("t".into(), "97".into())];
        let (id, text) = ("".into(), "Said \"hot\"".into());
        let event = DeviceEvent { id, severity, code: code.into(), text, ts, params };
        self.publish(device, DeviceMessage::Event(event)).await;
    }

    async fn publish(&self, device: &str, message: DeviceMessage) {
        let publish = DevicePublish {
            device: device.parse().unwrap(),
            content: Content::Message(message),
            received: self.api.clock.now(),
            mark: None,
            stored: None,
            publisher: None,
        };
        let mut id = [0; 10];
        id[..device.len()].copy_from_slice(device.as_bytes());
        let mut append = self.api.registry.lock().plan(&publish, EARLIEST_PLAUSIBLE, &mut || id).append;
        append.urgency = hub_store::Urgency::Now;
        let accepted = (&append).into();
        self.api.log.append(append).await.unwrap().stored().await.unwrap();
        self.api.registry.lock().note(&accepted);
    }

    async fn ask(&self, surface: Surface, request: Request<Body>) -> Response<Body> {
        let stop = self.api.supervisor.stop_signal();
        let live = Live::new(Arc::new(LiveHub::new(self.api.clone())), 1, stop);
        router(self.api.clone(), live, surface).oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header(header::HOST, "localhost:8080").body(Body::empty()).unwrap();
        let response = self.ask(Surface::Web, request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> Json {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn readings_come_back_bit_for_bit_in_every_form() {
    let site = Site::new("bits");
    let sent = [-0.0, 5e-324, f64::MAX, 0.1, f64::from_bits(0x3ff0_0000_0000_0001)];
    for value in sent {
        site.say("boiler", "t", Some(Value::F64(value)), None).await;
    }
    site.say("boiler", "t", None, None).await;
    site.say("boiler", "t", Some(Value::string("hot, \"very\"").unwrap()), Some(UtcMs(1_795_000_000_000)))
        .await;
    let answer = site.json("/api/v1/series?device=boiler&metric=t").await;
    let numbers = &answer["series"][0];
    assert_eq!(numbers["type"], "f64");
    let values: Vec<u64> =
        (0..sent.len()).map(|at| numbers["value"][at].as_f64().unwrap().to_bits()).collect();
    assert_eq!(values, sent.map(f64::to_bits));
    assert_eq!((&numbers["value"][5], &numbers["quality"][5]), (&Json::Null, &"bad:not-reported".into()));
    let text = &answer["series"][1];
    assert_eq!(text["time"][0], "2026-11-18T11:06:40.000Z");
    assert_eq!(text["seq"][0], 6);
    assert!(answer["gaps"].as_array().is_some());

    let (_, ndjson) = site.get("/api/v1/export").await;
    assert_eq!(ndjson.lines().count(), 7);
    assert!(ndjson.lines().nth(1).unwrap().contains("\"value\":5e-324,"), "{ndjson}");
    let (_, csv) = site.get("/api/v1/export?format=csv&device=boiler").await;
    assert!(
        csv.contains("boiler,t,string,2026-11-18T11:06:40.000Z,,6,\"hot, \"\"very\"\"\",good,unset\r\n"),
        "{csv}"
    );
}

#[tokio::test]
async fn pages_follow_each_other() {
    let site = Site::new("pages");
    for value in 0..5 {
        site.say("a", "t", Some(Value::F64(value.into())), None).await;
    }
    for device in ["b", "c"] {
        site.say(device, "t", Some(Value::Bool(true)), None).await;
    }
    let first = site.json("/api/v1/series?device=a&metric=t&limit=3").await;
    assert_eq!(first["series"][0]["seq"], serde_json::json!([0, 1, 2]));
    let token = first["next_page_token"].as_str().unwrap();
    let second = site.json(&format!("/api/v1/series?device=a&metric=t&limit=3&page_token={token}")).await;
    assert_eq!(second["series"][0]["seq"], serde_json::json!([3, 4]));
    assert_eq!(second["next_page_token"], Json::Null);

    let devices = site.json("/api/v1/devices?page_size=2").await;
    let token = devices["next_page_token"].as_str().unwrap();
    let rest = site.json(&format!("/api/v1/devices?page_size=2&page_token={token}")).await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2);
    assert_eq!(rest["devices"][0]["name"], "c");
    let series = site.json("/api/v1/series?device=b").await;
    assert_eq!(series["series"][0]["last"]["value"], true);
}

#[tokio::test]
async fn events_come_back_newest_first() {
    let site = Site::new("events");
    assert_eq!(site.json("/api/v1/events").await["events"], serde_json::json!([]));
    site.report("boiler", Severity::Info, "e0", None).await;
    site.report("boiler", Severity::Alarm, "a0", Some(UtcMs(1_795_000_000_000))).await;
    // One millisecond apart at least, so that their order is known.
    for code in ["e1", "e2"] {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        site.report("pump", Severity::Warning, code, None).await;
    }
    let all = site.json("/api/v1/events").await;
    // A token from beyond the end, as a hostile client makes one, is the same as none.
    let beyond = site.json("/api/v1/events?page_token=18446744073709551615.18446744073709551615").await;
    assert_eq!(beyond["events"], all["events"]);
    let codes = |list: &Json| -> Vec<String> {
        list["events"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&all)[..2], ["e2", "e1"]);
    assert_eq!(
        (codes(&all).len(), &all["next_page_token"], &all["damaged"]),
        (4, &Json::Null, &Json::from([0; 0]))
    );
    let alarms = site.json("/api/v1/events?class=alarm").await;
    let alarm = &alarms["events"][0];
    let device_id = site.api.registry.lock().catalog().device_by_name("boiler").unwrap().id.to_string();
    let mut expected = serde_json::json!({
        "seq": 0, "class": "alarm", "severity": "alarm", "code": "a0", "text": "Said \"hot\"",
        "params": { "t": "97" }, "id": null, "device": "boiler", "device_id": device_id,
        "time": "2026-11-18T11:06:40.000Z", "received_time": null, "clock": "unset"
    });
    // Filled in by the hub's clock, which this test does not set.
    expected["received_time"] = alarm["received_time"].clone();
    assert_eq!(alarm, &expected);

    let (mut paged, mut token) = (Vec::new(), None);
    loop {
        let query = token.map_or(String::new(), |token: String| format!("&page_token={token}"));
        let page = site.json(&format!("/api/v1/events?page_size=1{query}")).await;
        assert!(page["events"].as_array().unwrap().len() == 1, "{page}");
        paged.extend(codes(&page));
        token = page["next_page_token"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(paged, codes(&all));
}

#[tokio::test]
async fn the_ledger_adds_up_and_status_says_so() {
    let site = Site::new("ledger");
    site.say("a", "t", Some(Value::F64(1.0)), None).await;
    let ledger = site.json("/api/v1/ledger").await;
    assert_eq!(ledger["balanced"], true);
    let classes = ledger["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 7);
    assert_eq!((&classes[4]["class"], &classes[4]["next"]), (&"telemetry".into(), &1.into()));
    let status = site.json("/api/v1/status").await;
    assert_eq!(status["devices"]["known"], 1);
    assert_eq!(status["working"], true);
    assert_eq!(site.json("/api/v1/gaps").await["gaps"], serde_json::json!([]));
    assert_eq!(site.get("/healthz").await.0, StatusCode::OK);
    let (_, metrics) = site.get("/metrics").await;
    for line in
        ["# TYPE relais_log_commits_total counter", "relais_devices 1", "relais_intake_samples_total 1"]
    {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn only_reading_under_our_own_names_is_allowed() {
    let site = Site::new("guard");
    let request = |method: &str, host: Option<&str>| {
        let builder = Request::builder().method(method).uri("/healthz");
        let builder = host.map_or(Request::builder().method(method).uri("/healthz"), |host| {
            builder.header(header::HOST, host)
        });
        builder.body(Body::empty()).unwrap()
    };
    let check = async |surface, method: &str, host: Option<&str>, expected: u16| {
        let response = site.ask(surface, request(method, host)).await;
        assert_eq!(response.status().as_u16(), expected, "{method} {host:?}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["cache-control"], "no-store");
        if expected >= 400 {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
    };
    check(Surface::Web, "GET", Some("localhost:1"), 200).await;
    check(Surface::Web, "HEAD", Some("LOCALHOST"), 200).await;
    check(Surface::Web, "GET", Some("[::1]:8080"), 200).await;
    check(Surface::Web, "GET", Some("evil.example"), 421).await;
    check(Surface::Web, "GET", Some("localhost.evil.example"), 421).await;
    check(Surface::Web, "GET", None, 400).await;
    check(Surface::Web, "POST", Some("localhost"), 405).await;
    check(Surface::Web, "BREW", Some("localhost"), 405).await;
    check(Surface::Socket, "GET", None, 200).await;
    check(Surface::Socket, "DELETE", None, 405).await;
}

#[tokio::test]
async fn pages_have_a_policy_of_their_own_and_the_api_loads_nothing() {
    let site = Site::new("page");
    let ask = async |path: &str| {
        let request = Request::get(path).header(header::HOST, "localhost").body(Body::empty()).unwrap();
        let response = site.ask(Surface::Web, request).await;
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let found = (response.status().as_u16(), header("content-type"), header("content-security-policy"));
        (found, header("cache-control"), header("access-control-allow-origin"))
    };
    for path in ["/", "/devices/meter.1/history"] {
        let ((status, kind, policy), cache, _) = ask(path).await;
        assert_eq!((status, kind.as_str(), cache.as_str()), (200, "text/html; charset=utf-8", "no-cache"));
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
    }
    for path in ["/api/v1/status", "/api/v1/stream", "/openapi.json"] {
        let ((status, _, policy), cache, cors) = ask(path).await;
        assert_eq!((status, cache.as_str(), cors.as_str()), (200, "no-store", ""), "{path}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
    }
}

#[tokio::test]
async fn wrong_questions_get_a_problem_with_a_code() {
    let site = Site::new("problems");
    site.say("a", "t", Some(Value::F64(1.0)), None).await;
    let check = async |path: &str, status: u16, code: &str| {
        let (got, body) = site.get(path).await;
        let problem: Json = serde_json::from_str(&body).unwrap();
        assert_eq!((got.as_u16(), problem["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert_eq!(problem["status"], status);
        assert!(problem["request_id"].as_str().is_some_and(|id| id.starts_with("req_")));
    };
    check("/api/nope", 404, "not-found").await;
    check("/assets/nope.js", 404, "not-found").await;
    check("/api/v1/series?device=x&metric=t", 404, "device-not-found").await;
    check("/api/v1/series?device=a&metric=x", 404, "series-not-found").await;
    check("/api/v1/series?metric=t", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&from=yesterday", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&from=2&to=1", 400, "bad-parameter").await;
    check("/api/v1/series?from=1", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&step=60s", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&from=0&to=1&step=0s", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&from=0&to=9000000&step=1s", 400, "bad-parameter").await;
    check("/api/v1/series?device=a&metric=t&from=0&to=1&step=1s&limit=5", 400, "bad-parameter").await;
    check("/api/v1/series?step=1s", 400, "bad-parameter").await;
    check("/api/v1/devices?page_size=0", 400, "bad-parameter").await;
    check("/api/v1/devices?pagesize=1", 400, "bad-parameter").await;
    check("/api/v1/gaps?page_token=x", 400, "bad-parameter").await;
    check("/api/v1/events?class=audit", 400, "bad-parameter").await;
    check("/api/v1/events?page_token=7", 400, "bad-parameter").await;
    check("/api/v1/export?format=xml", 400, "bad-parameter").await;
    check("/api/v1/export?device=x", 404, "device-not-found").await;
}

#[tokio::test]
async fn bins_sum_up_what_was_read_and_leave_out_what_was_not() {
    let site = Site::new("bins");
    let t0 = 1_795_000_020_000;
    let readings = [
        (0, Some(1.0)),
        (59_999, Some(4.0)),
        (30_000, Some(1.0)),
        (60_000, Some(-7.5)),
        (61_000, None),
        (240_000, Some(2.0)),
    ];
    for (after, value) in readings {
        site.say("a", "t", value.map(Value::F64), Some(UtcMs(t0 + after))).await;
    }
    site.say("a", "t", Some(Value::string("no number").unwrap()), Some(UtcMs(t0))).await;
    let path = format!("/api/v1/series?device=a&metric=t&from={t0}&to={}&step=60s", t0 + 300_000);
    let answer = site.json(&path).await;
    let [series] = &answer["series"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!(
        series["time"],
        serde_json::json!([
            "2026-11-18T11:07:00.000Z",
            "2026-11-18T11:08:00.000Z",
            "2026-11-18T11:11:00.000Z"
        ])
    );
    assert_eq!(series["count"], serde_json::json!([3, 1, 1]));
    assert_eq!(
        (&series["min"], &series["max"]),
        (&serde_json::json!([1.0, -7.5, 2.0]), &serde_json::json!([4.0, -7.5, 2.0]))
    );
    assert_eq!(series["mean"], serde_json::json!([2.0, -7.5, 2.0]));
    assert_eq!(answer["step_ms"], 60_000);
}
