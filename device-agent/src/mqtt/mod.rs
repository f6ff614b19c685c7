//! MQTT 3.1.1, as much of it as a publisher at QoS 1 needs.
//!
//! [`codec`] turns packets into bytes and back. [`Session`] decides: dialling with back-off, the greeting, what is in
//! flight, keep-alive. The socket is the shell's.

pub mod codec;
mod session;

pub use session::{
    BACKOFF_MAX, DownReason, IN_FLIGHT_MAX, KEEP_ALIVE, Output, SILENCE_MAX, Session, Settings, packet_id,
};
