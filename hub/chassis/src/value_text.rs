//! Values as text, so that what came in can be had again bit for bit.
//!
//! JSON: numbers are written with the fewest digits that read back as the same bits (`-0.0` and `5e-324` included),
//! 64-bit integers with all of theirs. What JSON has no number for is an object of one key: a float that is no
//! finite number is `{"$f64":"7ff8000000000000"}` (`$f32` with eight digits), bytes are `{"$bytes":"00ff"}`. CSV has
//! the same texts without the object, told apart by the `type` column.

use std::borrow::Cow;
use std::fmt::Write as _;

use hub_model::Value;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A value in JSON.
#[derive(Debug)]
pub struct JsonValue<'a>(pub &'a Value);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::F64(v) if v.is_finite() => serializer.serialize_f64(*v),
            Value::F32(v) if v.is_finite() => serializer.serialize_f32(*v),
            Value::F64(v) => tagged(serializer, "$f64", &format!("{:016x}", v.to_bits())),
            Value::F32(v) => tagged(serializer, "$f32", &format!("{:08x}", v.to_bits())),
            Value::I64(v) => serializer.serialize_i64(*v),
            Value::U64(v) => serializer.serialize_u64(*v),
            Value::Bool(v) => serializer.serialize_bool(*v),
            Value::String(v) => serializer.serialize_str(v),
            Value::Bytes(v) => tagged(serializer, "$bytes", &hex(v)),
            Value::Enum(v) => serializer.serialize_u32(*v),
        }
    }
}

fn tagged<S: Serializer>(serializer: S, tag: &'static str, text: &str) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, text)?;
    map.end()
}

/// A value as one CSV field, quoted where RFC 4180 asks for it. An empty text is `""`, which differs from nothing.
pub fn csv_value(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None => Cow::Borrowed(""),
        Some(Value::F64(v)) if !v.is_finite() => Cow::Owned(format!("{:016x}", v.to_bits())),
        Some(Value::F32(v)) if !v.is_finite() => Cow::Owned(format!("{:08x}", v.to_bits())),
        Some(Value::String(text)) if text.is_empty() => Cow::Borrowed("\"\""),
        Some(Value::String(text)) => csv_text(text),
        Some(Value::Bytes(bytes)) => Cow::Owned(hex(bytes)),
        Some(
            value @ (Value::F64(_)
            | Value::F32(_)
            | Value::I64(_)
            | Value::U64(_)
            | Value::Bool(_)
            | Value::Enum(_)),
        ) => {
            // The JSON text of a number cannot fail.
            Cow::Owned(serde_json::to_string(&JsonValue(value)).unwrap_or_default())
        }
    }
}

/// A text as one CSV field.
pub fn csv_text(text: &str) -> Cow<'_, str> {
    if text.contains(['"', ',', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &Value, json: &str, csv: &str) {
        assert_eq!(serde_json::to_string(&JsonValue(value)).unwrap(), json);
        assert_eq!(csv_value(Some(value)), csv);
    }

    #[test]
    fn numbers_read_back_as_the_same_bits() {
        for (value, text) in [
            (-0.0, "-0.0"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (1e21, "1e+21"),
        ] {
            let json = serde_json::to_string(&JsonValue(&Value::F64(value))).unwrap();
            assert_eq!(json.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{json}");
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), value.to_bits(), "{json}");
            assert_eq!(csv_value(Some(&Value::F64(value))), json);
            assert_eq!(json.replace("e+", "e"), text.replace("e+", "e"));
        }
        check(&Value::F32(0.1), "0.1", "0.1");
        check(&Value::I64(i64::MIN), "-9223372036854775808", "-9223372036854775808");
        check(&Value::U64(u64::MAX), "18446744073709551615", "18446744073709551615");
    }

    #[test]
    fn what_json_has_no_number_for_is_named() {
        check(
            &Value::F64(f64::from_bits(0x7ff8_0000_0000_0001)),
            "{\"$f64\":\"7ff8000000000001\"}",
            "7ff8000000000001",
        );
        check(&Value::F32(f32::INFINITY), "{\"$f32\":\"7f800000\"}", "7f800000");
        check(&Value::bytes(&[0, 255]).unwrap(), "{\"$bytes\":\"00ff\"}", "00ff");
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        check(&Value::string("a,\"b\"\n").unwrap(), "\"a,\\\"b\\\"\\n\"", "\"a,\"\"b\"\"\n\"");
        check(&Value::string("").unwrap(), "\"\"", "\"\"");
        check(&Value::string("plain").unwrap(), "\"plain\"", "plain");
        check(&Value::Bool(true), "true", "true");
        check(&Value::Enum(3), "3", "3");
        assert_eq!(csv_value(None), "");
    }
}
