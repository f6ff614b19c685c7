//! The contract between hub and central: messages, frames, limits, versions, refusals, names and claim tokens.
//!
//! `proto/relais/north/v1/north.proto` is the public description; [`Message`] is what programs here work with, checked
//! on the way in ([`decode`]) and out ([`encode`]). Nothing here connects, stores or decides.

mod claim;
mod convert;
mod frame;
pub mod limits;
mod message;
mod names;
mod refusal;
mod version;

/// What prost makes of the .proto file.
#[expect(unreachable_pub, reason = "generated; the .proto file documents it")]
#[expect(clippy::all, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/relais.north.v1.rs"));
}

pub use claim::{AdminToken, ClaimToken, Fingerprint, TokenError, TokenSecret};
pub use frame::{FrameError, FrameReader, decode, encode};
pub use message::{
    Ack, Block, Credit, EnrolAnswer, EnrolRequest, GapNotice, HeldLane, Hello, Lane, Message, Resume, Run,
    StreamHead, StreamKind, WantedLane, ZeroGap,
};
pub use names::{ALPN_ENROL, ALPN_SYNC, CENTRAL_NAME, SYNC_PORT};
pub use refusal::{Refusal, RefusalCode, RefusedItem};
pub use version::{Versions, VersionsError};
