//! Packets no proper client sends. Whatever arrives, the next client is served and the event is counted.

use std::time::Duration;

use site_tests::mqtt::{Connect, Publish, RawClient, Version, packet, subscribe, with_length};
use site_tests::{Hub, Metrics, Random, eventually};

const SOON: Duration = Duration::from_secs(10);
const TOPIC: &[u8] = b"relais/v1/pump/telemetry";

/// Reasons for which a connection ends that are nobody's fault.
const ORDINARY_ENDS: [&str; 5] = ["disconnect", "closed-by-client", "socket-error", "taken-over", "shutdown"];

/// What the hub counts as wrong, whatever the reason.
fn refusals(metrics: &Metrics) -> f64 {
    let ordinary = ORDINARY_ENDS.map(|reason| format!("\"{reason}\""));
    let ends = |words: &[&str]| metrics.sum(&[&["relais_mqtt_disconnects_total"], words].concat());
    metrics.sum(&["relais_mqtt_refused_"]) + ends(&[])
        - ordinary.iter().map(|word| ends(&[word])).sum::<f64>()
}

/// A device and a subscriber that have nothing to do with the trouble; both must be served through it.
struct Bystander {
    device: RawClient,
    sub: RawClient,
    id: u16,
}

impl Bystander {
    fn connect(hub: &Hub) -> Bystander {
        let device = RawClient::connect(hub.mqtt(), Version::V4, "bystander-device");
        let mut sub = RawClient::connect(hub.mqtt(), Version::V5, "bystander-sub");
        assert_eq!(sub.subscribe("relais/v1/bystander/#", 0), Some(0));
        Bystander { device, sub, id: 0 }
    }

    /// Publishes a message, and sees it acknowledged and delivered.
    #[track_caller]
    fn is_served(&mut self, after: &str) {
        self.id += 1;
        let payload = format!("{{\"id\":{}}}", self.id);
        let acked = self.device.publish("relais/v1/bystander/telemetry", payload.as_bytes(), self.id);
        assert_eq!(acked, Some(0), "after {after}: the bystander is acknowledged");
        let (first, body) = self.sub.read().unwrap_or_else(|| panic!("after {after}: nothing delivered"));
        assert_eq!(first & 0xf0, 0x30, "after {after}");
        assert!(body.ends_with(payload.as_bytes()), "after {after}: {body:?}");
    }
}

struct Trouble {
    hub: Hub,
    bystander: Bystander,
}

impl Trouble {
    fn start(story: &str) -> Trouble {
        let hub = Hub::start(story);
        let bystander = Bystander::connect(&hub);
        Trouble { hub, bystander }
    }

    /// Runs one piece of mischief; then everything else must go on, in the same process.
    #[track_caller]
    fn survives(&mut self, what: &str, mischief: impl FnOnce(&Hub)) {
        mischief(&self.hub);
        self.bystander.is_served(what);
        assert!(self.hub.process().ended().is_none(), "{what} ended the hub");
    }

    /// The same, and a counter of refused things must rise.
    #[track_caller]
    fn counts(&mut self, what: &str, mischief: impl FnOnce(&Hub)) {
        let before = self.hub.metrics();
        self.survives(what, mischief);
        let waiting = format!("{what} to be counted");
        eventually(SOON, &waiting, || {
            let after = self.hub.metrics();
            let risen = refusals(&after) > refusals(&before);
            if risen { Ok(()) } else { Err(format!("only these rose: {:?}", after.risen_since(&before))) }
        });
    }
}

fn connect_packet(version: Version, client_id: &[u8]) -> Connect<'_> {
    Connect { version, client_id, clean: true, keep_alive: 60, expiry_s: 0 }
}

fn publish_packet<'a>(version: Version, topic: &'a [u8], payload: &'a [u8], qos: u8) -> Publish<'a> {
    Publish { version, topic, payload, qos, id: 7, dup: false }
}

/// Connects, sends bytes, and sees the connection closed.
fn send_and_be_closed(hub: &Hub, version: Version, bytes: &[u8]) {
    let mut client = RawClient::connect(hub.mqtt(), version, "mischief");
    client.send(bytes);
    assert!(client.is_closed_within(SOON), "{version:?}: not closed after {bytes:02x?}");
}

#[test]
fn wrong_bytes_close_the_connection_and_nothing_else() {
    let mut trouble = Trouble::start("wrong-bytes");
    for version in Version::ALL {
        let mut cases: Vec<(&str, Vec<u8>)> = vec![
            ("a second CONNECT", connect_packet(version, b"mischief").bytes()),
            ("packet type 0", packet(0x00, b"")),
            ("CONNACK from a client", packet(0x20, &[0, 0, 0])),
            ("SUBACK from a client", packet(0x90, &[0, 1, 0, 0])),
            ("UNSUBACK from a client", packet(0xb0, &[0, 1, 0, 0])),
            ("PINGRESP from a client", packet(0xd0, b"")),
            ("AUTH nobody asked for", packet(0xf0, &[0x18, 0])),
            ("a length of five bytes", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
            ("a PUBLISH cut in its topic", packet(0x30, &[0, 20, b'r'])),
            ("an empty SUBSCRIBE", packet(0x82, &[])),
            ("a SUBSCRIBE with wrong flags", packet(0x80, &subscribe(version, 1, b"a", 0)[2..])),
            ("a PUBLISH of QoS 3", publish_packet(version, TOPIC, b"{}", 3).bytes()),
            ("a packet id of 0", Publish { id: 0, ..publish_packet(version, TOPIC, b"{}", 1) }.bytes()),
            ("a wildcard in a topic", publish_packet(version, b"relais/v1/+/telemetry", b"{}", 1).bytes()),
            ("a NUL in a topic", publish_packet(version, b"relais/v1/\0/telemetry", b"{}", 1).bytes()),
            (
                "a topic that is not UTF-8",
                publish_packet(version, b"relais/v1/\xff/telemetry", b"{}", 1).bytes(),
            ),
        ];
        if version == Version::V4 {
            cases.push(("DISCONNECT with wrong flags", packet(0xe1, b"")));
        }
        for (what, bytes) in cases {
            let what = format!("{what} ({version:?})");
            trouble.counts(&what, |hub| send_and_be_closed(hub, version, &bytes));
        }
    }
}

#[test]
fn wrong_starts_are_refused() {
    let mut trouble = Trouble::start("wrong-starts");
    let cases: [(&str, Vec<u8>); 7] = [
        ("HTTP on the MQTT port", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("TLS on the plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("PUBLISH before CONNECT", publish_packet(Version::V4, TOPIC, b"{}", 1).bytes()),
        ("an unknown protocol", packet(0x10, b"\x00\x04NQTT\x04\x02\x00\x3c\x00\x01a")),
        ("an unknown version", packet(0x10, b"\x00\x04MQTT\x63\x02\x00\x3c\x00\x01a")),
        ("a client id that is not UTF-8", connect_packet(Version::V5, b"\xc3\x28").bytes()),
        ("a CONNECT of 200 MB", with_length(0x10, 200_000_000, b"\x00\x04MQTT")),
    ];
    for (what, bytes) in cases {
        trouble.counts(what, |hub| {
            let mut client = RawClient::open(hub.mqtt(), Version::V4);
            client.send(&bytes);
            client.finish();
            assert!(client.is_closed_within(SOON), "{what}: not closed");
        });
    }
    trouble.survives("connections that say nothing", |hub| {
        drop((0..50).map(|_| RawClient::open(hub.mqtt(), Version::V4)).collect::<Vec<_>>());
    });
}

#[test]
fn odd_but_legal_things_work() {
    let mut trouble = Trouble::start("odd");
    for version in Version::ALL {
        for client_id in ["a/b", "a+b", "#", "$SYS", "ключ", "a b", "'\"\\", &"x".repeat(200)] {
            // Twice, and both at a time: the second takes over from the first.
            trouble.survives(client_id, |hub| {
                let mut first = RawClient::connect(hub.mqtt(), version, client_id);
                let mut second = RawClient::connect(hub.mqtt(), version, client_id);
                assert!(first.is_closed_within(SOON), "{client_id}: the first is closed");
                assert_eq!(second.publish("relais/v1/pump/telemetry", b"{\"x\":1}", 1), Some(0));
            });
        }
        trouble.survives("keep-alive 0", |hub| {
            let connect = Connect { keep_alive: 0, ..connect_packet(version, b"no-keep-alive") };
            let (mut client, connected) = RawClient::connect_as(hub.mqtt(), &connect);
            assert_eq!(connected.map(|c| c.code), Some(0));
            assert_eq!(client.publish("relais/v1/pump/telemetry", b"{\"x\":1}", 1), Some(0));
        });
        trouble.survives("DISCONNECT with a backlog", |hub| {
            disconnect_with_backlog(hub, version);
        });
        trouble.survives("topics in any script", |hub| {
            let mut client = RawClient::connect(hub.mqtt(), version, "scripts");
            for topic in ["ключ/a", "\u{1f321}", "é", "relais/v1/насос/telemetry"] {
                // Refused or taken: a topic's script must never be what kills anything.
                client.send(&publish_packet(version, topic.as_bytes(), b"{\"x\":1}", 0).bytes());
            }
        });
    }
}

fn disconnect_with_backlog(hub: &Hub, version: Version) {
    let mut sub = RawClient::connect(hub.mqtt(), version, "backlog-sub");
    assert_eq!(sub.subscribe("relais/v1/flood/#", 1), Some(1));
    let mut device = RawClient::connect(hub.mqtt(), version, "backlog-device");
    let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(2000));
    let flood = publish_packet(version, b"relais/v1/flood/telemetry", payload.as_bytes(), 0).bytes();
    for _ in 0..2000 {
        device.send(&flood);
    }
    sub.send(&packet(0xe0, b""));
    drop(sub);
    drop(device);
}

#[test]
fn what_may_not_be_published_is_refused_by_name() {
    let mut trouble = Trouble::start("access");
    for version in Version::ALL {
        for topic in ["foo/bar", "$SYS/broker/uptime", "relais/v2/pump/telemetry", "relais"] {
            trouble.counts(&format!("publishing to {topic} ({version:?})"), |hub| {
                let mut client = RawClient::connect(hub.mqtt(), version, "foreign");
                let code = client.publish(topic, b"{\"x\":1}", 1);
                // 5 says why (0x87 not authorized, 0x90 topic name invalid); 3.1.1 can only close or acknowledge.
                if version == Version::V5 {
                    assert!(matches!(code, Some(0x87 | 0x90) | None), "{topic}: {code:?}");
                }
            });
        }
        for filter in ["#", "foo/#", "$SYS/#", "+/v1/#"] {
            trouble.survives(&format!("subscribing to {filter} ({version:?})"), |hub| {
                let mut client = RawClient::connect(hub.mqtt(), version, "foreign");
                let code = client.subscribe(filter, 0);
                assert!(code.is_none_or(|code| code >= 0x80), "{filter}: {code:?}");
            });
        }
    }
    let hub = &trouble.hub;
    assert!(hub.export().iter().all(|reading| reading.device == "bystander"), "nothing foreign was stored");
}

#[test]
fn anonymous_clients_are_refused_where_they_are_not_allowed() {
    let config = site_tests::HubConfig { anonymous: false, ..Default::default() };
    let hub = Hub::start_with("not-anonymous", config);
    let before = hub.metrics();
    for version in Version::ALL {
        let (mut client, connected) = RawClient::connect_as(hub.mqtt(), &connect_packet(version, b"who"));
        let code = connected.expect("a CONNACK that says why").code;
        assert!(if version == Version::V5 { code == 0x87 || code == 0x86 } else { code == 5 || code == 4 });
        assert!(client.is_closed_within(SOON));
    }
    assert!(refusals(&hub.metrics()) > refusals(&before));
}

#[test]
fn payloads_that_mean_nothing_are_counted() {
    let mut trouble = Trouble::start("payloads");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let payloads: [(&str, Vec<u8>); 12] = [
        ("not JSON", b"hello".to_vec()),
        ("not UTF-8", b"{\"a\":\"\xff\xfe\"}".to_vec()),
        ("cut JSON", b"{\"a\":1".to_vec()),
        ("nothing", Vec::new()),
        ("a number where an object belongs", b"42".to_vec()),
        ("a metric with a slash", b"{\"a/b\":1}".to_vec()),
        ("an empty metric", b"{\"\":1}".to_vec()),
        ("a number too great for f64", b"{\"a\":1e999}".to_vec()),
        ("an integer f64 cannot hold", b"{\"a\":9007199254740993}".to_vec()),
        ("an object as value", b"{\"a\":{\"b\":1}}".to_vec()),
        ("a text of 5,000 bytes", format!("{{\"a\":\"{}\"}}", "x".repeat(5000)).into_bytes()),
        ("deep nesting", deep.into_bytes()),
    ];
    for version in Version::ALL {
        for (what, payload) in &payloads {
            trouble.counts(&format!("{what} ({version:?})"), |hub| {
                let mut client = RawClient::connect(hub.mqtt(), version, "payloads");
                // Acknowledged or refused, never left hanging: a client would resend it for ever.
                let code = client.publish("relais/v1/wrong/telemetry", payload, 1);
                assert!(code.is_some(), "{what}: no PUBACK");
            });
        }
    }
    assert!(trouble.hub.export().iter().all(|reading| reading.device == "bystander"));
}

#[test]
fn oversize_publishes_are_refused_without_being_read_into_memory() {
    let mut trouble = Trouble::start("oversize");
    for version in Version::ALL {
        trouble.counts(&format!("a PUBLISH of 64 MB ({version:?})"), |hub| {
            let mut client = RawClient::connect(hub.mqtt(), version, "huge");
            client.send(&with_length(0x30, 64_000_000, b"\x00\x18relais/v1/pump/telemetry"));
            assert!(client.is_closed_within(SOON), "not closed");
        });
    }
    let resident = resident_kib(&mut trouble.hub);
    assert!(resident < 150_000, "{resident} KiB resident");
}

fn resident_kib(hub: &mut Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.process().id())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its resident size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn qos_two_is_taken_or_refused_clearly() {
    let mut trouble = Trouble::start("qos-two");
    for version in Version::ALL {
        trouble.survives(&format!("QoS 2 ({version:?})"), |hub| {
            let mut client = RawClient::connect(hub.mqtt(), version, "twice");
            client.send(&publish_packet(version, TOPIC, b"{\"x\":1}", 2).bytes());
            match client.read() {
                // A broker that has QoS 2.
                Some((0x50, body)) => assert_eq!(body[..2], [0, 7]),
                // One that says it has not: DISCONNECT with 0x9b, or just the end.
                Some((0xe0, body)) => assert_eq!(body.first(), Some(&0x9b)),
                None => {}
                Some(other) => panic!("answered with {other:02x?}"),
            }
        });
    }
}

#[test]
fn random_bytes_do_no_harm() {
    let mut trouble = Trouble::start("random");
    let seed = Random::seed_from_env();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    trouble.survives("random bytes", |hub| {
        for round in 0..200 {
            let version = Version::ALL[random.index(2)];
            let mut client = RawClient::open(hub.mqtt(), version);
            if round % 2 == 0 {
                client.send(&connect_packet(version, b"random").bytes());
            }
            let length = random.index(300);
            let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
            client.send(&bytes);
        }
    });
}
