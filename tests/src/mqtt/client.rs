//! A connection that sends whatever it is told to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::packet::{Connect, Publish, Version, subscribe};
use crate::Stopwatch;

const TIMEOUT: Duration = Duration::from_secs(10);

/// One TCP connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    version: Version,
}

/// What a CONNACK said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Whether the broker remembers the session.
    pub session_present: bool,
    /// Return code or reason code; 0 is yes.
    pub code: u8,
}

impl RawClient {
    /// Opens a connection and says nothing.
    pub fn open(hub: SocketAddr, version: Version) -> RawClient {
        let stream = TcpStream::connect_timeout(&hub, TIMEOUT).expect("the broker takes connections");
        stream.set_nodelay(true).expect("a socket option can be set");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        RawClient { stream, version }
    }

    /// Opens a connection and a session.
    #[track_caller]
    pub fn connect(hub: SocketAddr, version: Version, client_id: &str) -> RawClient {
        let connect =
            Connect { version, client_id: client_id.as_bytes(), clean: true, keep_alive: 60, expiry_s: 0 };
        let (client, connected) = RawClient::connect_as(hub, &connect);
        assert_eq!(connected.map(|c| c.code), Some(0), "CONNACK for {client_id:?}");
        client
    }

    /// Opens a connection, sends this CONNECT and reads the answer; `None` when the broker closed instead.
    pub fn connect_as(hub: SocketAddr, connect: &Connect<'_>) -> (RawClient, Option<Connected>) {
        let mut client = RawClient::open(hub, connect.version);
        client.send(&connect.bytes());
        let connected = client.read().and_then(|(first, body)| match (first, body.as_slice()) {
            (0x20, [flags, code, ..]) => Some(Connected { session_present: flags & 1 == 1, code: *code }),
            _ => None,
        });
        (client, connected)
    }

    /// Sends bytes. A broker that has closed already is no failure here: stories ask what came back.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            eprintln!("not sent: {error}");
        }
    }

    /// Publishes at QoS 1 and waits for the PUBACK: its reason code, or `None` when the broker closed instead.
    pub fn publish(&mut self, topic: &str, payload: &[u8], id: u16) -> Option<u8> {
        let publish =
            Publish { version: self.version, topic: topic.as_bytes(), payload, qos: 1, id, dup: false };
        self.send(&publish.bytes());
        self.puback(id)
    }

    /// Waits for the PUBACK of a packet id: its reason code, or `None` when the broker closed instead.
    pub fn puback(&mut self, id: u16) -> Option<u8> {
        loop {
            let (first, body) = self.read()?;
            if first == 0x40 && body.get(..2) == Some(&id.to_be_bytes()) {
                return Some(body.get(2).copied().unwrap_or(0));
            }
        }
    }

    /// Subscribes and waits for the SUBACK: its reason code, or `None` when the broker closed instead.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> Option<u8> {
        self.send(&subscribe(self.version, 1, filter.as_bytes(), qos));
        loop {
            let (first, body) = self.read()?;
            if first == 0x90 {
                return body.last().copied();
            }
        }
    }

    /// Reads one packet: first byte and body. `None` when the broker closed or said nothing for ten seconds.
    pub fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        self.stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        let first = self.read_byte()?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.read_byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            assert!(shift < 28, "the broker sent a length of more than four bytes");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((first, body))
    }

    fn read_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    /// Whether the broker closes the connection before the deadline; what it still sends is read and dropped.
    pub fn is_closed_within(&mut self, deadline: Duration) -> bool {
        let watch = Stopwatch::start();
        let mut buffer = [0; 4096];
        while let Some(left) = deadline.checked_sub(watch.elapsed()).filter(|left| !left.is_zero()) {
            self.stream.set_read_timeout(Some(left)).expect("a timeout can be set");
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Ends the sending half.
    pub fn finish(&mut self) {
        let _already_closed = self.stream.shutdown(Shutdown::Write);
    }
}
