//! What a hostile or broken client can do: end its own connection.

use std::time::Duration;

use super::harness::*;
use crate::mqtt::codec::testing::{connect, encode, frame};
use crate::mqtt::codec::{Connect, Packet, Version};
use crate::mqtt::config::MqttLimits;

/// Sends `bytes` after CONNECT; expects the connection to end for `reason`, with `code` on version 5.
async fn ends(handle: &crate::mqtt::BrokerHandle, version: Version, bytes: &[u8], reason: &str, code: u8) {
    let before = count(handle, "relais_mqtt_disconnects_total", Some(reason));
    let (mut client, _) = Client::connect(handle, connect(version, "hostile", true)).await;
    client.send_bytes(bytes).await;
    let last = client.until_closed().await;
    match version {
        Version::V5 => {
            assert_eq!(last.map(|(first, body)| (first, body[0])), Some((0xe0, code)), "{bytes:02x?}")
        }
        Version::V4 => assert_eq!(last, None, "{bytes:02x?}"),
    }
    eventually(reason, || count(handle, "relais_mqtt_disconnects_total", Some(reason)) == before + 1).await;
}

#[tokio::test]
async fn bad_packets_end_their_own_connection_only() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    for version in [Version::V4, Version::V5] {
        let second = encode(&Packet::Connect(Box::new(connect(version, "hostile", true))), version);
        ends(&handle, version, &second, "protocol-error", 0x82).await;
        for kind in [0x20, 0x90, 0xb0, 0xd0] {
            ends(&handle, version, &frame(kind, &[0, 1, 0]), "server-only-packet", 0x82).await;
        }
        let empty: &[u8] = if version == Version::V5 { &[0, 1, 0] } else { &[0, 1] };
        ends(&handle, version, &frame(0x82, empty), "protocol-error", 0x82).await;
        ends(&handle, version, &frame(0x30, &[0, 2, 0xff, 0xfe, 0]), "malformed-packet", 0x81).await;
        ends(&handle, version, &frame(0x30, &[0, 3, b'a', b'/', b'#', 0]), "topic-name-invalid", 0x90).await;
        ends(&handle, version, &frame(0x32, &[0, 1, b'a', 0, 0, 0]), "protocol-error", 0x82).await;
        ends(&handle, version, &frame(0x34, &[0, 1, b'a', 0, 1, 0]), "qos2-not-supported", 0x9b).await;
        ends(&handle, version, &[0xc0, 0xff, 0xff, 0xff, 0xff, 1], "malformed-packet", 0x81).await;
        ends(&handle, version, &[0x30, 0xff, 0xff, 0xff, 0x7f], "packet-too-large", 0x95).await;
        ends(&handle, version, &[0x50, 2, 0, 1], "protocol-error", 0x82).await;
        ends(&handle, version, &[0; 100], "malformed-packet", 0x81).await;
    }
    ends(&handle, Version::V5, &frame(0x30, &[0, 1, b'a', 3, 35, 0, 1]), "topic-alias-invalid", 0x94).await;
    ends(
        &handle,
        Version::V5,
        &frame(0x82, &[0, 1, 2, 11, 1, 0, 1, b'a', 0]),
        "subscription-identifier",
        0xa1,
    )
    .await;
    ends(&handle, Version::V5, &[0xf0, 0], "protocol-error", 0x82).await;
    ends(&handle, Version::V5, &[0xe0, 7, 0, 5, 17, 0, 0, 0, 9], "protocol-error", 0x82).await;
    still_works(&handle).await;
}

#[tokio::test]
async fn bad_beginnings_are_closed_and_counted() {
    let dir = Dir::new();
    let limits = MqttLimits { connect_timeout: Duration::from_millis(300), ..MqttLimits::default() };
    let site = Site::with(&dir, limits).await;
    let level = |level: u8| frame(0x10, &[0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0, 0, 1, b'x']);
    let v4_empty = Connect { clean: false, ..connect(Version::V4, "", true) };
    let long = connect(Version::V4, &"x".repeat(257), true);
    let long5 = connect(Version::V5, &"x".repeat(257), true);
    let user = Connect { has_credentials: true, ..connect(Version::V4, "u", true) };
    let user5 = Connect { has_credentials: true, ..connect(Version::V5, "u", true) };
    let method = Connect { has_authentication_method: true, ..connect(Version::V5, "u", true) };
    let bytes = |c: Connect| encode(&Packet::Connect(Box::new(c.clone())), c.version);
    for (sent, reason, code) in [
        (b"\x30\x03\x00\x01a".to_vec(), "protocol-error", None),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "protocol-error", None),
        (b"\x16\x03\x01\x02\x00".to_vec(), "malformed-packet", None),
        (vec![0x10, 0xff, 0xff, 0xff, 0xff, 0x01], "malformed-packet", None),
        (vec![0x10, 0xff, 0xff, 0xff, 0x7f], "packet-too-large", None),
        (frame(0x20, &[0, 0]), "server-only-packet", None),
        (level(3), "unsupported-protocol", Some(1)),
        (level(6), "unsupported-protocol", Some(0x84)),
        (bytes(v4_empty), "client-id", Some(2)),
        (bytes(long), "client-id", Some(2)),
        (bytes(long5), "client-id", Some(0x85)),
        (bytes(user), "credentials", Some(4)),
        (bytes(user5), "credentials", Some(0x86)),
        (bytes(method), "authentication-method", Some(0x8c)),
        (Vec::new(), "connect-timeout", None),
        (vec![0x10, 0x20, 0], "connect-timeout", None),
    ] {
        let before = count(&site.handle, "relais_mqtt_refused_connections_total", Some(reason));
        let mut client = Client::raw(&site.handle, Version::V4).await;
        client.send_bytes(&sent).await;
        let answer = client.until_closed().await.map(|(first, body)| (first, body[1]));
        assert_eq!(answer, code.map(|c| (0x20, c)), "{sent:02x?}");
        let after = count(&site.handle, "relais_mqtt_refused_connections_total", Some(reason));
        assert_eq!(after, before + 1, "{reason}");
    }
    still_works(&site.handle).await;
}

/// CONNECT of client `x` with what is under test in it: flags, properties, and what follows the client id.
fn beginning(level: u8, flags: u8, properties: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 0];
    if level == 5 {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(&[0, 1, b'x']);
    body.extend_from_slice(rest);
    frame(0x10, &body)
}

#[tokio::test]
async fn a_bad_connect_is_answered_on_version_5_only() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let will = b"\0\x11relais/v1/a/state\0\x01w";
    let will5 = [&[0], &will[..]].concat();
    let wildcard = b"\0\x03a/#\0\x01w";
    let wildcard5 = [&[0], &wildcard[..]].concat();
    let mut flags_of_header = beginning(5, 2, &[], &[]);
    flags_of_header[0] = 0x11;
    let too_large = [&[0x10, 0xff, 0xff, 0x7f][..], b"\0\x04MQTT\x05"].concat();
    for (sent, reason, code) in [
        (beginning(5, 0x16, &[], &will5), "qos2-not-supported", Some(0x9b)),
        (beginning(4, 0x16, &[], will), "qos2-not-supported", None),
        (beginning(5, 0x06, &[], &wildcard5), "topic-name-invalid", Some(0x90)),
        (beginning(4, 0x06, &[], wildcard), "topic-name-invalid", None),
        (beginning(5, 3, &[], &[]), "malformed-packet", Some(0x81)),
        (beginning(4, 3, &[], &[]), "malformed-packet", None),
        (beginning(5, 2, &[], b"behind"), "malformed-packet", Some(0x81)),
        (beginning(5, 2, &[33, 0, 0], &[]), "protocol-error", Some(0x82)),
        (beginning(5, 2, &[35, 0, 1], &[]), "protocol-error", Some(0x82)),
        (flags_of_header, "malformed-packet", Some(0x81)),
        (too_large, "packet-too-large", Some(0x95)),
        // Nobody knows what this one speaks.
        (frame(0x10, b"\0\x04MQTX\x05\x02\0\0\0\0\x01x"), "malformed-packet", None),
    ] {
        let before = count(&handle, "relais_mqtt_refused_connections_total", Some(reason));
        let mut client = Client::raw(&handle, Version::V5).await;
        client.send_bytes(&sent).await;
        let answer = client.until_closed().await.map(|(first, body)| (first, body[1]));
        assert_eq!(answer, code.map(|c| (0x20, c)), "{sent:02x?}");
        let after = count(&handle, "relais_mqtt_refused_connections_total", Some(reason));
        assert_eq!(after, before + 1, "{reason}");
    }
    still_works(&handle).await;
}

#[tokio::test]
async fn strange_topics_and_client_ids_are_legal() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    for id in ["a/b", "+", "#", "$SYS", "é温", " ", &"x".repeat(256)] {
        for _ in 0..2 {
            let mut client = Client::v4(&handle, id).await;
            client.publish(1, "é/first/character", "x").await;
            client.recv().await;
            client.publish(2, "relais/v1/é/温", "x").await;
            client.recv().await;
        }
    }
    for _ in 0..3 {
        let mut client = Client::raw(&handle, Version::V5).await;
        client.send(&Packet::Connect(Box::new(connect(Version::V5, "", true)))).await;
        let (_, body) = client.recv().await;
        assert!(body.windows(7).any(|w| w == b"relais-"), "{body:02x?}");
        Client::v4(&handle, "").await;
    }
    assert_eq!(count(&handle, "relais_mqtt_router_rebuilds_total", None), 0);
    still_works(&handle).await;
}

#[tokio::test]
async fn a_disconnect_with_a_backlog_hurts_nobody() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    for round in 0..20 {
        let mut subscriber = Client::v4(&handle, "backlog").await;
        subscriber.subscribe(&[("relais/v1/#", 1)]).await;
        let mut publisher = Client::v4(&handle, "publisher").await;
        for id in 1..=300 {
            publisher.publish(id, "relais/v1/a/state", &"x".repeat(2000)).await;
        }
        if round % 2 == 0 {
            subscriber.send_bytes(&[0xe0, 0]).await;
        }
        drop(subscriber);
        for _ in 1..=300 {
            publisher.recv().await;
        }
    }
    assert_eq!(count(&handle, "relais_mqtt_router_rebuilds_total", None), 0);
    still_works(&handle).await;
}

#[tokio::test]
async fn connections_are_bounded_in_all_and_for_each_address() {
    let dir = Dir::new();
    for (limits, reason) in [
        (MqttLimits { connections_max: 2, ..MqttLimits::default() }, "too-many-connections"),
        (
            MqttLimits { connections_per_address_max: 2, ..MqttLimits::default() },
            "too-many-connections-of-address",
        ),
    ] {
        let dir_of_round = Dir(dir.0.join(reason));
        std::fs::create_dir_all(&dir_of_round.0).unwrap();
        let site = Site::with(&dir_of_round, limits).await;
        let one = Client::v4(&site.handle, "one").await;
        let two = Client::v4(&site.handle, "two").await;
        let mut three = Client::raw(&site.handle, Version::V4).await;
        assert_eq!(three.until_closed().await, None);
        assert_eq!(count(&site.handle, "relais_mqtt_refused_connections_total", Some(reason)), 1);
        drop((one, two));
        eventually("places are free again", || site.handle.connections() == 0).await;
        still_works(&site.handle).await;
    }
}

#[tokio::test]
async fn a_silent_client_is_closed_at_one_and_a_half_times_its_keep_alive() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V5, "quick", true) };
    let (mut client, _) = Client::connect(&handle, quick).await;
    client.subscribe(&[("relais/v1/#", 0)]).await;
    let forever = Connect { keep_alive_s: 0, ..connect(Version::V4, "forever", true) };
    let (mut patient, _) = Client::connect(&handle, forever).await;
    // Being sent to does not count as being heard.
    let mut publisher = Client::v4(&handle, "publisher").await;
    for _ in 0..20 {
        publisher.publish(0, "relais/v1/a/state", "x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let last = client.until_closed().await.unwrap();
    assert_eq!((last.0, last.1[0]), (0xe0, 0x8d));
    patient.send_bytes(&[0xc0, 0]).await;
    assert_eq!(patient.recv().await.0, 0xd0);
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed() {
    let dir = Dir::new();
    let limits = MqttLimits { write_timeout: Duration::from_millis(500), ..MqttLimits::default() };
    let site = Site::with(&dir, limits).await;
    let mut stalled = Client::v4(&site.handle, "stalled").await;
    stalled.subscribe(&[("relais/v1/#", 0)]).await;
    let mut publisher = Client::v4(&site.handle, "publisher").await;
    for id in 1..=1500 {
        publisher.publish(id, "relais/v1/a/state", &"x".repeat(20_000)).await;
        publisher.recv().await;
    }
    let closed = || count(&site.handle, "relais_mqtt_disconnects_total", Some("write-timeout")) == 1;
    eventually("it is closed", closed).await;
    still_works(&site.handle).await;
}

#[tokio::test]
async fn receiving_more_than_announced_ends_the_connection() {
    let dir = Dir::new();
    let site = Site::start(&dir).await;
    let mut client = Client::v5(&site.handle, "c").await;
    for id in 1..=65 {
        client.publish(id, "relais/v1/a/telemetry", "{\"t\":1}").await;
    }
    let (first, body) = client.until_closed().await.unwrap();
    assert_eq!((first, body[0]), (0xe0, 0x93));
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let dir = Dir::new();
    let site = Site::start(&dir).await;
    let mut other = Client::v4(&site.handle, "other").await;
    let mut client = Client::v4(&site.handle, "unlucky").await;
    client.subscribe(&[("relais/v1/#", 0)]).await;
    site.clock.breaks.store(true, std::sync::atomic::Ordering::Relaxed);
    client.publish(1, "relais/v1/a/telemetry", "{\"t\":1}").await;
    assert_eq!(client.until_closed().await, None);
    eventually("it is not counted any more", || site.handle.connections() == 1).await;
    let mut again = Client::v4(&site.handle, "unlucky").await;
    again.silent().await;
    other.send_bytes(&[0xc0, 0]).await;
    assert_eq!(other.recv().await.0, 0xd0);
    still_works(&site.handle).await;
}
