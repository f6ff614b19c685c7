//! What callers hand to the log, and what is refused at its door.

use hub_model::{BootId, BootStamp, Class, EventRecord, Sample, Severity, Stamp, TEXT_BYTES_MAX, Value};
use thiserror::Error;

use crate::record::{
    DICTIONARY_MAX, Definition, EVENT_CODE_BYTES_MAX, EVENT_PARAM_BYTES_MAX, EVENT_PARAMS_MAX,
    LABEL_BYTES_MAX,
};

/// The most records in one [`Append`]: a poll or a message, not an import.
pub const APPEND_RECORDS_MAX: usize = 16_384;

/// One atomic group: after a crash all of it is there or none. Definitions stand ahead of what uses them.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// Devices, series and clock records first used here.
    pub definitions: Vec<Definition>,
    /// Readings, in the order they should be numbered.
    pub samples: Vec<Sample>,
    /// The class of all of `samples`.
    pub sample_class: SampleClass,
    /// Events; their severity gives their class.
    pub events: Vec<EventRecord>,
    /// Recognises a QoS 1 resend.
    pub mark: Option<PublishMark>,
    /// Who waits for it.
    pub urgency: Urgency,
    /// The publisher that waits, where it is known whether it can send more meanwhile.
    pub publisher: Option<Publisher>,
}

/// A publisher that waits for its acknowledgement. When every one that waits is at its limit, nothing more can come, and
/// the commit starts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Tells it from the others that are there now.
    pub id: u64,
    /// Whether it must hear of this before it may send more.
    pub at_limit: bool,
}

/// The two classes samples can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SampleClass {
    /// The ordinary one.
    #[default]
    Telemetry,
    /// Waits longest, goes first when room runs out.
    Bulk,
}

impl SampleClass {
    /// As one of all classes.
    pub const fn class(self) -> Class {
        match self {
            SampleClass::Telemetry => Class::Telemetry,
            SampleClass::Bulk => Class::Bulk,
        }
    }
}

/// How long an append may wait for others to share its fsync. The strictest of those waiting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// Nobody waits: at most 1 s (5 s with [`crate::LogLimits::wear_saver`]), or until 64 KiB are pending. With events
    /// or definitions, the same as [`Urgency::Publisher`].
    #[default]
    Lazy,
    /// A publisher waits for its acknowledgement: until every publisher that waits is at its limit, or nothing came
    /// for 2 ms, at most 50 ms, or 64 KiB.
    Publisher,
    /// Alarms, and callers that send nothing more before this is stored: at once.
    Now,
}

/// Identifies one QoS 1 PUBLISH of a persistent session across a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishMark {
    /// The session's random number.
    pub incarnation: u64,
    /// The packet identifier.
    pub packet_id: u16,
    /// A hash of topic and payload.
    pub content_hash: u64,
    /// Only a PUBLISH with the DUP flag may be recognised; one without is always stored and replaces what was known.
    pub dup: bool,
}

/// What became of an append, said after the fsync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// It was a resend of something already on flash, and nothing was stored this time.
    pub duplicate: bool,
}

/// Why an append is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The append breaks a bound; it would be refused again.
    #[error("store: {0}")]
    Refused(#[from] RefusedAppend),
    /// The log's writer has stopped. Nobody was told that it is stored, and most likely it is not.
    #[error("store: the log is closed")]
    Closed,
}

/// The bound an append breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefusedAppend {
    /// More than [`APPEND_RECORDS_MAX`] records.
    #[error("{found} records in one append, at most 16384 are allowed")]
    TooManyRecords {
        /// Records found.
        found: usize,
    },
    /// Encoded, it does not fit into one commit.
    #[error("append has {found} bytes encoded, at most {max} fit into one commit")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A stamp of another boot than the log was opened in.
    #[error("a stamp is of another boot than this log was opened in")]
    ForeignBoot,
    /// A reading with neither a value nor a bad quality, or with both.
    #[error("a reading has no value exactly when its quality is bad")]
    ValueAndQuality,
    /// A text, list or dictionary beyond its bound.
    #[error("{what} is longer than allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
    },
}

impl Append {
    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.definitions.len() + self.samples.len() + self.events.len()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A bound on the bytes it takes in a commit, for admission before anything is encoded.
    pub fn weight(&self) -> usize {
        let samples: usize = self.samples.iter().map(|s| 48 + s.value.as_ref().map_or(0, value_weight)).sum();
        let events: usize = self.events.iter().map(event_weight).sum();
        let definitions: usize = self.definitions.iter().map(definition_weight).sum();
        let mark = if self.mark.is_some() { 32 } else { 0 };
        samples + events + definitions + mark
    }

    /// Checks every bound the formats rely on.
    pub(crate) fn check(&self, boot: BootId) -> Result<(), RefusedAppend> {
        let found = self.len();
        if found > APPEND_RECORDS_MAX {
            return Err(RefusedAppend::TooManyRecords { found });
        }
        self.samples.iter().try_for_each(|s| check_sample(s, boot))?;
        self.events.iter().try_for_each(|e| check_event(e, boot))?;
        self.definitions.iter().try_for_each(check_definition)
    }

    /// The urgency with the strictest class taken into account.
    pub(crate) fn effective_urgency(&self) -> Urgency {
        if self.events.iter().any(|e| e.event.severity == Severity::Alarm) {
            Urgency::Now
        } else if self.is_precious() {
            self.urgency.max(Urgency::Publisher)
        } else {
            self.urgency
        }
    }

    /// Whether anything of classes 0–3 is in it. Such an append goes as a whole where samples alone must wait.
    pub const fn is_precious(&self) -> bool {
        !self.events.is_empty() || !self.definitions.is_empty()
    }
}

/// The class of an event.
pub(crate) const fn event_class(record: &EventRecord) -> Class {
    match record.event.severity {
        Severity::Alarm => Class::Alarm,
        Severity::Info | Severity::Warning => Class::Event,
    }
}

fn event_weight(record: &EventRecord) -> usize {
    let event = &record.event;
    let params: usize = event.params.iter().map(|(name, value)| 8 + name.len() + value.len()).sum();
    96 + event.id.len() + event.code.len() + event.text.len() + params
}

fn definition_weight(definition: &Definition) -> usize {
    match definition {
        Definition::Device(device) => 48 + device.name.as_str().len(),
        Definition::Series(series) => {
            let labels: usize = series.dictionary.iter().map(|(_, label)| 16 + label.len()).sum();
            64 + series.key.metric.as_str().len() + series.key.unit.as_str().len() + labels
        }
        Definition::Clock(_) => 80,
    }
}

fn value_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::F64(_) | Value::F32(_) | Value::I64(_) | Value::U64(_) | Value::Bool(_) | Value::Enum(_) => 0,
    }
}

fn check_stamps(stamp: &Stamp, received: BootStamp, boot: BootId) -> Result<(), RefusedAppend> {
    let observed = match stamp {
        Stamp::Boot(at) => at.boot,
        Stamp::Wall(..) => received.boot,
    };
    if observed == boot { Ok(()) } else { Err(RefusedAppend::ForeignBoot) }
}

fn check_sample(sample: &Sample, boot: BootId) -> Result<(), RefusedAppend> {
    check_stamps(&sample.stamp, sample.received, boot)?;
    if sample.value.is_none() != sample.quality.is_bad() {
        return Err(RefusedAppend::ValueAndQuality);
    }
    bound(sample.value.as_ref().map_or(0, value_weight), TEXT_BYTES_MAX, "value")
}

fn check_event(record: &EventRecord, boot: BootId) -> Result<(), RefusedAppend> {
    check_stamps(&record.stamp, record.received, boot)?;
    let event = &record.event;
    bound(event.id.len(), EVENT_CODE_BYTES_MAX, "event id")?;
    bound(event.code.len(), EVENT_CODE_BYTES_MAX, "event code")?;
    bound(event.text.len(), TEXT_BYTES_MAX, "event text")?;
    bound(event.params.len(), EVENT_PARAMS_MAX, "list of event params")?;
    for (name, value) in &event.params {
        bound(name.len(), EVENT_CODE_BYTES_MAX, "name of an event param")?;
        bound(value.len(), EVENT_PARAM_BYTES_MAX, "value of an event param")?;
    }
    Ok(())
}

fn check_definition(definition: &Definition) -> Result<(), RefusedAppend> {
    if let Definition::Series(series) = definition {
        bound(series.dictionary.len(), DICTIONARY_MAX, "dictionary")?;
        for (_, label) in &series.dictionary {
            bound(label.len(), LABEL_BYTES_MAX, "dictionary label")?;
        }
    }
    Ok(())
}

fn bound(found: usize, max: usize, what: &'static str) -> Result<(), RefusedAppend> {
    if found > max { Err(RefusedAppend::TooLong { what }) } else { Ok(()) }
}
