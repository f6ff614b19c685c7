//! What a configuration that was read again asks of the running hub: which keys changed, and whether each can change
//! while the hub runs.

use super::{
    Config, DevicesConfig, MqttConfig, NorthConfig, SiteConfig, SocketConfig, StorageConfig, WebConfig,
};

/// A key that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `site.name`.
    SiteName,
    /// `storage.dir`.
    StorageDir,
    /// `storage.quota`.
    StorageQuota,
    /// `storage.seal_after`.
    StorageSealAfter,
    /// `storage.wear_saver`.
    StorageWearSaver,
    /// `mqtt.listener`, the list as a whole.
    MqttListener,
    /// `web.listen`.
    WebListen,
    /// `web.hosts`.
    WebHosts,
    /// `socket.path`.
    SocketPath,
    /// `north.central`.
    NorthCentral,
    /// `north.enroll_token_file`.
    NorthEnrollTokenFile,
    /// `devices.dir`.
    DevicesDir,
    /// `devices.profiles_dir`.
    DevicesProfilesDir,
}

impl Key {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Key::SiteName => "site.name",
            Key::StorageDir => "storage.dir",
            Key::StorageQuota => "storage.quota",
            Key::StorageSealAfter => "storage.seal_after",
            Key::StorageWearSaver => "storage.wear_saver",
            Key::MqttListener => "mqtt.listener",
            Key::WebListen => "web.listen",
            Key::WebHosts => "web.hosts",
            Key::SocketPath => "socket.path",
            Key::NorthCentral => "north.central",
            Key::NorthEnrollTokenFile => "north.enroll_token_file",
            Key::DevicesDir => "devices.dir",
            Key::DevicesProfilesDir => "devices.profiles_dir",
        }
    }

    /// Whether only a start takes it over: the log is open in its folder, and sockets are bound before anything else
    /// runs, so that one that cannot be had is told at once.
    pub const fn needs_restart(self) -> bool {
        match self {
            Key::StorageDir | Key::MqttListener | Key::WebListen | Key::SocketPath => true,
            Key::SiteName
            | Key::StorageQuota
            | Key::StorageSealAfter
            | Key::StorageWearSaver
            | Key::WebHosts
            | Key::NorthCentral
            | Key::NorthEnrollTokenFile
            | Key::DevicesDir
            | Key::DevicesProfilesDir => false,
        }
    }
}

/// What a reload is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Take the new values of these keys over. None: the files say what is in force.
    Change(Vec<Key>),
    /// Nothing at all, for these keys need a restart.
    Refuse(Vec<Key>),
}

/// Compares what is in force with what was read.
pub fn plan(in_force: &Config, read: &Config) -> Plan {
    let changed = changed(in_force, read);
    let needs_restart: Vec<Key> = changed.iter().copied().filter(|key| key.needs_restart()).collect();
    if needs_restart.is_empty() { Plan::Change(changed) } else { Plan::Refuse(needs_restart) }
}

/// Every key with another value. Taken apart to the last field: a new one does not compile before it is decided on.
fn changed(in_force: &Config, read: &Config) -> Vec<Key> {
    let Config {
        site: SiteConfig { name },
        storage: StorageConfig { dir, quota, seal_after, wear_saver },
        mqtt: MqttConfig { listeners },
        web: WebConfig { listen, hosts },
        socket: SocketConfig { path },
        north: NorthConfig { central, enroll_token_file },
        devices: DevicesConfig { dir: devices_dir, profiles_dir },
    } = in_force;
    let keys = [
        (Key::SiteName, *name != read.site.name),
        (Key::StorageDir, *dir != read.storage.dir),
        (Key::StorageQuota, *quota != read.storage.quota),
        (Key::StorageSealAfter, *seal_after != read.storage.seal_after),
        (Key::StorageWearSaver, *wear_saver != read.storage.wear_saver),
        (Key::MqttListener, *listeners != read.mqtt.listeners),
        (Key::WebListen, *listen != read.web.listen),
        (Key::WebHosts, *hosts != read.web.hosts),
        (Key::SocketPath, *path != read.socket.path),
        (Key::NorthCentral, *central != read.north.central),
        (Key::NorthEnrollTokenFile, *enroll_token_file != read.north.enroll_token_file),
        (Key::DevicesDir, *devices_dir != read.devices.dir),
        (Key::DevicesProfilesDir, *profiles_dir != read.devices.profiles_dir),
    ];
    keys.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hub_chassis::config::Layers;

    use super::*;

    fn config(text: &str) -> Config {
        let files = vec![(PathBuf::from("hub.toml"), text.to_owned())];
        Layers { files, ..Layers::default() }.load::<Config>().unwrap().config
    }

    /// What a file asks of a hub that runs on the defaults.
    fn asked(text: &str) -> Plan {
        plan(&config(""), &config(text))
    }

    #[test]
    fn the_same_values_ask_for_nothing_however_they_are_written() {
        assert_eq!(asked(""), Plan::Change(Vec::new()));
        let same = "[storage]\nquota = \"8192MiB\"\nseal_after = \"900s\"\n[web]\nhosts = [\"LOCALHOST\", \"127.0.0.1\", \"[::1]\"]\n";
        assert_eq!(asked(same), Plan::Change(Vec::new()));
    }

    #[test]
    fn each_key_is_noticed_and_has_its_way() {
        let cases = [
            ("[site]\nname = \"x\"", Key::SiteName),
            ("[storage]\ndir = \"/x\"", Key::StorageDir),
            ("[storage]\nquota = \"1GiB\"", Key::StorageQuota),
            ("[storage]\nseal_after = \"1min\"", Key::StorageSealAfter),
            ("[storage]\nwear_saver = true", Key::StorageWearSaver),
            ("[[mqtt.listener]]\naddress = \"127.0.0.1:1884\"\nanonymous = true", Key::MqttListener),
            ("[[mqtt.listener]]\naddress = \"127.0.0.1:1883\"\nanonymous = false", Key::MqttListener),
            ("[mqtt]\nlistener = []", Key::MqttListener),
            ("[web]\nlisten = \"127.0.0.1:8081\"", Key::WebListen),
            ("[web]\nhosts = [\"localhost\"]", Key::WebHosts),
            ("[socket]\npath = \"/x\"", Key::SocketPath),
            ("[north]\ncentral = [\"a:1\"]", Key::NorthCentral),
            ("[north]\nenroll_token_file = \"/x\"", Key::NorthEnrollTokenFile),
            ("[devices]\ndir = \"/x\"", Key::DevicesDir),
            ("[devices]\nprofiles_dir = \"/x\"", Key::DevicesProfilesDir),
        ];
        for (text, key) in cases {
            let wanted = if key.needs_restart() { Plan::Refuse(vec![key]) } else { Plan::Change(vec![key]) };
            assert_eq!(asked(text), wanted, "{text}");
            let files = vec![(PathBuf::from("hub.toml"), text.to_owned())];
            let loaded = Layers { files, ..Layers::default() }.load::<Config>().unwrap();
            let place = loaded.origin(key.name()).unwrap_or_else(|| panic!("no key {}", key.name()));
            assert!(place.to_string().starts_with("hub.toml:"), "{text}: {place}");
        }
    }

    #[test]
    fn one_key_that_needs_a_restart_refuses_all_and_every_such_key_is_named() {
        let both = "[site]\nname = \"x\"\n[storage]\nquota = \"1GiB\"\n";
        assert_eq!(asked(both), Plan::Change(vec![Key::SiteName, Key::StorageQuota]));
        let mixed = format!("{both}dir = \"/x\"\n[web]\nlisten = \"127.0.0.1:1\"\n");
        assert_eq!(asked(&mixed), Plan::Refuse(vec![Key::StorageDir, Key::WebListen]));
    }

    #[test]
    fn the_way_back_asks_for_the_same_keys() {
        let other = config("[site]\nname = \"x\"\n[north]\ncentral = [\"a:1\", \"b:1\"]\n");
        assert_eq!(plan(&other, &config("")), Plan::Change(vec![Key::SiteName, Key::NorthCentral]));
        let turned = config("[site]\nname = \"x\"\n[north]\ncentral = [\"b:1\", \"a:1\"]\n");
        assert_eq!(plan(&other, &turned), Plan::Change(vec![Key::NorthCentral]), "the order counts");
    }
}
