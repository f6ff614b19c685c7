//! Events: things that happened, as records.

use crate::{BootStamp, DeviceId, Stamp};

/// How much an event asks for a human. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// For the record.
    Info = 0,
    /// Unusual but working.
    Warning = 1,
    /// Someone must act; class alarm.
    Alarm = 2,
}

impl Severity {
    /// The severity of a fixed number.
    pub const fn from_number(number: u8) -> Option<Severity> {
        match number {
            0 => Some(Severity::Info),
            1 => Some(Severity::Warning),
            2 => Some(Severity::Alarm),
            _ => None,
        }
    }

    /// The lowercase word used on the wire and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who the event is told apart by where the teller gave it an id; at most 64 bytes, empty otherwise.
    pub id: Box<str>,
    /// How much it asks for a human.
    pub severity: Severity,
    /// A short machine-readable code of at most 64 bytes.
    pub code: Box<str>,
    /// Names of at most 64 bytes and values of at most 256 that belong to the code; at most 32 pairs.
    pub params: Vec<(Box<str>, Box<str>)>,
    /// A sentence for people, of at most 4096 bytes.
    pub text: Box<str>,
}

/// An event with its place and time, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The device that told of it; `None` for the hub itself.
    pub device: Option<DeviceId>,
    /// When it happened.
    pub stamp: Stamp,
    /// When the hub had it.
    pub received: BootStamp,
    /// What happened.
    pub event: Event,
}
