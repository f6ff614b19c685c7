//! Why a topic, a message or a reading is refused. Every error has a `reason()`: a stable kebab-case word for metric
//! labels, from a closed list.

use hub_model::{DeviceNameError, MetricNameError};
use thiserror::Error;

use crate::RefusedReading;

/// Why a topic under `relais/v1/` means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The device level is not a device name.
    #[error("topic's device level is not a device name")]
    Device(#[source] DeviceNameError),
    /// The metric level is not a metric name.
    #[error("topic's metric level is not a metric name")]
    Metric(#[source] MetricNameError),
    /// The metric level is `ts`, which is the time wherever readings stand in an object.
    #[error("metric name `ts` is reserved: it is the time of an object of metrics")]
    ReservedMetric,
    /// What follows the device is none of the known kinds.
    #[error(
        "topic's part after the device is none of telemetry, event, state, desired, command, result, hello"
    )]
    Kind,
}

impl TopicError {
    /// Stable word for metric labels.
    pub const fn reason(&self) -> &'static str {
        match self {
            TopicError::Device(_) => "topic-device",
            TopicError::Metric(_) => "topic-metric",
            TopicError::ReservedMetric => "topic-metric-reserved",
            TopicError::Kind => "topic-kind",
        }
    }
}

/// Why a whole message is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Longer than [`crate::Limits::payload_bytes_max`].
    #[error("payload has {found} bytes, at most {allowed} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// Not UTF-8.
    #[error("payload is not UTF-8")]
    NotUtf8,
    /// Not one JSON text: a syntax error, or bytes behind it.
    #[error("payload is not one JSON text (line {line}, column {column})")]
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1, in bytes.
        column: usize,
    },
    /// JSON, but not of the kind this topic takes.
    #[error("payload is not {expected}")]
    WrongType {
        /// What the topic takes.
        expected: &'static str,
    },
    /// An empty object or array, or an object of nothing but `ts`.
    #[error("payload has nothing in it")]
    Empty,
    /// A key twice in one object: which one is meant is anybody's guess.
    #[error("payload has a key twice in one object")]
    DuplicateKey,
    /// More readings than [`crate::Limits::readings_max`].
    #[error("payload has more than {allowed} readings")]
    TooManyReadings {
        /// Readings allowed.
        allowed: usize,
    },
    /// `ts` is not an integer of milliseconds since 1970, up to the end of year 9999.
    #[error("`ts` is not an integer from 0 to 253402300799999 (milliseconds since 1970)")]
    BadTs,
    /// An event's key is not known.
    #[error("event has an unknown key; known are id, severity, code, text, ts, params")]
    UnknownKey,
    /// An event lacks a key.
    #[error("event has no `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// An event's value has the wrong type or is out of bounds.
    #[error("event's `{key}` is not {expected}")]
    BadField {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Every reading was refused, so nothing is left to store.
    #[error("none of the payload's {} readings can be used", refused.len())]
    EveryReadingRefused {
        /// All of them; never empty.
        refused: Vec<RefusedReading>,
    },
}

impl PayloadError {
    /// Stable word for metric labels.
    pub const fn reason(&self) -> &'static str {
        match self {
            PayloadError::TooLong { .. } => "payload-too-long",
            PayloadError::NotUtf8 => "not-utf8",
            PayloadError::NotJson { .. } => "not-json",
            PayloadError::WrongType { .. } => "wrong-type",
            PayloadError::Empty => "empty",
            PayloadError::DuplicateKey => "duplicate-key",
            PayloadError::TooManyReadings { .. } => "too-many-readings",
            PayloadError::BadTs => "bad-ts",
            PayloadError::UnknownKey => "unknown-key",
            PayloadError::MissingKey { .. } => "missing-key",
            PayloadError::BadField { .. } => "bad-field",
            PayloadError::EveryReadingRefused { .. } => "every-reading-refused",
        }
    }
}

/// Why one reading is refused while the rest of its message stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// The key is not a metric name.
    #[error("key is not a metric name")]
    MetricName(#[source] MetricNameError),
    /// The value is an object or array.
    #[error("value is an object or array, not a scalar")]
    Nested,
    /// The string is longer than [`hub_model::TEXT_BYTES_MAX`].
    #[error("string has {found} bytes, at most 4096 are allowed")]
    StringTooLong {
        /// Bytes found, escapes resolved.
        found: usize,
    },
    /// The string has an escape that is no Unicode character (a lone surrogate).
    #[error("string is not Unicode text")]
    StringNotText,
    /// An integer that f64 cannot hold exactly; send it as a string or with a decimal point.
    #[error("integer cannot be held exactly as a 64-bit float")]
    InexactInteger,
    /// Beyond the range of f64.
    #[error("number is beyond the range of a 64-bit float")]
    NumberTooLarge,
}

impl ReadingError {
    /// Stable word for metric labels.
    pub const fn reason(&self) -> &'static str {
        match self {
            ReadingError::MetricName(_) => "metric-name",
            ReadingError::Nested => "nested",
            ReadingError::StringTooLong { .. } => "string-too-long",
            ReadingError::StringNotText => "string-not-text",
            ReadingError::InexactInteger => "inexact-integer",
            ReadingError::NumberTooLarge => "number-too-large",
        }
    }
}
