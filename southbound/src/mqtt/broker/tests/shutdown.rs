//! The ways the broker starts and stops.

use std::time::Duration;

use super::super::*;
use super::harness::*;
use crate::ingest::Stored;
use crate::mqtt::testing::{TestClock, TestSpawn};

async fn start(address: SocketAddr, anonymous: bool, dir: &Dir) -> Result<BrokerHandle, StartError> {
    let around = Surroundings {
        ingest: crate::ingest::ingest(1).0,
        forgotten: mpsc::channel(1).0,
        clock: Arc::new(TestClock::default()),
        tasks: Arc::new(TestSpawn),
    };
    let listeners = vec![ListenerConfig { address, anonymous }];
    Broker::start(MqttConfig { listeners, dir: dir.0.clone(), limits: MqttLimits::default() }, around).await
}

#[tokio::test]
async fn the_log_is_waited_for() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let address = site.handle.local_addrs()[0];
    let mut client = Client::v5(&site.handle, "c").await;
    let mut idle = Client::v4(&site.handle, "idle").await;
    client.publish(1, "relais/v1/a/telemetry", "{\"t\":1}").await;
    let publish = site.ingest.recv(true).await.unwrap();
    site.handle.stop_accepting();
    let stopped = site.handle.shutdown(PATIENCE);
    let rest = async {
        assert_eq!(idle.until_closed().await, None);
        client.silent().await;
        publish.stored.unwrap().send(Stored::OnFlash).unwrap();
        assert_eq!(client.recv().await.1[..], [0, 1]);
        let (first, body) = client.until_closed().await.unwrap();
        assert_eq!((first, body[0]), (0xe0, 0x8b));
    };
    tokio::join!(stopped, rest);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_deadline_ends_it() {
    let dir = Dir::new();
    let mut site = Site::start(&dir).await;
    let mut client = Client::v5(&site.handle, "c").await;
    client.publish(1, "relais/v1/a/telemetry", "{\"t\":1}").await;
    let _never_answered = site.ingest.recv(true).await.unwrap();
    site.handle.shutdown(Duration::from_millis(50)).await;
    assert_eq!(client.until_closed().await.unwrap().1[0], 0x8b);
}

#[tokio::test]
async fn an_open_port_is_refused_to_anonymous_clients() {
    let dir = Dir::new();
    let error = start("0.0.0.0:0".parse().unwrap(), true, &dir).await.err().unwrap();
    assert!(error.to_string().contains("0.0.0.0:0"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = start(address, true, &dir).await.err().unwrap();
    assert!(matches!(error, StartError::Bind { .. }), "{error:?}");
    let expected = format!(
        "address {address} cannot be listened on: Address already in use (os error 98); another MQTT broker may be \
         running here: stop it, or choose another port under [[mqtt.listener]]"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn without_anonymous_nobody_gets_in_yet() {
    use crate::mqtt::codec::testing::connect;
    use crate::mqtt::codec::{Packet, Version};
    let dir = Dir::new();
    let handle = start("127.0.0.1:0".parse().unwrap(), false, &dir).await.unwrap();
    for (version, code) in [(Version::V4, 5), (Version::V5, 0x87)] {
        let mut client = Client::raw(&handle, version).await;
        client.send(&Packet::Connect(Box::new(connect(version, "c", true)))).await;
        assert_eq!(client.until_closed().await.unwrap().1[1], code);
    }
    assert_eq!(count(&handle, "relais_mqtt_refused_connections_total", Some("not-authorized")), 2);
}
