//! Answers that are longer than memory should hold: made piece by piece on a blocking thread, as fast as they are read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::warn;

/// Pieces of the answer are about this large.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Pieces made ahead of a slow reader.
const CHUNKS_AHEAD: usize = 4;

/// A reader that takes nothing for this long is gone.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Why an answer ended before it was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody reads any more.
    ReaderGone,
    /// Ours.
    Failed(String),
}

/// Where the pieces go.
pub(super) struct Out {
    chunks: mpsc::Sender<Result<Bytes, Broken>>,
    runtime: Handle,
    /// What is not handed over yet.
    pub(super) buffer: Vec<u8>,
}

impl Out {
    /// Hands over what there is; waits for the reader.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES * 2)));
        let sending = async { tokio::time::timeout(STALL_MAX, self.chunks.send(Ok(chunk))).await };
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::ReaderGone),
        }
    }

    /// Breaks the answer off, so that its reader does not take it for whole.
    fn fail(&mut self) {
        // A reader that is gone needs no error.
        let _gone = self.chunks.blocking_send(Err(Broken));
    }
}

/// A body that `write` makes, on a thread of its own; `permit` is given back at its end. Must be called on the runtime.
pub(super) fn streamed(
    what: &'static str,
    permit: OwnedSemaphorePermit,
    write: impl FnOnce(&mut Out) -> Result<(), Ended> + Send + 'static,
) -> Body {
    let (chunks, body) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = Handle::current();
    // The task ends by itself: with the data, or when the other side of `chunks` is gone or stalls.
    drop(tokio::task::spawn_blocking(move || {
        let mut out = Out { chunks, runtime, buffer: Vec::with_capacity(CHUNK_BYTES * 2) };
        if let Err(Ended::Failed(why)) = write(&mut out).and_then(|()| out.flush()) {
            warn!(why, "an answer ({what}) broke off");
            out.fail();
        }
        drop(permit);
    }));
    Body::new(ChunkBody { chunks: body })
}

/// The answer broke off.
#[derive(Clone, Copy, Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer broke off; the hub's log says why")
    }
}

impl std::error::Error for Broken {}

struct ChunkBody {
    chunks: mpsc::Receiver<Result<Bytes, Broken>>,
}

impl hyper::body::Body for ChunkBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.chunks.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
