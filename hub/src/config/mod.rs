//! The configuration: from texts with origins to checked values.
//!
//! `default.toml`, embedded, is the bottom layer and the only list of defaults; over it come the user's file, the
//! environment and flags (`layers`). Two steps: `raw` finds every key and its type, `check` turns them into
//! [`Config`]. Both go on after a problem, so that a person sees all of them at once, each with its place and what
//! to do. Each part of the hub receives its own struct by value and never sees files or the environment.

mod check;
mod document;
mod layers;
mod problem;
mod raw;
mod show;
mod suggest;
#[cfg(test)]
mod tests;
mod units;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use document::Origin;
pub use layers::{Layers, Loaded};
pub use problem::{Problem, Problems};
pub use show::{show_json, show_toml};
pub use units::{ByteSize, parse_duration};

/// The commented file that is the defaults.
pub const DEFAULT_TOML: &str = include_str!("../../default.toml");

/// Where `run` looks when no file is named.
pub const DEFAULT_FILE: &str = "/etc/relais/hub.toml";

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
