//! Sensors as a broker sees them, by bytes: one that acknowledges, forgets, refuses and goes away.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::model::{Metric, Said};
use super::outbox::WINDOW;
use super::*;
use crate::clock;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world that counts.
struct Counter(u32);

impl Model for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn step(&mut self) -> Said {
        self.0 += 1;
        Said { metrics: vec![("n", Metric::Number(self.0.into()))], events: Vec::new() }
    }
}

/// What a broker reads.
#[derive(Debug, PartialEq)]
enum Packet {
    Connect { clean: bool },
    Publish { number: u32, dup: bool, id: u16 },
    Ping,
}

/// One connection, as the broker has it.
struct Session(TcpStream);

impl Session {
    fn accept(listener: &TcpListener) -> Session {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut session = Session(stream);
        assert_eq!(session.next(), Some(Packet::Connect { clean: false }));
        session
    }

    fn let_in(&mut self, session_present: bool) {
        self.0.write_all(&[0x20, 2, u8::from(session_present), 0]).unwrap();
    }

    fn acknowledge(&mut self, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.0.write_all(&[0x40, 2, high, low]).unwrap();
    }

    /// The next packet; `None` when nothing comes for so long as a read may take.
    fn next(&mut self) -> Option<Packet> {
        let mut first = [0; 2];
        match self.0.read_exact(&mut first) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
            result => result.unwrap(),
        }
        let [head, length] = first;
        assert!(length < 0x80, "messages here are short");
        let mut body = vec![0; usize::from(length)];
        self.0.read_exact(&mut body).unwrap();
        match head >> 4 {
            1 => Some(Packet::Connect { clean: body[7] & 2 != 0 }),
            3 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                assert_eq!(&body[2..2 + topic], b"relais/v1/counter/telemetry");
                assert_eq!(head & 0b0111, 0b010, "QoS 1, not retained");
                let id = u16::from_be_bytes([body[2 + topic], body[3 + topic]]);
                let json: serde_json::Value = serde_json::from_slice(&body[4 + topic..]).unwrap();
                let number = json["n"].to_string().trim_end_matches(".0").parse().expect("a whole number");
                Some(Packet::Publish { number, dup: head & 8 != 0, id })
            }
            12 => Some(Packet::Ping),
            _ => panic!("{head:#x} {body:?}"),
        }
    }

    /// The numbers of the next so many messages, acknowledged; whether each had DUP.
    fn store(&mut self, count: usize) -> Vec<(u32, bool)> {
        let mut stored = Vec::new();
        while stored.len() < count {
            if let Packet::Publish { number, dup, id } = self.next().expect("it publishes") {
                stored.push((number, dup));
                self.acknowledge(id);
            }
        }
        stored
    }
}

fn broker() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn start(hub: SocketAddr) -> Sensors {
    Sensors::start_models(vec![Box::new(Counter(0))], hub).unwrap()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = clock::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn everything_measured_arrives_in_order() {
    let (listener, hub) = broker();
    let sensors = start(hub);
    let mut session = Session::accept(&listener);
    session.let_in(false);
    let stored = session.store(30);
    assert!(stored.iter().copied().eq((1..=30).map(|number| (number, false))), "{stored:?}");
    eventually("the counts", || sensors.states()[0].acknowledged >= 30);
    assert!(sensors.states()[0].is_connected);
}

#[test]
fn a_broker_that_comes_back_gets_what_it_missed_and_resends_are_marked() {
    let (listener, hub) = broker();
    let sensors = start(hub);
    let mut session = Session::accept(&listener);
    session.let_in(false);
    session.store(3);
    // Takes a whole window and acknowledges nothing of it.
    let taken: Vec<Packet> = (0..WINDOW).map(|_| session.next().unwrap()).collect();
    assert!(matches!(taken[0], Packet::Publish { number: 4, dup: false, .. }), "{taken:?}");
    drop(session);
    eventually("some to wait", || sensors.states()[0].waiting > WINDOW + 5);
    assert!(!sensors.states()[0].is_connected);
    let mut session = Session::accept(&listener);
    session.let_in(true);
    let window = u32::try_from(WINDOW).unwrap();
    let stored = session.store(WINDOW + 10);
    let expected = (4..14 + window).map(|number| (number, number < 4 + window));
    assert!(stored.iter().copied().eq(expected), "{stored:?}");
    assert_eq!(sensors.states()[0].dropped, 0);
}

#[test]
fn a_broker_that_forgot_the_session_gets_everything_all_the_same() {
    let (listener, hub) = broker();
    let _sensors = start(hub);
    let mut session = Session::accept(&listener);
    session.let_in(false);
    session.store(3);
    session.next();
    drop(session);
    let mut session = Session::accept(&listener);
    session.let_in(false);
    let stored: Vec<u32> = session.store(20).into_iter().map(|(number, _)| number).collect();
    assert!(stored.iter().copied().eq(4..=23), "{stored:?}");
}

#[test]
fn a_silent_device_says_nothing_and_its_world_goes_on() {
    let (listener, hub) = broker();
    let sensors = start(hub);
    assert!(!sensors.set_silent("tank", true));
    let mut session = Session::accept(&listener);
    session.let_in(false);
    session.store(2);
    assert!(sensors.set_silent("counter", true));
    session.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut last = 0;
    while let Some(packet) = session.next() {
        if let Packet::Publish { number, id, .. } = packet {
            last = number;
            session.acknowledge(id);
        }
    }
    assert!(sensors.states()[0].is_silent && sensors.states()[0].is_connected);
    sensors.set_silent("counter", false);
    session.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let (next, _) = session.store(1)[0];
    assert!(next > last + 5, "{next} follows {last}");
}

#[test]
fn a_report_is_sent_by_one_that_speaks() {
    let (_listener, hub) = broker();
    let sensors = Sensors::start(hub, 1).unwrap();
    sensors.set_silent("cold-room", true);
    assert_eq!(sensors.report(), Some("boiler"));
    eventually("the report to wait", || sensors.states()[1].waiting >= 40);
    Sensors::NAMES.iter().for_each(|name| assert!(sensors.set_silent(name, true)));
    assert_eq!(sensors.report(), None);
}

#[test]
fn all_devices_are_there_and_dropping_them_ends_their_connections() {
    let (listener, hub) = broker();
    let sensors = Sensors::start(hub, 1).unwrap();
    assert!(sensors.states().iter().map(|state| state.name).eq(Sensors::NAMES));
    let mut sessions: Vec<Session> = Sensors::NAMES.iter().map(|_| Session::accept(&listener)).collect();
    drop(sensors);
    for session in &mut sessions {
        assert_eq!(session.0.read(&mut [0; 64]).unwrap(), 0);
    }
}
