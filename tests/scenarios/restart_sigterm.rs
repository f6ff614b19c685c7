//! Stopping in order and stopping dead: what each leaves behind.

use std::time::Duration;

use site_tests::mqtt::{Connect, RawClient, Version};
use site_tests::{Gap, Hub};

/// The hub's own deadline for its phases is below this.
const STOP_MAX: Duration = Duration::from_secs(10);

fn restart_gaps(hub: &Hub) -> Vec<Gap> {
    hub.gaps().into_iter().filter(|gap| gap.cause == "restart").collect()
}

#[test]
fn sigterm_ends_cleanly_and_leaves_no_gap() {
    let mut hub = Hub::start("sigterm");
    let mut device = RawClient::connect(hub.mqtt(), Version::V5, "device");
    for id in 1..=50 {
        assert_eq!(device.publish("relais/v1/pump/telemetry", br#"{"x":1}"#, id), Some(0));
    }
    let ended = hub.terminate();
    assert_eq!((ended.code, ended.signal), (Some(0), None));
    assert!(ended.took < STOP_MAX, "{ended:?}");
    hub.start_again();
    assert_eq!(hub.export().len(), 50);
    assert!(restart_gaps(&hub).is_empty(), "{:?}", hub.gaps());
    assert!(hub.ledger().balanced());
}

#[test]
fn sigterm_is_not_held_up_by_clients_that_stay() {
    let mut hub = Hub::start("sigterm-busy");
    let mut idle: Vec<RawClient> =
        (0..20).map(|n| RawClient::connect(hub.mqtt(), Version::V4, &format!("idle-{n}"))).collect();
    idle.push(RawClient::open(hub.mqtt(), Version::V4));
    let _half_a_request = std::net::TcpStream::connect(hub.web()).expect("the API takes connections");
    let ended = hub.terminate();
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < STOP_MAX, "{ended:?}");
    assert!(idle.iter_mut().all(|client| client.is_closed_within(Duration::from_secs(1))));
}

#[test]
fn kill_nine_leaves_a_gap_of_zero_length_per_run() {
    let mut hub = Hub::start("kill-gap");
    for kills in 1..=3 {
        // Something in between: two gaps of zero length at one place would be one row.
        let mut device = RawClient::connect(hub.mqtt(), Version::V4, "device");
        assert_eq!(device.publish("relais/v1/pump/telemetry", br#"{"x":1}"#, 1), Some(0));
        hub.restart9();
        let gaps = restart_gaps(&hub);
        assert!(gaps.iter().all(|gap| gap.from == gap.to), "{gaps:?}");
        let telemetry = gaps.iter().filter(|gap| gap.class == "telemetry").count();
        assert_eq!(telemetry, kills, "{gaps:?}");
    }
    assert!(hub.ledger().balanced());
    assert_eq!(hub.export().len(), 3);
}

#[test]
fn a_persistent_session_outlives_kill_nine_and_a_clean_one_does_not() {
    let mut hub = Hub::start("sessions");
    for version in Version::ALL {
        let connect = |client_id: &'static [u8], clean| Connect {
            version,
            client_id,
            clean,
            keep_alive: 60,
            expiry_s: if clean { 0 } else { 3600 },
        };
        let (kept, stays) = (connect(b"stays", false), connect(b"goes", true));
        let present = |hub: &Hub, c: &Connect<'_>| {
            let (client, connected) = RawClient::connect_as(hub.mqtt(), c);
            (client, connected.expect("a CONNACK").session_present)
        };
        let (mut first, was_there) = present(&hub, &kept);
        assert!(!was_there, "{version:?}");
        assert_eq!(first.subscribe("relais/v1/pump/#", 1), Some(1));
        assert!(!present(&hub, &stays).1);
        hub.restart9();
        let (mut again, was_there) = present(&hub, &kept);
        assert!(was_there, "{version:?}: the session outlives the hub");
        assert!(!present(&hub, &stays).1);
        let mut device = RawClient::connect(hub.mqtt(), version, "device");
        assert_eq!(device.publish("relais/v1/pump/telemetry", br#"{"x":1}"#, 1), Some(0));
        let (first_byte, body) = again.read().expect("the subscription outlives the hub, too");
        assert_eq!(first_byte & 0xf0, 0x30);
        assert!(body.windows(7).any(|seven| seven == br#"{"x":1}"#));
        // Forget the session, so that the next version starts without one.
        drop(again);
        drop(RawClient::connect_as(hub.mqtt(), &connect(b"stays", true)));
    }
}
