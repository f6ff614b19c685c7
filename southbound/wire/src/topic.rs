//! Topics of the native contract.

use hub_model::{DeviceName, MetricName};

use crate::TopicError;

/// What every native topic begins with.
pub const PREFIX: &str = "relais/v1/";

/// A topic under [`PREFIX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeTopic {
    /// The device it is about.
    pub device: DeviceName,
    /// What it carries.
    pub kind: TopicKind,
}

/// What a native topic carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// `…/telemetry`: an object of metrics, or an array of such.
    Telemetry,
    /// `…/telemetry/{metric}`: one scalar. The metric is not `ts`.
    TelemetryMetric(MetricName),
    /// `…/event`.
    Event,
    /// `…/state`: what the device reports about itself. Brokered only.
    State,
    /// `…/desired`: what the device shall be. Brokered only.
    Desired,
    /// `…/command/{name}/{id}`: to the device. Brokered only.
    Command {
        /// Which command.
        name: Box<str>,
        /// Tells this call from others.
        id: Box<str>,
    },
    /// `…/result/{id}`: a command's outcome. Brokered only.
    Result {
        /// The command's id.
        id: Box<str>,
    },
    /// `…/hello`: identity, versions, capabilities. Brokered only.
    Hello,
}

/// The kinds whose payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestKind<'a> {
    /// See [`TopicKind::Telemetry`].
    Telemetry,
    /// See [`TopicKind::TelemetryMetric`].
    TelemetryMetric(&'a MetricName),
    /// See [`TopicKind::Event`].
    Event,
}

impl TopicKind {
    /// How to decode the payload, for kinds that are stored; `None` for kinds that are only brokered.
    pub const fn ingest(&self) -> Option<IngestKind<'_>> {
        match self {
            TopicKind::Telemetry => Some(IngestKind::Telemetry),
            TopicKind::TelemetryMetric(metric) => Some(IngestKind::TelemetryMetric(metric)),
            TopicKind::Event => Some(IngestKind::Event),
            TopicKind::State
            | TopicKind::Desired
            | TopicKind::Command { .. }
            | TopicKind::Result { .. }
            | TopicKind::Hello => None,
        }
    }
}

/// What a topic means. `Ok(None)` when it is not under [`PREFIX`]; an error when it is, and means nothing.
pub fn parse_topic(topic: &str) -> Result<Option<NativeTopic>, TopicError> {
    let Some(rest) = topic.strip_prefix(PREFIX) else { return Ok(None) };
    let (device, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let device = device.parse().map_err(TopicError::Device)?;
    Ok(Some(NativeTopic { device, kind: parse_kind(rest)? }))
}

fn parse_kind(rest: &str) -> Result<TopicKind, TopicError> {
    let (first, rest) = match rest.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (rest, None),
    };
    match (first, rest) {
        ("telemetry", None) => Ok(TopicKind::Telemetry),
        ("telemetry", Some("ts")) => Err(TopicError::ReservedMetric),
        ("telemetry", Some(metric)) => {
            Ok(TopicKind::TelemetryMetric(metric.parse().map_err(TopicError::Metric)?))
        }
        ("event", None) => Ok(TopicKind::Event),
        ("state", None) => Ok(TopicKind::State),
        ("desired", None) => Ok(TopicKind::Desired),
        ("hello", None) => Ok(TopicKind::Hello),
        ("command", Some(rest)) => match rest.split_once('/') {
            Some((name, id)) if is_level(name) && is_level(id) => {
                Ok(TopicKind::Command { name: name.into(), id: id.into() })
            }
            Some(_) | None => Err(TopicError::Kind),
        },
        ("result", Some(id)) if is_level(id) => Ok(TopicKind::Result { id: id.into() }),
        (_, _) => Err(TopicError::Kind),
    }
}

/// One level that is not empty.
fn is_level(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(rest: &str) -> Result<TopicKind, TopicError> {
        parse_topic(&format!("relais/v1/boiler-1/{rest}")).map(|t| t.unwrap().kind)
    }

    #[test]
    fn other_topics_are_none_of_ours() {
        for topic in
            ["", "a/b", "relais/v2/a/telemetry", "relais/v1", "Relais/v1/a/event", "/relais/v1/a/event"]
        {
            assert_eq!(parse_topic(topic), Ok(None), "{topic}");
        }
    }

    #[test]
    fn every_kind_is_known() {
        assert_eq!(kind("telemetry"), Ok(TopicKind::Telemetry));
        assert_eq!(kind("telemetry/t °C"), Ok(TopicKind::TelemetryMetric("t °C".parse().unwrap())));
        assert_eq!(kind("event"), Ok(TopicKind::Event));
        assert_eq!(kind("state"), Ok(TopicKind::State));
        assert_eq!(kind("desired"), Ok(TopicKind::Desired));
        assert_eq!(kind("hello"), Ok(TopicKind::Hello));
        assert_eq!(kind("command/open/7"), Ok(TopicKind::Command { name: "open".into(), id: "7".into() }));
        assert_eq!(kind("result/7"), Ok(TopicKind::Result { id: "7".into() }));
    }

    #[test]
    fn the_rest_says_what_is_wrong() {
        for rest in
            ["", "x", "event/", "telemetry2", "command", "command/a", "command/a/", "command//b", "result/"]
        {
            assert_eq!(kind(rest), Err(TopicError::Kind), "{rest}");
        }
        assert!(matches!(kind("telemetry/"), Err(TopicError::Metric(_))));
        assert_eq!(kind("telemetry/ts"), Err(TopicError::ReservedMetric));
        assert!(kind("telemetry/ts2").is_ok());
        assert!(matches!(kind("telemetry/a/b"), Err(TopicError::Metric(_))));
        assert!(matches!(parse_topic("relais/v1/Boiler/event"), Err(TopicError::Device(_))));
        assert!(matches!(parse_topic("relais/v1/"), Err(TopicError::Device(_))));
        assert_eq!(parse_topic("relais/v1/a"), Err(TopicError::Kind));
    }
}
