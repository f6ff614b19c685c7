//! The shell, with a hub that is only a table.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode};
use axum::response::IntoResponse;
use hub_chassis::http::Problem;
use hub_chassis::supervisor::{Rule, Supervisor};
use serde_json::Value as Json;

use super::testing::{device, series, view};
use super::*;

/// A hub whose clock is tokio's, and which counts how often it is looked at.
struct Table {
    start: tokio::time::Instant,
    devices: Mutex<Vec<message::Device>>,
    looks: Mutex<u32>,
}

impl Hub for Table {
    fn device(&self, name_or_id: &str) -> Result<String, Problem> {
        if name_or_id == "nobody" {
            return Err(Problem::new(StatusCode::NOT_FOUND, "device-not-found", "No such device", "nobody"));
        }
        Ok(name_or_id.to_owned())
    }

    fn look(&self, devices: &[String]) -> View {
        *self.looks.lock().unwrap() += 1;
        let mut view = view(u64::try_from(self.start.elapsed().as_millis()).unwrap());
        view.devices = self.devices.lock().unwrap().clone();
        view.series = devices.iter().map(|device| (device.clone(), vec![series(1, 1)])).collect();
        view
    }
}

struct Site {
    hub: Arc<Table>,
    live: Live,
    supervisor: Supervisor,
}

impl Site {
    fn new() -> Site {
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let start = tokio::time::sleep(Duration::ZERO).deadline();
        let hub = Arc::new(Table { start, devices: Mutex::default(), looks: Mutex::default() });
        let live = Live::new(hub.clone(), 7, supervisor.stop_signal());
        supervisor.spawn("live", Rule::Passing, live.clone().run());
        Site { hub, live, supervisor }
    }

    fn set(&self, devices: &[(&str, i64)]) {
        *self.hub.devices.lock().unwrap() = devices.iter().map(|(id, at)| device(id, *at)).collect();
    }

    fn open(&self, device: Option<&str>, last_event_id: Option<&str>) -> Client {
        let asked =
            Asked { device: device.map(str::to_owned), last_event_id: last_event_id.map(str::to_owned) };
        Client { body: self.live.open(asked, &HeaderMap::new()).unwrap().into_body(), id: String::new() }
    }

    fn refused(&self, device: Option<&str>, headers: &[(&'static str, &str)]) -> Response<Body> {
        let asked = Asked { device: device.map(str::to_owned), last_event_id: None };
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        self.live.open(asked, &headers.collect()).unwrap_err().into_response()
    }
}

struct Client {
    body: Body,
    id: String,
}

impl Client {
    /// The data of the next event.
    async fn next(&mut self) -> Option<Json> {
        use http_body_util::BodyExt;
        let frame = self.body.frame().await?.unwrap().into_data().unwrap();
        let event = String::from_utf8(frame.to_vec()).unwrap();
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        assert_eq!(field("event: "), "change");
        assert!(event.ends_with("\n\n"));
        self.id = field("id: ");
        Some(serde_json::from_str(&field("data: ")).unwrap())
    }

    /// The next event that is no sign of life.
    async fn next_change(&mut self) -> Json {
        loop {
            let message = self.next().await.unwrap();
            if message["resync"] == true || message["devices"] != Json::from([0; 0]) {
                return message;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_come_within_a_second_and_a_sign_of_life_within_five() {
    let site = Site::new();
    site.set(&[("a", 1)]);
    let mut client = site.open(None, None);
    let first = client.next().await.unwrap();
    assert_eq!((&first["resync"], &first["devices"][0]["id"]), (&Json::Bool(true), &"a".into()));
    let id = client.id.clone();

    let alive = client.next().await.unwrap();
    let (from, to) = (first["now_ms"].as_u64().unwrap(), alive["now_ms"].as_u64().unwrap());
    assert!((3_000..=5_000).contains(&(to - from)), "{from} to {to}");
    assert_eq!(
        (&alive["resync"], &alive["site"], &alive["devices"]),
        (&Json::Bool(false), &Json::Null, &Json::from([0; 0]))
    );
    assert_eq!(client.id, id, "the same id");

    site.set(&[("a", 2), ("b", 1)]);
    let change = client.next().await.unwrap();
    assert!(change["now_ms"].as_u64().unwrap() - to <= 1_000);
    assert_eq!(change["devices"].as_array().unwrap().len(), 2);
    assert_ne!(client.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_on_where_it_was_and_a_slow_one_gets_the_newest_only() {
    let site = Site::new();
    site.set(&[("a", 1), ("b", 1)]);
    let mut client = site.open(None, None);
    client.next().await.unwrap();
    let id = client.id.clone();
    drop(client);
    assert_eq!(site.live.listeners(), 0);
    site.set(&[("a", 1), ("b", 2)]);
    let mut client = site.open(None, Some(&id));
    // The first word may come from the look before.
    let message = client.next_change().await;
    assert_eq!((&message["resync"], &message["site"]), (&Json::Bool(false), &Json::Null), "{message}");
    assert_eq!(
        (&message["devices"][0]["id"], message["devices"].as_array().unwrap().len()),
        (&"b".into(), 1)
    );

    for at in 3..30 {
        site.set(&[("a", 1), ("b", at)]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let message = client.next().await.unwrap();
    assert_eq!(message["devices"][0]["heard_at_ms"], 29, "nothing in between");

    let mut other = site.open(None, Some("0-1"));
    assert_eq!(other.next().await.unwrap()["resync"], true, "an id of another run");
    let mut series = site.open(Some("a"), Some(&client.id));
    let message = series.next().await.unwrap();
    assert_eq!(
        (&message["resync"], &message["series"][0]["metric"]),
        (&Json::Bool(true), &"m1".into()),
        "an id of a stream without the series"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_who_listens_costs_nothing() {
    let site = Site::new();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*site.hub.looks.lock().unwrap(), 0);
    let mut client = site.open(None, None);
    client.next().await.unwrap();
    drop(client);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(*site.hub.looks.lock().unwrap() <= 2, "{:?}", site.hub.looks);
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_end_with_the_hub() {
    let site = Site::new();
    let mut clients: Vec<Client> = (0..LISTENERS_MAX).map(|_| site.open(None, None)).collect();
    let refused = site.refused(None, &[]);
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "10");
    assert_eq!(refused.extensions().get::<Problem>().unwrap().code, "too-many-streams");
    clients.truncate(1);
    site.open(None, None).next().await.unwrap();
    let mut last = clients.remove(0);
    last.next().await.unwrap();
    site.supervisor.stop();
    assert_eq!(last.next().await, None);
    assert_eq!(site.supervisor.wait_for_ends(0, Duration::from_secs(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn pages_from_elsewhere_and_unknown_devices_are_refused() {
    let site = Site::new();
    let check = |headers: &[(&'static str, &str)]| {
        let refused = site.refused(None, headers);
        assert_eq!(refused.extensions().get::<Problem>().unwrap().code, "foreign-origin");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    };
    check(&[("host", "localhost:8080"), ("origin", "http://evil.example")]);
    check(&[("host", "localhost:8080"), ("origin", "http://localhost:8081")]);
    check(&[("host", "localhost:8080"), ("origin", "null")]);
    check(&[("origin", "http://")]);
    let unknown = site.refused(Some("nobody"), &[]);
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let own = [("host", "LOCALHOST:8080"), ("origin", "http://localhost:8080")];
    let own = own.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    assert!(site.live.open(Asked::default(), &HeaderMap::from_iter(own)).is_ok());
}
