//! A central that breaks the rules costs its connection, and the hub goes on.

use hub_model::Class;
use northbound::{LinkState, LinkStatus};
use northbound_wire::limits::FRAME_BYTES_MAX;
use northbound_wire::{Hello, Message, RefusalCode, Versions, encode};

use crate::central::{Central, Fault};
use crate::hub::{HUB, Hub, eventually};

/// Sets the fault of a central that a hub knows, waits for the words, and for everything to be well again.
async fn survives(fault: Fault, words: &str) {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    central.set(fault);
    central.cut(RefusalCode::Stopping);
    hub.says(words).await;
    central.set(Fault::None);
    hub.log.seal(Class::Event, 1, 100);
    eventually("well again", || hub.log.confirmed(Class::Event) == 10).await;
}

#[tokio::test]
async fn a_frame_that_is_too_long() {
    let length = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    survives(Fault::Says(length.to_be_bytes().to_vec()), "a frame of 131073 bytes is longer than").await;
}

#[tokio::test]
async fn garbage() {
    survives(
        Fault::Says(b"\0\0\0\x04hello, I am no central at all".to_vec()),
        "central sent what is no message",
    )
    .await;
}

#[tokio::test]
async fn a_message_that_only_hubs_send() {
    let boot = hub_model::BootId::from_bytes([1; 16]);
    let hello = Hello {
        hub: HUB,
        versions: Versions::OURS,
        boot,
        term_seen: 0,
        program: "x".into(),
        lanes: vec![],
        runs: vec![],
    };
    survives(
        Fault::Says(encode(&Message::Hello(hello))),
        "unexpected (central sent a message that only hubs send)",
    )
    .await;
}

#[tokio::test]
async fn silence() {
    survives(Fault::Silent, "took the connection and did not answer within 1 s").await;
}

#[tokio::test]
async fn refusals_of_a_session() {
    for code in [RefusalCode::Busy, RefusalCode::Stopping, RefusalCode::StorageFailed, RefusalCode::Replaced]
    {
        survives(Fault::RefusesSession(code), &format!("central refused: {code} (as told)")).await;
    }
    for code in [RefusalCode::Forbidden, RefusalCode::Version, RefusalCode::HubMismatch, RefusalCode::Other] {
        survives(Fault::RefusesSession(code), &format!("central refused: {code} (as told)")).await;
        let number = u32::from(code.number());
        survives(Fault::ClosesSession(number), &format!("central refused: {code} (as told)")).await;
    }
}

#[tokio::test]
async fn a_close_without_a_known_code_is_tried_again_as_an_outage_is() {
    for number in [0, 200, 4_000_000] {
        let central = Central::start().await;
        central.set(Fault::ClosesSession(number));
        let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
        let closed = |status: &LinkStatus| {
            assert!(!matches!(status.state, LinkState::Refused { .. }), "{number}: {status:?}");
            status.counters.refusals.get(&RefusalCode::Other) >= Some(&3)
        };
        let status = hub.until("closed three times", closed).await;
        let shown = crate::hub::shown(&status);
        assert!(shown.ends_with("other (as told); it is tried again by itself"), "{number}: {shown}");
        central.set(Fault::None);
        hub.connected().await;
    }
}

#[tokio::test]
async fn why_it_failed_last_stays_told_while_the_next_attempt_runs() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    // It takes the next connection and says nothing: an attempt that runs for a while.
    central.set(Fault::Silent);
    central.cut(RefusalCode::Stopping);
    let trying = |status: &LinkStatus| match &status.state {
        LinkState::Connecting { last: Some(last), retry_at_ms: None, .. } => {
            last.what.starts_with("central refused: stopping (cut)")
        }
        _ => false,
    };
    let trying_again = hub.until("trying, and the last reason", trying).await;
    let LinkState::Connecting { last: Some(last), .. } = trying_again.state else { panic!() };
    let silent = hub.says("did not answer within 1 s").await;
    let LinkState::Connecting { last: Some(later), .. } = silent.state else { panic!() };
    assert!(later.at_ms >= last.at_ms + 1_000, "{later:?} {last:?}");
    // A refusal for good stays told too.
    central.set(Fault::RefusesSession(RefusalCode::Forbidden));
    hub.until("refused", |status| matches!(status.state, LinkState::Refused { .. })).await;
    central.set(Fault::Silent);
    let trying = |status: &LinkStatus| match &status.state {
        LinkState::Connecting { last: Some(last), retry_at_ms: None, .. } => last.what.contains("forbidden"),
        _ => false,
    };
    hub.until("trying, and the refusal", trying).await;
}

#[tokio::test]
async fn a_refusal_for_good_is_shown_as_one() {
    let central = Central::start().await;
    central.set(Fault::RefusesSession(RefusalCode::Forbidden));
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    let refused = |status: &LinkStatus| {
        matches!(status.state, LinkState::Refused { code: RefusalCode::Forbidden, retry_at_ms: Some(_), .. })
    };
    let status = hub.until("refused", refused).await;
    assert!(crate::hub::shown(&status).ends_with("ask whoever runs central to let this hub in"));
}

#[tokio::test]
async fn garbage_and_silence_while_enrolling() {
    let central = Central::start().await;
    central.set(Fault::Says(vec![0xff; 64]));
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.says("central sent what is no message").await;
    central.set(Fault::Silent);
    hub.says("did not answer within 1 s").await;
    central.set(Fault::None);
    hub.connected().await;
}

#[tokio::test]
async fn a_central_with_another_root_is_refused_after_enrolment_too() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    let (address, state) = central.stop(None).await;
    let impostor = Central::start_at(address, Central::state()).await;
    hub.says("wrong central: its root has the fingerprint").await;
    impostor.stop(None).await;
    let _central = Central::start_at(address, state).await;
    hub.connected().await;
}
