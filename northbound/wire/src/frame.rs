//! Frames: four bytes of length, big-endian, then a message. Bytes of the peer are not believed: lengths are checked
//! before anything is allocated for them.

use prost::Message as _;
use thiserror::Error;

use crate::convert;
use crate::limits::FRAME_BYTES_MAX;
use crate::message::Message;
use crate::proto;

const LENGTH_BYTES: usize = 4;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length says more than is allowed.
    #[error("a frame of {found} bytes is longer than the {max} allowed")]
    TooLarge {
        /// What the length says.
        found: usize,
        /// [`FRAME_BYTES_MAX`].
        max: usize,
    },
    /// The bytes are not protobuf of this shape.
    #[error("a frame does not decode: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A field breaks its limit or its meaning.
    #[error("a frame does not decode: {0}")]
    Malformed(&'static str),
    /// A kind of message this version does not know.
    #[error("a frame holds no message that this version knows")]
    Unknown,
}

/// A message with its length in front.
pub fn encode(message: &Message) -> Vec<u8> {
    let frame = convert::to_proto(message);
    let length = frame.encoded_len();
    assert!(length <= FRAME_BYTES_MAX, "the limits keep every message of ours within a frame");
    let mut out = Vec::with_capacity(LENGTH_BYTES + length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    frame.encode(&mut out).expect("a vector grows as needed");
    out
}

/// A message from its bytes, without the length.
pub fn decode(bytes: &[u8]) -> Result<Message, FrameError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { found: bytes.len(), max: FRAME_BYTES_MAX });
    }
    convert::from_proto(proto::Frame::decode(bytes)?)
}

/// Cuts the bytes of a stream into messages. Holds one frame at most.
#[derive(Debug, Default)]
pub struct FrameReader {
    held: Vec<u8>,
}

impl FrameReader {
    /// Takes in bytes. Hand over no more than a few frames at a time: what is held is bounded by what is handed over
    /// between two calls of [`FrameReader::read`] that return `None`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole message, with the bytes it took on the wire. After an error the stream is of no use any more.
    pub fn read(&mut self) -> Result<Option<(Message, usize)>, FrameError> {
        let Some((length, rest)) = self.held.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { found: length, max: FRAME_BYTES_MAX });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = decode(body)?;
        self.held.drain(..LENGTH_BYTES + length);
        Ok(Some((message, LENGTH_BYTES + length)))
    }

    /// Whether part of a frame is held: a stream that ends now was cut.
    pub fn is_partial(&self) -> bool {
        !self.held.is_empty()
    }
}
