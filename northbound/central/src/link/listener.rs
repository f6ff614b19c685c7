//! Accepts connections, within bounds: an address that has not proved that it is there is asked to (Retry) while many
//! handshakes are under way, and none may have too many at once.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_chassis::supervisor::{Rule, stopped};
use northbound_trust::Authority;
use northbound_wire::RefusalCode;
use quinn::crypto::rustls::NoInitialCipherSuite;
use quinn::{Endpoint, Incoming, TokioRuntime, VarInt};
use thiserror::Error;
use tokio::sync::oneshot;

use super::{Surroundings, connection, transport};
use crate::denials::network;

/// From so many handshakes under way on, addresses have to prove that they are there.
const BUSY_HANDSHAKES: usize = 64;

/// Handshakes of one address at once, of IPv6 of one /64: a site behind one address, coming back with all its hubs.
const HANDSHAKES_PER_ADDRESS: usize = 64;

/// A handshake keeps its place so long whoever else comes. Behind it, the oldest of an address goes for a newcomer:
/// who opens many and says nothing keeps no hub behind the same address out.
const HANDSHAKE_SURE: Duration = Duration::from_secs(2);

/// Peers at once of whom it is not known yet who they are, handshakes and enrolments: with a window of 128 KiB each,
/// 128 MiB.
const HANDSHAKES_MAX: usize = 1_024;

/// Connections at once: the fleet one node is made for, and as many again while they come back over another way.
const CONNECTIONS_MAX: usize = 20_000;

/// How long sessions may take for their last words when central stops.
const LAST_WORDS_MAX: Duration = Duration::from_secs(3);

/// And what is left of them to be closed.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// The socket for hubs.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
}

/// Why hubs cannot connect.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The socket.
    #[error(
        "sync.listen {address} cannot be listened on: {source}; choose another port, or stop what uses it"
    )]
    Socket {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A set of ciphers QUIC cannot start with.
    #[error("the TLS configuration does not fit QUIC: {0}")]
    Tls(#[from] NoInitialCipherSuite),
}

/// Handshakes under way.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next: u64,
    count: usize,
    of_network: BTreeMap<IpAddr, BTreeMap<u64, Begun>>,
}

#[derive(Debug)]
struct Begun {
    at_ms: u64,
    end: oneshot::Sender<()>,
}

/// A handshake's place.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    network: IpAddr,
    number: u64,
    ended: oneshot::Receiver<()>,
}

impl Handshakes {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().count
    }

    /// Takes a place; where the address has no more, that of its oldest handshake which had its time.
    fn enter(self: &Arc<Self>, address: IpAddr, now_ms: u64) -> Option<Handshake> {
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.count >= HANDSHAKES_MAX {
            return None;
        }
        let network = network(address);
        let begun = shared.of_network.entry(network).or_default();
        if begun.len() >= HANDSHAKES_PER_ADDRESS {
            let had_its_time =
                |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms)) >= HANDSHAKE_SURE;
            let oldest = begun.first_entry().filter(|oldest| had_its_time(oldest.get().at_ms))?;
            // One that ends by itself at this moment does not hear it.
            let _gone = oldest.remove().end.send(());
            shared.count -= 1;
        }
        let (end, ended) = oneshot::channel();
        let number = shared.next;
        begun.insert(number, Begun { at_ms: now_ms, end });
        shared.next += 1;
        shared.count += 1;
        Some(Handshake { all: Arc::clone(self), network, number, ended })
    }
}

impl Handshake {
    /// Waits until the place is taken for another.
    pub(super) async fn taken(&mut self) {
        let _always = (&mut self.ended).await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut guard = self.all.lock();
        let shared = &mut *guard;
        let Some(begun) = shared.of_network.get_mut(&self.network) else { return };
        if begun.remove(&self.number).is_some() {
            shared.count -= 1;
        }
        if begun.is_empty() {
            shared.of_network.remove(&self.network);
        }
    }
}

impl Listener {
    /// Opens the socket. Within a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
        authority: &Authority,
    ) -> Result<Listener, ListenError> {
        let config = transport::server_config(tls)?;
        let failed = |source| ListenError::Socket { address, source };
        let socket = std::net::UdpSocket::bind(address).map_err(failed)?;
        let own = transport::endpoint_config(authority);
        let endpoint = Endpoint::new(own, Some(config), socket, Arc::new(TokioRuntime));
        Ok(Listener { endpoint: endpoint.map_err(failed)? })
    }

    /// The address, with its port.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Serves until the stop signal. Sessions then end by themselves; the socket stays open for their last words.
    pub async fn serve(self, around: Surroundings) {
        let handshakes = Arc::new(Handshakes::default());
        let mut stop = around.supervisor.stop_signal();
        loop {
            let incoming = tokio::select! {
                incoming = self.endpoint.accept() => incoming,
                () = stopped(&mut stop) => break,
            };
            let Some(incoming) = incoming else { break };
            self.take(incoming, &handshakes, &around);
        }
        self.endpoint.set_server_config(None);
        if tokio::time::timeout(LAST_WORDS_MAX, self.endpoint.wait_idle()).await.is_err() {
            // Handshakes under way, and peers that do not answer any more.
            self.endpoint.close(close_code(RefusalCode::Stopping), b"central stops");
            if tokio::time::timeout(CLOSING_MAX, self.endpoint.wait_idle()).await.is_err() {
                tracing::debug!("connections are left to their own timeouts");
            }
        }
    }

    fn take(&self, incoming: Incoming, handshakes: &Arc<Handshakes>, around: &Surroundings) {
        around.counts.link_connections.add(1);
        let busy = handshakes.count() >= BUSY_HANDSHAKES;
        if busy && incoming.may_retry() && !incoming.remote_address_validated() {
            // Costs this side nothing to remember; a forged address never answers.
            if incoming.retry().is_err() {
                tracing::debug!("a connection could not be asked to prove its address");
            }
            return;
        }
        let full = self.endpoint.open_connections() >= CONNECTIONS_MAX;
        let place = if full {
            None
        } else {
            handshakes.enter(incoming.remote_address().ip(), around.clock.mono_ms())
        };
        let Some(place) = place else {
            around.counts.link_refused(RefusalCode::Busy);
            return incoming.refuse();
        };
        let serving = connection::serve(incoming, place, around.clone());
        around.supervisor.spawn("hub connection", Rule::Passing, serving);
    }
}

/// What a connection is closed with.
pub(super) fn close_code(code: RefusalCode) -> VarInt {
    VarInt::from_u32(u32::from(code.number()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_handshake_of_an_address_goes_for_a_newcomer_after_its_time() {
        let all = Arc::new(Handshakes::default());
        let of = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        // A whole /64 of IPv6 is one address.
        let mut held: Vec<Handshake> = (0..64).map(|at| all.enter(of(at), u64::from(at)).unwrap()).collect();
        assert!(all.enter(of(99), 1_999).is_none(), "each has its time");
        assert!(all.enter(IpAddr::from([192, 0, 2, 1]), 1_999).is_some(), "others are not concerned");
        let newcomer = all.enter(of(99), 2_000).unwrap();
        assert!(held[0].ended.try_recv().is_ok() && held[1].ended.try_recv().is_err());
        assert_eq!(all.count(), 64);
        held.clear();
        assert_eq!(all.count(), 1);
        drop(newcomer);
        assert!(all.count() == 0 && all.lock().of_network.is_empty());
    }
}
