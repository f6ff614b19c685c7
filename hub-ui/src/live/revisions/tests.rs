//! Clients that are cut off and resumed hold what there is.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::live::testing::{device, series, view};

/// What a client holds: documents by their id, as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
struct Client {
    site: Json,
    data: Json,
    devices: BTreeMap<String, Json>,
    series: BTreeMap<u64, Json>,
    at: Option<u64>,
}

impl Client {
    /// Takes a message as a page does. What does not come over the wire is not looked at.
    fn apply(&mut self, message: &Message<'_>, revision: u64) {
        let message: Json = serde_json::to_value(message).unwrap();
        if message["resync"] == true {
            *self = Client::default();
        }
        for (held, sent) in [(&mut self.site, &message["site"]), (&mut self.data, &message["data"])] {
            if !sent.is_null() {
                held.clone_from(sent);
            }
        }
        for device in message["devices"].as_array().unwrap() {
            self.devices.insert(device["id"].as_str().unwrap().to_owned(), device.clone());
        }
        for series in message["series"].as_array().unwrap() {
            self.series.insert(series["series"].as_u64().unwrap(), series.clone());
        }
        for id in message["removed_devices"].as_array().unwrap() {
            assert!(self.devices.remove(id.as_str().unwrap()).is_some() || message["resync"] == false);
        }
        for id in message["removed_series"].as_array().unwrap() {
            self.series.remove(&id.as_u64().unwrap());
        }
        self.at = Some(revision);
    }

    /// What it must hold.
    fn expected(view: &View, watches: Option<&str>, at: u64) -> Client {
        let series = watches.and_then(|device| view.series.get(device)).into_iter().flatten();
        Client {
            site: serde_json::to_value(&view.site).unwrap(),
            data: serde_json::to_value(&view.data).unwrap(),
            devices: view.devices.iter().map(|d| (d.id.clone(), serde_json::to_value(d).unwrap())).collect(),
            series: series.map(|s| (u64::from(s.last.series), serde_json::to_value(s).unwrap())).collect(),
            at: Some(at),
        }
    }
}

/// One second at the hub.
#[derive(Clone, Debug)]
struct Second {
    /// Device number to its value; those not named are gone.
    devices: BTreeMap<u8, u8>,
    /// Series number to its value, the same for each device that is watched.
    series: BTreeMap<u8, u8>,
    site: u8,
    /// Of each client: whether it is connected, and for which device.
    connected: Vec<bool>,
}

const CLIENTS: usize = 4;

/// What client `n` asks for.
fn watches(client: usize) -> Option<&'static str> {
    [None, Some("a"), Some("b"), Some("c")][client]
}

fn seconds() -> impl Strategy<Value = Vec<Second>> {
    let documents = || proptest::collection::btree_map(0u8..12, 0u8..3, 0..12);
    let connected = proptest::collection::vec(any::<bool>(), CLIENTS);
    let second = (documents(), documents(), 0u8..3, connected)
        .prop_map(|(devices, series, site, connected)| Second { devices, series, site, connected });
    proptest::collection::vec(second, 1..40)
}

fn look(second: &Second, now_ms: u64) -> View {
    let mut view = view(now_ms);
    view.site.name = format!("site {}", second.site);
    view.devices =
        second.devices.iter().map(|(id, value)| device(&id.to_string(), i64::from(*value))).collect();
    let asked = (0..CLIENTS).filter(|client| second.connected[*client]).filter_map(watches);
    let all = |_| second.series.iter().map(|(id, value)| series(u32::from(*id), i64::from(*value))).collect();
    view.series = asked.map(|device| (device.to_owned(), all(device))).collect();
    view
}

proptest! {
    #[test]
    fn a_client_that_was_cut_off_anywhere_holds_what_there_is(story in seconds(), graves_max in 0usize..4, devices_max in 0usize..4) {
        let mut revisions = Revisions::new(Memory { graves_max, devices_max });
        let mut clients = vec![Client::default(); CLIENTS];
        for (at, second) in story.iter().enumerate() {
            let view = look(second, at as u64 * 1_000);
            let snapshot = revisions.take(view.clone()).unwrap();
            for (number, client) in clients.iter_mut().enumerate().filter(|(number, _)| second.connected[*number]) {
                client.apply(&snapshot.message(watches(number), client.at), snapshot.revision);
                let expected = Client::expected(&view, watches(number), snapshot.revision);
                prop_assert_eq!(&*client, &expected, "client {} in second {}", number, at);
                let again = snapshot.message(watches(number), client.at);
                prop_assert!(again.is_empty(), "nothing is told twice");
            }
            prop_assert!(revisions.series.len() <= devices_max.max(CLIENTS), "devices are forgotten");
            prop_assert!(revisions.main.graves.len() <= graves_max, "so are removals");
        }
    }
}

#[test]
fn only_what_changed_is_sent() {
    let mut revisions = Revisions::new(Memory::default());
    let mut now = view(0);
    now.devices = vec![device("1", 1), device("2", 1)];
    let first = revisions.take(now.clone()).unwrap();
    let message = serde_json::to_value(first.message(None, None)).unwrap();
    assert_eq!(
        (message["resync"].as_bool(), message["devices"].as_array().map(Vec::len)),
        (Some(true), Some(2))
    );

    let second = revisions.take(View { now_ms: 1_000, ..now.clone() }).unwrap();
    assert_eq!(second.revision, first.revision, "time alone is no change");
    assert!(second.message(None, Some(first.revision)).is_empty());

    now.devices[1] = device("2", 2);
    let third = revisions.take(now.clone()).unwrap();
    let message = serde_json::to_value(third.message(None, Some(first.revision))).unwrap();
    assert_eq!(
        (&message["resync"], &message["site"], message["devices"].as_array().map(Vec::len)),
        (&Json::Bool(false), &Json::Null, Some(1))
    );

    now.devices.remove(0);
    let fourth = revisions.take(now).unwrap();
    let message = serde_json::to_value(fourth.message(None, Some(third.revision))).unwrap();
    assert_eq!(message["removed_devices"], serde_json::json!(["1"]));
}

#[test]
fn a_round_trip_counts_by_its_magnitude() {
    let mut revisions = Revisions::new(Memory::default());
    let mut now = view(0);
    let mut revision_at = |round_trip_ms| {
        now.site.link.round_trip_ms = Some(round_trip_ms);
        revisions.take(now.clone()).unwrap().revision
    };
    let first = revision_at(40);
    assert_eq!(revision_at(50), first);
    assert_eq!(revision_at(400), first + 1);
}

#[test]
fn a_revision_that_was_never_given_out_gets_everything() {
    let mut revisions = Revisions::new(Memory::default());
    let snapshot = revisions.take(view(0)).unwrap();
    assert!(snapshot.message(None, Some(snapshot.revision + 1)).resync);
    assert!(!snapshot.message(None, Some(snapshot.revision)).resync);
    assert!(snapshot.message(Some("never watched"), Some(snapshot.revision)).series.is_empty());
}
