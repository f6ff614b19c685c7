//! What is said, as messages: the topics and JSON of the hub's documentation.

use serde_json::{Map, Value, json};

use super::model::{Event, Metric, Said, Severity};
use super::outbox::Message;
use crate::Random;

/// Parts of a diagnostic report, and the texts in each: about 320 KB that hardly compress.
pub(super) const REPORT_PARTS: u32 = 40;
const REPORT_TEXTS: u32 = 32;
const REPORT_TEXT_BYTES: usize = 256;
const REPORT_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Everything a device says at one moment: readings as one message, then one for each event.
pub(super) fn messages(device: &str, said: &Said, utc_ms: u64) -> Vec<Message> {
    let telemetry =
        Message { topic: format!("relais/v1/{device}/telemetry"), payload: telemetry(&said.metrics, utc_ms) };
    let event = |event: &Event| Message {
        topic: format!("relais/v1/{device}/event"),
        payload: json!({
            "severity": event.severity.word(), "code": event.code, "text": event.text, "ts": utc_ms,
        })
        .to_string(),
    };
    [telemetry].into_iter().chain(said.events.iter().map(event)).collect()
}

/// A diagnostic report, as events of severity info: much to be stored at once.
pub(super) fn report(device: &str, random: &mut Random, utc_ms: u64) -> Vec<Message> {
    let mut text = || {
        let letters = (0..REPORT_TEXT_BYTES).map(|_| REPORT_LETTERS[random.index(REPORT_LETTERS.len())]);
        letters.map(char::from).collect::<String>()
    };
    let mut part = |number: u32| {
        let params: Map<String, Value> =
            (0..REPORT_TEXTS).map(|at| (format!("trace-{at:02}"), text().into())).collect();
        Message {
            topic: format!("relais/v1/{device}/event"),
            payload: json!({
                "severity": Severity::Info.word(), "code": "diagnostics",
                "text": format!("Diagnostic report of the {device}, part {number} of {REPORT_PARTS}"),
                "params": params, "ts": utc_ms,
            })
            .to_string(),
        }
    };
    (1..=REPORT_PARTS).map(&mut part).collect()
}

fn telemetry(metrics: &[(&'static str, Metric)], utc_ms: u64) -> String {
    let value = |metric: &Metric| match metric {
        Metric::Number(number) => Value::from(*number),
        Metric::Truth(truth) => Value::from(*truth),
    };
    let readings = metrics.iter().map(|(name, metric)| ((*name).to_owned(), value(metric)));
    let with_time = [("ts".to_owned(), Value::from(utc_ms))].into_iter().chain(readings);
    Value::Object(with_time.collect::<Map<String, Value>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::model::Severity;
    use super::*;

    #[test]
    fn a_report_is_large_and_within_what_the_hub_takes() {
        let parts = report("boiler", &mut Random::new(1), 1_795_315_200_000);
        let bytes: usize = parts.iter().map(|part| part.payload.len()).sum();
        assert!((320_000..400_000).contains(&bytes), "{bytes}");
        let last: Value = serde_json::from_str(&parts[39].payload).unwrap();
        assert_eq!(last["text"], "Diagnostic report of the boiler, part 40 of 40");
        let params = last["params"].as_object().unwrap();
        assert!(params.len() == 32 && params.values().all(|text| text.as_str().unwrap().len() == 256));
        assert_ne!(parts[0].payload, parts[1].payload);
    }

    #[test]
    fn what_is_said_becomes_messages() {
        let said = Said {
            metrics: vec![("level", Metric::Number(44.9)), ("pump", Metric::Truth(true))],
            events: vec![Event::new(Severity::Info, "pump-started", "The pump started at 45 %")],
        };
        let messages = messages("tank", &said, 1_795_315_200_000);
        let told: Vec<(&str, &str)> =
            messages.iter().map(|m| (m.topic.as_str(), m.payload.as_str())).collect();
        assert_eq!(
            told,
            [
                ("relais/v1/tank/telemetry", r#"{"level":44.9,"pump":true,"ts":1795315200000}"#),
                (
                    "relais/v1/tank/event",
                    r#"{"code":"pump-started","severity":"info","text":"The pump started at 45 %","ts":1795315200000}"#
                ),
            ]
        );
    }
}
