//! TLS in front of the API. The handshake belongs to the connection's own task, which has a time limit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hub_chassis::http::{Acceptor, PeerAddress};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A TCP listener that speaks TLS.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Speaks TLS with whoever connects to the listener.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> TlsListener {
        TlsListener { listener, acceptor: TlsAcceptor::from(config) }
    }
}

impl Acceptor for TlsListener {
    type Pending = (TcpStream, SocketAddr);
    type Stream = TlsStream<TcpStream>;
    type Peer = PeerAddress;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    async fn open(
        &self,
        (stream, address): (TcpStream, SocketAddr),
    ) -> io::Result<(TlsStream<TcpStream>, PeerAddress)> {
        // Small answers should not wait for more; a refusal of the option only costs that.
        let _refused = stream.set_nodelay(true);
        Ok((self.acceptor.accept(stream).await?, PeerAddress(address)))
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
    use crate::testing::{Folder, NOW};

    /// The whole way: TCP, TLS verified by the root's fingerprint, HTTP, token.
    #[tokio::test]
    async fn a_client_that_knows_the_root_is_served() {
        let folder = Folder::new("tls");
        let mut config = Layers::default().load::<Config>().unwrap().config;
        config.storage.dir = folder.path().join("data");
        config.api.listen.set_port(0);
        config.sync.listen.set_port(0);
        let started = start(config, false).await.unwrap();
        let token = started.new_admin_token.unwrap();
        let app = started.app;
        // Whoever connects and says nothing holds nobody up.
        let _silent = TcpStream::connect(started.api_address).await.unwrap();
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
        let wrong = api_client_config(Trust::Pin(northbound_wire::Fingerprint([0; 32])), &time).unwrap();
        let tcp = TcpStream::connect(started.api_address).await.unwrap();
        let name = ServerName::try_from(CENTRAL_NAME).unwrap();
        assert!(TlsConnector::from(wrong.config).connect(name, tcp).await.is_err());
        app.supervisor.stop();
        app.supervisor.wait_for_ends(0, std::time::Duration::from_secs(5)).await;
        app.storage.close().await;
    }
}
