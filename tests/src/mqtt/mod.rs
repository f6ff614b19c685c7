//! MQTT by hand: packets byte by byte, for what no proper client would send.

mod client;
mod packet;

pub use client::{Connected, RawClient};
pub use packet::{Connect, Publish, Version, packet, subscribe, with_length};
