//! Event payloads: `{"severity": "alarm", "code": "overheat", "text": "Boiler at 97 °C", "params": {"t": "97"}}`.

use hub_model::{Severity, TEXT_BYTES_MAX, UtcMs};

use crate::json::{self, Pairs, Shape};
use crate::{Decoded, DeviceEvent, DeviceMessage, PayloadError};

const ID_BYTES_MAX: usize = 64;
const CODE_BYTES_MAX: usize = 64;
const PARAMS_MAX: usize = 32;
const PARAM_NAME_BYTES_MAX: usize = 64;
const PARAM_VALUE_BYTES_MAX: usize = 256;

/// Decodes the payload of `…/event`.
pub(crate) fn decode(text: &str) -> Result<Decoded, PayloadError> {
    if json::shape(text) != Shape::Object {
        json::scalar(text)?;
        return Err(PayloadError::WrongType { expected: "an event object" });
    }
    let mut fields = Fields::default();
    json::object(text, &mut fields)?;
    let event = DeviceEvent {
        id: fields.id.unwrap_or_default(),
        severity: fields.severity.ok_or(PayloadError::MissingKey { key: "severity" })?,
        code: fields.code.ok_or(PayloadError::MissingKey { key: "code" })?,
        text: fields.text.ok_or(PayloadError::MissingKey { key: "text" })?,
        ts: fields.ts,
        params: fields.params.0,
    };
    Ok(Decoded { message: DeviceMessage::Event(event), refused: Vec::new() })
}

#[derive(Default)]
struct Fields {
    id: Option<Box<str>>,
    severity: Option<Severity>,
    code: Option<Box<str>>,
    text: Option<Box<str>>,
    ts: Option<UtcMs>,
    params: Params,
}

impl Pairs for Fields {
    fn pair(&mut self, key: &str, value: &str) -> Result<(), PayloadError> {
        match key {
            "severity" => self.severity = Some(severity(value)?),
            "code" => {
                self.code = Some(bounded("code", value, 1, CODE_BYTES_MAX, "a string of 1 to 64 bytes")?)
            }
            "text" => {
                self.text =
                    Some(bounded("text", value, 0, TEXT_BYTES_MAX, "a string of at most 4096 bytes")?);
            }
            "id" if value == "null" => {}
            "id" => self.id = Some(bounded("id", value, 0, ID_BYTES_MAX, "a string of at most 64 bytes")?),
            "ts" => self.ts = json::ts(value)?,
            "params" if value == "null" => {}
            "params" => match json::shape(value) {
                Shape::Object => json::object(value, &mut self.params)?,
                Shape::Array | Shape::Scalar => return Err(BAD_PARAMS),
            },
            _ => return Err(PayloadError::UnknownKey),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Params(Vec<(Box<str>, Box<str>)>);

impl Pairs for Params {
    fn pair(&mut self, key: &str, value: &str) -> Result<(), PayloadError> {
        if self.0.len() >= PARAMS_MAX || key.is_empty() || key.len() > PARAM_NAME_BYTES_MAX {
            return Err(BAD_PARAMS);
        }
        let value = json::string(value).filter(|v| v.len() <= PARAM_VALUE_BYTES_MAX).ok_or(BAD_PARAMS)?;
        self.0.push((key.into(), value.into()));
        Ok(())
    }
}

const BAD_PARAMS: PayloadError = PayloadError::BadField {
    key: "params",
    expected: "an object of at most 32 names (1 to 64 bytes) with strings (at most 256 bytes)",
};

fn severity(value: &str) -> Result<Severity, PayloadError> {
    let name = json::string(value);
    [Severity::Info, Severity::Warning, Severity::Alarm]
        .into_iter()
        .find(|s| name.as_deref() == Some(s.name()))
        .ok_or(PayloadError::BadField { key: "severity", expected: "one of info, warning, alarm" })
}

fn bounded(
    key: &'static str,
    value: &str,
    min: usize,
    max: usize,
    expected: &'static str,
) -> Result<Box<str>, PayloadError> {
    match json::string(value) {
        Some(text) if (min..=max).contains(&text.len()) => Ok(text.into()),
        Some(_) | None => Err(PayloadError::BadField { key, expected }),
    }
}
