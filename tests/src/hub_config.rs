//! The configuration file of a hub under test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// What a story may choose about its hub; everything else is the hub's own default.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Port of the MQTT listener; 0: one that is free, and stays with the hub across its starts.
    pub mqtt_port: u16,
    /// Port of the pages and the API; 0: one that is free, and stays with the hub across its starts.
    pub web_port: u16,
    /// Whether clients may connect without saying who they are.
    pub anonymous: bool,
    /// The centrals it syncs to, the preferred first; none: it keeps everything to itself.
    pub central: Vec<SocketAddr>,
    /// The text of the claim token in its file; empty: there is no such file.
    pub claim_token: String,
    /// How long records wait until they are sealed, and so can go north; empty: the hub's default.
    pub seal_after: String,
    /// Files of devices that it asks, by their names without `.toml`.
    pub devices: BTreeMap<String, String>,
    /// Lines put in front of everything else, for keys the harness does not know.
    pub extra: String,
}

/// Where the hub finds what its configuration names.
#[derive(Clone, Copy, Debug)]
pub struct HubPaths<'a> {
    /// Folder for data.
    pub data: &'a Path,
    /// The local socket.
    pub socket: &'a Path,
    /// File of the claim token.
    pub claim_token: &'a Path,
    /// Folder with the folders `devices.d` and `profiles.d`.
    pub files: &'a Path,
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            mqtt_port: 0,
            web_port: 0,
            anonymous: true,
            central: Vec::new(),
            claim_token: String::new(),
            seal_after: String::new(),
            devices: BTreeMap::new(),
            extra: String::new(),
        }
    }
}

impl HubConfig {
    /// A hub that syncs to this address, seals as soon as it may, and enrols with this token.
    pub fn synced(central: SocketAddr, claim_token: &str) -> HubConfig {
        HubConfig {
            central: vec![central],
            claim_token: claim_token.to_owned(),
            seal_after: "1s".to_owned(),
            ..HubConfig::default()
        }
    }

    /// The text of the file.
    pub fn text(&self, paths: HubPaths<'_>) -> String {
        let HubConfig { mqtt_port, web_port, anonymous, extra, .. } = self;
        let (data, socket) = (toml_string(paths.data), toml_string(paths.socket));
        let (seal_after, north) = (self.seal_after(), self.north(paths.claim_token));
        let [devices, profiles] =
            ["devices.d", "profiles.d"].map(|name| toml_string(&paths.files.join(name)));
        format!(
            "{extra}\n[site]\nname = \"test site\"\n\n[storage]\ndir = {data}\nquota = \"1GiB\"\n{seal_after}\n\
             [[mqtt.listener]]\naddress = \"127.0.0.1:{mqtt_port}\"\ntransport = \"tcp\"\nanonymous = {anonymous}\n\n\
             [web]\nlisten = \"127.0.0.1:{web_port}\"\n\n[socket]\npath = {socket}\n\n\
             [devices]\ndir = {devices}\nprofiles_dir = {profiles}\n{north}"
        )
    }

    fn seal_after(&self) -> String {
        let wait = &self.seal_after;
        if wait.is_empty() { String::new() } else { format!("seal_after = \"{wait}\"\n") }
    }

    fn north(&self, claim_token: &Path) -> String {
        if self.central.is_empty() {
            return String::new();
        }
        let addresses: Vec<String> = self.central.iter().map(|address| format!("\"{address}\"")).collect();
        let mut text = format!("\n[north]\ncentral = [{}]\n", addresses.join(", "));
        if !self.claim_token.is_empty() {
            text.push_str(&format!("enroll_token_file = {}\n", toml_string(claim_token)));
        }
        text
    }
}

/// A path as a TOML string.
fn toml_string(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy().into_owned()).to_string()
}
