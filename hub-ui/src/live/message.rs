//! The documents of the stream, as clients get them. Their shapes are a promise: `hub/openapi.json` has them.
//!
//! Moments end in `_at_ms` and are of the hub's monotonic clock: milliseconds of this boot, so that a page can reckon ages
//! whatever its own clock says. They may be negative where something is older than the boot. Texts are for people, in
//! English; `code` and `params` let a page say the same in another language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has changed. Sent as an event `change` whose id says where the stream is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StreamMessage {
    /// Drop everything held before: all documents of this stream are in this message.
    pub resync: bool,
    /// Now, by the hub's monotonic clock.
    pub now_ms: u64,
    /// Now, RFC 3339; null while the hub's clock is unset.
    #[schema(required)]
    pub time: Option<String>,
    /// The hub and its verdict; null for no change.
    #[schema(required)]
    pub site: Option<Site>,
    /// Where every record is; null for no change.
    #[schema(required)]
    pub data: Option<Data>,
    /// Devices that changed, by id.
    pub devices: Vec<Device>,
    /// Series of the device asked for that changed, by number.
    pub series: Vec<Series>,
    /// Ids of devices that are gone.
    pub removed_devices: Vec<String>,
    /// Series of the device asked for that are gone.
    pub removed_series: Vec<u32>,
}

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, and wants an eye.
    Warn,
    /// Does not work, or something is gone.
    Bad,
}

/// How good a station of the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HopLevel {
    /// As it should be.
    Good,
    /// Works, and wants an eye.
    Warn,
    /// Does not work, or something is gone.
    Bad,
    /// Not used.
    Off,
}

impl From<Level> for HopLevel {
    fn from(level: Level) -> HopLevel {
        match level {
            Level::Good => HopLevel::Good,
            Level::Warn => HopLevel::Warn,
            Level::Bad => HopLevel::Bad,
        }
    }
}

/// A part of a sentence that differs from case to case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Param {
    /// How many.
    Number(u64),
    /// A name, or words that stay as they are in every language.
    Text(String),
}

impl From<u64> for Param {
    fn from(number: u64) -> Param {
        Param::Number(number)
    }
}

impl From<usize> for Param {
    fn from(number: usize) -> Param {
        Param::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Param {
        Param::Text(text.to_owned())
    }
}

/// The parts of a sentence, by name.
pub type Params = BTreeMap<String, Param>;

/// One thing that is so: a sentence for people, and what it is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What it is: kebab-case.
    pub code: String,
    /// How good it is.
    pub level: Level,
    /// The parts of the sentence that differ.
    pub params: BTreeMap<String, Param>,
    /// The sentence in English.
    pub text: String,
}

/// Something that needs somebody, for all devices it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Need {
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
    /// Names of devices it concerns, by name: at most 10.
    pub devices: Vec<String>,
    /// How many devices it concerns.
    pub device_count: u64,
}

/// A station on the way of a reading, with a short phrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    /// How good it is.
    pub level: HopLevel,
    /// What it is: kebab-case.
    pub code: String,
    /// The parts of the phrase that differ.
    pub params: BTreeMap<String, Param>,
    /// The phrase in English.
    pub text: String,
}

/// The way of a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    /// Who is heard.
    pub devices: Hop,
    /// The hub's own work.
    pub hub: Hop,
    /// What is on flash.
    pub stored: Hop,
    /// The way to central.
    pub link: Hop,
    /// What central has.
    pub central: Hop,
}

/// How far the hub's time is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClockState {
    /// A time source keeps it right.
    Synced,
    /// It was right once and runs on its own.
    Holdover,
    /// It is not set.
    Unset,
}

/// How many devices are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// All of them.
    pub devices: u64,
    /// Heard in time.
    pub live: u64,
    /// Overdue.
    pub late: u64,
    /// Past their deadline.
    pub silent: u64,
    /// They answer, and their readings are bad.
    pub fault: u64,
    /// Never heard or asked yet.
    pub not_tested: u64,
}

/// Where the way to central is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// No central is configured.
    Off,
    /// There is no certificate, and nothing to get one with.
    NotEnrolled,
    /// Central is not reached, or not yet.
    Connecting,
    /// Central answers.
    Connected,
    /// One side said no.
    Refused,
}

/// The way to central.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkNow {
    /// Where it is.
    pub state: LinkState,
    /// The address in use or tried last, as configured.
    #[schema(required)]
    pub central: Option<String>,
    /// One sentence: what is, why, and what to do.
    pub says: String,
    /// A round trip. It alone is no change: it may be old.
    #[schema(required)]
    pub round_trip_ms: Option<u64>,
    /// Since when the state is this one.
    #[schema(required)]
    pub since_at_ms: Option<i64>,
    /// When it is tried again.
    #[schema(required)]
    pub retry_at_ms: Option<i64>,
}

/// The hub in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Site {
    /// `hub_…`.
    pub hub: String,
    /// The site's name.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// How far its time is to be trusted.
    pub clock: ClockState,
    /// When the hub started.
    pub started_at_ms: i64,
    /// One to three sentences: the hub, its devices, its link.
    pub verdict: Vec<Finding>,
    /// What needs somebody, worst first: at most 20.
    pub needs: Vec<Need>,
    /// How many needs there are beyond these.
    pub more_needs: u64,
    /// The way of a reading.
    pub path: Path,
    /// How many devices are how.
    pub counts: Counts,
    /// The way to central.
    pub link: LinkNow,
}

/// Who begins: a device that speaks, or the hub that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// It publishes over MQTT.
    Mqtt,
    /// The hub reads it over Modbus.
    Modbus,
}

/// How a device or a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Heard in time.
    Live,
    /// Overdue.
    Late,
    /// Past its deadline.
    Silent,
    /// It answers, and its readings are bad.
    Fault,
    /// Never heard or asked yet.
    NotTested,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Device {
    /// `dev_…`; `file:NAME` for one that has a file and nothing stored yet.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who begins.
    pub kind: DeviceKind,
    /// How it is.
    pub state: State,
    /// When it was last heard; null for a moment of an earlier boot, and when it was not heard.
    #[schema(required)]
    pub heard_at_ms: Option<i64>,
    /// The same, RFC 3339; null while the clock of that moment is unset.
    #[schema(required)]
    pub heard_time: Option<String>,
    /// From one reading to the next, as configured or as learned.
    #[schema(required)]
    pub interval_ms: Option<u64>,
    /// It is late when it was not heard this long.
    #[schema(required)]
    pub late_after_ms: Option<u64>,
    /// It is silent when it was not heard this long; null for one that the hub asks, which knows by asking.
    #[schema(required)]
    pub silent_after_ms: Option<u64>,
    /// How many metrics it has.
    pub series_count: u64,
    /// What it measures, numbers first: at most 3.
    pub values: Vec<LastValue>,
    /// What is wrong.
    #[schema(required)]
    pub trouble: Option<Finding>,
    /// Where the hub reads it.
    #[schema(required)]
    pub endpoint: Option<String>,
    /// Its unit identifier there.
    #[schema(required)]
    pub unit: Option<u8>,
    /// The profile its registers come from.
    #[schema(required)]
    pub profile: Option<String>,
    /// What people say about it.
    pub tags: BTreeMap<String, String>,
}

/// A measured value in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Bool(bool),
    /// A whole number of at most 53 bits.
    Whole(i64),
    /// Any other number that JSON has.
    Number(f64),
    /// The same with the digits of 32 bits.
    Single(f32),
    /// A text; also whole numbers of more than 53 bits in decimal, bytes in hexadecimal, and `NaN`, `Infinity`, `-Infinity`.
    Text(String),
}

/// What a series said last.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LastValue {
    /// The series' number.
    pub series: u32,
    /// What is measured.
    pub metric: String,
    /// `f64`, `f32`, `i64`, `u64`, `bool`, `string`, `bytes` or `enum`.
    #[serde(rename = "type")]
    pub value_type: &'static str,
    /// UCUM code; empty for none.
    pub unit: String,
    /// The value; null where the reading failed, where it is too long to be kept, and before the first one.
    #[schema(required)]
    pub value: Option<Scalar>,
    /// There is a value, of more than 256 bytes.
    pub value_omitted: bool,
    /// `good`, or `bad:` and why; empty before the first reading.
    pub quality: String,
    /// When it was taken.
    #[schema(required)]
    pub at_ms: Option<i64>,
    /// The same, RFC 3339; null while the clock of that moment is unset.
    #[schema(required)]
    pub time: Option<String>,
}

/// A series of the device asked for, with what it said last.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Series {
    /// What it said last.
    #[serde(flatten)]
    pub last: LastValue,
    /// From one reading to the next, as configured or as learned.
    #[schema(required)]
    pub interval_ms: Option<u64>,
    /// How it is.
    pub state: State,
}

/// Where every record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Data {
    /// By class of record.
    pub classes: Vec<ClassNow>,
    /// Of all classes.
    pub totals: Totals,
    /// Differs whenever `/api/v1/gaps` would answer something else. Not a count.
    pub gap_rows: u64,
    /// Room on the disk.
    pub room: Room,
    /// Why records cannot be stored, or blocks not written; null while they can.
    #[schema(required)]
    pub trouble: Option<String>,
    /// The log's life.
    pub epoch: String,
}

/// Where the records of one class are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClassNow {
    /// Its word.
    pub class: String,
    /// Numbers given out.
    pub recorded: u64,
    /// On flash here.
    pub here: u64,
    /// Of these, in no block yet, and so not on their way.
    pub unsealed: u64,
    /// Left this hub, in this run or so that central confirmed it.
    pub sent: u64,
    /// Central has them, or knows why they are gone.
    pub confirmed: u64,
    /// Past retention.
    pub expired: u64,
    /// Gone, with a gap.
    pub gaps: u64,
    /// Whether everything is accounted for.
    pub balanced: bool,
}

/// Sums over all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Totals {
    /// On flash here.
    pub stored: u64,
    /// Left this hub.
    pub sent: u64,
    /// Central has them.
    pub confirmed: u64,
    /// Recorded and not confirmed.
    pub waiting: u64,
    /// Gone for any cause but the quota.
    pub lost: u64,
    /// Given up for the quota.
    pub evicted: u64,
}

/// Room on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Room {
    /// Taken in the storage folder.
    pub used_bytes: u64,
    /// Allowed.
    pub quota_bytes: u64,
    /// Free on the file system, for this program; rounded down to 16 MiB.
    #[schema(required)]
    pub disk_free_bytes: Option<u64>,
    /// What is written to blocks in a day, at the pace of up to the last 24 h, in two digits; null while the hub runs for
    /// less than 5 minutes, and less than blocks may take to be written (`storage.seal_after`).
    #[schema(required)]
    pub bytes_per_day: Option<u64>,
    /// How long the room lasts at this pace until the oldest records are given up, in two digits; null where the
    /// pace is not known or 0.
    #[schema(required)]
    pub left_s: Option<u64>,
}
