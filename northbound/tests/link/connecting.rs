//! Addresses: none that answers, the second that does, and back to the first.

use std::time::Duration;

use hub_model::Class;
use northbound::LinkState;
use northbound_wire::RefusalCode;

use crate::central::{Central, Fault};
use crate::hub::{Hub, eventually};

/// A UDP port on which nothing listens.
fn dead() -> String {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn without_an_address_the_link_is_off() {
    let hub = Hub::start(&[], None);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(hub.status.borrow().state, LinkState::Off);
    let central = Central::start().await;
    let refused = hub.link.enrol(central.token(1)).await.unwrap_err();
    assert_eq!(refused, "north.central names no central: write its address there and reload the hub");
}

#[tokio::test]
async fn addresses_change_while_the_link_runs_and_nothing_is_lost() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 5, 1_000);
    let token_file = Some(hub.dir.join("token"));
    let names = |list: &[String]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();

    // One that is dead, then the right one, while the link still waits for the dead one.
    let dead = dead();
    hub.link.change(names(std::slice::from_ref(&dead)), token_file.clone());
    hub.says("nothing listens on UDP port").await;
    hub.link.change(names(&[central.address.to_string()]), token_file.clone());
    hub.connected().await;
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 50).await;
    assert_eq!(central.sessions(), 1);

    // The same again changes nothing; another order does, in the middle of a session.
    hub.link.change(names(&[central.address.to_string()]), token_file.clone());
    hub.log.seal(Class::Telemetry, 5, 1_000);
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 100).await;
    assert_eq!(central.sessions(), 1, "nobody was disturbed");
    hub.link.change(names(&[central.address.to_string(), dead]), token_file.clone());
    hub.log.seal(Class::Telemetry, 5, 1_000);
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 150).await;
    assert_eq!((central.sessions(), central.has(Class::Telemetry)), (2, 150));

    hub.link.change(Vec::new(), token_file);
    hub.until("off", |status| status.state == LinkState::Off).await;
    let refused = hub.link.enrol(central.token(2)).await.unwrap_err();
    assert!(refused.contains("names no central"), "{refused}");
    let (dir, _log) = hub.stop().await;
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_told() {
    let central = Central::start().await;
    let dead = dead();
    let port = dead.rsplit(':').next().unwrap();
    let mut hub = Hub::start(std::slice::from_ref(&dead), Some(central.token(1)));
    let status =
        hub.says(&format!("{dead}: nothing listens on UDP port {port} of 127.0.0.1: check that")).await;
    assert!(matches!(status.state, LinkState::Connecting { retry_at_ms: Some(_), .. }));

    let mut hub = Hub::start(&["no-such-host.invalid".into()], Some(central.token(1)));
    let resolves_not = |status: &northbound::LinkStatus| {
        let shown = crate::hub::shown(status);
        shown.contains("the name no-such-host.invalid does not resolve")
            || shown.contains("no answer from DNS")
    };
    hub.until("it does not resolve", resolves_not).await;

    // A socket that is there and says nothing.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut hub = Hub::start(std::slice::from_ref(&address), Some(central.token(1)));
    hub.says("does not answer within 0 s: check the address, and that firewalls").await;
}

#[tokio::test]
async fn the_second_address_is_used_while_the_first_is_away_and_left_when_it_is_back() {
    let central = Central::start().await;
    let first = dead();
    let addresses = [first.clone(), central.address.to_string()];
    let mut hub = Hub::start(&addresses, Some(central.token(1)));
    let at = |wanted: String| move |status: &northbound::LinkStatus| matches!(&status.state, LinkState::Connected { endpoint, .. } if *endpoint == wanted);
    hub.until("at the second", at(addresses[1].clone())).await;
    hub.log.seal(Class::Telemetry, 5, 1_000);
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 50).await;

    // The same central, at the first address too.
    let again = Central::start_at(first.parse().unwrap(), central.state.clone()).await;
    let status = hub.until("back at the first", at(first)).await;
    assert_eq!(status.counters.fail_backs, 1);
    hub.log.seal(Class::Telemetry, 5, 1_000);
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 100).await;
    assert_eq!(again.state.arrived.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn a_preferred_central_that_does_not_sync_is_left_again() {
    let (first, second) = (Central::start().await, Central::start().await);
    // The first takes connections of the same organisation, and refuses them.
    let (address, _) = first.stop(None).await;
    let shadow = Central::start_at(address, second.state.clone()).await;
    shadow.set(Fault::RefusesSession(RefusalCode::Busy));
    let mut hub = Hub::start(&[address.to_string(), second.address.to_string()], None);
    std::fs::write(hub.dir.join("token"), second.token(1).reveal()).unwrap();
    hub.until("refused", |status| status.counters.refusals.get(&RefusalCode::Busy) >= Some(&2)).await;
    shadow.set(Fault::None);
    hub.connected().await;
}

#[tokio::test]
async fn a_hub_whose_address_changes_stays_connected() {
    // The hub is behind a relay that changes its own port in between, as a router does.
    let central = Central::start().await;
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap();
    let to = central.address;
    let (swap, mut swapped) = tokio::sync::mpsc::channel::<()>(1);
    crate::central::spawn(async move {
        let mut out = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (mut up, mut down) = ([0; 2_048], [0; 2_048]);
        let mut hub = None;
        loop {
            tokio::select! {
                Ok((length, from)) = relay.recv_from(&mut up) => {
                    hub = Some(from);
                    drop(out.send_to(&up[..length], to).await);
                }
                Ok((length, _)) = out.recv_from(&mut down) => {
                    let Some(hub) = hub else { continue };
                    drop(relay.send_to(&down[..length], hub).await);
                }
                Some(()) = swapped.recv() => out = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            }
        }
    });
    let mut hub = Hub::start(&[address.to_string()], Some(central.token(1)));
    hub.connected().await;
    swap.send(()).await.unwrap();
    hub.log.seal(Class::Telemetry, 20, 10_000);
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 200).await;
    assert_eq!((central.sessions(), hub.status.borrow().counters.connects), (1, 1));
}
