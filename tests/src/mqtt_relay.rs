//! A relay between a publisher and the hub, on TCP: it writes down every PUBLISH, can swallow the hub's answers, and cuts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Longest packet relayed: a publisher that sends more is none of ours.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// A PUBLISH at QoS 1, as it passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its packet identifier.
    pub packet_id: u16,
    /// Whether it was told as one that may have been sent before.
    pub dup: bool,
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The relay. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct MqttRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    hub: SocketAddr,
    ends: AtomicBool,
    swallows: AtomicBool,
    published: Mutex<Vec<Published>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl MqttRelay {
    /// A relay to the hub at this address, whether it is there or not: a connection without a hub ends at once.
    pub fn start(hub: SocketAddr) -> MqttRelay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            hub,
            ends: AtomicBool::new(false),
            swallows: AtomicBool::new(false),
            published: Mutex::default(),
            connections: Mutex::default(),
        });
        let relaying = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for client in listener.incoming() {
                if relaying.ends.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    relaying.relay(client);
                }
            }
        });
        MqttRelay { address, shared, accepting: Some(accepting) }
    }

    /// Where publishers connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers of the hub are swallowed, or not any more.
    pub fn swallow_answers(&self, swallows: bool) {
        self.shared.swallows.store(swallows, Ordering::SeqCst);
    }

    /// Ends every connection.
    pub fn cut(&self) {
        for connection in self.shared.connections().drain(..) {
            // One that ended by itself is cut already.
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    /// Every PUBLISH so far, in order, resends included.
    pub fn published(&self) -> Vec<Published> {
        self.shared.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MqttRelay {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.cut();
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Relays both ways, each on a thread that ends with the connection.
    fn relay(self: &Arc<Shared>, client: TcpStream) {
        let Ok(hub) = TcpStream::connect(self.hub) else { return };
        let (Ok(client_out), Ok(hub_out)) = (client.try_clone(), hub.try_clone()) else { return };
        for stream in [&client, &hub] {
            self.connections().extend(stream.try_clone());
        }
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || up.relay_packets(client, hub_out));
        thread::spawn(move || down.relay_answers(hub, client_out));
    }

    fn relay_packets(&self, mut client: TcpStream, mut hub: TcpStream) {
        while let Some((first, head, body)) = read_packet(&mut client) {
            if first & 0xf6 == 0x32 {
                let published = publish_of(first, &body);
                self.published.lock().unwrap_or_else(PoisonError::into_inner).extend(published);
            }
            if hub.write_all(&[head, body].concat()).is_err() {
                break;
            }
        }
        drop((client.shutdown(Shutdown::Both), hub.shutdown(Shutdown::Both)));
    }

    fn relay_answers(&self, mut hub: TcpStream, mut client: TcpStream) {
        let mut buffer = [0; 512];
        while let Ok(length @ 1..) = hub.read(&mut buffer) {
            if !self.swallows.load(Ordering::SeqCst) && client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        drop((client.shutdown(Shutdown::Both), hub.shutdown(Shutdown::Both)));
    }
}

/// The first byte, the bytes up to the length, the rest; `None` at the end.
fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    let (mut length, mut shift) = (0, 0);
    stream.read_exact(&mut byte).ok()?;
    head.push(byte[0]);
    loop {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 || shift > 21 {
            break;
        }
    }
    let mut body = vec![0; Some(length).filter(|length| *length <= PACKET_BYTES_MAX)?];
    stream.read_exact(&mut body).ok()?;
    Some((head[0], head, body))
}

fn publish_of(first: u8, body: &[u8]) -> Option<Published> {
    let (length, rest) = body.split_first_chunk()?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (id, payload) = rest.split_first_chunk()?;
    let topic = String::from_utf8(topic.to_vec()).ok()?;
    Some(Published {
        packet_id: u16::from_be_bytes(*id),
        dup: first & 8 != 0,
        topic,
        payload: payload.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_written_down_and_its_answer_can_be_swallowed() {
        let hub = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = MqttRelay::start(hub.local_addr().unwrap());
        let mut client = TcpStream::connect(relay.address()).unwrap();
        let (mut accepted, _) = hub.accept().unwrap();
        let publish = b"\x3a\x07\x00\x01t\x00\x0a{}";
        client.write_all(publish).unwrap();
        let mut bytes = [0; 9];
        accepted.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, publish);
        let expected = Published { packet_id: 10, dup: true, topic: "t".into(), payload: b"{}".to_vec() };
        assert_eq!(relay.published(), [expected]);
        relay.swallow_answers(true);
        accepted.write_all(&[0x40, 2, 0, 10]).unwrap();
        drop(accepted);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        assert!(heard.is_empty(), "{heard:?}");
    }
}
