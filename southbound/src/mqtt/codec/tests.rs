//! What clients send comes back as it was; what they must not send is named; nothing panics.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::testing::{connect, encode, frame};
use super::*;

const MAX: usize = 64 * 1024;

fn one(bytes: &[u8], version: Option<Version>) -> Result<Option<Packet>, DecodeError> {
    decode(&mut BytesMut::from(bytes), version, MAX)
}

fn error(bytes: &[u8], version: Option<Version>) -> &'static str {
    match one(bytes, version) {
        Err(error) => error.reason(),
        Ok(packet) => panic!("{bytes:02x?} became {packet:?}"),
    }
}

const V4: Option<Version> = Some(Version::V4);
const V5: Option<Version> = Some(Version::V5);

#[test]
fn server_only_packets_are_refused_on_both_versions() {
    for kind in [2u8, 9, 11, 13] {
        for version in [None, V4, V5] {
            assert_eq!(error(&[kind << 4], version), "server-only-packet");
            assert_eq!(error(&frame(kind << 4, &[0; 8]), version), "server-only-packet");
        }
    }
}

#[test]
fn the_fixed_header_is_strict() {
    assert_eq!(error(&[0x00, 0], V4), "malformed-packet");
    assert_eq!(error(&[0xf0, 0], V4), "malformed-packet");
    assert_eq!(error(&[0x80, 0], V4), "malformed-packet");
    assert_eq!(error(&[0xc1, 0], V4), "malformed-packet");
    assert_eq!(error(&[0x36, 0], V4), "malformed-packet");
    assert_eq!(error(&[0x38, 0], V4), "malformed-packet");
    assert_eq!(error(&[0x34, 0], V5), "qos2-not-supported");
    assert_eq!(error(&[0xc0, 0xff, 0xff, 0xff, 0xff, 1], V4), "malformed-packet");
    assert_eq!(error(&[0xc0, 0x80, 0x00], V4), "malformed-packet");
    assert_eq!(error(&[0x30, 0xff, 0xff, 0xff, 0x7f], V4), "packet-too-large");
    assert_eq!(error(&[0x30, 0], None), "protocol-error");
    assert_eq!(error(&[0x10, 0], V4), "protocol-error");
    assert_eq!(one(&[0x30, 0xff], V4), Ok(None));
    assert_eq!(one(&[], V4), Ok(None));
}

#[test]
fn bodies_are_strict() {
    for (bytes, version, expected) in [
        (frame(0x30, &[0, 1, b'a', 0]), V5, None),
        (frame(0x30, &[0, 2, b'a']), V4, Some("malformed-packet")),
        (frame(0x30, &[0, 0]), V4, Some("topic-name-invalid")),
        (frame(0x30, &[0, 1, b'#']), V4, Some("topic-name-invalid")),
        (frame(0x30, &[0, 1, 0]), V4, Some("malformed-packet")),
        (frame(0x30, &[0, 1, 0xff]), V4, Some("malformed-packet")),
        (frame(0x30, &[0, 3, 0xed, 0xa0, 0x80]), V4, Some("malformed-packet")),
        (frame(0x32, &[0, 1, b'a', 0, 0]), V4, Some("protocol-error")),
        (frame(0x82, &[0, 1]), V4, Some("protocol-error")),
        (frame(0x82, &[0, 1, 0]), V5, Some("protocol-error")),
        (frame(0x82, &[0, 1, 0, 1, b'a', 3]), V4, Some("malformed-packet")),
        (frame(0x82, &[0, 1, 0, 1, b'a', 4]), V4, Some("malformed-packet")),
        (frame(0x82, &[0, 0, 0, 1, b'a', 0]), V4, Some("protocol-error")),
        (frame(0xa2, &[0, 1]), V4, Some("protocol-error")),
        (frame(0xc0, &[0]), V4, Some("malformed-packet")),
        (frame(0x40, &[0, 1, 0]), V4, Some("malformed-packet")),
        (frame(0x40, &[0, 1, 0x10, 0]), V5, None),
    ] {
        let found = one(&bytes, version).err().map(|e| e.reason());
        assert_eq!(found, expected, "{bytes:02x?}");
    }
}

#[test]
fn properties_belong_to_their_packet_and_come_once() {
    let publish = |list: &[u8]| {
        let mut body = vec![0, 1, b'a', u8::try_from(list.len()).unwrap()];
        body.extend_from_slice(list);
        one(&frame(0x30, &body), V5).err().map(|e| e.reason())
    };
    assert_eq!(publish(&[1, 1]), None);
    assert_eq!(publish(&[1, 1, 1, 1]), Some("protocol-error"));
    assert_eq!(publish(&[1, 2]), Some("protocol-error"));
    assert_eq!(publish(&[38, 0, 1, b'k', 0, 1, b'v', 38, 0, 1, b'k', 0, 1, b'v']), None);
    assert_eq!(publish(&[17, 0, 0, 0, 1]), Some("protocol-error"));
    assert_eq!(publish(&[11, 1]), Some("protocol-error"));
    assert_eq!(publish(&[35, 0, 1]), Some("topic-alias-invalid"));
    assert_eq!(publish(&[8, 0, 1, b'#']), Some("topic-name-invalid"));
    assert_eq!(publish(&[2, 0]), Some("malformed-packet"));
    assert_eq!(publish(&[0x7f]), Some("protocol-error"));
    assert_eq!(publish(&[0x81, 0x00]), Some("malformed-packet"));
    assert_eq!(publish(&[0xff, 0xff, 0xff, 0xff, 1]), Some("malformed-packet"));
}

#[test]
fn connect_is_strict() {
    let base = |name: &[u8], level: u8, flags: u8| {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend_from_slice(name);
        body.extend_from_slice(&[level, flags, 0, 0, 0, 1, b'x']);
        one(&frame(0x10, &body), None).err().map(|e| e.reason())
    };
    assert_eq!(base(b"MQTT", 4, 2), None);
    assert_eq!(base(b"MQTT", 3, 2), Some("unsupported-protocol"));
    assert_eq!(base(b"MQTT", 6, 2), Some("unsupported-protocol"));
    assert_eq!(base(b"MQIsdp", 3, 2), Some("unsupported-protocol"));
    assert_eq!(base(b"HTTP", 4, 2), Some("malformed-packet"));
    assert_eq!(base(b"MQTT", 4, 3), Some("malformed-packet"));
    assert_eq!(base(b"MQTT", 4, 0x0a), Some("malformed-packet"));
    assert_eq!(base(b"MQTT", 4, 0x42), Some("malformed-packet"));
    assert_eq!(base(b"MQTT", 4, 0x1e), Some("malformed-packet"));
    assert_eq!(base(b"MQTT", 4, 0x06), Some("malformed-packet"));
}

fn text() -> impl Strategy<Value = Text> {
    "[a-zé温/ ]{1,12}".prop_map(|t| Text::from(t.as_str()))
}

fn a_publish(version: Version) -> impl Strategy<Value = Publish> {
    let properties = prop_oneof![Just(&[][..]), Just(&[1, 0][..]), Just(&[38, 0, 1, 97, 0, 1, 98][..])];
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    (text(), any::<(bool, bool, bool)>(), 1..=u16::MAX, payload, any::<Option<u32>>(), properties).prop_map(
        move |(topic, (dup, acked, retain), id, payload, expiry_s, properties)| Publish {
            dup: dup && acked,
            qos: if acked { Qos::AtLeastOnce } else { Qos::AtMostOnce },
            retain,
            topic,
            id: if acked { id } else { 0 },
            payload: payload.into(),
            expiry_s: expiry_s.filter(|_| version == Version::V5),
            properties: Bytes::from_static(if version == Version::V5 { properties } else { &[] }),
        },
    )
}

fn a_connect(version: Version) -> impl Strategy<Value = Connect> {
    let v5 = version == Version::V5;
    let will = proptest::option::of(a_publish(version))
        .prop_map(|will| will.map(|message| Will { message: Publish { dup: false, id: 0, ..message } }));
    (text(), any::<(bool, bool, bool, u16, u32)>(), 1..=u16::MAX, proptest::option::of(1..=u32::MAX), will)
        .prop_map(
            move |(
                id,
                (clean, has_credentials, problem, keep_alive_s, expiry_s),
                receive_maximum,
                packet_max,
                will,
            )| {
                let plain = connect(version, id.as_str(), clean);
                Connect {
                    keep_alive_s,
                    has_credentials,
                    will,
                    session_expiry_s: if v5 { expiry_s } else { 0 },
                    receive_maximum: if v5 { receive_maximum } else { u16::MAX },
                    packet_bytes_max: packet_max.filter(|_| v5),
                    problem_information: !v5 || problem,
                    ..plain
                }
            },
        )
}

fn a_packet(version: Version) -> impl Strategy<Value = Packet> {
    let v5 = version == Version::V5;
    let filter = (text(), 0..3u8, any::<bool>()).prop_map(move |(filter, qos, no_local)| FilterRequest {
        filter,
        qos,
        no_local: no_local && v5,
    });
    let filters = proptest::collection::vec(filter, 1..5);
    prop_oneof![
        a_publish(version).prop_map(Packet::Publish),
        (1..=u16::MAX).prop_map(|id| Packet::PubAck { id }),
        (1..=u16::MAX).prop_map(|id| Packet::PubRel { id }),
        (1..=u16::MAX).prop_map(|id| Packet::Qos2Ack { id }),
        (1..=u16::MAX, any::<bool>(), filters).prop_map(move |(id, identifier, filters)| {
            Packet::Subscribe(Subscribe { id, has_identifier: identifier && v5, filters })
        }),
        (1..=u16::MAX, proptest::collection::vec(text(), 1..5))
            .prop_map(|(id, filters)| Packet::Unsubscribe(Unsubscribe { id, filters })),
        Just(Packet::PingReq),
        (any::<bool>(), any::<Option<u32>>()).prop_map(move |(forget_will, expiry_s)| {
            Packet::Disconnect(Disconnect {
                forget_will: forget_will || !v5,
                session_expiry_s: expiry_s.filter(|_| v5),
            })
        }),
    ]
}

fn check_round_trip(packet: &Packet, version: Version, state: Option<Version>, cut: usize) {
    let bytes = encode(packet, version);
    let mut buffer = BytesMut::from(&bytes[..cut.min(bytes.len() - 1)]);
    assert_eq!(decode(&mut buffer, state, MAX), Ok(None), "half a packet");
    buffer.extend_from_slice(&bytes[buffer.len()..]);
    buffer.extend_from_slice(b"next");
    assert_eq!(decode(&mut buffer, state, MAX), Ok(Some(packet.clone())));
    assert_eq!(&buffer[..], b"next");
}

proptest! {
    #[test]
    fn packets_of_3_1_1_come_back(packet in a_packet(Version::V4), cut in 0..400usize) {
        check_round_trip(&packet, Version::V4, V4, cut);
    }

    #[test]
    fn packets_of_5_come_back(packet in a_packet(Version::V5), cut in 0..400usize) {
        check_round_trip(&packet, Version::V5, V5, cut);
    }

    #[test]
    fn connects_come_back(v4 in a_connect(Version::V4), v5 in a_connect(Version::V5), cut in 0..400usize) {
        check_round_trip(&Packet::Connect(Box::new(v4)), Version::V4, None, cut);
        check_round_trip(&Packet::Connect(Box::new(v5)), Version::V5, None, cut);
    }

    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_decode(&data);
    }

    #[test]
    fn no_mutation_panics(
        packet in a_packet(Version::V5),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        choice in 0..3u8,
    ) {
        let mut data = vec![choice];
        data.extend(encode(&packet, Version::V5));
        for (at, byte) in changes {
            let at = at % data.len();
            data[at] = byte;
        }
        fuzz_decode(&data);
    }
}
