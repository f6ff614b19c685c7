//! Modbus: meters, inverters and controllers that answer when they are asked.
//!
//! Cores without I/O, each with its tests: [`register`] and [`decode`] say what bytes mean, [`plan`] which requests read
//! a group, [`schedule`] who is asked when and what follows from the answer, [`frame`] whether an answer is the answer,
//! [`report`] which readings become samples. Around them: `transport` and `client` (tokio-modbus over a connection that
//! checks), `link` (one task for each endpoint) and [`Poller`], which owns the links and takes new device lists.
//! [`profile`] and [`mod@file`] read devices from TOML.
//!
//! The invariant: never a wrong value. What cannot be told from a wrong answer is no answer.

pub mod address;
mod client;
pub mod decode;
pub mod device;
pub mod file;
pub mod frame;
mod link;
pub mod order;
pub mod plan;
mod poller;
pub mod profile;
pub mod register;
pub mod report;
mod resolve;
pub mod scale;
pub mod schedule;
mod test;
#[cfg(test)]
mod testing;
mod transport;
mod view;

pub use client::Outcome;
pub use poller::{Poller, TestError};
pub use test::{Exchanged, TestReport, Tested, exception_text, is_gateway_exception};
pub use view::{DeviceState, DeviceView};
