//! A server as a client sees it, by bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::clock;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing comes any more when nothing came for so long.
const SILENCE: Duration = Duration::from_millis(120);

/// A client that knows bytes only.
struct Raw(TcpStream);

impl Raw {
    fn connect(server: &Server) -> Raw {
        Raw::to(server.address()).expect("it listens")
    }

    fn to(address: SocketAddr) -> std::io::Result<Raw> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Raw(stream))
    }

    /// Asks for input registers.
    fn ask(&mut self, transaction: u16, unit: u8, quantity: u8) {
        let [high, low] = transaction.to_be_bytes();
        self.0.write_all(&[high, low, 0, 0, 0, 6, unit, 4, 0, 8, 0, quantity]).unwrap();
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything until the server closes, or until it is silent; and whether it closed.
    fn rest(&mut self) -> (Vec<u8>, bool) {
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        let mut bytes = Vec::new();
        let closed = match self.0.read_to_end(&mut bytes) {
            Ok(_) => true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => panic!("{error}"),
        };
        (bytes, closed)
    }
}

fn start() -> Server {
    Server::start(Options::default()).unwrap()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = clock::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The answer of unit 3 to a request for the group at address 8, with this cycle.
fn good(transaction: u8, cycle: u8) -> Vec<u8> {
    vec![0, transaction, 0, 0, 0, 11, 3, 4, 8, 0x40, 3, 0, 8, 0, 0, 0, cycle]
}

/// Asks unit 3 twice, with the fault at the second time; checks what comes then and whether the connection is closed.
#[track_caller]
fn check(spec: &str, expected: &[u8], expected_closed: bool) {
    let server = start();
    let mut client = Raw::connect(&server);
    client.ask(1, 3, 4);
    assert_eq!(client.read::<17>(), *good(1, 1));
    server.set_rule(spec.parse().unwrap());
    client.ask(2, 3, 4);
    assert_eq!(client.rest(), (expected.to_vec(), expected_closed), "{spec}");
    assert_eq!(server.counts().faults_applied(), 1);
}

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut answer = good(2, 2);
    answer[at..at + bytes.len()].copy_from_slice(bytes);
    answer
}

#[test]
fn every_fault_is_on_the_wire_as_said() {
    let whole = good(2, 2);
    let short = [0, 2, 0, 0, 0, 9, 3, 4, 6, 0x40, 3, 0, 8, 0, 0];
    let long = [&[0, 2, 0, 0, 0, 13, 3, 4, 10], &whole[9..], &[0xee, 0xee]].concat();
    let garbage = [&[0x00, 0xff, 0x55, 0x01, 0x7f, 0x10, 0x03], whole.as_slice()].concat();
    let expected: [(&str, Vec<u8>, bool); 23] = [
        ("late:40", whole.clone(), false),
        ("silent", vec![], false),
        ("slow:5", whole.clone(), false),
        ("split", whole.clone(), false),
        ("short", short.to_vec(), false),
        ("long", long, false),
        ("count", with(8, &[10]), false),
        ("truncate", whole[..8].to_vec(), false),
        ("cut", whole[..8].to_vec(), true),
        ("tid", with(0, &[0, 3]), false),
        ("unit", with(6, &[4]), false),
        ("function", with(7, &[3]), false),
        ("protocol", with(2, &[0, 1]), false),
        ("length:1", with(4, &[0, 1]), false),
        ("twice", whole.repeat(2), false),
        ("stale", good(1, 1), false),
        ("stale-values", good(2, 1), false),
        ("garbage", garbage, false),
        ("exception:11", vec![0, 2, 0, 0, 0, 3, 3, 0x84, 11], false),
        ("busy", vec![0, 2, 0, 0, 0, 3, 3, 0x84, 6], false),
        ("ack", vec![0, 2, 0, 0, 0, 3, 3, 0x84, 5], false),
        ("close", vec![], true),
        ("other-exception", vec![0, 2, 0, 0, 0, 3, 3, 0x83, 2], false),
    ];
    let names = expected.each_ref().map(|(spec, ..)| spec.split(':').next().unwrap());
    assert_eq!(names, Fault::ALL_NAMES);
    for (spec, bytes, closed) in &expected {
        check(spec, bytes, *closed);
    }
}

#[test]
fn a_late_answer_holds_back_those_behind_it() {
    let server = start();
    server.set_fault(Fault::Late(Duration::from_millis(300)), Scope::unit(3).times(1));
    let mut client = Raw::connect(&server);
    let start = clock::now();
    client.ask(1, 3, 4);
    client.ask(2, 5, 4);
    assert_eq!(client.read::<17>(), *good(1, 1));
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(client.read::<17>()[..8], [0, 2, 0, 0, 0, 11, 5, 4]);
    assert!(start.elapsed() < PATIENCE);
    // Another connection is another wire.
    server.set_fault(Fault::Late(PATIENCE), Scope::unit(3));
    client.ask(3, 3, 4);
    let mut other = Raw::connect(&server);
    other.ask(4, 5, 4);
    assert_eq!(other.read::<17>()[..2], [0, 4]);
}

#[test]
fn answers_that_are_equally_late_do_not_add_up() {
    let server = start();
    server.set_fault(Fault::Late(Duration::from_millis(200)), Scope::ALWAYS);
    let mut client = Raw::connect(&server);
    let start = clock::now();
    (1..=20).for_each(|transaction| client.ask(transaction, 3, 4));
    (1..=20).for_each(|n| assert_eq!(client.read::<17>(), *good(n, n)));
    assert!((Duration::from_millis(200)..Duration::from_secs(2)).contains(&start.elapsed()));
}

/// The lengths of what each look at the socket finds, and how long it took.
fn looks(spec: &str) -> (Vec<usize>, Duration) {
    let server = start();
    server.set_rule(spec.parse().unwrap());
    let mut client = Raw::connect(&server);
    client.ask(1, 3, 4);
    let start: Instant = clock::now();
    let mut lengths = Vec::new();
    while lengths.iter().sum::<usize>() < 17 {
        lengths.push(client.0.read(&mut [0; 64]).unwrap());
    }
    (lengths, start.elapsed())
}

#[test]
fn a_slow_answer_takes_its_pauses() {
    let (lengths, took) = looks("slow:10");
    assert!(took >= Duration::from_millis(160), "{took:?}");
    assert!(lengths.len() > 3, "{lengths:?}");
}

#[test]
fn a_split_answer_is_many_segments() {
    // The receiving side may join some of them, hardly all of them, and not every time.
    eventually("more than one segment", || looks("split").0.len() > 1);
}

#[test]
fn an_unbent_answer_is_one_segment() {
    assert_eq!(looks("silent unit=9").0, [17]);
}

#[test]
fn a_truncated_answer_runs_into_the_next_one() {
    let server = start();
    server.set_fault(Fault::Truncate, Scope::ONCE);
    let mut client = Raw::connect(&server);
    client.ask(1, 3, 4);
    client.ask(2, 3, 4);
    assert_eq!(client.read::<25>()[..], [&good(1, 1)[..8], &good(2, 2)].concat());
}

#[test]
fn requests_may_come_in_pieces_and_what_is_no_modbus_ends_the_connection() {
    let server = start();
    let mut client = Raw::connect(&server);
    for byte in [0, 1, 0, 0, 0, 6, 3, 4, 0, 8, 0, 4] {
        client.0.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.read::<17>(), *good(1, 1));
    client.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(client.rest(), (vec![], true));
    let counts = server.counts();
    assert_eq!((counts.malformed, counts.requests, counts.answers), (1, 1, 1));
}

#[test]
fn connections_and_answers_are_counted() {
    let server = start();
    server.set_fault(Fault::Silent, Scope::unit(5));
    let (mut a, b) = (Raw::connect(&server), Raw::connect(&server));
    a.ask(1, 5, 4);
    a.ask(2, 3, 4);
    assert_eq!(a.read::<17>(), *good(2, 1));
    let counts = server.counts();
    assert_eq!((counts.requests, counts.answers), (2, 1));
    assert_eq!(counts.unit(5), UnitCounts { requests: 1, answers: 0 });
    assert_eq!(counts.unit(3), UnitCounts { requests: 1, answers: 1 });
    drop((a, b));
    eventually("both ends", || server.counts().connections.now == 0);
    eventually("both connections", || server.counts().connections.total == 2);
    assert_eq!(server.counts().connections, ConnectionCounts { now: 0, most: 2, total: 2, refused: 0 });
}

#[test]
fn one_connection_is_served_and_further_ones_are_closed() {
    let server = Server::start(Options { one_connection: true, ..Options::default() }).unwrap();
    let mut first = Raw::connect(&server);
    first.ask(1, 3, 4);
    assert_eq!(first.read::<17>(), *good(1, 1));
    let mut second = Raw::connect(&server);
    assert_eq!(second.rest(), (vec![], true));
    first.ask(2, 3, 4);
    assert_eq!(first.read::<17>(), *good(2, 2));
    assert_eq!(server.counts().connections, ConnectionCounts { now: 1, most: 1, total: 1, refused: 1 });
}

#[test]
fn who_closes_the_one_connection_may_come_back_at_once() {
    let server = Server::start(Options { one_connection: true, ..Options::default() }).unwrap();
    for turn in 1..=50 {
        let mut client = Raw::connect(&server);
        client.ask(turn.into(), 3, 4);
        assert_eq!(client.read::<17>(), *good(turn, turn));
    }
    assert_eq!(server.counts().connections.refused, 0);
}

#[test]
fn there_is_a_most_of_connections() {
    let server = start();
    let mut served: Vec<Raw> = (0..CONNECTIONS_MAX).map(|_| Raw::connect(&server)).collect();
    eventually("all of them", || server.counts().connections.now == CONNECTIONS_MAX);
    assert_eq!(Raw::connect(&server).rest(), (vec![], true));
    let last = served.last_mut().unwrap();
    last.ask(1, 3, 4);
    assert_eq!(last.read::<17>(), *good(1, 1));
}

#[test]
fn a_reboot_closes_and_refuses_for_so_long() {
    let server = start();
    let mut client = Raw::connect(&server);
    client.ask(1, 3, 4);
    client.read::<17>();
    let start = clock::now();
    let down = Duration::from_millis(250);
    server.reboot(down);
    assert_eq!(server.counts().connections.now, 0);
    assert_eq!(client.rest(), (vec![], true));
    let refused = Raw::to(server.address()).map(drop).map_err(|error| error.kind());
    assert!(start.elapsed() > down || refused == Err(ErrorKind::ConnectionRefused), "{refused:?}");
    let mut back = None;
    eventually("the server to be back", || {
        back = Raw::to(server.address()).ok();
        back.is_some()
    });
    assert!(start.elapsed() >= down);
    let mut back = back.unwrap();
    back.ask(2, 3, 4);
    assert_eq!(back.read::<17>(), *good(2, 2));
}

#[test]
fn a_second_reboot_starts_the_time_anew_and_a_server_that_is_down_can_be_dropped() {
    let server = start();
    server.reboot(PATIENCE * 10);
    let start = clock::now();
    server.reboot(Duration::from_millis(50));
    eventually("the server to be back", || Raw::to(server.address()).is_ok());
    assert!(start.elapsed() >= Duration::from_millis(50));
    server.reboot(PATIENCE * 10);
    drop(server);
}

#[test]
fn a_dropped_server_is_gone() {
    let server = start();
    let mut client = Raw::connect(&server);
    server.set_fault(Fault::Late(PATIENCE * 10), Scope::ALWAYS);
    client.ask(1, 3, 4);
    let address = server.address();
    drop(server);
    assert_eq!(client.rest(), (vec![], true));
    assert!(Raw::to(address).is_err());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = start();
    let error = Server::start(Options { listen: server.address(), ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", server.address()));
}

#[tokio::test]
async fn a_server_runs_beside_a_runtime() {
    let server = start();
    server.reboot(Duration::ZERO);
    drop(server);
}
