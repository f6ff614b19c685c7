//! Certificates are renewed after a third of their life, and whatever comes of it, syncing goes on.

use std::sync::atomic::Ordering;

use hub_model::Class;
use northbound_wire::RefusalCode;

use crate::central::{Central, Fault, NOW};
use crate::hub::{Hub, eventually};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Moves both clocks to when a renewal is due.
fn time_passes(central: &Central, hub: &Hub) {
    let later = NOW.0 + 130 * DAY_MS;
    central.state.utc_ms.store(later, Ordering::Relaxed);
    hub.utc_ms.store(later, Ordering::Relaxed);
}

#[tokio::test]
async fn the_renewed_certificate_takes_the_place_of_the_old_one() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    let old = hub.connected().await.certificate.unwrap();
    time_passes(&central, &hub);
    let status = hub.until("renewed", |status| status.counters.renewals == 1).await;
    assert!(status.certificate.unwrap().not_after > old.not_after);
    assert!(!hub.dir.join("north/next.pem").exists());
    hub.log.seal(Class::Event, 1, 100);
    eventually("confirmed", || hub.log.confirmed(Class::Event) == 10).await;
    // It is the one on flash, too.
    let address = central.address.to_string();
    let (dir, log) = hub.stop().await;
    let mut hub = Hub::start_in(dir, log, &[address]);
    hub.utc_ms.store(NOW.0 + 140 * DAY_MS, Ordering::Relaxed);
    assert_eq!(hub.connected().await.certificate, status.certificate);
}

#[tokio::test]
async fn a_renewal_that_fails_stops_nothing() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    central.set(Fault::RefusesEnrolment(RefusalCode::Forbidden));
    time_passes(&central, &hub);
    let status = hub.until("failed", |status| status.counters.renewal_failures == 1).await;
    assert!(status.is_connected());
    assert!(status.renewal_error.unwrap().contains("forbidden"));
    hub.log.seal(Class::Event, 1, 100);
    eventually("confirmed", || hub.log.confirmed(Class::Event) == 10).await;
    // A certificate for another hub is refused by the hub itself.
    central.set(Fault::WrongHub);
    hub.until("failed again", |status| status.counters.renewal_failures >= 2).await;
    assert!(hub.status.borrow().is_connected());
    assert_eq!(central.sessions(), 1, "the connection was never given up");
    central.set(Fault::None);
    let status = hub.until("renewed", |status| status.counters.renewals == 1).await;
    assert_eq!(status.renewal_error, None);
}

#[tokio::test]
async fn a_renewed_certificate_that_does_not_work_is_given_up_for_the_old_one() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    let address = central.address.to_string();
    let (dir, log) = hub.stop().await;
    // What lies beside the certificate in use is one that central does not know: another organisation's.
    let other = Central::start().await;
    let mut stray = Hub::start(&[other.address.to_string()], Some(other.token(1)));
    stray.connected().await;
    let (stray_dir, _) = stray.stop().await;
    std::fs::copy(stray_dir.join("north/identity.pem"), dir.join("north/next.pem")).unwrap();
    std::fs::remove_dir_all(stray_dir).unwrap();
    let mut hub = Hub::start_in(dir, log, &[address]);
    hub.connected().await;
    assert_eq!(hub.status.borrow().counters.renewals, 0);
    assert!(!hub.dir.join("north/next.pem").exists());
}
