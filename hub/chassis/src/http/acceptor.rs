//! Where connections come from.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Something to accept connections from: a TCP listener, a Unix socket, TLS over either.
pub trait Acceptor: Send + Sync + 'static {
    /// A connection that is not opened yet.
    type Pending: Send + 'static;

    /// Its bytes, once it is open.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// What handlers may know of the other side. Each request of the connection has it as an extension.
    type Peer: Clone + Send + Sync + 'static;

    /// Waits for the next connection. Must be cancel-safe, and must not wait for anything the other side does.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Pending>> + Send;

    /// Opens a connection, handshakes included. Runs in the connection's own task and within
    /// [`ServerLimits::open_timeout`](super::ServerLimits::open_timeout).
    fn open(
        &self,
        pending: Self::Pending,
    ) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

/// Where a TCP connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

impl Acceptor for TcpListener {
    type Pending = (TcpStream, SocketAddr);
    type Stream = TcpStream;
    type Peer = PeerAddress;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }

    fn open(
        &self,
        (stream, address): (TcpStream, SocketAddr),
    ) -> impl Future<Output = io::Result<(TcpStream, PeerAddress)>> + Send {
        // Small answers should not wait for more; a refusal of the option only costs that.
        let _refused = stream.set_nodelay(true);
        std::future::ready(Ok((stream, PeerAddress(address))))
    }
}

/// The mode of the socket's file says who may use it; nothing else is known of them.
impl Acceptor for UnixListener {
    type Pending = UnixStream;
    type Stream = UnixStream;
    type Peer = ();

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }

    fn open(&self, stream: UnixStream) -> impl Future<Output = io::Result<(UnixStream, ())>> + Send {
        std::future::ready(Ok((stream, ())))
    }
}
