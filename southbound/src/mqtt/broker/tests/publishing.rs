//! From a device to the log, and what it hears back.

use hub_model::Value;
use southbound_wire::DeviceMessage;

use super::harness::*;
use crate::ingest::{Content, Stored};
use crate::mqtt::codec::testing::connect;
use crate::mqtt::codec::{Disconnect, Packet, Version, Will};
use crate::mqtt::config::MqttLimits;

const TOPIC: &str = "relais/v1/boiler/telemetry";

#[tokio::test]
async fn a_puback_waits_for_the_log_and_keeps_the_order() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut client = Client::v4(&site.handle, "c").await;
    client.publish(7, TOPIC, "{\"t\":1}").await;
    client.publish(3, TOPIC, "{\"t\":2}").await;
    let first = site.ingest.recv(true).await.unwrap();
    let second = site.ingest.recv(true).await.unwrap();
    assert_eq!(first.device.as_str(), "boiler");
    let Content::Message(DeviceMessage::Telemetry(readings)) = &first.content else { panic!("telemetry") };
    assert_eq!(readings[0].value, Some(Value::F64(1.0)));
    assert_eq!(first.mark, None, "a clean session cannot resend");
    second.stored.unwrap().send(Stored::OnFlash).unwrap();
    client.silent().await;
    first.stored.unwrap().send(Stored::OnFlash).unwrap();
    assert_eq!(client.recv().await.1[..], [0, 7]);
    assert_eq!(client.recv().await.1[..], [0, 3]);
    assert_eq!(count(&site.handle, "relais_mqtt_stored_total", None), 2);
}

#[tokio::test]
async fn qos0_is_stored_without_an_answer() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut client = Client::v5(&site.handle, "c").await;
    client.publish(0, "relais/v1/boiler/telemetry/t", "true").await;
    let publish = site.ingest.recv(true).await.unwrap();
    assert!(publish.stored.is_none() && publish.mark.is_none());
    client.silent().await;
}

#[tokio::test]
async fn a_log_that_forgets_its_answer_is_never_acknowledged() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut client = Client::v5(&site.handle, "c").await;
    client.publish(1, TOPIC, "{\"t\":1}").await;
    drop(site.ingest.recv(true).await.unwrap());
    let (first, body) = client.until_closed().await.unwrap();
    assert_eq!((first, body[0]), (0xe0, 0x88));
    assert_eq!(count(&site.handle, "relais_mqtt_disconnects_total", Some("ingest-gone")), 1);
    drop(site.ingest);
    let mut client = Client::v4(&site.handle, "c").await;
    client.publish(1, TOPIC, "{\"t\":1}").await;
    assert_eq!(client.until_closed().await, None);
}

#[tokio::test]
async fn a_full_log_makes_its_clients_wait_and_nobody_else() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut busy = Client::v4(&site.handle, "busy").await;
    for id in 1..=200 {
        busy.publish(id, TOPIC, "{\"t\":1}").await;
    }
    still_works(&site.handle).await;
    let mut acked = 0;
    for _ in 0..200 {
        let publish = site.ingest.recv(true).await.unwrap();
        publish.stored.unwrap().send(Stored::OnFlash).unwrap();
        acked += 1;
        assert_eq!(busy.recv().await.1[..], u16::to_be_bytes(acked));
    }
}

#[tokio::test]
async fn a_refusal_is_told_to_version_5_and_counted_for_3_1_1() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut v5 = Client::v5(&handle, "five").await;
    let mut v4 = Client::v4(&handle, "four").await;
    for (id, topic, payload, code, reason) in [
        (1, "elsewhere", "x", 0x87, "not-authorized"),
        (2, "$SYS/x", "x", 0x87, "not-authorized"),
        (3, "relais/v1/Boiler/state", "x", 0x90, "topic-device"),
        (4, TOPIC, "{", 0x99, "not-json"),
        (5, TOPIC, "{\"a\":{}}", 0x99, "every-reading-refused"),
    ] {
        let before = count(&handle, "relais_mqtt_refused_publishes_total", Some(reason));
        v5.publish(id, topic, payload).await;
        let (first, body) = v5.recv().await;
        assert_eq!((first, body[1], body[2]), (0x40, u8::try_from(id).unwrap(), code), "{topic}");
        assert!(body.len() > 10, "a reason string");
        v4.publish(id, topic, payload).await;
        assert_eq!(v4.recv().await.1[..], id.to_be_bytes());
        let after = count(&handle, "relais_mqtt_refused_publishes_total", Some(reason));
        assert_eq!(after - before, 2, "{reason}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_message_is_stored() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut client = Client::v4(&site.handle, "c").await;
    client.publish(1, TOPIC, "{\"good\":1,\"bad\":[]}").await;
    let publish = site.ingest.recv(true).await.unwrap();
    let Content::Message(DeviceMessage::Telemetry(readings)) = &publish.content else { panic!("telemetry") };
    assert_eq!(readings.len(), 1);
    publish.stored.unwrap().send(Stored::Refused).unwrap();
    assert_eq!(client.recv().await.1[..], [0, 1]);
    assert_eq!(count(&site.handle, "relais_mqtt_refused_readings_total", Some("nested")), 1);
    assert_eq!(count(&site.handle, "relais_mqtt_refused_publishes_total", Some("refused-by-hub")), 1);
}

#[tokio::test]
async fn a_will_is_published_unless_the_client_says_goodbye() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut watcher = Client::v4(&site.handle, "watcher").await;
    watcher.subscribe(&[("relais/v1/+/event", 1)]).await;
    let with_will = |id: &str| {
        let payload = "{\"severity\":\"warning\",\"code\":\"lost\",\"text\":\"\"}";
        let message = publish(0, "relais/v1/boiler/event", payload);
        crate::mqtt::codec::Connect { will: Some(Will { message }), ..connect(Version::V4, id, true) }
    };
    let (mut polite, _) = Client::connect(&site.handle, with_will("polite")).await;
    polite.send(&Packet::Disconnect(Disconnect { forget_will: true, session_expiry_s: None })).await;
    polite.until_closed().await;
    watcher.silent().await;
    let (lost, _) = Client::connect(&site.handle, with_will("lost")).await;
    drop(lost);
    let Content::Message(DeviceMessage::Event(event)) = site.ingest.recv(true).await.unwrap().content else {
        panic!("an event")
    };
    assert_eq!(&*event.code, "lost");
    let frame = watcher.recv().await;
    assert_eq!(message(&frame, Version::V4).0, "relais/v1/boiler/event");
}

#[tokio::test]
async fn the_payload_bound_holds_for_brokered_topics() {
    let dir = Dir::new();
    let site = Site::with(&dir, MqttLimits { payload_bytes_max: 100, ..MqttLimits::default() }).await;
    let mut watcher = Client::v4(&site.handle, "watcher").await;
    watcher.subscribe(&[("relais/v1/#", 1)]).await;
    let mut v5 = Client::v5(&site.handle, "five").await;
    let mut v4 = Client::v4(&site.handle, "four").await;
    for topic in ["relais/v1/a/state", "relais/v1/a/command/open/1", TOPIC] {
        v5.publish(1, topic, &"x".repeat(101)).await;
        let (first, body) = v5.recv().await;
        assert_eq!((first, body[1], body[2]), (0x40, 1, 0x99), "{topic}");
        v4.publish(2, topic, &"x".repeat(101)).await;
        assert_eq!(v4.recv().await.1[..], [0, 2]);
        v4.publish(0, topic, &"x".repeat(101)).await;
    }
    v4.publish(3, "relais/v1/a/state", &"y".repeat(100)).await;
    v4.recv().await;
    // What comes first is the one that fits.
    assert_eq!(message(&watcher.recv().await, Version::V4).1, "y".repeat(100));
    watcher.silent().await;
    let refused = count(&site.handle, "relais_mqtt_refused_publishes_total", Some("payload-too-long"));
    assert_eq!(refused, 9);
}

#[tokio::test]
async fn a_retained_will_is_taken_as_not_retained() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut watcher = Client::v4(&handle, "watcher").await;
    watcher.subscribe(&[("relais/v1/+/state", 0)]).await;
    for version in [Version::V4, Version::V5] {
        let mut message = publish(0, "relais/v1/a/state", "gone");
        message.retain = true;
        let with_will =
            crate::mqtt::codec::Connect { will: Some(Will { message }), ..connect(version, "w", true) };
        drop(Client::connect(&handle, with_will).await);
        assert_eq!(watcher.recv().await.0, 0x30, "not retained");
    }
    assert_eq!(count(&handle, "relais_mqtt_retain_ignored_total", None), 2);
}

#[tokio::test]
async fn retain_is_taken_as_not_retained() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut client = Client::v4(&handle, "c").await;
    client.subscribe(&[("relais/v1/#", 0)]).await;
    let mut retained = publish(1, "relais/v1/a/state", "x");
    retained.retain = true;
    client.send(&Packet::Publish(retained)).await;
    let frames = [client.recv().await, client.recv().await];
    assert!(frames.iter().any(|f| f.0 == 0x40) && frames.iter().any(|f| f.0 == 0x30), "{frames:02x?}");
    assert_eq!(count(&handle, "relais_mqtt_retain_ignored_total", None), 1);
}
