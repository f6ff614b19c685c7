//! Simulated devices of a site, for tests and demonstrations: they answer as real ones do, and misbehave when told to.
//!
//! [`modbus`] is a Modbus TCP server; [`control`] lets another program change it while it runs. The binary `relais-sim`
//! starts both. Depends on nothing of ours, so that a test never checks our code against itself.

mod clock;
pub mod control;
pub mod modbus;
mod random;
mod udp_proxy;
mod worker;

pub use random::Random;
pub use udp_proxy::{Relayed, UdpProxy};
