//! One line per stream: a bounded queue and a task that writes it out.
//!
//! Urgent lines go first. quinn sends by priority what it holds, but it holds a bounded number of bytes of all streams
//! together; so a writer hands over nothing while a more urgent line has something waiting.

use std::sync::Arc;

use bytes::Bytes;
use hub_model::Class;
use northbound_sync::hub::SENDING_ORDER;
use northbound_wire::{Message, StreamHead, StreamKind, encode};
use quinn::{Connection, SendStream, WriteError};
use tokio::sync::{mpsc, watch};

use crate::tasks::Spawn;

/// Control, then the classes in the order of sending.
const LINES: usize = 1 + SENDING_ORDER.len();

/// Frames of a line. The core asks for more only when a line is nearly empty, so this is what one answer of the log can
/// hold (1,024 gap rows), for two epochs, with room to spare. A line that is full all the same ends the connection.
const QUEUE_FRAMES: usize = 4_096;

/// The log is asked for more of a class while less than this waits: half of what one answer brings.
const LOW_BYTES: usize = 128 * 1024;

/// Handed over at a time: how much an alarm may have to wait for, 0.6 s at 100 kbit/s.
const PIECE_BYTES: usize = 8 * 1024;

/// Bytes that wait, per line.
type Waiting = [usize; LINES];

/// The lines of one connection.
#[derive(Debug)]
pub(super) struct Lines {
    connection: Connection,
    queues: [Option<mpsc::Sender<Bytes>>; LINES],
    waiting: Arc<watch::Sender<Waiting>>,
    stopped: mpsc::Sender<WriteError>,
}

/// A line is full: more was said than can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineFull;

impl Lines {
    /// No line yet. A writer that cannot go on says so to `stopped`.
    pub(super) fn new(connection: Connection, stopped: mpsc::Sender<WriteError>) -> Lines {
        let waiting = Arc::new(watch::Sender::new([0; LINES]));
        Lines { connection, queues: [const { None }; LINES], waiting, stopped }
    }

    /// Opens the control line on a stream that is there.
    pub(super) fn open_control(&mut self, stream: SendStream, spawn: &dyn Spawn) {
        self.open(0, Some(stream), spawn);
    }

    /// Queues a message; opens its line where there is none. Returns the bytes of its frame.
    pub(super) fn send(
        &mut self,
        kind: StreamKind,
        message: &Message,
        spawn: &dyn Spawn,
    ) -> Result<usize, LineFull> {
        let place = place(kind);
        if self.queues[place].is_none() {
            self.open(place, None, spawn);
            self.queue(place, &Message::StreamHead(StreamHead { kind }))?;
        }
        self.queue(place, message)
    }

    fn queue(&self, place: usize, message: &Message) -> Result<usize, LineFull> {
        let frame = Bytes::from(encode(message));
        let bytes = frame.len();
        let queue = self.queues[place].as_ref().ok_or(LineFull)?;
        self.waiting.send_modify(|waiting| waiting[place] += bytes);
        queue.try_send(frame).map_err(|_| LineFull)?;
        Ok(bytes)
    }

    /// Whether more of a class may be fetched.
    pub(super) fn has_room(&self, class: Class) -> bool {
        self.waiting.borrow()[place(StreamKind::Backlog(class))] < LOW_BYTES
    }

    /// Whether anything waits.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting.borrow().iter().any(|bytes| *bytes > 0)
    }

    /// Tells of every change of what waits.
    pub(super) fn watch(&self) -> watch::Receiver<Waiting> {
        self.waiting.subscribe()
    }

    fn open(&mut self, place: usize, stream: Option<SendStream>, spawn: &dyn Spawn) {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        self.queues[place] = Some(queue);
        let writer = Writer { place, frames, waiting: Arc::clone(&self.waiting) };
        let (connection, stopped) = (self.connection.clone(), self.stopped.clone());
        spawn.spawn(
            "north-writer",
            Box::pin(async move {
                if let Err(error) = writer.run(connection, stream).await {
                    // A lost connection is noticed without this; one word of several writers is enough.
                    let _told = stopped.try_send(error);
                }
            }),
        );
    }
}

/// Where a stream stands in the order.
fn place(kind: StreamKind) -> usize {
    match kind {
        StreamKind::Control | StreamKind::Enrol => 0,
        StreamKind::Backlog(class) => {
            1 + SENDING_ORDER.iter().position(|known| *known == class).unwrap_or(SENDING_ORDER.len() - 1)
        }
    }
}

/// quinn's priority of a place: the higher, the sooner.
fn priority(place: usize) -> i32 {
    i32::try_from(LINES - place).unwrap_or(0)
}

struct Writer {
    place: usize,
    frames: mpsc::Receiver<Bytes>,
    waiting: Arc<watch::Sender<Waiting>>,
}

impl Writer {
    async fn run(mut self, connection: Connection, stream: Option<SendStream>) -> Result<(), WriteError> {
        let mut stream = match stream {
            Some(stream) => stream,
            None => connection.open_uni().await?,
        };
        // An error means that the stream is closed, which the first write says too.
        drop(stream.set_priority(priority(self.place)));
        let mut turn = self.waiting.subscribe();
        while let Some(mut frame) = self.frames.recv().await {
            let bytes = frame.len();
            while !frame.is_empty() {
                let place = self.place;
                // The sender lives as long as this writer: waiting for it cannot fail.
                drop(turn.wait_for(|waiting| waiting[..place].iter().all(|bytes| *bytes == 0)).await);
                let mut piece = [frame.split_to(frame.len().min(PIECE_BYTES))];
                stream.write_all_chunks(&mut piece).await?;
            }
            self.waiting.send_modify(|waiting| waiting[self.place] -= bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_goes_first_then_alarms_and_bulk_last() {
        let order = [
            StreamKind::Control,
            StreamKind::Backlog(Class::Alarm),
            StreamKind::Backlog(Class::Meta),
            StreamKind::Backlog(Class::Event),
            StreamKind::Backlog(Class::Audit),
            StreamKind::Backlog(Class::Telemetry),
            StreamKind::Backlog(Class::Rollup),
            StreamKind::Backlog(Class::Bulk),
        ];
        for (at, kind) in order.into_iter().enumerate() {
            assert_eq!(place(kind), at, "{kind:?}");
            assert_eq!(priority(at), 8 - i32::try_from(at).unwrap());
        }
    }
}
