//! Accepts connections, within bounds.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::broker::{Phase, Shared};
use super::connection::Connection;
use super::handshake;
use super::log_quota::{ListenerLog, WINDOW};
use super::metrics::Metrics;
use crate::tasks::Spawn;

/// Accepting fails when the process is out of files; trying at once would only burn CPU.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How many connections there are, in all and for each address.
#[derive(Default)]
pub(crate) struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// Counts a connection until it is dropped, however its task ends.
pub(crate) struct Admitted {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn total(&self) -> usize {
        self.counts().total
    }

    fn admit(shared: &Arc<Shared>, address: IpAddr) -> Result<Admitted, &'static str> {
        let mut counts = shared.admission.counts();
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.total >= shared.limits.connections_max {
            return Err("too-many-connections");
        }
        if of_address >= shared.limits.connections_per_address_max {
            return Err("too-many-connections-of-address");
        }
        counts.by_address.insert(address, of_address + 1);
        counts.total += 1;
        shared.metrics.connections.set(counts.total);
        Ok(Admitted { shared: Arc::clone(shared), address })
    }

    fn release(&self, address: IpAddr, metrics: &Metrics) {
        let mut counts = self.counts();
        counts.total -= 1;
        metrics.connections.set(counts.total);
        match counts.by_address.get_mut(&address) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(counts.by_address.remove(&address)),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.admission.release(self.address, &self.shared.metrics);
        self.shared.left.notify_waiters();
    }
}

/// What all connections of one listener have in common.
pub(crate) struct Door {
    /// Whether clients without credentials are let in.
    pub(crate) anonymous: bool,
    pub(crate) log: ListenerLog,
}

impl Door {
    pub(crate) fn new(anonymous: bool) -> Arc<Door> {
        Arc::new(Door { anonymous, log: ListenerLog::new() })
    }
}

/// What a [`TcpListener`] does; another one fails as told.
pub(crate) trait Accept: Send {
    /// The next connection. Cancel-safe.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }
}

/// Accepts on one port until the broker stops accepting.
pub(crate) async fn listen(
    listener: impl Accept,
    door: Arc<Door>,
    shared: Arc<Shared>,
    tasks: Arc<dyn Spawn>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut tick = tokio::time::interval(WINDOW);
    // The first one would come at once, when there is nothing to sum up.
    tick.reset();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() > Phase::Running {
                    return door.log.sum_up();
                }
                continue;
            }
            _ = tick.tick() => {
                door.log.sum_up();
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer, &door, &shared, &tasks, &phase),
            Err(error) => {
                shared.metrics.refused_connections.add("accept-failed");
                if door.log.accept_errors.admits(shared.clock.instant()) {
                    tracing::warn!(%error, "connection could not be accepted; trying again");
                }
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    door: &Arc<Door>,
    shared: &Arc<Shared>,
    tasks: &Arc<dyn Spawn>,
    phase: &watch::Receiver<Phase>,
) {
    shared.metrics.accepted.add(1);
    let admitted = match Admission::admit(shared, peer.ip().to_canonical()) {
        Ok(admitted) => admitted,
        Err(reason) => {
            shared.metrics.refused_connections.add(reason);
            return;
        }
    };
    let (door, shared, phase) = (Arc::clone(door), Arc::clone(shared), phase.clone());
    tasks.spawn("mqtt-connection", Box::pin(serve(stream, door, shared, phase, admitted)));
}

async fn serve(
    mut stream: TcpStream,
    door: Arc<Door>,
    shared: Arc<Shared>,
    mut phase: watch::Receiver<Phase>,
    admitted: Admitted,
) {
    // Answers are small and awaited; a socket that cannot do this works too.
    drop(stream.set_nodelay(true));
    let opened = tokio::select! {
        opened = handshake::open(&mut stream, &shared, &door) => opened,
        _ = phase.wait_for(|&p| p >= Phase::Draining) => None,
    };
    if let Some(opened) = opened {
        shared.metrics.connected.add(1);
        // Boxed, so that a connection that never says CONNECT costs less.
        Box::pin(Connection::new(Arc::clone(&shared), door, stream, opened, phase).run()).await;
    }
    drop(admitted);
}
