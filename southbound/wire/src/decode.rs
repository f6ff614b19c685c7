//! From bytes to a [`DeviceMessage`](crate::DeviceMessage), within limits.

use crate::{Decoded, IngestKind, PayloadError, event, parse_topic, telemetry};

/// Bounds of one message. Smaller ones refuse more; larger ones cost memory per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest payload, in bytes.
    pub payload_bytes_max: usize,
    /// Most readings in one payload, refused ones included.
    pub readings_max: usize,
}

impl Default for Limits {
    /// 256 KiB and 4,096 readings: one message stays one record of the log, and one slow device one short job.
    fn default() -> Limits {
        Limits { payload_bytes_max: 256 * 1024, readings_max: 4096 }
    }
}

/// What a payload on an ingest topic says.
///
/// Readings that cannot be held are left out and listed; everything else that is wrong refuses the whole message.
pub fn decode(kind: IngestKind<'_>, payload: &[u8], limits: &Limits) -> Result<Decoded, PayloadError> {
    if payload.len() > limits.payload_bytes_max {
        return Err(PayloadError::TooLong { found: payload.len(), allowed: limits.payload_bytes_max });
    }
    let text = std::str::from_utf8(payload).map_err(|_| PayloadError::NotUtf8)?;
    match kind {
        IngestKind::Telemetry => telemetry::decode(text, limits),
        IngestKind::TelemetryMetric(metric) => telemetry::decode_scalar(metric, text),
        IngestKind::Event => event::decode(text),
    }
}

/// For fuzzing: the first line is a topic, the rest its payload. Must never panic.
pub fn fuzz_decode(data: &[u8]) {
    let at = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (topic, payload) = data.split_at(at);
    let payload = payload.get(1..).unwrap_or_default();
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    if let Ok(Some(native)) = parse_topic(topic)
        && let Some(kind) = native.kind.ingest()
    {
        drop(decode(kind, payload, &Limits::default()));
    }
    for kind in [IngestKind::Telemetry, IngestKind::Event] {
        drop(decode(kind, payload, &Limits::default()));
    }
}
