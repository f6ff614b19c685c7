//! Reads one stream: checks what it is for, cuts it into messages, and hands them on in order.
//!
//! The queue behind it is bounded; when it is full nothing is read, and QUIC's flow control holds the hub back.

use northbound_wire::{FrameError, FrameReader, Message, Refusal, RefusalCode, StreamKind};
use quinn::{ReadError, RecvStream};
use tokio::sync::mpsc;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What arrives on a stream.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A message that belongs on its stream.
    Message(Message),
    /// Something that does not: the connection must end.
    Broken(Refusal),
    /// The hub has ended the control stream: it leaves.
    Left,
}

/// A stream that is read frame by frame.
#[derive(Debug)]
pub(super) struct Reader {
    stream: RecvStream,
    frames: FrameReader,
}

impl Reader {
    pub(super) fn new(stream: RecvStream) -> Reader {
        Reader { stream, frames: FrameReader::default() }
    }

    /// The next message; `None` when the stream is over. The error says what the hub is told; `None` in it means that
    /// the connection is gone.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Option<Refusal>> {
        loop {
            match self.frames.read() {
                Ok(Some((message, _))) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => return Err(Some(refusal(&error))),
            }
            match self.stream.read_chunk(CHUNK_BYTES, true).await {
                Ok(Some(chunk)) => self.frames.extend(&chunk.bytes),
                Ok(None) if self.frames.is_partial() => {
                    return Err(Some(Refusal::ending(
                        RefusalCode::Malformed,
                        "a stream ends within a frame",
                    )));
                }
                Ok(None) | Err(ReadError::Reset(_)) => return Ok(None),
                Err(_) => return Err(None),
            }
        }
    }

    /// What the stream is for.
    pub(super) async fn head(&mut self) -> Result<StreamKind, Option<Refusal>> {
        match self.next().await? {
            Some(Message::StreamHead(head)) => Ok(head.kind),
            _ => Err(Some(Refusal::ending(RefusalCode::Unexpected, "a stream does not begin with its head"))),
        }
    }

    /// Hands everything on until the stream or the connection is over.
    pub(super) async fn run(mut self, kind: StreamKind, out: mpsc::Sender<Arrived>) {
        loop {
            let arrived = match self.next().await {
                Ok(Some(message)) if belongs(kind, &message) => Arrived::Message(message),
                Ok(Some(_)) => Arrived::Broken(Refusal::ending(
                    RefusalCode::Unexpected,
                    "a message that has no place on its stream",
                )),
                Ok(None) if kind == StreamKind::Control => Arrived::Left,
                Ok(None) | Err(None) => return,
                Err(Some(refusal)) => Arrived::Broken(refusal),
            };
            let last = !matches!(arrived, Arrived::Message(_));
            if out.send(arrived).await.is_err() || last {
                return;
            }
        }
    }
}

fn belongs(kind: StreamKind, message: &Message) -> bool {
    match (kind, message) {
        (StreamKind::Control, Message::Hello(_) | Message::Refusal(_)) => true,
        (StreamKind::Backlog(class), Message::Block(block)) => block.lane.class == class,
        (StreamKind::Backlog(class), Message::Gap(gap)) => gap.lane.class == class,
        _ => false,
    }
}

fn refusal(error: &FrameError) -> Refusal {
    let code = match error {
        FrameError::TooLarge { .. } => RefusalCode::FrameTooLarge,
        FrameError::Protobuf(_) | FrameError::Malformed(_) => RefusalCode::Malformed,
        FrameError::Unknown => RefusalCode::Unexpected,
    };
    Refusal::ending(code, error.to_string())
}
