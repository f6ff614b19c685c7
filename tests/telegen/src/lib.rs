//! Deterministic telemetry of a made-up site: the reference mix behind every figure in bytes or nanoseconds per point.
//!
//! Owns the mix: which kinds of series a site has ([`KINDS`]), how their values move, and when devices are read. Leaves to
//! others what is done with the points. A site is a function of its seed and nothing else; figures of two programs compare
//! when both name the number of series and the seed. Start with [`Site`].
//!
//! A device is read as one group (a Modbus poll, an MQTT message), so that all its series share the millisecond. One fifth
//! of the devices is read every second, half every 10 s, the rest every 60 s. A reading comes late by |N(0, 6 ms)|, one in
//! a hundred by another 50 to 800 ms, and one in five hundred does not come at all. Values have the resolution of real
//! sensors.

mod kind;
mod random;
mod site;

pub use kind::{KINDS, Kind};
pub use random::Random;
pub use site::{BOOT, Point, Reading, Site, T0_MS};
