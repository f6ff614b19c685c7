//! Telemetry payloads: `{"temp": 21.5, "ts": 1700000000000}`, an array of such, or one scalar.

use hub_model::{MetricName, UtcMs};

use crate::json::{self, Pairs, Shape};
use crate::{Decoded, DeviceMessage, Limits, PayloadError, Reading, ReadingError, RefusedReading};

/// Decodes the payload of `…/telemetry`.
pub(crate) fn decode(text: &str, limits: &Limits) -> Result<Decoded, PayloadError> {
    let mut readings = Readings { taken: Vec::new(), refused: Vec::new(), readings_max: limits.readings_max };
    match json::shape(text) {
        Shape::Object => readings.object(text)?,
        Shape::Array => json::array(text, &mut |element| match json::shape(element) {
            Shape::Object => readings.object(element),
            Shape::Array | Shape::Scalar => Err(WRONG_TYPE),
        })?,
        Shape::Scalar => {
            json::scalar(text)?;
            return Err(WRONG_TYPE);
        }
    }
    readings.finish()
}

/// Decodes the payload of `…/telemetry/{metric}`.
pub(crate) fn decode_scalar(metric: &MetricName, text: &str) -> Result<Decoded, PayloadError> {
    let text = json::scalar(text)?;
    match json::value(text) {
        Ok(value) => Ok(Decoded {
            message: DeviceMessage::Telemetry(vec![Reading { metric: metric.clone(), value, ts: None }]),
            refused: Vec::new(),
        }),
        Err(ReadingError::Nested) => {
            Err(PayloadError::WrongType { expected: "one number, string, true, false or null" })
        }
        Err(error) => Err(PayloadError::EveryReadingRefused {
            refused: vec![RefusedReading::new(metric.as_str(), error)],
        }),
    }
}

const WRONG_TYPE: PayloadError =
    PayloadError::WrongType { expected: "an object of metrics, or an array of such objects" };

struct Readings {
    taken: Vec<Reading>,
    refused: Vec<RefusedReading>,
    readings_max: usize,
}

impl Readings {
    fn object(&mut self, text: &str) -> Result<(), PayloadError> {
        let before = self.count();
        let first_taken = self.taken.len();
        let mut object = Object { readings: self, ts: None };
        json::object(text, &mut object)?;
        let ts = object.ts;
        if self.count() == before {
            return Err(PayloadError::Empty);
        }
        // `ts` holds for its whole object, wherever in it the key stands.
        for reading in &mut self.taken[first_taken..] {
            reading.ts = ts;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.taken.len() + self.refused.len()
    }

    fn finish(self) -> Result<Decoded, PayloadError> {
        match (self.taken.is_empty(), self.refused.is_empty()) {
            (true, true) => Err(PayloadError::Empty),
            (true, false) => Err(PayloadError::EveryReadingRefused { refused: self.refused }),
            (false, _) => {
                Ok(Decoded { message: DeviceMessage::Telemetry(self.taken), refused: self.refused })
            }
        }
    }
}

struct Object<'r> {
    readings: &'r mut Readings,
    ts: Option<UtcMs>,
}

impl Pairs for Object<'_> {
    fn pair(&mut self, key: &str, value: &str) -> Result<(), PayloadError> {
        if key == "ts" {
            self.ts = json::ts(value)?;
            return Ok(());
        }
        if self.readings.count() >= self.readings.readings_max {
            return Err(PayloadError::TooManyReadings { allowed: self.readings.readings_max });
        }
        match reading(key, value) {
            Ok(reading) => self.readings.taken.push(reading),
            Err(error) => self.readings.refused.push(RefusedReading::new(key, error)),
        }
        Ok(())
    }
}

fn reading(key: &str, value: &str) -> Result<Reading, ReadingError> {
    let metric = key.parse().map_err(ReadingError::MetricName)?;
    Ok(Reading { metric, value: json::value(value)?, ts: None })
}
