//! One attempt: look the name up, try its addresses, shake hands.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use northbound_trust::ClientTls;
use northbound_wire::CENTRAL_NAME;
use quinn::{Connection, ConnectionError, Endpoint, TransportConfig};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::endpoint::EndpointName;
use super::trouble::Trouble;
use crate::config::Timing;
use crate::transport::{client_config, transport};

/// Addresses tried of one name: a v4 and a v6 one, and one more of each.
const ADDRESSES_MAX: usize = 4;

/// How long to wait for the system's word that nothing listens. It comes from the other machine's kernel.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What to connect to, and as whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) name: &'a EndpointName,
    pub(crate) tls: &'a ClientTls,
}

/// The hub's UDP socket.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    socket: Endpoint,
    transport: Arc<TransportConfig>,
    timing: Timing,
    /// Tried first: a name may have addresses that never work here, such as IPv6 ones.
    worked: Arc<Mutex<Option<SocketAddr>>>,
}

impl Dialler {
    /// Opens the socket: for both kinds of addresses, or for IPv4 alone where there is no other.
    pub(crate) fn open(timing: Timing) -> Result<Dialler, Trouble> {
        let both = Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into());
        let socket = both
            .or_else(|_| Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()))
            .map_err(|error| Trouble::Local(format!("no UDP socket can be opened: {error}")))?;
        let transport = transport(timing.keep_alive, timing.idle);
        Ok(Dialler { socket, transport, timing, worked: Arc::default() })
    }

    /// Connects. What fails on every address is told of the last.
    pub(crate) async fn dial(&self, target: Target<'_>) -> Result<Connection, Trouble> {
        let mut last = None;
        for address in self.resolve(target.name).await? {
            match self.dial_address(address, target.tls).await {
                Ok(connection) => {
                    *self.worked.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                    return Ok(connection);
                }
                // Another address of the same name would say the same.
                Err(trouble @ (Trouble::Trust(_) | Trouble::Refused(_) | Trouble::Alert(_))) => {
                    return Err(trouble);
                }
                Err(trouble) => last = Some(trouble),
            }
        }
        Err(last.unwrap_or_else(|| Trouble::Resolve {
            host: target.name.host().into(),
            why: "it has no address".into(),
        }))
    }

    /// Says goodbye on every connection, and waits a moment for that to go out.
    pub(crate) async fn close(&self) {
        let code = northbound_wire::RefusalCode::Stopping.number();
        self.socket.close(u32::from(code).into(), b"the hub stops");
        // What did not go out within this is lost: central finds out by itself.
        let _went_out = timeout(Duration::from_millis(500), self.socket.wait_idle()).await;
    }

    async fn resolve(&self, name: &EndpointName) -> Result<Vec<SocketAddr>, Trouble> {
        let host = || name.host().to_owned();
        match timeout(self.timing.resolve, lookup_host((name.host(), name.port()))).await {
            Err(_) => Err(Trouble::ResolveTimeout { host: host(), seconds: self.timing.resolve.as_secs() }),
            Ok(Err(error)) => Err(Trouble::Resolve { host: host(), why: error.to_string() }),
            Ok(Ok(found)) => {
                let worked = *self.worked.lock().unwrap_or_else(PoisonError::into_inner);
                let mut found: Vec<SocketAddr> = found.collect();
                found.sort_by_key(|address| Some(*address) != worked);
                found.truncate(ADDRESSES_MAX);
                Ok(found)
            }
        }
    }

    async fn dial_address(&self, address: SocketAddr, tls: &ClientTls) -> Result<Connection, Trouble> {
        let config = client_config(tls, self.transport.clone())
            .ok_or_else(|| Trouble::Local("TLS lacks what QUIC needs".into()))?;
        let unreachable =
            |error: quinn::ConnectError| Trouble::Unreachable { address, why: error.to_string() };
        let connecting = self.socket.connect_with(config, address, CENTRAL_NAME).map_err(unreachable)?;
        match timeout(self.timing.connect, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Err(_) | Ok(Err(ConnectionError::TimedOut)) => Err(self.silence(address).await),
            Ok(Err(error)) => Err(Trouble::of(error, address, &tls.verdict)),
        }
    }

    /// What is behind silence. A socket that stays with one address hears what the network says of it; quinn's, which
    /// serves all of them, does not.
    async fn silence(&self, address: SocketAddr) -> Trouble {
        let local: SocketAddr = if address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let probe = async {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(address).await?;
            // No QUIC packet begins with a zero byte: central drops it unread.
            socket.send(&[0]).await?;
            socket.recv(&mut [0; 1]).await
        };
        match timeout(PROBE_WAIT, probe).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Trouble::NothingListens(address)
            }
            Ok(Err(error)) => Trouble::Unreachable { address, why: error.to_string() },
            Ok(Ok(_)) | Err(_) => Trouble::NoAnswer { address, seconds: self.timing.connect.as_secs() },
        }
    }
}
