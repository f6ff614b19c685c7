//! The event an agent says first after each of its starts.

use crate::host::Host;
use crate::json::ObjectWriter;

/// The event's code.
pub const CODE: &str = "agent-hello";

/// Longest value of a parameter: the hub takes no longer one.
const VALUE_BYTES_MAX: usize = 256;

/// What a device is. What it does not say is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Of the board or machine: device tree, else DMI.
    pub model: Option<String>,
    /// A random id, new with each boot.
    pub boot_id: Option<String>,
    /// The processor's architecture, as this program was built for.
    pub arch: &'static str,
}

impl Identity {
    /// Asks the device.
    pub fn read(host: &Host) -> Identity {
        let release = host.line("etc/os-release").or_else(|| host.line("usr/lib/os-release"));
        let model = ["proc/device-tree/model", "sys/class/dmi/id/product_name"];
        Identity {
            os: release.as_deref().and_then(pretty_name),
            kernel: host.line("proc/sys/kernel/osrelease"),
            model: model.into_iter().find_map(|path| host.line(path)),
            boot_id: host.line("proc/sys/kernel/random/boot_id"),
            arch: std::env::consts::ARCH,
        }
    }

    /// The event, as a JSON object without its time.
    pub fn to_event(&self) -> String {
        let mut params = ObjectWriter::new();
        params.string("version", env!("CARGO_PKG_VERSION"));
        params.string("arch", self.arch);
        let told =
            [("os", &self.os), ("kernel", &self.kernel), ("model", &self.model), ("boot_id", &self.boot_id)];
        for (key, value) in told {
            if let Some(value) = value {
                params.string(key, &cut(value));
            }
        }
        let mut event = ObjectWriter::new();
        event.string("severity", "info");
        event.string("code", CODE);
        event.string("text", concat!("relais-agent ", env!("CARGO_PKG_VERSION"), " started"));
        event.object("params", params);
        event.finish()
    }
}

fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim();
    let name = value.trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Without control characters, and cut at a character's end.
fn cut(value: &str) -> String {
    let mut end = value.len().min(VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use southbound_wire::{DeviceMessage, IngestKind, Limits, decode};

    #[test]
    fn the_hub_takes_the_event() {
        let identity = Identity {
            os: Some("Debian \"12\" é".into()),
            kernel: Some("6.1.0-rpi".into()),
            model: Some("é".repeat(200)),
            boot_id: None,
            arch: "aarch64",
        };
        let decoded = decode(IngestKind::Event, identity.to_event().as_bytes(), &Limits::default()).unwrap();
        let DeviceMessage::Event(event) = decoded.message else { panic!() };
        assert_eq!(&*event.code, CODE);
        let keys: Vec<&str> = event.params.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["version", "arch", "os", "kernel", "model"]);
        assert_eq!(event.params[4].1.len(), 256);
    }

    #[test]
    fn names_of_systems_are_read() {
        assert_eq!(pretty_name("A=1\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
        assert_eq!(pretty_name("PRETTY_NAME=Alpine\n").as_deref(), Some("Alpine"));
        assert_eq!(pretty_name("PRETTY_NAME=\"\"\n"), None);
    }

    #[test]
    fn this_device_says_who_it_is() {
        let identity = Identity::read(&Host::new("/"));
        assert!(identity.kernel.is_some() && identity.boot_id.is_some());
    }
}
