//! A daemon's log: one line per event on stderr. The journal of systemd is told the level its own way, and no time.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::{Failure, exit};
use crate::journal::{self, ToJournal};

/// The variable that says the level where no flag does.
const VARIABLE: &str = "RELAIS_LOG";

/// The least severe level that is printed, as a flag says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Unusual, but working.
    Warn,
    /// The state changed.
    Info,
    /// Why.
    Debug,
    /// Each message.
    Trace,
}

/// By hand: derived, the comments above would be part of each program's help.
impl ValueEnum for LogLevel {
    fn value_variants<'a>() -> &'a [LogLevel] {
        &[LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }))
    }
}

/// Starts logging at the flag's level, else that of `RELAIS_LOG`, else info. Of the targets in `warnings_only`,
/// libraries that tell each of their own steps, nothing below a warning is printed.
pub fn start(flag: Option<LogLevel>, warnings_only: &[&str]) -> Result<(), Failure> {
    let level = match flag {
        Some(level) => filter(level),
        None => from_environment()?,
    };
    let quiet = warnings_only.iter().map(|target| (*target, level.min(LevelFilter::WARN)));
    let shown = Targets::new().with_default(level).with_targets(quiet);
    let lines = fmt::layer()
        .with_target(false)
        // A line that cannot be written is lost: telling of it on the same stderr would panic.
        .log_internal_errors(false)
        .compact();
    if journal::takes(&io::stderr()) {
        let lines = lines.with_ansi(false).without_time().with_writer(ToJournal);
        start_with(tracing_subscriber::registry().with(lines.with_filter(shown)))
    } else {
        let lines = lines.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
        start_with(tracing_subscriber::registry().with(lines.with_filter(shown)))
    }
}

fn start_with(subscriber: impl Subscriber + Send + Sync) -> Result<(), Failure> {
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::failed(format!("the log cannot be started: {error}")))
}

fn from_environment() -> Result<LevelFilter, Failure> {
    match std::env::var(VARIABLE) {
        Err(_) => Ok(LevelFilter::INFO),
        Ok(text) => text.parse().map_err(|_| {
            let message = format!("{VARIABLE}={text}: use error, warn, info, debug or trace");
            Failure::Told(exit::USAGE, message)
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
