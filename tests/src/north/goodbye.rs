//! How a connection ended, and what was said before.

use std::time::Duration;

use northbound_wire::{FrameReader, Message, Refusal, RefusalCode};
use quinn::{Connection, ConnectionError, RecvStream};
use tokio::time::timeout;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The end of a connection, as this side saw it.
#[derive(Clone, Debug, Default)]
pub struct Goodbye {
    /// What the other end said on the stream that was listened to.
    pub said: Vec<Message>,
    /// The code it closed with; `None` when it did not close, or QUIC or TLS ended the connection.
    pub code: Option<RefusalCode>,
    /// The reason in words, of whatever ended the connection; empty when nothing did in time.
    pub reason: String,
}

impl Goodbye {
    /// The refusal among what was said.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.said
            .iter()
            .find_map(|message| if let Message::Refusal(refusal) = message { Some(refusal) } else { None })
    }

    /// Listens until the other end closes the connection, or the time is over.
    pub(super) async fn hear(connection: &Connection, stream: &mut RecvStream, time: Duration) -> Goodbye {
        let mut goodbye = Goodbye::default();
        let listening = async {
            let mut frames = FrameReader::default();
            while let Ok(Some(message)) = next_message(stream, &mut frames).await {
                goodbye.said.push(message);
            }
            connection.closed().await
        };
        if let Ok(error) = timeout(time, listening).await {
            goodbye.ended(&error);
        }
        goodbye
    }

    pub(super) fn of(error: &ConnectionError) -> Goodbye {
        let mut goodbye = Goodbye::default();
        goodbye.ended(error);
        goodbye
    }

    fn ended(&mut self, error: &ConnectionError) {
        self.reason = error.to_string();
        if let ConnectionError::ApplicationClosed(close) = error {
            let number = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
            self.code = Some(RefusalCode::from_number(number));
            self.reason = String::from_utf8_lossy(&close.reason).into_owned();
        }
    }
}

/// The next message of a stream; `Ok(None)` at its end, an error when no message comes of it.
pub(super) async fn next_message(
    stream: &mut RecvStream,
    frames: &mut FrameReader,
) -> Result<Option<Message>, String> {
    loop {
        if let Some((message, _)) = frames.read().map_err(|e| e.to_string())? {
            return Ok(Some(message));
        }
        match stream.read_chunk(CHUNK_BYTES, true).await.map_err(|e| e.to_string())? {
            Some(chunk) => frames.extend(&chunk.bytes),
            None => return Ok(None),
        }
    }
}
