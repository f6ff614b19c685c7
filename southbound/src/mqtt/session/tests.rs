//! The protocol state, without a socket.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::mqtt::codec::testing::connect;
use crate::mqtt::message::Message;
use crate::mqtt::testing::TestClock;
use crate::tasks::Clock;

fn publish(id: u16) -> Packet {
    let qos = if id == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
    let (payload, properties) = (Bytes::new(), Bytes::new());
    Packet::Publish(Publish {
        dup: false,
        qos,
        retain: false,
        topic: "t".into(),
        id,
        payload,
        expiry_s: None,
        properties,
    })
}

fn delivery(qos: Qos, payload: &'static [u8], expires: Option<Instant>) -> Delivery {
    let (topic, properties) = ("t".into(), Bytes::new());
    let message =
        Message { origin: 0, qos, topic, properties, payload: Bytes::from_static(payload), expires };
    Delivery { message: Arc::new(message), qos }
}

fn session(version: Version) -> (Session, Instant, BytesMut) {
    let now = TestClock::default().instant();
    (Session::new(&connect(version, "c", true), now), now, BytesMut::new())
}

#[test]
fn pubacks_leave_in_the_order_of_their_publishes() {
    let (mut session, now, mut out) = session(Version::V4);
    let mut serials = Vec::new();
    for id in [7, 3, 9] {
        match session.handle(publish(id), now, &mut out) {
            Ok(Some(Request::Publish(_, Some(serial)))) => serials.push(serial),
            other => panic!("{other:?}"),
        }
    }
    session.resolve(serials[1], Outcome::success(), &mut out);
    session.resolve(serials[2], Outcome::success(), &mut out);
    assert!(out.is_empty(), "the first is not known yet");
    session.resolve(serials[0], Outcome::success(), &mut out);
    assert_eq!(&out[..], [0x40, 2, 0, 7, 0x40, 2, 0, 3, 0x40, 2, 0, 9]);
    assert!(!session.owes_acks());
}

#[test]
fn the_receive_maximum_holds_on_version_5() {
    let (mut session, now, mut out) = session(Version::V5);
    for id in 1..=RECEIVE_MAXIMUM {
        session.handle(publish(id), now, &mut out).unwrap();
    }
    session.handle(publish(0), now, &mut out).unwrap();
    let ending = session.handle(publish(99), now, &mut out).unwrap_err();
    assert_eq!((ending.reason, ending.code), ("receive-maximum-exceeded", Some(0x93)));
}

#[test]
fn a_reason_goes_to_version_5_and_only_if_wanted() {
    let outcome = Outcome { code: 0x99, text: "no".into() };
    let check = |version, problem_information, expected: &[u8]| {
        let mut connect = connect(version, "c", true);
        connect.problem_information = problem_information;
        let now = TestClock::default().instant();
        let (mut session, mut out) = (Session::new(&connect, now), BytesMut::new());
        session.handle(publish(1), now, &mut out).unwrap();
        session.resolve(0, outcome.clone(), &mut out);
        assert_eq!(&out[..], expected);
    };
    check(Version::V5, true, &[0x40, 9, 0, 1, 0x99, 5, 31, 0, 2, b'n', b'o']);
    check(Version::V5, false, &[0x40, 4, 0, 1, 0x99, 0]);
    check(Version::V4, true, &[0x40, 2, 0, 1]);
}

#[test]
fn deliveries_wait_for_their_acknowledgements() {
    let mut connect = connect(Version::V5, "c", true);
    connect.receive_maximum = 2;
    let now = TestClock::default().instant();
    let (mut session, mut out) = (Session::new(&connect, now), BytesMut::new());
    for _ in 0..2 {
        assert!(session.may_send(Qos::AtLeastOnce));
        let sent = session.deliver(&delivery(Qos::AtLeastOnce, b"x", None), now, &mut out);
        assert_eq!(sent, Delivered::Sent);
    }
    assert!(!session.may_send(Qos::AtLeastOnce));
    assert!(session.may_send(Qos::AtMostOnce));
    session.handle(Packet::PubAck { id: 1 }, now, &mut out).unwrap();
    assert!(session.may_send(Qos::AtLeastOnce));
}

#[test]
fn identifiers_in_flight_are_not_reused() {
    let (mut session, now, mut out) = session(Version::V4);
    session.deliver(&delivery(Qos::AtLeastOnce, b"", None), now, &mut out);
    session.last_id = u16::MAX;
    assert_eq!(session.next_id(), 2);
}

#[test]
fn what_does_not_fit_or_is_late_is_not_sent() {
    let mut connect = connect(Version::V5, "c", true);
    connect.packet_bytes_max = Some(10);
    let now = TestClock::default().instant();
    let (mut session, mut out) = (Session::new(&connect, now), BytesMut::new());
    let deliver = |session: &mut Session, out: &mut BytesMut, payload, expires| {
        session.deliver(&delivery(Qos::AtMostOnce, payload, expires), now, out)
    };
    assert_eq!(deliver(&mut session, &mut out, b"0123", None), Delivered::Sent);
    assert_eq!(out.len(), 10);
    assert_eq!(deliver(&mut session, &mut out, b"01234", None), Delivered::TooLarge);
    assert_eq!(deliver(&mut session, &mut out, b"", Some(now)), Delivered::Expired);
}

#[test]
fn silence_is_counted_from_the_last_packet() {
    let (mut session, now, mut out) = session(Version::V4);
    assert_eq!(session.poll_timeout(), Some(now + Duration::from_secs(90)));
    let later = now + Duration::from_secs(50);
    session.handle(Packet::PingReq, later, &mut out).unwrap();
    assert_eq!(&out[..], [0xd0, 0]);
    assert_eq!(session.poll_timeout(), Some(later + Duration::from_secs(90)));
    let mut connect = connect(Version::V4, "c", true);
    connect.keep_alive_s = 0;
    assert_eq!(Session::new(&connect, now).poll_timeout(), None);
}
