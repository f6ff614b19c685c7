//! The files of a demo: configurations, the meter's device file, and what another terminal needs.

use std::path::Path;

use serde_json::Value;

use crate::ports::Ports;

/// What people call the site.
pub(crate) const SITE: &str = "Demo site";

/// Most room the hub may take: less than its disk has, so that the disk is full before the quota is, and not so little
/// that a demo of some days would meet it.
const QUOTA: &str = "160MiB";

/// Central's configuration.
pub(crate) fn central(ports: &Ports, data: &Path) -> String {
    let Ports { sync, api, .. } = ports;
    let data = quoted(data);
    format!(
        "[org]\nname = \"Demo\"\n\n[storage]\ndir = {data}\n\n\
         [sync]\nlisten = \"{sync}\"\n\n[api]\nlisten = \"{api}\"\n"
    )
}

/// Where the hub finds what its configuration names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubPaths<'a> {
    pub(crate) data: &'a Path,
    pub(crate) socket: &'a Path,
    /// Folder with `devices.d` and `profiles.d`.
    pub(crate) files: &'a Path,
    /// The claim token, for a hub that is not enrolled.
    pub(crate) claim_token: Option<&'a Path>,
}

/// The hub's configuration. Readings are sealed soon, so that one can see central confirm them.
pub(crate) fn hub(ports: &Ports, paths: HubPaths<'_>) -> String {
    let Ports { page, mqtt, link, .. } = ports;
    let (data, socket) = (quoted(paths.data), quoted(paths.socket));
    let [devices, profiles] = ["devices.d", "profiles.d"].map(|name| quoted(&paths.files.join(name)));
    let token = paths.claim_token.map(|path| format!("enroll_token_file = {}\n", quoted(path)));
    let token = token.unwrap_or_default();
    format!(
        "[site]\nname = \"{SITE}\"\n\n[storage]\ndir = {data}\nquota = \"{QUOTA}\"\nseal_after = \"5s\"\n\n\
         [[mqtt.listener]]\naddress = \"{mqtt}\"\nanonymous = true\n\n[web]\nlisten = \"{page}\"\n\n\
         [socket]\npath = {socket}\n\n[north]\ncentral = [\"{link}\"]\n{token}\n\
         [devices]\ndir = {devices}\nprofiles_dir = {profiles}\n"
    )
}

/// The meter's device file.
pub(crate) fn meter(ports: &Ports) -> String {
    format!(
        "# The simulated meter: see docs/reference/modbus.md for what else a device file can hold.\n\
         name = \"meter\"\ndriver = \"modbus\"\nendpoint = \"tcp://{}\"\nunit = {}\n\
         profile = \"eastron-sdm630\"\ninterval = \"2s\"\n\n[tags]\nroom = \"cellar\"\n\n\
         # Once a minute by the profile; here one wants to see the end of a fault.\n\
         [[group]]\nname = \"energy\"\ninterval = \"10s\"\n",
        ports.modbus,
        relais_sim::site::METER_UNIT
    )
}

/// What another terminal reads with `. FILE`, so that the programs find each other.
pub(crate) fn env(ports: &Ports, bin: &Path, socket: &Path, config: &Path) -> String {
    let [bin, socket, config] = [bin, socket, config].map(shell_quoted);
    format!(
        "# For a terminal beside the demo: `. {{this file}}`. Then relais-hub, relais and relais-sim know where to ask.\n\
         export PATH={bin}:\"$PATH\"\nexport RELAIS_SOCKET={socket}\n\
         export RELAIS_SIM_CONTROL={}\nrelais() {{ XDG_CONFIG_HOME={config} command relais \"$@\"; }}\n",
        ports.control
    )
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    Value::from(path.to_string_lossy().into_owned()).to_string()
}

/// A path as one word of a shell.
fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_have_any_letters() {
        assert_eq!(quoted(Path::new("/a \"b\"/c")), r#""/a \"b\"/c""#);
        assert_eq!(shell_quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }

    #[test]
    fn a_hub_that_is_enrolled_is_given_no_token() {
        let (ports, _) = Ports::choose(true).unwrap();
        let [data, socket, files, token] = ["/d", "/s", "/f", "/t"].map(Path::new);
        let text = |claim_token| hub(&ports, HubPaths { data, socket, files, claim_token });
        assert!(text(Some(token)).contains("enroll_token_file = \"/t\""));
        assert!(!text(None).contains("enroll_token_file"));
        assert!(text(None).contains(&format!("central = [\"{}\"]", ports.link)));
    }
}
