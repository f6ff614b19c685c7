//! What is said, as messages: the topics and JSON of the hub's documentation.

use serde_json::{Map, Value, json};

use super::model::{Event, Metric, Said};
use super::outbox::Message;

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
