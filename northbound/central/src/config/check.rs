//! Second step: what the values mean.

use std::net::IpAddr;

use hub_chassis::config::{Found, Problems, absolute_path, socket_address};

use super::raw::RawConfig;
use super::{ApiConfig, Config, OrgConfig, StorageConfig, SyncConfig};

/// Fits a heading in two lines.
const NAME_CHARS_MAX: usize = 100;

/// The longest DNS name.
const HOST_CHARS_MAX: usize = 253;

/// The ports of `default.toml`, for advice.
const SYNC_PORT: u16 = northbound_wire::SYNC_PORT;
const API_PORT: u16 = 7444;

/// Turns what was written into what it means. `None` when a value is missing, which has then been reported; a value is
/// only good when `problems` has stayed empty.
pub(super) fn check(raw: &RawConfig, problems: &mut Problems) -> Option<Config> {
    let name = raw.org_name.as_ref().and_then(|name| org_name(name, problems));
    let dir = raw.storage_dir.as_ref().and_then(|dir| absolute_path(dir, problems));
    let sync = raw.sync_listen.as_ref().and_then(|found| socket_address(found, SYNC_PORT, problems));
    let api = raw.api_listen.as_ref().and_then(|found| socket_address(found, API_PORT, problems));
    let hosts = raw.api_hosts.as_ref().map(|hosts| hosts.value.as_slice()).unwrap_or_default();
    let hosts = hosts.iter().filter_map(|found| host(found, problems)).collect();
    Some(Config {
        org: OrgConfig { name: name? },
        storage: StorageConfig { dir: dir? },
        sync: SyncConfig { listen: sync? },
        api: ApiConfig { listen: api?, hosts },
    })
}

fn org_name(found: &Found<String>, problems: &mut Problems) -> Option<String> {
    let name = found.value.trim();
    let count = name.chars().count();
    if count == 0 {
        return found.report("is empty; give the organisation the name people call it by", problems);
    }
    if count > NAME_CHARS_MAX {
        return found
            .report(format!("has {count} characters; at most {NAME_CHARS_MAX} fit a heading"), problems);
    }
    if name.chars().any(char::is_control) {
        return found.report("has a control character, which no page can show; leave it out", problems);
    }
    Some(name.to_owned())
}

fn host(found: &Found<String>, problems: &mut Problems) -> Option<String> {
    let text = found.value.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Some(bare.to_owned());
    }
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= HOST_CHARS_MAX && text.split('.').all(label) {
        return Some(text.to_ascii_lowercase());
    }
    let message =
        format!("{text:?} is neither a DNS name nor an IP address; leave scheme, port and path out");
    found.report(message, problems)
}
