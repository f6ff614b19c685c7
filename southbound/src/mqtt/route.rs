//! What becomes of a PUBLISH: decided from its topic, its payload and who sent it.

use hub_model::DeviceName;
use southbound_wire::{DeviceMessage, Limits, PayloadError, RefusedReading, decode, parse_topic};
use xxhash_rust::xxh3::Xxh3;

use super::access::Role;
use super::codec::Publish;

/// See the module.
#[derive(Debug)]
pub(crate) enum Route {
    /// Into the log, then to subscribers.
    Ingest { device: DeviceName, message: DeviceMessage, refused: Vec<RefusedReading> },
    /// To subscribers only.
    Broker,
    /// Nowhere.
    Refused(Refusal),
}

/// Why a PUBLISH goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For metrics.
    pub(crate) reason: &'static str,
    /// Reason code of version 5.
    pub(crate) code: u8,
    /// For the client's developer.
    pub(crate) text: Box<str>,
    /// The readings that were refused, when that is the reason.
    pub(crate) readings: Vec<RefusedReading>,
}

pub(crate) fn route(role: Role, publish: &Publish, limits: &Limits) -> Route {
    let topic = publish.topic.as_str();
    if !role.may_publish(topic) {
        return refused("not-authorized", 0x87, "this client may not publish on this topic".into());
    }
    let native = match parse_topic(topic) {
        Ok(Some(native)) => native,
        Ok(None) => return brokered(publish, limits),
        Err(error) => return refused(error.reason(), 0x90, with_source(&error)),
    };
    let Some(kind) = native.kind.ingest() else { return brokered(publish, limits) };
    match decode(kind, &publish.payload, limits) {
        Ok(decoded) => {
            Route::Ingest { device: native.device, message: decoded.message, refused: decoded.refused }
        }
        Err(error) => {
            let (reason, text) = (error.reason(), error.to_string());
            let readings =
                if let PayloadError::EveryReadingRefused { refused } = error { refused } else { Vec::new() };
            Route::Refused(Refusal { reason, code: 0x99, text: text.into(), readings })
        }
    }
}

/// The bound on payloads is the same as for messages that are stored.
fn brokered(publish: &Publish, limits: &Limits) -> Route {
    let (found, allowed) = (publish.payload.len(), limits.payload_bytes_max);
    if found <= allowed {
        return Route::Broker;
    }
    let error = PayloadError::TooLong { found, allowed };
    refused(error.reason(), 0x99, error.to_string().into())
}

fn refused(reason: &'static str, code: u8, text: Box<str>) -> Route {
    Route::Refused(Refusal { reason, code, text, readings: Vec::new() })
}

fn with_source(error: &dyn std::error::Error) -> Box<str> {
    match error.source() {
        Some(source) => format!("{error}: {source}").into(),
        None => error.to_string().into(),
    }
}

/// The hash of [`crate::ingest::PublishMark::content_hash`]: XXH3-64 over the topic's length (two bytes, big-endian),
/// the topic and the payload. It is compared with hashes on flash, so it never changes.
pub(crate) fn content_hash(publish: &Publish) -> u64 {
    let topic = publish.topic.bytes();
    let topic_len = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let mut hash = Xxh3::new();
    hash.update(&topic_len.to_be_bytes());
    hash.update(topic);
    hash.update(&publish.payload);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mqtt::codec::Qos;

    fn publish(topic: &str, payload: &'static str) -> Publish {
        Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic: topic.into(),
            id: 1,
            payload: Bytes::from_static(payload.as_bytes()),
            expiry_s: None,
            properties: Bytes::new(),
        }
    }

    fn refusal(topic: &str, payload: &'static str) -> (&'static str, u8) {
        match route(Role::Anonymous, &publish(topic, payload), &Limits::default()) {
            Route::Refused(refusal) => (refusal.reason, refusal.code),
            other @ (Route::Ingest { .. } | Route::Broker) => panic!("{topic}: {other:?}"),
        }
    }

    #[test]
    fn every_refusal_has_its_code() {
        assert_eq!(refusal("a/b", ""), ("not-authorized", 0x87));
        assert_eq!(refusal("relais/v1/Boiler/telemetry", "{}"), ("topic-device", 0x90));
        assert_eq!(refusal("relais/v1/a/else", "{}"), ("topic-kind", 0x90));
        assert_eq!(refusal("relais/v1/a/telemetry/ts", "1"), ("topic-metric-reserved", 0x90));
        assert_eq!(refusal("relais/v1/a/telemetry", "{"), ("not-json", 0x99));
        assert_eq!(refusal("relais/v1/a/telemetry", "{\"x\":[]}"), ("every-reading-refused", 0x99));
    }

    #[test]
    fn the_payload_bound_holds_on_every_topic() {
        let limits = Limits { payload_bytes_max: 3, ..Limits::default() };
        for topic in ["state", "desired", "hello", "command/open/7", "result/7", "telemetry", "event"] {
            let topic = format!("relais/v1/a/{topic}");
            let Route::Refused(refusal) = route(Role::Anonymous, &publish(&topic, "1234"), &limits) else {
                panic!("{topic}")
            };
            assert_eq!((refusal.reason, refusal.code), ("payload-too-long", 0x99), "{topic}");
        }
        assert!(matches!(
            route(Role::Anonymous, &publish("relais/v1/a/state", "123"), &limits),
            Route::Broker
        ));
    }

    #[test]
    fn the_rest_goes_where_it_belongs() {
        let limits = Limits::default();
        let ingest = route(Role::Anonymous, &publish("relais/v1/a/telemetry", "{\"t\":1,\"u\":{}}"), &limits);
        assert!(matches!(ingest, Route::Ingest { refused, .. } if refused.len() == 1));
        assert!(matches!(route(Role::Anonymous, &publish("relais/v1/a/state", "x"), &limits), Route::Broker));
    }

    #[test]
    fn the_hash_is_the_one_on_flash() {
        assert_eq!(content_hash(&publish("a", "b")), xxhash_rust::xxh3::xxh3_64(b"\0\x01ab"));
        assert_ne!(content_hash(&publish("a", "bc")), content_hash(&publish("ab", "c")));
        assert_eq!(content_hash(&publish("relais/v1/a/telemetry", "{\"t\":1}")), GOLDEN);
    }

    const GOLDEN: u64 = 9_008_029_362_719_393_572;
}
