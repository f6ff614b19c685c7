//! A Modbus TCP server whose devices can misbehave.
//!
//! It answers functions 1 to 4 with the limits and exceptions of the Modbus Application Protocol V1.1b3, and every other
//! function with exception 1. It works on bytes, not on a Modbus library: faults are bytes that a library would not
//! send. Who reads them must find every fault, or never take its values as good.
//!
//! A request goes through three parts. `bus` decides without sockets and clock what is answered; `effect` bends the
//! answer as the first [`Fault`] in force asks, into steps; `connection` takes the steps. Each connection sends in the
//! order of the requests, so that a late answer holds back those behind it.
//!
//! ```
//! use relais_sim::modbus::{Fault, Options, Scope, Server};
//!
//! let server = Server::start(Options { dead: [4].into(), ..Options::default() })?;
//! server.set_fault(Fault::Tid, Scope::unit(3).times(1));
//! server.set_rule("late:1500 unit=5".parse()?);
//! println!("poll {}", server.address());
//! assert_eq!(server.counts().requests, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bus;
mod connection;
mod counts;
mod effect;
mod fault;
mod frame;
mod lists;
pub mod pattern;
pub mod sdm630;
mod server;

#[cfg(test)]
mod tests;

pub use counts::{ConnectionCounts, Counts, UnitCounts};
pub use fault::{Fault, Rule, Scope, SpecError};
pub use lists::{Addresses, ListError, Units};
pub use server::{Device, Options, Server, StartError, UnknownDevice};

/// Connections at once. Further ones are closed at once: a poller needs one, and a leak should show.
pub const CONNECTIONS_MAX: u64 = 64;
