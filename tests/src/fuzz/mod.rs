//! Fuzzing on a stable compiler: seeds, seeded mutations, and a net under every call.
//!
//! Owns making inputs and noticing what goes wrong with them. Leaves what is fed to [`TARGETS`]. An input is a function
//! of the run's seed and its number, so a failure can be made again from two numbers; the input itself is saved, too.
//! Start with [`run`].

mod agent;
mod codec;
mod corpus;
mod modbus;
mod mutate;
mod north;
mod run;
mod store;
mod targets;

pub use run::{Failure, Limit, Outcome, replay, run};
pub use targets::{TARGETS, Target, target};
