//! The daemon's log: one line per event on stderr, where systemd picks it up.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use super::args::LogLevel;
use super::failure::Failure;

/// Starts logging at the flag's level, else RELAIS_LOG's, else info.
pub(super) fn start(flag: Option<LogLevel>) -> Result<(), Failure> {
    let level = match flag {
        Some(level) => filter(level),
        None => from_environment()?,
    };
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .with_filter(ours(level));
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::failed(format!("the log cannot be started: {error}")))
}

/// The message router calls each of its own steps an event worth telling; its warnings are enough.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_default(level).with_target("rumqttd", level.min(LevelFilter::WARN))
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
