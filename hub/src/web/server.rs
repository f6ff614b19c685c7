//! Accepts connections and speaks HTTP/1 on them, within bounds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hub_chassis::supervisor::{Rule, Supervisor, stopped};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::api::Api;
use super::guard::Surface;
use super::stall::StallGuard;

/// Connections at once per surface: some browsers, a scraper, and room for a hundred that stall. Further ones wait to
/// be accepted.
pub const CONNECTIONS_MAX: usize = 256;

/// A request's head must be complete within this, and an idle connection says something.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// A write must get somewhere within this.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Enough for any query of ours; hyper refuses longer heads with 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Headers a request may have.
const HEADERS_MAX: usize = 64;

/// Wait after `accept` failed (out of file descriptors): others may free some meanwhile.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Something to accept connections from.
#[derive(Debug)]
pub enum Acceptor {
    /// Pages, API, metrics.
    Tcp(TcpListener),
    /// The command line.
    Unix(UnixListener),
}

impl Acceptor {
    fn surface(&self) -> Surface {
        match self {
            Acceptor::Tcp(_) => Surface::Web,
            Acceptor::Unix(_) => Surface::Socket,
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Acceptor::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                // Small answers should not wait for more; a refusal of the option only costs that.
                let _refused = stream.set_nodelay(true);
                Box::new(stream)
            }
            Acceptor::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Serves until the stop signal; connections then end with the request they are at.
pub async fn serve(acceptor: Arc<Acceptor>, router: Router, api: Arc<Api>, supervisor: Supervisor) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = supervisor.stop_signal();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        match accepted {
            Ok(stream) => {
                api.counts.connected();
                let (router, stop) = (router.clone(), supervisor.stop_signal());
                supervisor.spawn(task_name(acceptor.surface()), Rule::Passing, async move {
                    converse(stream, router, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, surface = acceptor.surface().name(), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn task_name(surface: Surface) -> &'static str {
    match surface {
        Surface::Web => "web connection",
        Surface::Socket => "socket connection",
    }
}

async fn converse(stream: Box<dyn Stream>, router: Router, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(StallGuard::new(stream, STALL_MAX)), service);
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
