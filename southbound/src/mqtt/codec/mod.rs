//! The server's side of MQTT 3.1.1 and 5, as bytes.
//!
//! Owns the wire form: what a client may send, strictly, and what the server answers. Leaves meaning, order and
//! access to the session. No input panics, no announced length is trusted. The standards are
//! [mqtt-v3.1.1](https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html) and
//! [mqtt-v5.0](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html).

mod connect;
mod decode;
pub mod encode;
mod error;
mod packet;
mod properties;
mod read;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use decode::connect_version;
pub use decode::decode;
pub use error::DecodeError;
pub use packet::{
    Connect, Disconnect, FilterRequest, Packet, Publish, Qos, Subscribe, Unsubscribe, Version, Will,
};
pub use read::Text;

/// For fuzzing: the first byte picks version and state, the rest is a stream. Must never panic.
pub fn fuzz_decode(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else { return };
    let mut version = match choice % 3 {
        0 => None,
        1 => Some(Version::V4),
        _ => Some(Version::V5),
    };
    let mut buffer = bytes::BytesMut::from(stream);
    while let Ok(Some(packet)) = decode(&mut buffer, version, 64 * 1024) {
        if let Packet::Connect(connect) = packet {
            version = Some(connect.version);
        }
    }
}
