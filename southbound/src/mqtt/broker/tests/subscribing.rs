//! From the broker to subscribers.

use bytes::Bytes;

use super::harness::*;
use crate::mqtt::codec::testing::connect;
use crate::mqtt::codec::{FilterRequest, Packet, Qos, Subscribe, Unsubscribe, Version};

#[tokio::test]
async fn filters_are_granted_or_refused_one_by_one() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let filters = [
        ("relais/v1/#", 2),
        ("relais/v1/+/state", 0),
        ("#", 0),
        ("relais/v1/#/x", 0),
        ("$share/g/relais/v1/#", 1),
        ("$SYS/#", 0),
    ];
    let mut v5 = Client::v5(&handle, "five").await;
    assert_eq!(v5.subscribe(&filters).await, [1, 0, 0x87, 0x8f, 0x9e, 0x87]);
    let mut v4 = Client::v4(&handle, "four").await;
    assert_eq!(v4.subscribe(&filters).await, [1, 0, 0x80, 0x80, 0x80, 0x80]);
    assert_eq!(count(&handle, "relais_mqtt_refused_subscriptions_total", Some("not-authorized")), 4);
}

#[tokio::test]
async fn messages_reach_both_versions_with_their_properties() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut v5 = Client::v5(&handle, "five").await;
    v5.subscribe(&[("relais/v1/+/command/#", 1)]).await;
    let mut v4 = Client::v4(&handle, "four").await;
    v4.subscribe(&[("relais/v1/gerät/#", 0), ("relais/v1/a/#", 0)]).await;
    let mut command = publish(1, "relais/v1/a/command/öffnen/7", "jetzt");
    command.expiry_s = Some(60);
    command.properties = Bytes::from_static(&[3, 0, 1, b't', 38, 0, 1, b'k', 0, 1, b'v']);
    let mut sender = Client::v5(&handle, "sender").await;
    sender.send(&Packet::Publish(command)).await;
    assert_eq!(sender.recv().await.1[..], [0, 1]);
    let frame = v5.recv().await;
    assert_eq!(message(&frame, Version::V5), ("relais/v1/a/command/öffnen/7".into(), "jetzt".into(), 1));
    let wanted = [2, 0, 0, 0, 59, 3, 0, 1, b't', 38, 0, 1, b'k', 0, 1, b'v'];
    assert!(frame.1.windows(wanted.len()).any(|w| w == wanted), "{frame:02x?}");
    v5.send(&Packet::PubAck { id: 1 }).await;
    let frame = v4.recv().await;
    assert_eq!(message(&frame, Version::V4), ("relais/v1/a/command/öffnen/7".into(), "jetzt".into(), 0));
}

#[tokio::test]
async fn no_local_and_unsubscribe_are_honoured() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut client = Client::v5(&handle, "c").await;
    let filters = vec![FilterRequest { filter: "relais/v1/#".into(), qos: 0, no_local: true }];
    client.send(&Packet::Subscribe(Subscribe { id: 1, has_identifier: false, filters })).await;
    client.recv().await;
    client.publish(0, "relais/v1/a/state", "own").await;
    let mut other = Client::v4(&handle, "other").await;
    other.publish(0, "relais/v1/a/state", "other").await;
    assert_eq!(message(&client.recv().await, Version::V5).1, "other");
    let filters = vec!["relais/v1/#".into(), "relais/v1/never".into()];
    client.send(&Packet::Unsubscribe(Unsubscribe { id: 9, filters })).await;
    assert_eq!(client.recv().await.1[..], [0, 9, 0, 0, 0x11]);
    other.publish(0, "relais/v1/a/state", "other").await;
    client.silent().await;
}

#[tokio::test]
async fn a_slow_subscriber_loses_and_others_notice_nothing() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut slow = Client::v4(&handle, "slow").await;
    slow.subscribe(&[("relais/v1/#", 0)]).await;
    let mut quick = Client::v4(&handle, "quick").await;
    quick.subscribe(&[("relais/v1/#", 1)]).await;
    let mut publisher = Client::v4(&handle, "publisher").await;
    let payload = "x".repeat(10_000);
    for number in 0..2000u16 {
        publisher.publish(number % 60_000 + 1, "relais/v1/a/state", &payload).await;
        publisher.recv().await;
        let (_, _, id) = message(&quick.recv().await, Version::V4);
        quick.send(&Packet::PubAck { id }).await;
    }
    assert!(count(&handle, "relais_mqtt_dropped_total", Some("queue-full-qos0")) > 0);
    still_works(&handle).await;
}

#[tokio::test]
async fn unacknowledged_messages_stop_at_the_clients_receive_maximum() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let limited = crate::mqtt::codec::Connect { receive_maximum: 2, ..connect(Version::V5, "c", true) };
    let (mut client, _) = Client::connect(&handle, limited).await;
    client.subscribe(&[("relais/v1/#", 1)]).await;
    let mut publisher = Client::v4(&handle, "publisher").await;
    for number in 1..=5 {
        publisher.publish(number, "relais/v1/a/state", &number.to_string()).await;
    }
    let first = message(&client.recv().await, Version::V5);
    assert_eq!((&*first.1, first.2), ("1", 1));
    client.recv().await;
    client.silent().await;
    client.send(&Packet::PubAck { id: 1 }).await;
    assert_eq!(message(&client.recv().await, Version::V5).1, "3");
    assert_eq!(publish(1, "a", "").qos, Qos::AtLeastOnce);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_lost_with_the_connection_and_counted() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut client = Client::v4(&handle, "c").await;
    client.subscribe(&[("relais/v1/#", 1)]).await;
    let mut publisher = Client::v4(&handle, "publisher").await;
    for number in 1..=3 {
        publisher.publish(number, "relais/v1/a/state", "x").await;
        client.recv().await;
    }
    publisher.publish(0, "relais/v1/a/state", "not to be acknowledged").await;
    client.recv().await;
    client.send(&Packet::PubAck { id: 2 }).await;
    client.send_bytes(&[0xe0, 0]).await;
    client.until_closed().await;
    let lost = || count(&handle, "relais_mqtt_dropped_total", Some("unacknowledged"));
    eventually("it is counted", || lost() == 2).await;
}

#[tokio::test]
async fn a_dead_router_is_replaced_under_live_sessions() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let mut client = Client::v4(&handle, "c").await;
    client.subscribe(&[("relais/v1/#", 0)]).await;
    handle.shared.bus.sabotage();
    eventually("the router is replaced", || count(&handle, "relais_mqtt_router_rebuilds_total", None) == 1)
        .await;
    let mut other = Client::v4(&handle, "other").await;
    other.publish(0, "relais/v1/a/state", "on it goes").await;
    assert_eq!(message(&client.recv().await, Version::V4).1, "on it goes");
}
