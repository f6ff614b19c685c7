//! TLS in front of the API. The handshake belongs to the connection's own task, which has a time limit. Connections that
//! are silent are given up when there are too many, the oldest first: whoever opens many and says nothing keeps nobody
//! else out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hub_chassis::http::Acceptor;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::caller::{Caller, Callers, Place, Watched};
use crate::counts::Counts;

/// A TCP listener that speaks TLS.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    callers: Arc<Callers>,
}

impl TlsListener {
    /// Speaks TLS with whoever connects to the listener, and counts who is given up.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>, counts: Arc<Counts>) -> TlsListener {
        TlsListener { listener, acceptor: TlsAcceptor::from(config), callers: Callers::new(counts) }
    }
}

/// A connection before its handshake.
#[derive(Debug)]
pub struct Connecting {
    stream: TcpStream,
    peer: ApiPeer,
    place: Place,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct ApiPeer {
    /// From where.
    pub(super) address: SocketAddr,
    /// Its place, which is safe while it is answered.
    pub(super) caller: Caller,
}

impl Acceptor for TlsListener {
    type Pending = Connecting;
    type Stream = Watched<TlsStream<TcpStream>>;
    type Peer = ApiPeer;

    async fn accept(&self) -> io::Result<Connecting> {
        loop {
            let (stream, address) = self.listener.accept().await?;
            if let Some((caller, place)) = self.callers.enter(address.ip()) {
                return Ok(Connecting { stream, peer: ApiPeer { address, caller }, place });
            }
        }
    }

    async fn open(&self, connecting: Connecting) -> io::Result<(Self::Stream, ApiPeer)> {
        let Connecting { stream, peer, mut place } = connecting;
        // Small answers should not wait for more; a refusal of the option only costs that.
        let _refused = stream.set_nodelay(true);
        let stream = tokio::select! {
            stream = self.acceptor.accept(stream) => stream?,
            error = place.taken() => return Err(error),
        };
        Ok((Watched::new(stream, place), peer))
    }
}

#[cfg(test)]
mod tests {
    use hub_chassis::config::Layers;
    use northbound_trust::{TimeSource, Trust, api_client_config};
    use northbound_wire::CENTRAL_NAME;
    use rustls_pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use crate::config::Config;
    use crate::daemon::start;
    use crate::testing::{Folder, NOW, manner};

    /// The whole way: TCP, TLS verified by the root's fingerprint, HTTP, token.
    #[tokio::test]
    async fn a_client_that_knows_the_root_is_served() {
        let folder = Folder::new("tls");
        let mut config = Layers::default().load::<Config>().unwrap().config;
        config.storage.dir = folder.path().join("data");
        config.api.listen.set_port(0);
        config.sync.listen.set_port(0);
        let started = start(config, manner(false)).await.unwrap();
        let token = started.new_admin_token.unwrap();
        let app = started.app;
        // Whoever connects and says nothing holds nobody up, and there may be more of them than there are places.
        let mut silent = Vec::new();
        for _ in 0..400 {
            silent.push(TcpStream::connect(started.api_address).await.unwrap());
        }
        let time = TimeSource::new(|| crate::clock::Clock::new().utc()).never_before(NOW);
        let trust = Trust::Pin(app.authority.fingerprint());
        for name in [CENTRAL_NAME, "localhost"] {
            let tls = TlsConnector::from(api_client_config(trust.clone(), &time).unwrap().config);
            let tcp = TcpStream::connect(started.api_address).await.unwrap();
            let mut stream = tls.connect(ServerName::try_from(name).unwrap(), tcp).await.unwrap();
            let request = format!(
                "GET /v1/hubs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("{\"hubs\":[]"), "{answer}");
        }
        let shed = app.counts.api_shed.get();
        assert!((368..=372).contains(&shed), "silent connections go for others, and only so many: {shed}");
        let wrong = api_client_config(Trust::Pin(northbound_wire::Fingerprint([0; 32])), &time).unwrap();
        let tcp = TcpStream::connect(started.api_address).await.unwrap();
        let name = ServerName::try_from(CENTRAL_NAME).unwrap();
        assert!(TlsConnector::from(wrong.config).connect(name, tcp).await.is_err());
        app.supervisor.stop();
        app.supervisor.wait_for_ends(0, std::time::Duration::from_secs(5)).await;
        app.storage.close().await;
    }
}
