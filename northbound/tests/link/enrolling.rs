//! Every way to enrol, and every way not to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hub_model::{Class, UtcMs};
use northbound::LinkState;
use northbound_wire::{ClaimToken, RefusalCode, TokenSecret};

use crate::central::{Central, Fault, NOW};
use crate::hub::{Hub, eventually, shown};
use crate::logging::Lines;

const DAY_MS: i64 = 24 * 3600 * 1000;

#[tokio::test]
async fn a_hub_without_a_token_says_what_to_do_and_takes_one_that_comes_later() {
    let central = Central::start().await;
    let (lines, _guard) = Lines::capture();
    let mut hub = Hub::start(&[central.address.to_string()], None);
    let status = hub.says("there is no claim token: put one from central into").await;
    assert!(matches!(status.state, LinkState::NotEnrolled { .. }));
    std::fs::write(hub.dir.join("token"), "relais-claim-v1.abc").unwrap();
    hub.says("token does not hold a claim token: the token is cut short").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = lines.with("token does not hold a claim token: the token is cut short");
    assert_eq!(told.len(), 1, "it is logged, and once: {told:?}");
    assert!(!told[0].contains("abc"), "{told:?}");
    std::fs::write(hub.dir.join("token"), central.token(1).reveal()).unwrap();
    let status = hub.connected().await;
    assert_eq!(status.counters.enrolments, 1);
}

#[tokio::test]
async fn a_token_that_is_refused_for_good_is_not_tried_again() {
    let central = Central::start().await;
    let unknown = ClaimToken { secret: TokenSecret([9; 32]), root: central.state.authority.fingerprint() };
    let mut hub = Hub::start(&[central.address.to_string()], Some(unknown));
    let status =
        hub.says("token-unknown (no such token was given out); get a claim token from this central").await;
    assert!(matches!(
        status.state,
        LinkState::Refused { code: RefusalCode::TokenUnknown, retry_at_ms: None, .. }
    ));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let status = hub.says("The token is not tried again; put another into the file").await;
    assert_eq!(status.counters.refusals.get(&RefusalCode::TokenUnknown), Some(&1), "asked once");
    std::fs::write(hub.dir.join("token"), central.token(1).reveal()).unwrap();
    hub.connected().await;
}

#[tokio::test]
async fn every_refusal_of_an_enrolment_is_told_and_counted() {
    let central = Central::start().await;
    for (number, code) in (10..).zip([
        RefusalCode::Version,
        RefusalCode::TokenUsed,
        RefusalCode::TokenExpired,
        RefusalCode::BadRequest,
        RefusalCode::HubKnown,
        RefusalCode::Forbidden,
    ]) {
        central.set(Fault::RefusesEnrolment(code));
        let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(number)));
        let status = hub.says("The token is not tried again").await;
        assert!(
            shown(&status).starts_with(&format!("central refused: {code} (as told)")),
            "{}",
            shown(&status)
        );
        assert_eq!(status.counters.refusals.get(&code), Some(&1));
    }
}

#[tokio::test]
async fn a_central_that_is_busy_is_asked_again() {
    let central = Central::start().await;
    for (number, code) in (20..).zip([RefusalCode::Busy, RefusalCode::Stopping, RefusalCode::StorageFailed]) {
        central.set(Fault::RefusesEnrolment(code));
        let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(number)));
        hub.until("asked twice", |status| status.counters.refusals.get(&code) >= Some(&2)).await;
        central.set(Fault::None);
        hub.connected().await;
    }
}

#[tokio::test]
async fn enrolment_that_was_cut_short_goes_on_with_the_same_key() {
    let central = Central::start().await;
    // Central gives the certificate out, and the hub does not take it.
    central.set(Fault::WrongHub);
    let token = central.token(1);
    let address = central.address.to_string();
    let mut hub = Hub::start(std::slice::from_ref(&address), Some(token));
    hub.says("the certificate in central's answer is for hub-").await;
    let (dir, log) = hub.stop().await;
    let used = central.state.tokens.lock().unwrap()[&token.secret.0];
    assert!(used.is_some(), "the token was used");
    central.set(Fault::None);
    let mut hub = Hub::start_in(dir, log, &[address]);
    hub.connected().await;
    assert_eq!(central.state.tokens.lock().unwrap()[&token.secret.0], used, "for the same key");
}

#[tokio::test]
async fn a_central_of_another_organisation_is_not_told_the_token() {
    let (ours, theirs) = (Central::start().await, Central::start().await);
    let token = ours.token(1);
    theirs.state.tokens.lock().unwrap().insert(token.secret.0, None);
    let mut hub = Hub::start(&[theirs.address.to_string()], Some(token));
    let status = hub.says("wrong central: its root has the fingerprint").await;
    assert!(matches!(status.state, LinkState::Connecting { .. }));
    assert_eq!(theirs.state.tokens.lock().unwrap()[&token.secret.0], None, "it was never said");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_as_that() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], None);
    hub.utc_ms.store(0, Ordering::Relaxed);
    std::fs::write(hub.dir.join("token"), central.token(1).reveal()).unwrap();
    hub.says("and the clock here says 1970-01-01 00:00 UTC: set the clock").await;
    hub.utc_ms.store(NOW.0 + 400 * DAY_MS, Ordering::Relaxed);
    hub.says("check the clock, then renew").await;
    hub.utc_ms.store(NOW.0, Ordering::Relaxed);
    hub.connected().await;
}

#[tokio::test]
async fn a_command_enrols_anew_and_a_failed_one_changes_nothing() {
    let (first, second) = (Central::start().await, Central::start().await);
    let addresses = [first.address.to_string(), second.address.to_string()];
    let mut hub = Hub::start(&addresses, Some(first.token(1)));
    let before = hub.connected().await;
    let unknown = ClaimToken { secret: TokenSecret([9; 32]), root: first.state.authority.fingerprint() };
    let refused = hub.link.enrol(unknown).await.unwrap_err();
    assert!(refused.contains("token-unknown"), "{refused}");
    let after = hub.status.borrow().clone();
    assert!(after.is_connected(), "{after:?}");
    assert_eq!((after.certificate, after.counters.disconnects), (before.certificate, 0));
    assert_eq!(first.sessions(), 1, "the connection goes on as if nothing had been");

    // Another organisation's central, at the second address.
    let name = hub.link.enrol(second.token(2)).await.unwrap();
    assert_eq!(name.hub, crate::hub::HUB);
    let there = addresses[1].clone();
    hub.until("there", |s| matches!(&s.state, LinkState::Connected { endpoint, .. } if *endpoint == there))
        .await;
}

#[tokio::test]
async fn a_damaged_certificate_is_told_and_replaced_by_enrolling_again() {
    let central = Central::start().await;
    let address = central.address.to_string();
    let mut hub = Hub::start(std::slice::from_ref(&address), Some(central.token(1)));
    hub.connected().await;
    let (dir, log) = hub.stop().await;
    std::fs::write(dir.join("north/identity.pem"), b"rubbish").unwrap();
    std::fs::remove_file(dir.join("token")).unwrap();
    let mut hub = Hub::start_in(dir, log, &[address]);
    let status = hub
        .says("identity.pem is damaged: put back a copy of it, or enrol the hub again with a new token")
        .await;
    assert!(shown(&status).contains("there is no claim token"), "{}", shown(&status));
    std::fs::write(hub.dir.join("token"), central.token(2).reveal()).unwrap();
    hub.connected().await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_wants_a_new_token() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    let (dir, log) = hub.stop().await;
    let later = NOW.0 + 400 * DAY_MS;
    central.state.utc_ms.store(later, Ordering::Relaxed);
    central.state.certificate.renew(&central.state.authority, UtcMs(later)).unwrap();
    let mut hub = Hub::start_in(dir, log, &[central.address.to_string()]);
    hub.utc_ms.store(later, Ordering::Relaxed);
    // The token of the first enrolment is still there, and does for the same hub no more than once.
    hub.says("token-used").await;
    std::fs::write(hub.dir.join("token"), central.token(2).reveal()).unwrap();
    hub.connected().await;
}

/// What somebody or something does to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Deletes,
    Empties,
    /// Leaves this share of it, in percent.
    Cuts(usize),
    Overwrites,
    MakesAFolder,
}

impl Harm {
    fn act(self, path: &std::path::Path) {
        let bytes = std::fs::read(path).unwrap_or_default();
        drop(std::fs::remove_file(path));
        match self {
            Harm::Deletes => {}
            Harm::Empties => std::fs::write(path, b"").unwrap(),
            Harm::Cuts(percent) => std::fs::write(path, &bytes[..bytes.len() * percent / 100]).unwrap(),
            Harm::Overwrites => std::fs::write(path, vec![0xa5; bytes.len()]).unwrap(),
            Harm::MakesAFolder => std::fs::create_dir(path).unwrap(),
        }
    }
}

/// What is told; `None`: nothing, for the hub goes on by itself.
type Told = Option<&'static str>;

#[tokio::test]
async fn whatever_happens_to_the_files_of_the_link_is_told_or_mended() {
    const GONE: Told = Some("identity.pem with its key and certificate is gone: put back a copy of it");
    const DAMAGED: Told = Some("identity.pem is damaged: put back a copy of it, or enrol the hub again");
    const FOLDER: Told = Some("identity.pem cannot be read or written: it is not a regular file");
    const BLOCKED: Told = Some("north cannot be read or written: ");
    // Whether the hub asks with the key it had, when it is enrolled again.
    let cases: [(&str, Harm, Told, bool); 17] = [
        ("identity.pem", Harm::Deletes, GONE, false),
        ("identity.pem", Harm::Empties, DAMAGED, false),
        ("identity.pem", Harm::Cuts(10), DAMAGED, false),
        ("identity.pem", Harm::Cuts(50), DAMAGED, true),
        ("identity.pem", Harm::Cuts(80), DAMAGED, true),
        ("identity.pem", Harm::Cuts(99), DAMAGED, true),
        ("identity.pem", Harm::Overwrites, DAMAGED, false),
        ("identity.pem", Harm::MakesAFolder, FOLDER, false),
        ("term", Harm::Deletes, None, true),
        ("term", Harm::Empties, None, true),
        ("term", Harm::Cuts(50), None, true),
        ("term", Harm::Overwrites, None, true),
        ("next.pem", Harm::Empties, None, true),
        ("next.pem", Harm::Overwrites, None, true),
        ("pending.key", Harm::Overwrites, None, true),
        ("identity.pem.new", Harm::Empties, None, true),
        ("", Harm::Empties, BLOCKED, false),
    ];
    for (number, (file, harm, told, keeps_key)) in (1..).zip(cases) {
        let what = format!("{file} {harm:?}");
        let central = Central::start().await;
        let first = central.token(1);
        let address = central.address.to_string();
        let mut hub = Hub::start(std::slice::from_ref(&address), Some(first));
        hub.log.seal(Class::Telemetry, 1, 100);
        hub.connected().await;
        eventually(&what, || hub.log.confirmed(Class::Telemetry) == 10).await;
        let (dir, log) = hub.stop().await;
        let (north, token) = (dir.join("north"), dir.join("token"));
        if file.is_empty() {
            std::fs::remove_dir_all(&north).unwrap();
            std::fs::write(&north, b"").unwrap();
        } else {
            harm.act(&north.join(file));
        }
        std::fs::remove_file(&token).unwrap();

        let mut hub = Hub::start_in(dir, log, &[address]);
        hub.log.seal(Class::Telemetry, 2, 100);
        if let Some(words) = told {
            let status = hub.says(words).await;
            assert!(matches!(status.state, LinkState::NotEnrolled { .. }), "{what}: {status:?}");
            assert!(!shown(&status).contains("PRIVATE"), "{what}: {}", shown(&status));
            if harm_can_be_undone(&north, file) {
                continue;
            }
            let again = central.token(100 + number);
            std::fs::write(&token, again.reveal()).unwrap();
            hub.connected().await;
            let tokens = central.state.tokens.lock().unwrap();
            let same_key = tokens[&first.secret.0] == tokens[&again.secret.0];
            assert_eq!(same_key, keeps_key, "{what}");
        }
        hub.connected().await;
        eventually(&what, || hub.log.confirmed(Class::Telemetry) == 30).await;
        assert_eq!(central.has(Class::Telemetry), 30, "{what}: nothing is lost");
    }
}

/// A folder in the way of a file is taken away by a person.
fn harm_can_be_undone(north: &std::path::Path, file: &str) -> bool {
    file.is_empty() && north.is_file() || north.join(file).is_dir()
}

#[tokio::test]
async fn a_renewed_certificate_takes_the_place_of_one_that_is_gone() {
    let central = Central::start().await;
    let address = central.address.to_string();
    let mut hub = Hub::start(std::slice::from_ref(&address), Some(central.token(1)));
    hub.connected().await;
    let (dir, log) = hub.stop().await;
    std::fs::remove_file(dir.join("token")).unwrap();
    // As if the process had been killed between a renewal and its first use.
    for harm in [Harm::Deletes, Harm::Cuts(50), Harm::Overwrites] {
        std::fs::copy(dir.join("north/identity.pem"), dir.join("north/next.pem")).unwrap();
        harm.act(&dir.join("north/identity.pem"));
        let mut hub = Hub::start_in(dir.clone(), log.clone(), std::slice::from_ref(&address));
        hub.connected().await;
        assert!(!hub.dir.join("north/next.pem").exists(), "{harm:?}");
        hub.stop().await;
    }
    std::fs::remove_dir_all(dir).unwrap();
}
