//! Simulated devices of a site, for tests and demonstrations: they answer as real ones do, and misbehave when told to.
//!
//! [`modbus`] is a Modbus TCP server, [`sensors`] are devices that speak MQTT, [`UdpProxy`] is a link that can be cut, and
//! [`site`] is all of it together with a disk that can be filled. [`control`] lets another program change what is
//! simulated while it runs, and [`client`] is that program's end. The binary `relais-sim` starts them; `relais-demo` puts
//! a hub and a central beside them. Depends on nothing of ours, so that a test never checks our code against itself.

pub mod client;
mod clock;
pub mod control;
mod disk;
pub mod modbus;
mod random;
pub mod sensors;
pub mod site;
mod suggest;
mod udp_proxy;
mod worker;

pub use disk::DiskError;
pub use random::Random;
pub use udp_proxy::{Relayed, UdpProxy};
