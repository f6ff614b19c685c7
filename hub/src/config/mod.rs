//! The hub's configuration: its keys, their defaults and what they mean.
//!
//! The machinery is [`hub_chassis::config`]. `default.toml`, embedded, is the only list of defaults. `raw` finds every
//! key and its type, `check` turns them into [`Config`], `plan` decides what a changed one asks of a running hub. Each
//! part of the hub receives its own struct by value and never sees files or the environment.

mod check;
mod plan;
mod raw;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hub_chassis::config::{
    ByteSize, Configuration, DefaultValue, Flag, ListDefault, Loaded, Problem, Problems, Section, load,
};

use northbound::EndpointName;

pub use plan::{Key, Plan, plan};
use raw::RawConfig;

impl Configuration for Config {
    type Raw = RawConfig;

    const DEFAULT_TOML: &'static str = include_str!("../../default.toml");

    const DEFAULT_FILE: &'static str = "/etc/relais/hub.toml";

    /// The address has no default: that a listener lacks it is reported.
    const LIST_DEFAULTS: &'static [ListDefault] = &[
        ListDefault { list: "mqtt.listener", key: "transport", value: DefaultValue::Text("tcp") },
        ListDefault { list: "mqtt.listener", key: "anonymous", value: DefaultValue::Bool(false) },
    ];

    fn read(root: &mut Section<'_>) -> RawConfig {
        RawConfig::read(root)
    }

    fn check(raw: &RawConfig, problems: &mut Problems) -> Option<Config> {
        check::check(raw, problems)
    }

    fn warn(raw: &RawConfig, warnings: &mut Problems) {
        check::warn(raw, warnings);
    }
}

/// Where the configuration of this process comes from, so that it can be read again. The environment stays as it is
/// while a process runs.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// As it was named; `None`: the default one, where it exists.
    pub file: Option<PathBuf>,
    /// Of the command line.
    pub flags: Vec<Flag>,
}

impl Source {
    /// Reads everything. On failure: every problem, in order of place.
    pub fn load(&self) -> Result<Loaded<Config>, Vec<Problem>> {
        load(self.file.as_deref(), &self.flags)
    }
}

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[site]`.
    pub site: SiteConfig,
    /// `[storage]`.
    pub storage: StorageConfig,
    /// `[mqtt]`.
    pub mqtt: MqttConfig,
    /// `[web]`.
    pub web: WebConfig,
    /// `[socket]`.
    pub socket: SocketConfig,
    /// `[north]`.
    pub north: NorthConfig,
    /// `[devices]`.
    pub devices: DevicesConfig,
}

/// Where the files of devices are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesConfig {
    /// Absolute; one file for each device.
    pub dir: PathBuf,
    /// Absolute; profiles of the site's own.
    pub profiles_dir: PathBuf,
}

/// What the site is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteConfig {
    /// For people.
    pub name: String,
}

/// Where data is kept and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Absolute.
    pub dir: PathBuf,
    /// At least `check::QUOTA_MIN`.
    pub quota: ByteSize,
    /// How long telemetry waits for company in its block.
    pub seal_after: Duration,
    /// Whether readings that nobody waits for stay in memory longer, so that less is written.
    pub wear_saver: bool,
}

/// The broker's listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttConfig {
    /// May be empty: then the hub has no broker ports.
    pub listeners: Vec<MqttListener>,
}

/// One plain TCP listener for MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttListener {
    /// Port 0 takes any.
    pub address: SocketAddr,
    /// Clients need not say who they are. Loopback only.
    pub anonymous: bool,
}

/// The pages and the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// Loopback; port 0 takes any.
    pub listen: SocketAddr,
    /// Lowercase names allowed in `Host`, without port.
    pub hosts: Vec<String>,
}

/// The command line's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Absolute, short enough for a socket address.
    pub path: PathBuf,
}

/// The way to central.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NorthConfig {
    /// In the order in which they are tried. Empty: the hub keeps everything to itself.
    pub central: Vec<EndpointName>,
    /// Absolute; where the claim token lies until the hub is enrolled.
    pub enroll_token_file: Option<PathBuf>,
}
