//! A connection to the API with its place in the [`Doorway`], and the end of it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::doorway::Doorway;
use crate::counts::Counts;

/// Every connection there is, and how to end it.
#[derive(Debug)]
pub(super) struct Callers {
    shared: Mutex<Shared>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Shared {
    doorway: Doorway,
    ends: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A connection's place. Clones are of the same; whoever holds the [`Watched`] gives it back.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    callers: Arc<Callers>,
    number: u64,
}

impl Callers {
    pub(super) fn new(counts: Arc<Counts>) -> Arc<Callers> {
        Arc::new(Callers { shared: Mutex::default(), counts })
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, from one that is silent if need be. `None` when there is none: the connection is given up.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(Caller, Place)> {
        let mut shared = self.lock();
        let Some((number, gone)) = shared.doorway.enter(address) else {
            self.counts.api_shed.add(1);
            return None;
        };
        if let Some(end) = gone.and_then(|gone| shared.ends.remove(&gone)) {
            self.counts.api_shed.add(1);
            // One that ends by itself at this moment does not hear it.
            let _gone = end.send(());
        }
        let (end, ended) = oneshot::channel();
        shared.ends.insert(number, end);
        let caller = Caller { callers: Arc::clone(self), number };
        Some((caller.clone(), Place { caller, ended }))
    }
}

impl Caller {
    /// A request is complete.
    pub(super) fn asked(&self) {
        self.callers.lock().doorway.asked(self.number);
    }

    /// It was answered.
    pub(super) fn answered(&self) {
        self.callers.lock().doorway.answered(self.number);
    }
}

/// The place itself; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    caller: Caller,
    ended: oneshot::Receiver<()>,
}

impl Place {
    /// Waits until it is taken for another.
    pub(super) async fn taken(&mut self) -> io::Error {
        let _always = (&mut self.ended).await;
        given_up()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shared = self.caller.callers.lock();
        shared.doorway.leave(self.caller.number);
        shared.ends.remove(&self.caller.number);
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "given up for others, because it was silent")
}

/// A stream that ends when its place is taken.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    place: Place,
    is_given_up: bool,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, place: Place) -> Watched<S> {
        Watched { stream, place, is_given_up: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            return Poll::Ready(result);
        }
        if !self.is_given_up {
            let _always = ready!(Pin::new(&mut self.place.ended).poll(context));
            self.is_given_up = true;
        }
        Poll::Ready(Err(given_up()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
