//! What is refused for good, and telling people of it without letting a device fill the hub's log.

use std::collections::{BTreeMap, BTreeSet};

use hub_model::DeviceName;

/// Devices whose refusals are told, for each reason. A site has that many with one fault only when one client invents
/// names; the counters go on.
const TOLD_MAX: usize = 256;

/// Why something a device said is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A new device beyond [`super::Limits::devices_max`]: the whole message.
    DeviceLimit,
    /// A new series beyond [`super::Limits::series_max`]: that reading.
    SeriesLimit,
    /// A new metric beyond [`super::Limits::metrics_per_device_max`]: that reading.
    MetricLimit,
    /// "No reading" of a metric that never had one, so that its type is unknown: that reading.
    NullOfUnknown,
    /// The log refused the append (too large for one commit): the whole message.
    Log,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 5] = [
        Refusal::DeviceLimit,
        Refusal::SeriesLimit,
        Refusal::MetricLimit,
        Refusal::NullOfUnknown,
        Refusal::Log,
    ];

    /// The word in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::DeviceLimit => "device-limit",
            Refusal::SeriesLimit => "series-limit",
            Refusal::MetricLimit => "metric-limit",
            Refusal::NullOfUnknown => "null-of-unknown-metric",
            Refusal::Log => "log",
        }
    }
}

/// Which refusals people were told of: each device and reason once while the hub runs.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<Refusal, BTreeSet<DeviceName>>);

impl Told {
    /// Whether this one is worth a line; it counts as told then.
    pub(super) fn is_news(&mut self, device: &DeviceName, refusal: Refusal) -> bool {
        let devices = self.0.entry(refusal).or_default();
        devices.len() < TOLD_MAX && devices.insert(device.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_and_reason_is_told_once_and_not_without_end() {
        let mut told = Told::default();
        let name = |number: usize| format!("d{number}").parse::<DeviceName>().unwrap();
        assert!(told.is_news(&name(0), Refusal::DeviceLimit));
        assert!(!told.is_news(&name(0), Refusal::DeviceLimit));
        assert!(told.is_news(&name(0), Refusal::Log));
        let count = (0..TOLD_MAX * 2).filter(|n| told.is_news(&name(*n), Refusal::DeviceLimit)).count();
        assert_eq!(count, TOLD_MAX - 1);
        assert!(told.is_news(&name(TOLD_MAX + 1), Refusal::Log));
    }
}
