//! The contract between devices and the hub: topics and JSON payloads under `relais/v1/`.
//!
//! Owns what a topic and its bytes mean, with their limits. Leaves MQTT itself, access and storage to `southbound`
//! and the hub. Nothing here does I/O or reads a clock, and no input panics: every decoder takes `&[u8]`, is bounded
//! by [`Limits`] and does not recurse. Start with [`parse_topic`] and [`decode`].

mod decode;
mod error;
mod event;
mod json;
mod message;
mod number;
mod telemetry;
mod topic;

pub use decode::{Limits, decode, fuzz_decode};
pub use error::{PayloadError, ReadingError, TopicError};
pub use message::{Decoded, DeviceEvent, DeviceMessage, Reading, RefusedReading};
pub use topic::{IngestKind, NativeTopic, PREFIX, TopicKind, parse_topic};
