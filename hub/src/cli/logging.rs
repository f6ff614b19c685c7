//! The daemon's log: one line per event on stderr, where systemd picks it up.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use super::args::LogLevel;
use super::failure::Failure;

/// Starts logging at the flag's level, else RELAIS_LOG's, else info.
pub(super) fn start(flag: Option<LogLevel>) -> Result<(), Failure> {
    let level = match flag {
        Some(level) => filter(level),
        None => from_environment()?,
    };
    let subscriber = fmt::Subscriber::builder()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .finish();
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::failed(format!("the log cannot be started: {error}")))
}

fn from_environment() -> Result<LevelFilter, Failure> {
    match std::env::var("RELAIS_LOG") {
        Err(_) => Ok(LevelFilter::INFO),
        Ok(text) => text.parse().map_err(|_| {
            let message = format!("RELAIS_LOG={text}: use error, warn, info, debug or trace");
            Failure::Told(2, message)
        }),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
