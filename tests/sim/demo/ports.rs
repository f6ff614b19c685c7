//! Where the parts listen: friendly ports, or free ones where those are taken.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// The ports of a demo, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The hub's page and API.
    pub(crate) page: SocketAddr,
    /// The hub's MQTT listener.
    pub(crate) mqtt: SocketAddr,
    /// Central, for hubs (UDP).
    pub(crate) sync: SocketAddr,
    /// Central's API.
    pub(crate) api: SocketAddr,
    /// The hub's end of the link (UDP).
    pub(crate) link: SocketAddr,
    /// The meter.
    pub(crate) modbus: SocketAddr,
    /// The simulator's control port.
    pub(crate) control: SocketAddr,
}

/// A port that somebody else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What would have listened there.
    pub(crate) part: &'static str,
    /// The port that is usual.
    pub(crate) usual: u16,
    /// The port it gets.
    pub(crate) got: u16,
}

/// Keeps a port from being chosen twice.
enum Held {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Udp,
}

/// Chooses while it holds what it has chosen.
struct Choice {
    any: bool,
    held: Vec<Held>,
    taken: Vec<Taken>,
}

impl Ports {
    /// The usual ports, as far as they are free; which are not. With `any`, free ones from the start.
    pub(crate) fn choose(any: bool) -> io::Result<(Ports, Vec<Taken>)> {
        let mut choice = Choice { any, held: Vec::new(), taken: Vec::new() };
        let ports = Ports {
            page: choice.port("the page", 8080, Kind::Tcp)?,
            mqtt: choice.port("MQTT", 1883, Kind::Tcp)?,
            sync: choice.port("central for hubs", 7443, Kind::Udp)?,
            api: choice.port("central's API", 7444, Kind::Tcp)?,
            link: choice.port("the link", 7442, Kind::Udp)?,
            modbus: choice.port("the meter", 1502, Kind::Tcp)?,
            control: choice.port("the simulator's control", 1503, Kind::Tcp)?,
        };
        Ok((ports, choice.taken))
    }
}

impl Choice {
    fn port(&mut self, part: &'static str, usual: u16, kind: Kind) -> io::Result<SocketAddr> {
        let wanted = if self.any { 0 } else { usual };
        let held = match hold(wanted, kind) {
            Err(error) if wanted != 0 && error.kind() == io::ErrorKind::AddrInUse => hold(0, kind)?,
            result => result?,
        };
        let address = match &held {
            Held::Tcp(socket) => socket.local_addr()?,
            Held::Udp(socket) => socket.local_addr()?,
        };
        if wanted != 0 && address.port() != wanted {
            self.taken.push(Taken { part, usual, got: address.port() });
        }
        self.held.push(held);
        Ok(address)
    }
}

fn hold(port: u16, kind: Kind) -> io::Result<Held> {
    let address = (Ipv4Addr::LOCALHOST, port);
    match kind {
        Kind::Tcp => TcpListener::bind(address).map(Held::Tcp),
        Kind::Udp => UdpSocket::bind(address).map(Held::Udp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_free_and_differ() {
        let (ports, taken) = Ports::choose(true).unwrap();
        assert_eq!(taken, []);
        let Ports { page, mqtt, sync, api, link, modbus, control } = ports;
        let tcp = [page, mqtt, api, modbus, control];
        let all: std::collections::BTreeSet<SocketAddr> = tcp.into_iter().collect();
        assert_eq!(all.len(), tcp.len());
        assert_ne!(sync, link);
    }

    #[test]
    fn a_port_that_is_taken_is_replaced_and_told() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = other.local_addr().unwrap().port();
        let mut choice = Choice { any: false, held: Vec::new(), taken: Vec::new() };
        let got = choice.port("the page", usual, Kind::Tcp).unwrap().port();
        assert_ne!(got, usual);
        assert_eq!(choice.taken, [Taken { part: "the page", usual, got }]);
        // The same number is free for datagrams.
        assert_eq!(choice.port("the link", usual, Kind::Udp).unwrap().port(), usual);
        assert_eq!(choice.taken.len(), 1);
    }
}
