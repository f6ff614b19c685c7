//! Lines on standard error, for a person or the journal.

use std::fmt;
use std::io::Write;

/// How much a line asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Unusual, but working.
    Warn,
    /// State changed.
    Info,
    /// Why.
    Debug,
}

impl Level {
    /// Reads a level's name.
    pub fn parse(text: &str) -> Option<Level> {
        match text {
            "error" => Some(Level::Error),
            "warn" => Some(Level::Warn),
            "info" => Some(Level::Info),
            "debug" => Some(Level::Debug),
            _ => None,
        }
    }
}

/// Where lines go, and which.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    level: Level,
    journal: bool,
}

impl Log {
    /// Lines up to `level`. With `journal` each begins with the number of its priority, which the journal takes off.
    pub fn new(level: Level, journal: bool) -> Log {
        Log { level, journal }
    }

    /// Writes a line. That nobody reads it is no reason to fail.
    pub fn line(&self, level: Level, text: impl fmt::Display) {
        if level > self.level {
            return;
        }
        let (priority, word) = match level {
            Level::Error => ("<3>", "ERROR"),
            Level::Warn => ("<4>", " WARN"),
            Level::Info => ("<6>", " INFO"),
            Level::Debug => ("<7>", "DEBUG"),
        };
        let start = if self.journal { priority } else { word };
        let gap = if self.journal { "" } else { " " };
        writeln!(std::io::stderr(), "{start}{gap}{text}").ok();
    }
}
