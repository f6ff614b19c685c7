//! Central's configuration: its keys, their defaults and what they mean.
//!
//! The machinery is [`hub_chassis::config`]; `default.toml`, embedded, is the only list of defaults.

mod check;
mod raw;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use hub_chassis::config::{Configuration, Problems, Section};

use raw::RawConfig;

impl Configuration for Config {
    type Raw = RawConfig;

    const DEFAULT_TOML: &'static str = include_str!("../../default.toml");

    const DEFAULT_FILE: &'static str = "/etc/relais/central.toml";

    fn read(root: &mut Section<'_>) -> RawConfig {
        RawConfig::read(root)
    }

    fn check(raw: &RawConfig, problems: &mut Problems) -> Option<Config> {
        check::check(raw, problems)
    }
}

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[org]`.
    pub org: OrgConfig,
    /// `[storage]`.
    pub storage: StorageConfig,
    /// `[sync]`.
    pub sync: SyncConfig,
    /// `[api]`.
    pub api: ApiConfig,
}

/// The organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgConfig {
    /// For people.
    pub name: String,
}

/// Where everything is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Absolute.
    pub dir: PathBuf,
}

/// Where hubs connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// UDP; port 0 takes any.
    pub listen: SocketAddr,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// TCP; port 0 takes any.
    pub listen: SocketAddr,
    /// DNS names and IP addresses for its certificate.
    pub hosts: Vec<String>,
}
