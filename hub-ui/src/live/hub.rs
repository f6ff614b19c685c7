//! The hub, as this crate sees it.

use std::collections::BTreeMap;

use hub_chassis::http::Problem;

use super::message::{Data, Device, Series, Site};

/// Who knows what the page shows.
pub trait Hub: Send + Sync + 'static {
    /// The name of a device, which may be given by name or id.
    fn device(&self, name_or_id: &str) -> Result<String, Problem>;

    /// Everything the page shows, now, with the series of these devices. May block: it is called on a thread for that,
    /// at most once at a time, and only while somebody listens.
    fn look(&self, devices: &[String]) -> View;
}

/// What a look at the hub found.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// When, by the monotonic clock.
    pub now_ms: u64,
    /// When, RFC 3339; `None` while the clock is unset.
    pub time: Option<String>,
    /// The hub in one document.
    pub site: Site,
    /// Where every record is.
    pub data: Data,
    /// All devices.
    pub devices: Vec<Device>,
    /// The series of the devices asked for, by name of the device.
    pub series: BTreeMap<String, Vec<Series>>,
}
