use super::*;
use crate::queue::Kind;

const S: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings { client_id: "c".into(), telemetry_topic: "t".into(), event_topic: "e".into() }
}

fn message(number: u64, again: bool) -> Outgoing {
    Outgoing { number, kind: Kind::Telemetry, payload: b"{}".to_vec(), again }
}

fn outputs(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn up(now: Duration) -> Session {
    let mut session = Session::new(settings(), 1, now);
    session.handle_timeout(now);
    session.handle_dialed();
    session.handle_bytes(&[0x20, 2, 1, 0], now);
    let said = outputs(&mut session);
    assert!(
        matches!(&said[..], [Output::Dial, Output::Send(_), Output::Up { session_present: true }]),
        "{said:?}"
    );
    session
}

fn acknowledge(session: &mut Session, number: u64) {
    let [high, low] = packet_id(number).to_be_bytes();
    session.handle_bytes(&[0x40, 2, high, low], 2 * S);
}

#[test]
fn the_window_opens_with_each_acknowledgement_and_order_is_kept() {
    let mut session = up(S);
    session.send(&message(7, false));
    assert!(!session.can_send(), "one at first");
    acknowledge(&mut session, 7);
    for number in 8..10 {
        session.send(&message(number, false));
    }
    assert!(!session.can_send());
    outputs(&mut session);
    acknowledge(&mut session, 9);
    assert_eq!(outputs(&mut session), [], "8 is still out");
    acknowledge(&mut session, 8);
    assert_eq!(outputs(&mut session), [Output::DeliveredBelow(10)]);
    for number in 10..100 {
        session.send(&message(number, false));
        acknowledge(&mut session, number);
    }
    for number in 100..100 + IN_FLIGHT_MAX as u64 {
        session.send(&message(number, false));
    }
    assert!(!session.can_send());
}

#[test]
fn what_may_have_been_sent_before_has_dup_and_the_same_identifier() {
    let mut session = up(S);
    session.send(&message(65_535, true));
    assert_eq!(outputs(&mut session), [Output::Send(b"\x3a\x07\x00\x01t\x00\x01{}".to_vec())]);
    assert_eq!((packet_id(0), packet_id(65_534), packet_id(65_535)), (1, 65_535, 1));
}

#[test]
fn pauses_grow_with_jitter_up_to_a_minute_and_a_good_connection_resets_them() {
    let mut session = Session::new(settings(), 99, Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        now = now.max(session.poll_timeout().unwrap());
        session.handle_timeout(now);
        session.handle_dial_failed("no route".into(), now);
        for output in outputs(&mut session) {
            if let Output::Down { retry_in, .. } = output {
                pauses.push(retry_in);
            }
        }
    }
    let mut whole = S;
    for pause in &pauses {
        assert!((whole / 2..=whole).contains(pause), "{whole:?}: {pause:?}");
        whole = (whole * 2).min(BACKOFF_MAX);
    }
    session.handle_timeout(session.poll_timeout().unwrap());
    session.handle_dialed();
    session.handle_bytes(&[0x20, 2, 0, 0], now);
    session.handle_closed("reset".into(), now + 2 * GOOD_AFTER);
    let Some(Output::Down { retry_in, .. }) = outputs(&mut session).pop() else { panic!() };
    assert!(retry_in <= BACKOFF_MIN);
}

#[test]
fn a_silent_hub_is_asked_and_then_given_up() {
    let mut session = up(S);
    assert_eq!(session.poll_timeout(), Some(S + PING_AFTER));
    session.handle_timeout(S + PING_AFTER);
    assert_eq!(outputs(&mut session), [Output::Send(vec![0xc0, 0])]);
    session.handle_bytes(&[0xd0, 0], 22 * S);
    assert_eq!(session.poll_timeout(), Some(22 * S + PING_AFTER));
    session.handle_timeout(22 * S + PING_AFTER);
    session.handle_timeout(22 * S + SILENCE_MAX);
    let said = outputs(&mut session);
    assert!(
        matches!(&said[1..], [Output::Close, Output::Down { reason: DownReason::Silent, .. }]),
        "{said:?}"
    );
}

#[test]
fn a_hub_that_never_greets_or_says_no_is_tried_again() {
    for (bytes, expected) in [
        (&[][..], DownReason::GreetingTimeout),
        (&[0x20, 2, 0, 5], DownReason::Refused(5)),
        (&[0x40, 2, 0, 5], DownReason::OutOfTurn),
        (b"HTTP/1.1", DownReason::Protocol(DecodeError::Unexpected { first: b'H' })),
    ] {
        let mut session = Session::new(settings(), 1, S);
        session.handle_timeout(S);
        session.handle_dialed();
        session.handle_bytes(bytes, S);
        session.handle_timeout(S + GREETING_MAX);
        let mut said = outputs(&mut session);
        assert!(
            said.iter().any(|output| matches!(output, Output::Down { reason, .. } if *reason == expected)),
            "{said:?}"
        );
        let dials = |said: &[Output]| said.iter().filter(|output| **output == Output::Dial).count();
        while dials(&said) < 2 {
            session.handle_timeout(session.poll_timeout().unwrap());
            said.extend(outputs(&mut session));
        }
    }
}

#[test]
fn an_acknowledgement_of_nothing_ends_the_connection() {
    let mut session = up(S);
    acknowledge(&mut session, 1);
    assert!(matches!(outputs(&mut session)[..], [Output::Close, Output::Down { .. }]));
    assert!(!session.can_send());
    session.handle_bytes(&[0xff], 3 * S);
    session.handle_closed("late".into(), 3 * S);
    assert_eq!(outputs(&mut session), [], "what comes late from a closed connection is nothing");
}

#[test]
fn a_stopped_session_says_goodbye_and_rests() {
    let mut session = up(S);
    session.handle_stop();
    assert_eq!(outputs(&mut session), [Output::Send(vec![0xe0, 0])]);
    assert_eq!(session.poll_timeout(), None);
}
