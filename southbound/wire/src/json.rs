//! The little JSON the contract needs: one level of objects, values kept as text until their meaning is known.
//!
//! serde_json finds the ends of values without recursing ([`RawValue`]), so depth costs no stack.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use hub_model::{UtcMs, Value};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{PayloadError, ReadingError, number};

/// The last millisecond of year 9999.
const TS_MAX: i64 = 253_402_300_799_999;

/// What a JSON text is, by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
    Scalar,
}

pub(crate) fn shape(text: &str) -> Shape {
    match text.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        Some(_) | None => Shape::Scalar,
    }
}

/// Takes one object's pairs as they come.
pub(crate) trait Pairs {
    fn pair(&mut self, key: &str, value: &str) -> Result<(), PayloadError>;
}

/// Reads one object, each key once.
pub(crate) fn object(text: &str, pairs: &mut dyn Pairs) -> Result<(), PayloadError> {
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = ObjectSeed { pairs, fault: &mut fault }.deserialize(&mut json).and_then(|()| json.end());
    finish(read, fault)
}

/// Reads an array and hands over the text of each element.
pub(crate) fn array(
    text: &str,
    element: &mut dyn FnMut(&str) -> Result<(), PayloadError>,
) -> Result<(), PayloadError> {
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = ArraySeed { element, fault: &mut fault }.deserialize(&mut json).and_then(|()| json.end());
    finish(read, fault)
}

/// Checks that the text is one JSON value and returns it without the white space around it.
pub(crate) fn scalar(text: &str) -> Result<&str, PayloadError> {
    serde_json::from_str::<&RawValue>(text).map(|raw| raw.get().trim()).map_err(|e| not_json(&e))
}

/// A scalar's value; `None` for null.
pub(crate) fn value(text: &str) -> Result<Option<Value>, ReadingError> {
    match text.as_bytes().first() {
        Some(b'n') | None => Ok(None),
        Some(b't') => Ok(Some(Value::Bool(true))),
        Some(b'f') => Ok(Some(Value::Bool(false))),
        Some(b'"') => {
            let string = string(text).ok_or(ReadingError::StringNotText)?;
            match Value::string(&string) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(ReadingError::StringTooLong { found: string.len() }),
            }
        }
        Some(b'{' | b'[') => Err(ReadingError::Nested),
        Some(_) => number::parse(text).map(|n| Some(Value::F64(n))),
    }
}

/// The text of a JSON string; `None` when it is none, or has a lone surrogate.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(text).ok().map(|t| t.0)
}

/// A string, borrowed from the input where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The time of a `ts`: `None` for null, that is, now.
pub(crate) fn ts(text: &str) -> Result<Option<UtcMs>, PayloadError> {
    if text == "null" {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(ms @ 0..=TS_MAX) => Ok(Some(UtcMs(ms))),
        Ok(_) | Err(_) => Err(PayloadError::BadTs),
    }
}

fn finish(read: Result<(), serde_json::Error>, fault: Option<PayloadError>) -> Result<(), PayloadError> {
    match (fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(not_json(&error)),
        (None, Ok(())) => Ok(()),
    }
}

fn not_json(error: &serde_json::Error) -> PayloadError {
    PayloadError::NotJson { line: error.line(), column: error.column() }
}

struct ObjectSeed<'p> {
    pairs: &'p mut dyn Pairs,
    fault: &'p mut Option<PayloadError>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<&RawValue>()?;
            let taken = self.pairs.pair(&key, value.get());
            let taken = if seen.insert(key) { taken } else { Err(PayloadError::DuplicateKey) };
            if let Err(fault) = taken {
                *self.fault = Some(fault);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

struct ArraySeed<'p> {
    element: &'p mut dyn FnMut(&str) -> Result<(), PayloadError>,
    fault: &'p mut Option<PayloadError>,
}

impl<'de> DeserializeSeed<'de> for ArraySeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ArraySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            if let Err(fault) = (self.element)(raw.get()) {
                *self.fault = Some(fault);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
