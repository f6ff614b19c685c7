//! The site daemon `relais-hub`: joins the broker, the telemetry log and the local API into one process.

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod intake;
pub mod metrics;
pub mod number_text;
pub mod socket;
pub mod supervisor;
pub mod time_text;
pub mod web;
