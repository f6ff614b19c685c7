//! What every daemon here stands on. Nothing in here knows what a daemon does: keys, routes, tasks and words of their
//! own stay with it.

pub mod cli;
pub mod config;
pub mod http;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod number_text;
pub mod pulse;
pub mod service_manager;
pub mod signals;
pub mod supervisor;
pub mod time_text;
pub mod value_text;
