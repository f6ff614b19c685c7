//! The connection below tokio-modbus: it lets through only the answer to the request that is out, and keeps the bytes.
//!
//! tokio-modbus 0.17 compares lengths with what was asked for in debug builds only, there by a panic, and after a late
//! answer it stays one answer behind. So frames are checked here, before it sees them, and whoever owns the connection
//! ends it after any error. The transaction identifier is ours too: the library begins at 0 on each connection, so a
//! gateway that mixes up its connections could pass off an old answer as a new one.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{Expected, FRAME_BYTES_MAX, Mismatch, Progress};

/// What a connection and its owner share.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Of the request that is out.
    expected: Option<Expected>,
    /// What the library calls the transaction.
    library_transaction: [u8; 2],
    request: Vec<u8>,
    /// Bytes of the request that are on the wire.
    sent: usize,
    answer: Vec<u8>,
    /// Bytes of the complete answer that the library has.
    passed_on: usize,
    complete: bool,
    mismatch: Option<Mismatch>,
    closed: bool,
}

/// What an exchange left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// The request as it went out.
    pub(super) request: Vec<u8>,
    /// All that came.
    pub(super) answer: Vec<u8>,
    /// Why that was no answer.
    pub(super) mismatch: Option<Mismatch>,
    /// The device closed the connection.
    pub(super) closed: bool,
}

impl Exchange {
    /// Before a request: what it will be answered with.
    pub(super) fn expect(&self, expected: Expected) {
        *self.lock() = State { expected: Some(expected), ..State::default() };
    }

    /// After a request, whatever became of it.
    pub(super) fn trace(&self) -> Trace {
        let state = self.lock();
        Trace {
            request: state.request.clone(),
            answer: state.answer.clone(),
            mismatch: state.mismatch,
            closed: state.closed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes bytes of the answer in; the error is final.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        let room = FRAME_BYTES_MAX.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let checked = match &self.expected {
            Some(expected) if !self.complete && bytes.len() <= room => expected.inspect(&self.answer),
            Some(_) | None => Err(Mismatch::Unasked),
        };
        match checked {
            Ok(progress) => self.complete = progress == Progress::Complete,
            Err(mismatch) => self.mismatch = Some(mismatch),
        }
        self.mismatch.map_or(Ok(()), Err)
    }

    /// Gives the complete answer to the library, under the transaction it knows.
    fn pass_on(&mut self, to: &mut ReadBuf<'_>) {
        let mut answer = self.answer.clone();
        answer[..2].copy_from_slice(&self.library_transaction);
        let end = answer.len().min(self.passed_on + to.remaining());
        to.put_slice(&answer[self.passed_on..end]);
        self.passed_on = end;
    }

    /// Takes a request in, and gives it our transaction once it is whole enough to have one.
    fn begin(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(expected) = self.expected else {
            return Err(io::Error::other("a request that was not announced"));
        };
        if self.request.len() + bytes.len() > FRAME_BYTES_MAX {
            return Err(io::Error::other("a request longer than a frame"));
        }
        self.request.extend_from_slice(bytes);
        if self.sent == 0 && self.request.len() - bytes.len() < 2 && self.request.len() >= 2 {
            self.library_transaction = [self.request[0], self.request[1]];
            self.request[..2].copy_from_slice(&expected.transaction.to_be_bytes());
        }
        Ok(())
    }
}

/// A connection that checks.
#[derive(Debug)]
pub(super) struct Checked<T> {
    inner: T,
    exchange: Exchange,
}

impl<T> Checked<T> {
    /// Over this connection.
    pub(super) fn new(inner: T, exchange: Exchange) -> Checked<T> {
        Checked { inner, exchange }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Checked<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let mut state = this.exchange.lock();
            if state.complete && state.passed_on < state.answer.len() {
                state.pass_on(to);
                return Poll::Ready(Ok(()));
            }
            drop(state);
            let mut bytes = [0; FRAME_BYTES_MAX];
            let mut came = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut came))?;
            let mut state = this.exchange.lock();
            if came.filled().is_empty() {
                state.closed = true;
                return Poll::Ready(Ok(()));
            }
            if let Err(mismatch) = state.take(came.filled()) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, mismatch)));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Checked<T> {
    /// Only takes the bytes in: they go out with the flush, when the frame is whole.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = self.get_mut().exchange.lock().begin(bytes);
        Poll::Ready(taken.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let mut state = this.exchange.lock();
            if state.sent == state.request.len() {
                break;
            }
            if state.sent == 0 {
                refuse_unasked(&mut this.inner, &mut state, context)?;
            }
            let State { request, sent, .. } = &mut *state;
            *sent += ready!(Pin::new(&mut this.inner).poll_write(context, &request[*sent..]))?;
        }
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

/// What is there before the request is out cannot be its answer: an answer that came twice, or one that came late.
fn refuse_unasked<T: AsyncRead + Unpin>(
    inner: &mut T,
    state: &mut State,
    context: &mut Context<'_>,
) -> io::Result<()> {
    let mut bytes = [0; FRAME_BYTES_MAX];
    let mut came = ReadBuf::new(&mut bytes);
    match Pin::new(inner).poll_read(context, &mut came) {
        Poll::Pending => Ok(()),
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) if came.filled().is_empty() => {
            state.closed = true;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Poll::Ready(Ok(())) => {
            state.answer.extend_from_slice(came.filled());
            state.mismatch = Some(Mismatch::Unasked);
            Err(io::Error::new(io::ErrorKind::InvalidData, Mismatch::Unasked))
        }
    }
}
