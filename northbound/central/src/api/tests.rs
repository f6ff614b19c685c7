//! The API, asked through its router: sign-in, parameters, every route.

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hub_chassis::config::Layers;
use hub_model::{Class, ValueType};
use northbound_sync::Placed;
use northbound_wire::{AdminToken, ClaimToken, Fingerprint, TokenSecret};
use serde_json::Value;
use tower::ServiceExt;

use crate::config::Config;
use crate::daemon::{Manner, Started, start};
use crate::storage::{Enrolment, NewToken, Outcome};
use crate::testing::{DEVICE, Folder, TestHub, hub_id, manner};

struct Central {
    started: Started,
    token: String,
    folder: Folder,
}

fn config(folder: &Folder) -> Config {
    let mut config = Layers::default().load::<Config>().unwrap().config;
    config.storage.dir = folder.path().join("data");
    config.api.listen.set_port(0);
    config.sync.listen.set_port(0);
    config
}

impl Central {
    async fn start(name: &str) -> Central {
        let folder = Folder::new(name);
        let mut started = start(config(&folder), manner(false)).await.unwrap();
        let token = started.new_admin_token.take().unwrap();
        Central { started, token, folder }
    }

    async fn send(&self, request: Request<Body>) -> (Response<()>, Value) {
        let response = super::router(self.started.app.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        (Response::from_parts(parts, ()), value)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.token));
        let (head, body) = self.send(request.body(Body::empty()).unwrap()).await;
        (head.status(), body)
    }

    async fn good(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// An enrolled hub with two metrics of a boiler, all of it here and decoded.
    async fn with_hub(&self) -> TestHub {
        let app = &self.started.app;
        let now = app.clock.utc();
        let claim =
            NewToken::Claim { site: "Hall 3".to_owned(), hubs: 1, expires: hub_model::UtcMs(now.0 + 1_000) };
        let (_, secret) = app.storage.create_token(&claim, "test", now).await.unwrap();
        let token = ClaimToken { secret, root: app.authority.fingerprint() };
        let key = Fingerprint([7; 32]);
        let enrolment = Enrolment { token: &token, hub: hub_id(4), key, address: "192.0.2.1" };
        app.storage.enrol(&enrolment, now).await.unwrap().unwrap();
        let hub = TestHub::new(4);
        hub.define(&[("temperature", ValueType::F64), ("on", ValueType::F64)]).set_clock(0, 1_000_000);
        hub.readings(1, 0, 0..10).readings(2, 0, 0..3).seal();
        for class in [Class::Meta, Class::Telemetry] {
            for arrival in hub.arrivals(class) {
                assert_eq!(app.ingest.store(hub.id, arrival).await, Placed::Accounted);
            }
        }
        while app.counts.definitions.get() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        hub
    }

    async fn stop(self) -> Folder {
        let Central { started, folder, .. } = self;
        started.app.supervisor.stop();
        assert_eq!(started.app.supervisor.wait_for_ends(0, std::time::Duration::from_secs(20)).await, 0);
        started.app.storage.close().await;
        folder
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let central = Central::start("denied").await;
    let root = central.started.app.authority.fingerprint();
    let foreign = AdminToken { secret: TokenSecret([1; 32]), root: Fingerprint([2; 32]) }.reveal();
    let unknown = AdminToken { secret: TokenSecret([1; 32]), root }.reveal();
    for (headers, code) in [
        (vec![], "token-missing"),
        (vec!["Basic eDp5".to_owned()], "token-malformed"),
        (vec![central.token.clone()], "token-malformed"),
        (vec![format!("Bearer {}x", central.token)], "token-malformed"),
        (vec![format!("Bearer {}", central.token), format!("Bearer {unknown}")], "token-malformed"),
        (vec![format!("Bearer {foreign}")], "token-of-another-organisation"),
        (vec![format!("Bearer {unknown}")], "token-not-good"),
    ] {
        for path in ["/v1/hubs", "/nowhere", "/metrics"] {
            let request = headers.iter().fold(Request::get(path), |r, h| r.header("authorization", h));
            let (head, body) = central.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (head.status(), body["code"].as_str()),
                (StatusCode::UNAUTHORIZED, Some(code)),
                "{headers:?}"
            );
            assert_eq!(head.headers()["www-authenticate"], "Bearer realm=\"relais-central\"");
            assert_eq!(head.headers()["content-type"], "application/problem+json");
            assert!(!body.to_string().contains("relais-admin-v1.A"), "no secret is said back");
        }
    }
    let app = &central.started.app;
    assert_eq!(app.counts.denied.get(), 21);
    let rows = app.storage.audit_rows(None, 100).await.unwrap();
    let denied = rows.iter().filter(|row| row.entry.outcome == Outcome::Denied);
    assert_eq!(denied.count(), 20, "the rest is counted");
    assert_eq!(app.counts.denied_unlisted.get(), 1);
    central.good("/v1/hubs").await;
    central.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_none() {
    let central = Central::start("revoked").await;
    central.good("/v1/hubs").await;
    let app = &central.started.app;
    let id = app.storage.tokens().await.unwrap()[0].id;
    app.storage.revoke_token(id, "test", app.clock.utc()).await.unwrap();
    let (status, body) = central.get("/v1/hubs").await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("token-not-good")));
    central.stop().await;
}

#[tokio::test]
async fn health_needs_no_token_and_writing_does_not_exist() {
    let central = Central::start("health").await;
    let (head, body) = central.send(Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status(), body["status"].as_str()), (StatusCode::OK, Some("ok")));
    for header in ["x-request-id", "x-content-type-options", "content-security-policy", "cache-control"] {
        assert!(head.headers().contains_key(header), "{header}");
    }
    for path in ["/healthz", "/v1/hubs"] {
        let request = Request::builder().method(Method::POST).uri(path).body(Body::empty()).unwrap();
        let (head, body) = central.send(request).await;
        assert_eq!(
            (head.status(), &body["code"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"method-not-allowed".into())
        );
        assert_eq!(head.headers()["allow"], "GET, HEAD");
    }
    let failing = &central.started.app.counts.storing_fails;
    failing.store(true, std::sync::atomic::Ordering::Relaxed);
    let (status, body) = central.get("/healthz").await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("not-working")));
    central.stop().await;
}

#[tokio::test]
async fn every_route_answers_and_is_described() {
    let central = Central::start("routes").await;
    central.with_hub().await;
    let (_, api) = super::routes();
    let described: Vec<&str> = api.paths.paths.keys().map(String::as_str).collect();
    let routes = [
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/v1/audit-events",
        "/v1/devices",
        "/v1/gaps",
        "/v1/hubs",
        "/v1/series",
    ];
    assert_eq!(described, routes);
    for route in routes {
        central.good(route).await;
    }
    let served = central.good("/openapi.json").await;
    assert_eq!(served["info"]["title"], "Relais central");
    for route in routes {
        let get = &served["paths"][route]["get"];
        assert!(get["responses"]["200"].is_object() && get["summary"].is_string(), "{route}");
    }
    let (status, body) = central.get("/v1/nothing").await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::NOT_FOUND, Some("not-found")));
    let metrics = central.good("/metrics").await;
    for line in ["relais_hubs{state=\"claimed\"} 1\n", "relais_ingest_blocks_total ", "relais_objects "] {
        assert!(metrics.as_str().unwrap().contains(line), "{line} in {metrics}");
    }
    central.stop().await;
}

#[tokio::test]
async fn lists_name_what_there_is() {
    let central = Central::start("lists").await;
    let hub = central.with_hub().await;
    let hubs = central.good("/v1/hubs").await;
    let first = &hubs["hubs"][0];
    assert_eq!((&first["id"], &first["site"]), (&hub.id.to_string().into(), &"Hall 3".into()));
    assert_eq!((&first["state"], &first["seen_time"]), (&"claimed".into(), &Value::Null));
    assert_eq!(hubs["next_page_token"], Value::Null);
    let devices = central.good(&format!("/v1/devices?hub={}", hub.id)).await;
    let first = &devices["devices"][0];
    assert_eq!((&first["name"], &first["series_count"]), (&"boiler".into(), &2.into()));
    let series = central.good("/v1/series?device=boiler&page_size=1").await;
    assert_eq!(
        (&series["series"][0]["metric"], &series["series"][0]["type"]),
        (&"temperature".into(), &"f64".into())
    );
    let token = series["next_page_token"].as_str().unwrap();
    let series = central.good(&format!("/v1/series?device={DEVICE}&page_size=1&page_token={token}")).await;
    assert_eq!((&series["series"][0]["metric"], &series["next_page_token"]), (&"on".into(), &Value::Null));
    let gaps = central.good(&format!("/v1/gaps?hub={}&class=telemetry", hub.id)).await;
    assert_eq!(gaps["gaps"], Value::Array(vec![]));
    let audit = central.good("/v1/audit-events?page_size=1").await;
    assert_eq!(audit["audit_events"][0]["action"], "hub.enrol");
    let token = audit["next_page_token"].as_str().unwrap();
    let audit = central.good(&format!("/v1/audit-events?page_token={token}")).await;
    let actions: Vec<&str> =
        audit["audit_events"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["token.create", "token.create", "org.create"]);
    central.stop().await;
}

#[tokio::test]
async fn readings_come_as_columns() {
    let central = Central::start("readings").await;
    let hub = central.with_hub().await;
    let body = central.good("/v1/series?device=boiler&metric=temperature&limit=4").await;
    let series = &body["series"][0];
    assert_eq!(series["seq"], serde_json::json!([0, 1, 2, 3]));
    assert_eq!(series["value"], serde_json::json!([0.0, 1.0, 2.0, 3.0]));
    assert_eq!(series["time"][1], "1970-01-01T00:16:41.000Z");
    assert_eq!((&series["clock"][0], &series["quality"][0]), (&"synced".into(), &"good".into()));
    assert_eq!((&series["received_time"][0], &body["pending"]), (&Value::Null, &0.into()));
    assert_eq!(body["hub_id"], hub.id.to_string());
    let token = body["next_page_token"].as_str().unwrap();
    let next = central
        .good(&format!(
            "/v1/series?device=boiler&metric=temperature&from=1008000&to=1009000&page_token={token}&type=f64"
        ))
        .await;
    assert_eq!(next["series"][0]["value"], serde_json::json!([8.0]));
    assert_eq!((&next["gaps"], &next["damaged"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    central.stop().await;
}

#[tokio::test]
async fn wrong_parameters_say_what_is_right() {
    let central = Central::start("params").await;
    let hub = central.with_hub().await;
    let gaps = format!("/v1/gaps?hub={}&class=x", hub.id);
    let other = format!("/v1/gaps?hub={}", hub_id(9));
    for (path, status, code, words) in [
        ("/v1/hubs?page_size=0", 400, "bad-parameter", "page_size=0: use 1 to 1000"),
        ("/v1/hubs?page=1", 400, "bad-parameter", "unknown field `page`"),
        ("/v1/hubs?page_token=x", 400, "bad-parameter", "begin without it"),
        ("/v1/devices?hub=x", 400, "bad-parameter", "hub=x: id does not begin with `hub_`"),
        ("/v1/devices?page_token=x.y", 400, "bad-parameter", "begin without it"),
        ("/v1/series?limit=5", 400, "bad-parameter", "limit needs device and metric"),
        ("/v1/series?metric=a", 400, "bad-parameter", "metric needs device"),
        ("/v1/series?device=nope", 404, "device-not-found", "/v1/devices lists"),
        ("/v1/series?device=boiler&metric=nope", 404, "series-not-found", "lists what it has"),
        ("/v1/series?device=boiler&metric=on&limit=10001", 400, "bad-parameter", "use 1 to 10000"),
        ("/v1/series?device=boiler&metric=on&class=meta", 400, "bad-parameter", "use telemetry or bulk"),
        ("/v1/series?device=boiler&metric=on&type=x", 400, "bad-parameter", "use one of f64"),
        ("/v1/series?device=boiler&metric=on&type=bool", 404, "series-not-found", "lists what it has"),
        ("/v1/series?device=boiler&metric=on&from=2&to=1", 400, "bad-parameter", "swap them"),
        ("/v1/series?device=boiler&metric=on&page_token=7", 400, "bad-parameter", "begin without it"),
        ("/v1/series?device=boiler&device=boiler", 400, "bad-parameter", "duplicate field"),
        ("/v1/gaps?page_token=x", 400, "bad-parameter", "page_token"),
        (gaps.as_str(), 400, "bad-parameter", "class=x: use one of alarm"),
        (other.as_str(), 404, "hub-not-found", "/v1/hubs lists"),
        ("/v1/audit-events?page_token=-", 400, "bad-parameter", "begin without it"),
    ] {
        let (found, body) = central.get(path).await;
        let detail = body["detail"].as_str().unwrap_or_default();
        assert_eq!((found.as_u16(), body["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(detail.contains(words), "{path}: {detail}");
    }
    central.stop().await;
}

#[tokio::test]
async fn a_first_start_that_nobody_sees_makes_no_token_and_a_later_one_does() {
    let folder = Folder::new("unseen");
    let unseen = Manner { is_restored: false, makes_admin_token: false };
    let started = start(config(&folder), unseen).await.unwrap();
    assert!(started.new_admin_token.is_none());
    assert_eq!(started.app.storage.tokens().await.unwrap().len(), 0, "no secret that nobody has");
    let folder = Central { started, token: String::new(), folder }.stop().await;
    let mut seen = start(config(&folder), manner(false)).await.unwrap();
    let token = seen.new_admin_token.take().unwrap();
    Central { started: seen, token, folder }.stop().await;
}

#[tokio::test]
async fn the_second_start_finds_everything_and_makes_no_token() {
    let central = Central::start("second").await;
    let (token, root) = (central.token.clone(), central.started.app.authority.fingerprint());
    let folder = central.stop().await;
    let again = start(config(&folder), manner(true)).await.unwrap();
    assert!(again.new_admin_token.is_none());
    assert_eq!(again.app.authority.fingerprint(), root);
    assert!(again.app.term > 1_700_000_000, "restored: {}", again.app.term);
    let central = Central { started: again, token, folder };
    central.good("/v1/hubs").await;
    let checked = crate::check::check(&central.started.app.storage).await.unwrap();
    assert_eq!(checked.problems, Vec::<String>::new());
    assert!(checked.found.starts_with("storage is good: 0 objects"), "{}", checked.found);
    let term = central.started.app.term;
    let folder = central.stop().await;
    // Without the keys hubs rely on, it does not start; nor does it make others.
    let keys = folder.path().join("data/keys");
    std::fs::rename(&keys, keys.with_extension("away")).unwrap();
    let failed = start(config(&folder), manner(false)).await.err().unwrap();
    assert!(failed.to_string().contains("put it back from a backup"), "{failed}");
    std::fs::rename(keys.with_extension("away"), &keys).unwrap();
    let third = start(config(&folder), manner(false)).await.unwrap();
    assert_eq!(third.app.term, term, "it stays where it was raised to");
    Central { started: third, token: String::new(), folder }.stop().await;
}

#[tokio::test]
async fn a_check_finds_what_went_bad() {
    let central = Central::start("check").await;
    central.with_hub().await;
    let storage = &central.started.app.storage;
    let good = crate::check::check(storage).await.unwrap();
    assert_eq!(good.problems, Vec::<String>::new(), "{}", good.found);
    let objects = storage.packs().list().unwrap();
    let size = usize::try_from(objects[0].size_bytes).unwrap();
    storage.packs().put(objects[0].id, [bytes::Bytes::from(vec![1; size])]).await.unwrap();
    storage.packs().remove(objects[1].id).await.unwrap();
    let bad = crate::check::check(storage).await.unwrap();
    assert!(bad.found.starts_with("storage has problems"), "{}", bad.found);
    assert!(bad.problems.iter().any(|p| p.contains("malformed magic")), "{:#?}", bad.problems);
    assert!(bad.problems.iter().any(|p| p.contains("is missing")), "{:#?}", bad.problems);
    central.stop().await;
}

#[tokio::test]
async fn a_hub_that_is_not_known_is_not_found_anywhere() {
    let central = Central::start("unknown-hub").await;
    let hub = hub_id(77);
    for path in ["/v1/devices", "/v1/gaps", "/v1/series"] {
        let (status, body) = central.get(&format!("{path}?hub={hub}")).await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::NOT_FOUND, Some("hub-not-found")), "{path}");
    }
    let (status, body) = central.get(&format!("/v1/series?hub={hub}&device=boiler&metric=on")).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::NOT_FOUND, Some("hub-not-found")));
    central.stop().await;
}

#[tokio::test]
async fn the_audit_is_for_people() {
    let central = Central::start("audit-words").await;
    let app = &central.started.app;
    let expires = hub_model::UtcMs(1_795_305_600_000);
    for hubs in [1, 2] {
        let new = NewToken::Claim { site: "Hall 3".to_owned(), hubs, expires };
        app.storage.create_token(&new, "test", app.clock.utc()).await.unwrap();
    }
    let audit = central.good("/v1/audit-events").await;
    let details: Vec<&str> =
        audit["audit_events"].as_array().unwrap().iter().filter_map(|e| e["detail"].as_str()).collect();
    for (detail, hubs) in details.iter().zip(["2 hubs", "1 hub"]) {
        assert!(detail.starts_with(&format!("claim for {hubs} at site_")), "{detail}");
        assert!(detail.ends_with("(Hall 3), until 2026-11-22T00:00:00.000Z"), "{detail}");
    }
    central.stop().await;
}

#[tokio::test]
async fn a_block_that_went_bad_is_listed_until_it_is_back() {
    let central = Central::start("listed").await;
    let hub = central.with_hub().await;
    let app = &central.started.app;
    let object = app.storage.packs().list().unwrap();
    let rows = {
        let mut reading = app.storage.read().await.unwrap();
        let range = hub_model::SeqRange::new(0, 1_000);
        reading.db().overlapping(hub.id, hub.lane(Class::Telemetry), range, 10).await.unwrap()
    };
    assert!(!object.is_empty() && !rows.is_empty());
    let lost = rows[0].block().unwrap().object;
    app.storage.packs().remove(lost).await.unwrap();
    let readings = format!("/v1/series?hub={}&device=boiler&metric=temperature", hub.id);
    for _ in 0..2 {
        let found = central.good(&readings).await;
        assert_eq!(found["damaged"].as_array().unwrap().len(), 1, "{found}");
        let gaps = central.good("/v1/gaps?class=telemetry").await;
        let gap = &gaps["gaps"][0];
        assert_eq!((gap["cause"].as_str(), gap["from"].as_u64()), (Some("damaged"), Some(0)), "{gaps}");
    }
    for arrival in hub.arrivals(Class::Telemetry) {
        assert_eq!(app.ingest.store(hub.id, arrival).await, Placed::Accounted);
    }
    assert_eq!(central.good(&readings).await["damaged"].as_array().unwrap().len(), 0);
    assert_eq!(central.good("/v1/gaps?class=telemetry").await["gaps"].as_array().unwrap().len(), 0);
    central.stop().await;
}
