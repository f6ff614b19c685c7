//! The configuration file of a hub under test.

use std::fmt::Write as _;
use std::path::Path;

/// What a story may choose about its hub; everything else is the hub's own default.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Port of the MQTT listener; 0 lets the hub find a free one.
    pub mqtt_port: u16,
    /// Port of the pages and the API; 0 lets the hub find a free one.
    pub web_port: u16,
    /// Whether clients may connect without saying who they are.
    pub anonymous: bool,
    /// Lines put in front of everything else, for keys the harness does not know.
    pub extra: String,
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig { mqtt_port: 0, web_port: 0, anonymous: true, extra: String::new() }
    }
}

impl HubConfig {
    /// The text of the file, with the folder for data and the path of the socket.
    pub fn text(&self, data: &Path, socket: &Path) -> String {
        let mut text = self.extra.clone();
        let HubConfig { mqtt_port, web_port, anonymous, .. } = self;
        let (data, socket) = (toml_string(data), toml_string(socket));
        write!(
            text,
            "\n[site]\nname = \"test site\"\n\n[storage]\ndir = {data}\nquota = \"1GiB\"\n\n\
             [[mqtt.listener]]\naddress = \"127.0.0.1:{mqtt_port}\"\ntransport = \"tcp\"\nanonymous = {anonymous}\n\n\
             [web]\nlisten = \"127.0.0.1:{web_port}\"\n\n[socket]\npath = {socket}\n"
        )
        .expect("a string takes text");
        text
    }
}

/// A path as a TOML string.
fn toml_string(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy().into_owned()).to_string()
}
