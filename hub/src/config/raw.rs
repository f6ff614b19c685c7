//! First step: every key, as written. What the values mean is left to [`super::check`].

use hub_chassis::config::{Found, Maybe, Section};

/// The keys, as written. Adding one here asks for its line and comment in `default.toml` (a test looks).
#[derive(Debug)]
pub struct RawConfig {
    pub(super) site_name: Maybe<String>,
    pub(super) storage_dir: Maybe<String>,
    pub(super) storage_quota: Maybe<String>,
    pub(super) storage_seal_after: Maybe<String>,
    pub(super) storage_wear_saver: Maybe<bool>,
    pub(super) mqtt_listeners: Vec<RawListener>,
    pub(super) web_listen: Maybe<String>,
    pub(super) web_hosts: Maybe<Vec<Found<String>>>,
    pub(super) socket_path: Maybe<String>,
    pub(super) north_central: Maybe<Vec<Found<String>>>,
    pub(super) north_enroll_token_file: Maybe<String>,
    pub(super) devices_dir: Maybe<String>,
    pub(super) devices_profiles_dir: Maybe<String>,
}

/// One `[[mqtt.listener]]`.
#[derive(Debug)]
pub(super) struct RawListener {
    pub(super) address: Maybe<String>,
    pub(super) transport: Maybe<String>,
    pub(super) anonymous: Maybe<bool>,
}

impl RawConfig {
    /// Asks for every key.
    pub(super) fn read(root: &mut Section<'_>) -> RawConfig {
        let site_name = root.section("site", |site| site.text("name"));
        let (storage_dir, storage_quota, storage_seal_after, storage_wear_saver) =
            root.section("storage", |storage| {
                (
                    storage.text("dir"),
                    storage.size("quota"),
                    storage.duration("seal_after"),
                    storage.bool("wear_saver"),
                )
            });
        let mqtt_listeners =
            root.section("mqtt", |mqtt| mqtt.sections("listener", "address", RawListener::read));
        let (web_listen, web_hosts) = root.section("web", |web| (web.text("listen"), web.texts("hosts")));
        let socket_path = root.section("socket", |socket| socket.text("path"));
        let (north_central, north_enroll_token_file) =
            root.section("north", |north| (north.texts("central"), north.text("enroll_token_file")));
        let (devices_dir, devices_profiles_dir) =
            root.section("devices", |devices| (devices.text("dir"), devices.text("profiles_dir")));
        RawConfig {
            site_name,
            storage_dir,
            storage_quota,
            storage_seal_after,
            storage_wear_saver,
            mqtt_listeners,
            web_listen,
            web_hosts,
            socket_path,
            north_central,
            north_enroll_token_file,
            devices_dir,
            devices_profiles_dir,
        }
    }
}

impl RawListener {
    fn read(listener: &mut Section<'_>) -> RawListener {
        let address = listener.text("address");
        listener
            .require("address", "every listener needs an IP address and port, such as \"127.0.0.1:1883\"");
        RawListener { address, transport: listener.text("transport"), anonymous: listener.bool("anonymous") }
    }
}

#[cfg(test)]
mod tests {
    use hub_chassis::config::{read_defaults, uncommented_defaults};

    use crate::config::Config;

    #[test]
    fn every_key_is_in_the_default_file_with_a_comment_above() {
        let raw = read_defaults::<Config>().unwrap();
        // Everything is an `Option` or a list that default.toml must fill: then reader and file name the same keys.
        let filled = [
            &raw.site_name,
            &raw.storage_dir,
            &raw.storage_quota,
            &raw.storage_seal_after,
            &raw.web_listen,
            &raw.socket_path,
            &raw.north_enroll_token_file,
            &raw.devices_dir,
            &raw.devices_profiles_dir,
        ];
        assert!(filled.iter().all(|found| found.is_some()), "{raw:#?}");
        let [listener] = &raw.mqtt_listeners[..] else { panic!("{raw:#?}") };
        assert!(listener.address.is_some() && listener.transport.is_some() && listener.anonymous.is_some());
        assert!(raw.storage_wear_saver.is_some());
        assert!(raw.web_hosts.is_some_and(|hosts| !hosts.value.is_empty()));
        assert!(raw.north_central.is_some());
        assert_eq!(uncommented_defaults::<Config>(), []);
    }
}
