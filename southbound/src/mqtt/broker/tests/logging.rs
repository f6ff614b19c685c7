//! What clients can make the broker write into its log.

use std::future::ready;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use super::super::*;
use super::harness::*;
use crate::mqtt::listener::{Accept, listen};
use crate::mqtt::testing::{LogLines, TestSpawn};

#[tokio::test]
async fn a_wholly_refused_message_is_named_with_topic_and_reason() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let log = LogLines::record();
    let mut client = Client::v4(&handle, "pump").await;
    for id in 1..=3 {
        client.publish(id, "relais/v1/pump/telemetry", "{\"a\":{}}").await;
        client.recv().await;
    }
    let lines = log.all();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["\"pump\"", "\"relais/v1/pump/telemetry\"", "every-reading-refused"] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
    assert_eq!(count(&handle, "relais_mqtt_refused_readings_total", Some("nested")), 3);
}

#[tokio::test]
async fn a_reading_left_out_is_named_with_topic_and_reason() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let log = LogLines::record();
    let mut client = Client::v4(&handle, "pump").await;
    client.publish(1, "relais/v1/pump/telemetry", "{\"a\":1,\"b\":{}}").await;
    client.recv().await;
    let lines = log.all();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["\"pump\"", "\"relais/v1/pump/telemetry\"", "\"b\"", "nested"] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}

#[tokio::test]
async fn reconnecting_does_not_flood_the_log() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let log = LogLines::record();
    for _ in 0..30 {
        let mut client = Client::v4(&handle, "again").await;
        client.publish(1, "elsewhere", "x").await;
        client.recv().await;
    }
    assert_eq!(log.all().len(), 10, "{:?}", log.all());
    handle.stop_accepting();
    eventually("the others are summed up", || log.all().len() == 11).await;
    let last = log.all().pop().unwrap();
    assert!(last.contains("count=20"), "{last}");
}

#[tokio::test]
async fn a_client_cannot_forge_or_bloat_lines() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let log = LogLines::record();
    let forged = "\n2026-01-01T00:00:00Z ERROR everything is lost\r\u{1b}[2J\u{85}\u{2028}";
    let mut client = Client::v4(&handle, forged).await;
    client.publish(1, &format!("relais{forged}{}", "x".repeat(60_000)), "x").await;
    client.recv().await;
    let mut client = Client::v4(&handle, &format!("2{forged}")).await;
    client.publish(1, "relais/v1/a/telemetry", "{\"good\":1,\"bad\\n\\r\":1}").await;
    client.recv().await;
    let mut client = Client::v4(&handle, &format!("3{forged}")).await;
    client.publish(1, &format!("relais/v1/{forged}/telemetry"), "x").await;
    client.recv().await;
    let mut client = Client::v4(&handle, &format!("4{forged}")).await;
    client.send_bytes(&[0x34, 5, 0, 1, b'a', 0, 1]).await;
    client.until_closed().await;
    eventually("four lines", || log.all().len() == 4).await;
    for line in log.all() {
        assert!(line.len() < 1000, "{line}");
        let unsafe_in_a_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        assert!(!line.contains(unsafe_in_a_line), "{line:?}");
    }
}

/// A listener of a process that is out of files.
struct Exhausted(Arc<AtomicU64>);

impl Accept for Exhausted {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Err(io::Error::from_raw_os_error(24))).await
    }
}

#[tokio::test]
async fn failing_accepts_are_counted_told_once_and_not_spun_on() {
    let dir = Dir::new();
    let handle = Site::storing(&dir).await;
    let log = LogLines::record();
    let tried = Arc::new(AtomicU64::new(0));
    let (phase, phases) = watch::channel(Phase::Running);
    let door = Door::new(true);
    let shared = Arc::clone(&handle.shared);
    let listening =
        listen(Exhausted(Arc::clone(&tried)), Arc::clone(&door), shared, Arc::new(TestSpawn), phases);
    assert!(tokio::time::timeout(Duration::from_millis(750), listening).await.is_err());
    drop(phase);
    let tried = tried.load(Ordering::Relaxed);
    assert!((3..=8).contains(&tried), "{tried}");
    assert_eq!(count(&handle, "relais_mqtt_refused_connections_total", Some("accept-failed")), tried);
    assert_eq!(log.all().len(), 1, "{:?}", log.all());
    door.log.sum_up();
    let last = log.all().pop().unwrap();
    assert!(last.contains(&format!("count={}", tried - 1)), "{last}");
}
