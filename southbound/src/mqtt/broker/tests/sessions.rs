//! Who has which session, across connections and restarts.

use std::time::Duration;

use super::harness::*;
use crate::ingest::Stored;
use crate::mqtt::codec::testing::connect;
use crate::mqtt::codec::{Connect, Disconnect, Packet, Version};
use crate::mqtt::config::MqttLimits;

fn persistent(version: Version, id: &str) -> Connect {
    Connect { session_expiry_s: if version == Version::V5 { 3600 } else { 0 }, ..connect(version, id, false) }
}

async fn leave(mut client: Client) {
    client.send(&Packet::Disconnect(Disconnect { forget_will: true, session_expiry_s: None })).await;
    assert_eq!(client.until_closed().await, None);
}

#[tokio::test]
async fn a_persistent_session_survives_the_hub() {
    for version in [Version::V4, Version::V5] {
        let dir = Dir::new();
        let id = format!("c/+#$-{version:?}");
        let mut site = Site::start(&dir).await;
        let (mut client, present) = Client::connect(&site.handle, persistent(version, &id)).await;
        assert!(!present);
        assert_eq!(client.subscribe(&[("relais/v1/+/state", 1), ("relais/v1/x/#", 0)]).await, [1, 0]);
        client.publish(9, "relais/v1/a/telemetry", "{\"t\":1}").await;
        let before = site.ingest.recv(true).await.unwrap().mark.unwrap();
        assert_eq!((before.packet_id, before.dup), (9, false));
        // What kill -9 leaves behind: the file as it is at this moment, under a running broker.
        let left = Dir::new();
        std::fs::copy(dir.0.join(FILE), left.0.join(FILE)).unwrap();
        drop((site, client));
        let mut site = Site::start(&left).await;
        let (mut client, present) = Client::connect(&site.handle, persistent(version, &id)).await;
        assert!(present);
        let mut again = publish(9, "relais/v1/a/telemetry", "{\"t\":1}");
        again.dup = true;
        client.send(&Packet::Publish(again)).await;
        let resent = site.ingest.recv(true).await.unwrap();
        let after = resent.mark.unwrap();
        assert!(after.dup);
        assert_eq!((after.incarnation, after.content_hash), (before.incarnation, before.content_hash));
        resent.stored.unwrap().send(Stored::OnFlash).unwrap();
        assert_eq!(client.recv().await.1[..], [0, 9]);
        let mut other = Client::v4(&site.handle, "other").await;
        other.publish(0, "relais/v1/a/state", "x").await;
        assert_eq!(message(&client.recv().await, version).0, "relais/v1/a/state");
    }
}

const FILE: &str = "mqtt-sessions.redb";

#[tokio::test]
async fn a_session_that_ends_with_its_connection_ends_with_the_hub_too() {
    let dir = Dir::new();
    let site = Site::start(&dir).await;
    let (client, _) = Client::connect(&site.handle, persistent(Version::V5, "c")).await;
    leave(client).await;
    let ending = Connect { session_expiry_s: 0, ..connect(Version::V5, "c", false) };
    let (_client, present) = Client::connect(&site.handle, ending).await;
    assert!(present);
    let left = Dir::new();
    std::fs::copy(dir.0.join(FILE), left.0.join(FILE)).unwrap();
    let mut site = Site::start(&left).await;
    assert!(site.forgotten.recv().await.is_some());
    let (_client, present) = Client::connect(&site.handle, persistent(Version::V5, "c")).await;
    assert!(!present);
}

#[tokio::test]
async fn a_clean_start_discards_the_old_session_and_says_so() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let (mut client, _) = Client::connect(&site.handle, persistent(Version::V5, "c")).await;
    client.publish(1, "relais/v1/a/telemetry", "{\"t\":1}").await;
    let publish = site.ingest.recv(true).await.unwrap();
    let old = publish.mark.unwrap().incarnation;
    publish.stored.unwrap().send(Stored::OnFlash).unwrap();
    client.recv().await;
    client.subscribe(&[("relais/v1/#", 0)]).await;
    leave(client).await;
    assert_eq!(count(&site.handle, "relais_mqtt_sessions", None), 1);
    let (client, present) = Client::connect(&site.handle, connect(Version::V5, "c", true)).await;
    assert!(!present);
    assert_eq!(site.forgotten.recv().await, Some(old));
    assert_eq!(count(&site.handle, "relais_mqtt_sessions", None), 0);
    leave(client).await;
    let (_client, present) = Client::connect(&site.handle, persistent(Version::V5, "c")).await;
    assert!(!present);
}

#[tokio::test]
async fn a_session_expires() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let short = Connect { session_expiry_s: 1, ..connect(Version::V5, "short", false) };
    let (client, _) = Client::connect(&site.handle, short).await;
    let (mut ends_itself, _) = Client::connect(&site.handle, persistent(Version::V5, "ends-itself")).await;
    ends_itself.send(&Packet::Disconnect(Disconnect { forget_will: true, session_expiry_s: Some(0) })).await;
    assert!(site.forgotten.recv().await.is_some());
    assert_eq!(count(&site.handle, "relais_mqtt_sessions_ended_total", Some("closed")), 1);
    leave(client).await;
    assert!(tokio::time::timeout(PATIENCE, site.forgotten.recv()).await.unwrap().is_some());
    assert_eq!(count(&site.handle, "relais_mqtt_sessions_ended_total", Some("expired")), 1);
}

#[tokio::test]
async fn a_second_connection_takes_over() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut v5 = Client::v5(&handle, "same").await;
    let mut v4 = Client::v4(&handle, "same").await;
    let (first, body) = v5.until_closed().await.unwrap();
    assert_eq!((first, body[0]), (0xe0, 0x8e));
    let (mut third, present) = Client::connect(&handle, persistent(Version::V4, "same")).await;
    assert!(!present);
    assert_eq!(v4.until_closed().await, None);
    third.subscribe(&[("relais/v1/#", 0)]).await;
    let (_fourth, present) = Client::connect(&handle, persistent(Version::V4, "same")).await;
    assert!(present);
    assert_eq!(count(&handle, "relais_mqtt_disconnects_total", Some("taken-over")), 3);
    still_works(&handle).await;
}

#[tokio::test]
async fn sessions_are_bounded_and_expiry_is_announced() {
    let dir = Dir::new();
    let limits =
        MqttLimits { sessions_max: 1, session_expiry_max: Duration::from_secs(60), ..MqttLimits::default() };
    let site = Site::with(&dir, limits).await;
    let mut client = Client::raw(&site.handle, Version::V5).await;
    client.send(&Packet::Connect(Box::new(persistent(Version::V5, "one")))).await;
    let (_, body) = client.recv().await;
    assert_eq!(body[1], 0);
    assert!(body.windows(5).any(|w| w == [17, 0, 0, 0, 60]), "{body:02x?}");
    let mut client = Client::raw(&site.handle, Version::V5).await;
    client.send(&Packet::Connect(Box::new(persistent(Version::V5, "two")))).await;
    assert_eq!(client.until_closed().await.unwrap().1[1], 0x97);
    let mut client = Client::raw(&site.handle, Version::V4).await;
    client.send(&Packet::Connect(Box::new(persistent(Version::V4, "three")))).await;
    assert_eq!(client.until_closed().await.unwrap().1[1], 3);
    still_works(&site.handle).await;
}

#[tokio::test]
async fn at_the_bound_the_session_absent_longest_makes_room() {
    let dir = Dir::new();
    let mut site = Site::with(&dir, MqttLimits { sessions_max: 2, ..MqttLimits::default() }).await;
    for id in ["first", "second"] {
        let (client, _) = Client::connect(&site.handle, persistent(Version::V4, id)).await;
        leave(client).await;
        eventually("it is absent", || site.handle.connections() == 0).await;
    }
    let (_third, _) = Client::connect(&site.handle, persistent(Version::V5, "third")).await;
    assert_eq!(count(&site.handle, "relais_mqtt_sessions_ended_total", Some("evicted")), 1);
    assert!(site.forgotten.recv().await.is_some(), "the log is told");
    let (_second, present) = Client::connect(&site.handle, persistent(Version::V4, "second")).await;
    assert!(present, "it was not absent longest");
    // Nobody who is connected has to give way.
    let mut client = Client::raw(&site.handle, Version::V5).await;
    client.send(&Packet::Connect(Box::new(persistent(Version::V5, "first")))).await;
    assert_eq!(client.until_closed().await.unwrap().1[1], 0x97);
    assert_eq!(count(&site.handle, "relais_mqtt_sessions", None), 2);
}

#[tokio::test]
async fn filters_are_bounded_in_all() {
    let dir = Dir::new();
    let limits = MqttLimits { subscriptions_in_all_max: 3, ..MqttLimits::default() };
    let site = Site::with(&dir, limits).await;
    let filters = |count: usize| (0..count).map(|n| format!("relais/v1/a/result/{n}")).collect::<Vec<_>>();
    let (two, three) = (filters(2), filters(3));
    let wish = |filters: &[String]| filters.iter().map(|f| (f.clone(), 0)).collect::<Vec<(String, u8)>>();
    async fn subscribe(client: &mut Client, wishes: Vec<(String, u8)>) -> Vec<u8> {
        let wishes: Vec<(&str, u8)> = wishes.iter().map(|(f, qos)| (f.as_str(), *qos)).collect();
        client.subscribe(&wishes).await
    }
    let (mut absent, _) = Client::connect(&site.handle, persistent(Version::V4, "absent")).await;
    assert_eq!(subscribe(&mut absent, wish(&two)).await, [0, 0]);
    leave(absent).await;
    eventually("it is absent", || site.handle.connections() == 0).await;
    let mut client = Client::v5(&site.handle, "client").await;
    assert_eq!(subscribe(&mut client, wish(&three)).await, [0, 0, 0], "the absent one makes room");
    assert_eq!(count(&site.handle, "relais_mqtt_sessions_ended_total", Some("evicted")), 1);
    assert_eq!(subscribe(&mut client, wish(&three)).await, [0, 0, 0], "they are there already");
    let mut other = Client::v5(&site.handle, "other").await;
    assert_eq!(subscribe(&mut other, wish(&two)).await, [0x97, 0x97]);
    drop(client);
    eventually("its filters are gone", || count(&site.handle, "relais_mqtt_subscriptions", None) == 0).await;
    assert_eq!(subscribe(&mut other, wish(&filters(4))).await, [0, 0, 0, 0x97]);
}

#[tokio::test]
async fn levels_of_filters_are_bounded_in_all() {
    let dir = Dir::new();
    let limits = MqttLimits { filter_levels_in_all_max: 60, ..MqttLimits::default() };
    let site = Site::with(&dir, limits).await;
    let mut client = Client::v5(&site.handle, "client").await;
    let deep = |name: &str| format!("relais/v1/{name}{}", "/x".repeat(30));
    assert_eq!(client.subscribe(&[(&deep("a"), 0), (&deep("b"), 0)]).await, [0, 0x97]);
    assert_eq!(client.subscribe(&[("relais/v1/b/state", 0)]).await, [0]);
}

#[tokio::test]
async fn absent_sessions_are_counted_for_what_they_miss() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let (mut client, _) = Client::connect(&handle, persistent(Version::V4, "c")).await;
    client.subscribe(&[("relais/v1/#", 1)]).await;
    leave(client).await;
    let mut other = Client::v4(&handle, "other").await;
    other.publish(1, "relais/v1/a/state", "x").await;
    other.recv().await;
    eventually("it is counted", || count(&handle, "relais_mqtt_dropped_total", Some("offline")) == 1).await;
}
