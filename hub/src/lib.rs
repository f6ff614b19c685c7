//! The site daemon `relais-hub`: joins the broker, the pollers, the telemetry log and the local API into one process.

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod devices;
pub mod driver_tasks;
pub mod findings;
pub mod intake;
pub mod liveness;
pub mod north;
pub mod room;
pub mod roster;
pub mod settings;
pub mod socket;
pub mod wear;
pub mod web;
