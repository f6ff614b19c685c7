//! Ports for processes that are stopped and started again on the same one.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what Linux gives to clients and to listeners that name none (32768 and above, unless it is set up otherwise): from
/// there somebody else may get a port while its process is down.
const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;
/// How far apart processes begin that were started one after the other: more than any of them needs.
const STRIDE: u32 = 61;

static ASKED: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that is free now for TCP and UDP, and that no other test is likely to choose.
pub(crate) fn lasting_port() -> u16 {
    for _ in 0..COUNT {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(STRIDE).wrapping_add(asked) % COUNT;
        let port = u16::try_from(FIRST + place).expect("below 65536");
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST} on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_differ_and_are_not_for_clients() {
        let (a, b) = (lasting_port(), lasting_port());
        assert!(a != b && a < 32_768 && b < 32_768, "{a} {b}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, a)).unwrap();
        ASKED.fetch_sub(2, Ordering::Relaxed);
        assert_ne!(lasting_port(), a, "it is taken now");
        drop(listener);
    }
}
