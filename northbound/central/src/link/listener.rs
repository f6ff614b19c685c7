//! Accepts connections, within bounds: an address that has not proved that it is there is asked to (Retry) while many
//! handshakes are under way, and none may have too many at once.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_chassis::supervisor::{Rule, stopped};
use northbound_trust::Authority;
use northbound_wire::RefusalCode;
use quinn::crypto::rustls::NoInitialCipherSuite;
use quinn::{Endpoint, Incoming, TokioRuntime, VarInt};
use thiserror::Error;

use super::{Surroundings, connection, transport};

/// From so many handshakes under way on, addresses have to prove that they are there.
const BUSY_HANDSHAKES: usize = 64;

/// Handshakes of one address at once: a site behind one address, coming back with all its hubs.
const HANDSHAKES_PER_ADDRESS: usize = 64;

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
    of_address: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A handshake's place.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    address: IpAddr,
}

impl Handshakes {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.of_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().values().sum()
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Handshake> {
        let mut all = self.lock();
        if all.values().sum::<usize>() >= HANDSHAKES_MAX {
            return None;
        }
        let count = all.entry(address).or_default();
        if *count >= HANDSHAKES_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Handshake { all: Arc::clone(self), address })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
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
        let place = if full { None } else { handshakes.enter(incoming.remote_address().ip()) };
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
