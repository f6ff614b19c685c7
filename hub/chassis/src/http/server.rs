//! Accepts connections and speaks HTTP/1 on them, within bounds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::acceptor::Acceptor;
use super::stall::StallGuard;
use crate::supervisor::{Rule, Supervisor, stopped};

/// Connections at once per server: some browsers, a scraper, and room for a hundred that stall. Further ones wait to
/// be accepted.
pub const CONNECTIONS_MAX: usize = 256;

/// Wait after `accept` failed (out of file descriptors): others may free some meanwhile.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// What one server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at once, those that are being opened included. Further ones wait to be accepted.
    pub connections_max: usize,
    /// A connection is open within this, handshake included.
    pub open_timeout: Duration,
    /// A request's head must be complete within this, and an idle connection says something.
    pub head_timeout: Duration,
    /// A write must get somewhere within this.
    pub stall_max: Duration,
    /// Size of a request's head; hyper refuses longer ones with 431.
    pub head_bytes_max: usize,
    /// Headers a request may have.
    pub headers_max: usize,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            connections_max: CONNECTIONS_MAX,
            // Some round trips over a bad mobile link.
            open_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(5),
            stall_max: Duration::from_secs(30),
            // Enough for any query of ours.
            head_bytes_max: 16 * 1024,
            headers_max: 64,
        }
    }
}

/// Who counts connections.
pub trait ConnectionCounts: Send + Sync {
    /// One was accepted.
    fn accepted(&self);

    /// One was accepted and could not be opened: its handshake failed or took too long.
    fn not_opened(&self) {}
}

/// A server: one acceptor and its routes.
pub struct Server<A> {
    /// In logs: `web`.
    pub name: &'static str,
    /// The name of each connection's task.
    pub connection_task: &'static str,
    /// Where connections come from.
    pub acceptor: A,
    /// What is answered.
    pub router: Router,
    /// How much of it.
    pub limits: ServerLimits,
    /// Who counts.
    pub counts: Arc<dyn ConnectionCounts>,
}

impl<A: Acceptor> Server<A> {
    /// Serves until the stop signal; connections then end with the request they are at.
    pub async fn serve(self: Arc<Self>, supervisor: Supervisor) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut stop = supervisor.stop_signal();
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.acceptor.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            match accepted {
                Ok(pending) => {
                    self.counts.accepted();
                    let (server, stop) = (self.clone(), supervisor.stop_signal());
                    supervisor.spawn(self.connection_task, Rule::Passing, async move {
                        server.converse(pending, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, surface = self.name, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    async fn converse(&self, pending: A::Pending, mut stop: watch::Receiver<bool>) {
        // What is open at once is served, also during a stop.
        let opened = tokio::select! {
            biased;
            opened = self.open(pending) => opened,
            () = stopped(&mut stop) => return,
        };
        let (stream, peer) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.counts.not_opened();
                debug!(%error, surface = self.name, "a connection could not be opened");
                return;
            }
        };
        let routes = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            routes.call(request)
        });
        let limits = &self.limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.head_bytes_max)
            .max_headers(limits.headers_max)
            .serve_connection(TokioIo::new(StallGuard::new(stream, limits.stall_max)), service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            debug!(%error, "a connection ended early");
        }
    }

    async fn open(&self, pending: A::Pending) -> io::Result<(A::Stream, A::Peer)> {
        let opening = tokio::time::timeout(self.limits.open_timeout, self.acceptor.open(pending));
        opening.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::{Mutex, mpsc};

    use super::*;

    /// Streams from a channel; without a name their handshake never ends.
    struct Lobby(Mutex<mpsc::Receiver<(DuplexStream, Option<&'static str>)>>);

    impl Acceptor for Lobby {
        type Pending = (DuplexStream, Option<&'static str>);
        type Stream = DuplexStream;
        type Peer = &'static str;

        async fn accept(&self) -> io::Result<Self::Pending> {
            match self.0.lock().await.recv().await {
                Some(pending) => Ok(pending),
                None => pending().await,
            }
        }

        async fn open(&self, (stream, name): Self::Pending) -> io::Result<(DuplexStream, &'static str)> {
            match name {
                Some(name) => Ok((stream, name)),
                None => pending().await,
            }
        }
    }

    #[derive(Default)]
    struct Counts {
        accepted: AtomicUsize,
        not_opened: AtomicUsize,
    }

    impl ConnectionCounts for Counts {
        fn accepted(&self) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }

        fn not_opened(&self) {
            self.not_opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_hangs_holds_one_place_for_a_while() {
        let (enter, lobby) = mpsc::channel(4);
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let counts = Arc::new(Counts::default());
        let server = Arc::new(Server {
            name: "test",
            connection_task: "test connection",
            acceptor: Lobby(Mutex::new(lobby)),
            router: Router::new().route("/", get(async |Extension(peer): Extension<&'static str>| peer)),
            limits: ServerLimits { connections_max: 1, ..ServerLimits::default() },
            counts: counts.clone(),
        });
        supervisor.spawn("test", Rule::Passing, server.serve(supervisor.clone()));
        let (_hanging, theirs) = duplex(64);
        enter.send((theirs, None)).await.unwrap();
        let (mut ours, theirs) = duplex(1024);
        enter.send((theirs, Some("a friend"))).await.unwrap();
        ours.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\na friend"),
            "{answer}"
        );
        let counted = [&counts.accepted, &counts.not_opened].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counted, [2, 1]);
        supervisor.stop();
        assert_eq!(supervisor.wait_for_ends(0, Duration::from_secs(1)).await, 0);
    }
}
