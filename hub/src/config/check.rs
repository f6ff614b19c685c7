//! Second step: what the values mean, and whether they go together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hub_chassis::config::{
    ByteSize, Found, Origin, Problems, absolute_path, byte_size, duration, ports_clash, socket_address,
};

use northbound::{EndpointError, EndpointName};

use super::raw::{RawConfig, RawListener};
use super::{
    Config, DevicesConfig, MqttConfig, MqttListener, NorthConfig, SiteConfig, SocketConfig, StorageConfig,
    WebConfig,
};

/// Two write-ahead files of 8 MiB, the store and its reserve, and room for some days of a small site.
pub(super) const QUOTA_MIN: ByteSize = ByteSize::from_bytes(64 << 20);

/// Fits a heading on a phone in two lines.
const SITE_NAME_CHARS_MAX: usize = 100;

/// `sun_path` has 108 bytes, the last one a zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The ports of `default.toml`, for advice.
const MQTT_PORT: u16 = 1883;
const WEB_PORT: u16 = 8080;

/// Each is tried for seconds; more would keep a hub from the one that is up.
const CENTRALS_MAX: usize = 8;

/// Bounds of `storage.seal_after`.
const SEAL_AFTER_MIN: Duration = Duration::from_secs(1);
const SEAL_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);

/// Turns what was written into what it means. `None` when a value is missing, which has then been reported;
/// a value is only good when `problems` has stayed empty.
pub(super) fn check(raw: &RawConfig, problems: &mut Problems) -> Option<Config> {
    let site_name = raw.site_name.as_ref().and_then(|name| site_name(name, problems));
    let dir = raw.storage_dir.as_ref().and_then(|dir| absolute_path(dir, problems));
    let quota = raw.storage_quota.as_ref().and_then(|quota| quota_size(quota, problems));
    let listeners: Vec<_> = raw.mqtt_listeners.iter().filter_map(|l| listener(l, problems)).collect();
    let listen = raw.web_listen.as_ref().and_then(|listen| web_address(listen, problems));
    let hosts = web_hosts(raw, problems);
    let socket_path = raw.socket_path.as_ref().and_then(|path| socket_path(path, problems));
    let seal_after = raw.storage_seal_after.as_ref().and_then(|found| seal_after(found, problems));
    let wear_saver = raw.storage_wear_saver.as_ref().map(|found| found.value);
    let north = north(raw, problems);
    let devices_dir = raw.devices_dir.as_ref().and_then(|dir| absolute_path(dir, problems));
    let profiles_dir = raw.devices_profiles_dir.as_ref().and_then(|dir| absolute_path(dir, problems));
    ports_differ(raw, &listeners, listen, problems);
    Some(Config {
        site: SiteConfig { name: site_name? },
        storage: StorageConfig { dir: dir?, quota: quota?, seal_after: seal_after?, wear_saver: wear_saver? },
        mqtt: MqttConfig { listeners: listeners.into_iter().map(|(_, listener)| listener).collect() },
        web: WebConfig { listen: listen?, hosts },
        socket: SocketConfig { path: socket_path? },
        north,
        devices: DevicesConfig { dir: devices_dir?, profiles_dir: profiles_dir? },
    })
}

fn site_name(found: &Found<String>, problems: &mut Problems) -> Option<String> {
    let name = found.value.trim();
    let count = name.chars().count();
    if count == 0 {
        return found.report("is empty; give the site the name people call it by", problems);
    }
    if count > SITE_NAME_CHARS_MAX {
        let message =
            format!("has {count} characters; at most {SITE_NAME_CHARS_MAX} fit a heading on a phone");
        return found.report(message, problems);
    }
    if name.chars().any(char::is_control) {
        return found.report("has a control character, which no page can show; leave it out", problems);
    }
    Some(name.to_owned())
}

fn socket_path(found: &Found<String>, problems: &mut Problems) -> Option<PathBuf> {
    let path = absolute_path(found, problems)?;
    let length = found.value.len();
    if length > SOCKET_PATH_BYTES_MAX {
        let message = format!(
            "has {length} bytes, and the system takes at most {SOCKET_PATH_BYTES_MAX}; use a shorter path"
        );
        return found.report(message, problems);
    }
    if path.file_name().is_none() || found.value.ends_with('/') {
        return found.report("names a folder; add a file name, such as hub.sock", problems);
    }
    Some(path)
}

fn quota_size(found: &Found<String>, problems: &mut Problems) -> Option<ByteSize> {
    let size = byte_size(found, problems)?;
    if size >= QUOTA_MIN {
        return Some(size);
    }
    let message = format!(
        "{size} is too little: the write-ahead log and the store's own reserve need {QUOTA_MIN}; give it that or more"
    );
    found.report(message, problems)
}

fn seal_after(found: &Found<String>, problems: &mut Problems) -> Option<Duration> {
    let wait = duration(found, problems)?;
    if (SEAL_AFTER_MIN..=SEAL_AFTER_MAX).contains(&wait) {
        return Some(wait);
    }
    let message = "must lie between 1s, below which blocks compress badly and the flash wears, and 6h, the longest \
                   time a block may span";
    found.report(message, problems)
}

fn north(raw: &RawConfig, problems: &mut Problems) -> NorthConfig {
    let listed = raw.north_central.as_ref().map(|list| list.value.as_slice()).unwrap_or_default();
    let mut central: Vec<EndpointName> = Vec::new();
    for found in listed {
        let Some(endpoint) = endpoint(found, problems) else { continue };
        if central.contains(&endpoint) {
            found.report::<()>("stands in the list before; name each central once", problems);
        } else {
            central.push(endpoint);
        }
    }
    if let Some(list) = raw.north_central.as_ref().filter(|list| list.value.len() > CENTRALS_MAX) {
        let message = format!("names {} centrals; at most {CENTRALS_MAX} are tried", list.value.len());
        list.report::<()>(message, problems);
    }
    let token = raw.north_enroll_token_file.as_ref().filter(|found| !found.value.is_empty());
    NorthConfig { central, enroll_token_file: token.and_then(|found| absolute_path(found, problems)) }
}

fn endpoint(found: &Found<String>, problems: &mut Problems) -> Option<EndpointName> {
    match found.value.trim().parse() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            let error: EndpointError = error;
            found.report(error.to_string(), problems)
        }
    }
}

type Placed<'a> = (&'a Found<String>, MqttListener);

fn listener<'a>(raw: &'a RawListener, problems: &mut Problems) -> Option<Placed<'a>> {
    if let Some(transport) = &raw.transport {
        match transport.value.as_str() {
            "tcp" => {}
            "tls" | "ws" | "wss" => {
                let message =
                    format!("{:?} does not exist yet in this version; use \"tcp\"", transport.value);
                transport.report::<()>(message, problems);
            }
            other => {
                transport.report::<()>(format!("{other:?} is not a transport; use \"tcp\""), problems);
            }
        }
    }
    let found = raw.address.as_ref()?;
    let address = socket_address(found, MQTT_PORT, problems)?;
    let anonymous = raw.anonymous.as_ref().is_some_and(|anonymous| anonymous.value);
    if let Some(anonymous) = raw.anonymous.as_ref().filter(|a| a.value && !address.ip().is_loopback()) {
        let message = format!(
            "must not be true on {address}, which is not a loopback address: anyone on that network could write \
             data into this site; listen on 127.0.0.1 or set it to false"
        );
        anonymous.report::<()>(message, problems);
    }
    Some((found, MqttListener { address, anonymous }))
}

/// What can be meant as it is written, and still does not do what people want: listeners that let nobody in, a token
/// that nobody is asked with.
pub(super) fn warn(raw: &RawConfig, warnings: &mut Problems) {
    let token = raw.north_enroll_token_file.as_ref().filter(|found| !found.value.is_empty());
    let has_central = raw.north_central.as_ref().is_some_and(|list| !list.value.is_empty());
    if let Some(found) = token.filter(|_| !has_central) {
        let message = "is not read while north.central names no central: write central's address there";
        warnings.add(&found.origin, found.key.clone(), message.to_owned());
    }
    for listener in &raw.mqtt_listeners {
        let (Some(found), Some(anonymous)) = (&listener.address, &listener.anonymous) else { continue };
        if anonymous.value {
            continue;
        }
        let (origin, how) = match &anonymous.origin {
            Origin::Default => (&found.origin, "is left out and so false"),
            origin @ (Origin::File { .. } | Origin::Environment(_) | Origin::Flag(_)) => (origin, "is false"),
        };
        let loopback = found.value.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
        let advice = if loopback { "set it to true" } else { "listen on 127.0.0.1 and set it to true" };
        let message = format!(
            "{how}, so that nobody can connect to {}: this version has no users yet; {advice}",
            found.value
        );
        warnings.add(origin, anonymous.key.clone(), message);
    }
}

fn web_address(found: &Found<String>, problems: &mut Problems) -> Option<SocketAddr> {
    let address = socket_address(found, WEB_PORT, problems)?;
    if address.ip().is_loopback() {
        return Some(address);
    }
    let message = format!(
        "{address} is not a loopback address, and this version has no sign-in yet: anyone on that network could \
         read this site; use 127.0.0.1 and reach it through `ssh -L 8080:127.0.0.1:8080 HUB`"
    );
    found.report(message, problems)
}

fn web_hosts(raw: &RawConfig, problems: &mut Problems) -> Vec<String> {
    let Some(hosts) = &raw.web_hosts else { return Vec::new() };
    if hosts.value.is_empty() {
        hosts.report::<()>("is empty, so that no browser could reach the pages; name at least one", problems);
    }
    let mut names = Vec::new();
    for found in &hosts.value {
        let name = found.value.to_ascii_lowercase();
        let (inner, bracketed) = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None => (name.as_str(), false),
        };
        if inner.contains(':') && !(bracketed && inner.parse::<IpAddr>().is_ok()) {
            let message = format!(
                "{:?}: leave the port out, and write an IPv6 address in brackets: \"[::1]\"",
                found.value
            );
            found.report::<()>(message, problems);
        } else if inner.is_empty()
            || inner.contains(|c: char| !(c.is_ascii_alphanumeric() || ".-:_".contains(c)))
        {
            let message = format!("{:?} is not a host name; write it like \"hub.example.org\"", found.value);
            found.report::<()>(message, problems);
        } else {
            names.push(name);
        }
    }
    names
}

/// Each port once. Only equal or all-covering addresses clash; port 0 never does.
fn ports_differ(raw: &RawConfig, listeners: &[Placed<'_>], web: Option<SocketAddr>, problems: &mut Problems) {
    for (at, (found, listener)) in listeners.iter().enumerate() {
        if listeners[..at].iter().any(|(_, earlier)| ports_clash(earlier.address, listener.address)) {
            let message = format!("{} is taken by an earlier listener; use another port", listener.address);
            found.report::<()>(message, problems);
        }
    }
    let (Some(found), Some(web)) = (&raw.web_listen, web) else { return };
    if listeners.iter().any(|(_, listener)| ports_clash(listener.address, web)) {
        found.report::<()>(format!("{web} is taken by an MQTT listener; use another port"), problems);
    }
}
