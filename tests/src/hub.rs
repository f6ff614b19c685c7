//! A running `relais-hub`, and everything a story may ask of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::central::copy;
use crate::place::profile_dir;
use crate::ports::lasting_port;
use crate::process::clean_command;
use crate::{
    Answer, Ended, Gap, HubConfig, HubPaths, Ledger, Link, Metrics, Output, Place, Process, Reading,
    Readings, eventually, http, parse_export,
};

/// From start to listening, with room for a busy machine. The budget of 0.3 s is watched by the benchmark.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// From SIGTERM to the end.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A hub of its own: a folder, a configuration, a process. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Hub {
    // Before `place`, so that the process is gone when its folder goes.
    process: Option<Process>,
    config: HubConfig,
    mqtt: SocketAddr,
    web: SocketAddr,
    place: Place,
}

impl Hub {
    /// Starts a hub with the harness's defaults and waits until it listens.
    pub fn start(story: &str) -> Hub {
        Hub::start_with(story, HubConfig::default())
    }

    /// Starts a hub and waits until it listens.
    pub fn start_with(story: &str, mut config: HubConfig) -> Hub {
        for port in [&mut config.mqtt_port, &mut config.web_port] {
            if *port == 0 {
                // Clients find it there again, whenever it is started again.
                *port = lasting_port();
            }
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut hub = Hub { process: None, config, mqtt: nowhere, web: nowhere, place: Place::new(story) };
        hub.start_again();
        hub
    }

    /// The binary under test: `RELAIS_HUB_BIN`, or the one beside the tests.
    pub fn binary() -> PathBuf {
        std::env::var_os("RELAIS_HUB_BIN").map_or_else(|| profile_dir().join("relais-hub"), PathBuf::from)
    }

    /// Starts the stopped hub again, on the ports it had before, and waits until it listens.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the hub runs already");
        self.write_files();
        let mut command = clean_command(Hub::binary());
        command.arg("run").arg("--config").arg(self.config_file()).env("RUST_BACKTRACE", "1");
        let mut process = Process::start("relais-hub", &mut command, &self.place.file("hub.log"));
        let (mqtt, web) = eventually(START_DEADLINE, "the hub's addresses", || {
            if let Some(status) = process.ended() {
                panic!("the hub ended at its start ({status}):\n{}", process.log());
            }
            addresses(&self.socket())
        });
        self.process = Some(process);
        (self.mqtt, self.web) = (mqtt, web);
    }

    fn write_files(&self) {
        let (data, socket, claim_token) = (self.data_dir(), self.socket(), self.claim_token_file());
        let paths =
            HubPaths { data: &data, socket: &socket, claim_token: &claim_token, files: self.place.path() };
        fs::write(self.config_file(), self.config.text(paths)).expect("a configuration can be written");
        if !self.config.claim_token.is_empty() {
            fs::write(&claim_token, &self.config.claim_token).expect("a token can be written");
            fs::set_permissions(&claim_token, fs::Permissions::from_mode(0o600)).expect("its own file");
        }
        self.write_device_files();
    }

    fn write_device_files(&self) {
        let folder = self.place.file("devices.d");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("an old folder can be removed");
        }
        fs::create_dir_all(&folder).expect("a folder can be made");
        for (name, text) in &self.config.devices {
            fs::write(folder.join(format!("{name}.toml")), text).expect("a device's file can be written");
        }
    }

    /// Gives it other device files and tells it to read them (SIGHUP), without waiting.
    pub fn reload_devices(&mut self, devices: BTreeMap<String, String>) {
        self.config.devices = devices;
        self.write_device_files();
        self.process().hang_up();
    }

    /// Gives it these lines in a file of the folder beside its configuration, in place of those of the last call, and
    /// tells it to read everything again (SIGHUP), without waiting.
    pub fn reload_with(&mut self, text: &str) {
        let folder = self.place.file("hub.toml.d");
        fs::create_dir_all(&folder).expect("a folder can be made");
        // As an editor does: the file is there with its old lines or with its new ones.
        let (new, file) = (folder.join(".50-story.toml"), folder.join("50-story.toml"));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).expect("a file can be written");
        self.process().hang_up();
    }

    /// Kills it with signal 9, at this very moment.
    pub fn kill9(&mut self) {
        self.process.take().expect("the hub runs").kill9();
    }

    /// Kills it with signal 9 and starts it again.
    pub fn restart9(&mut self) {
        self.kill9();
        self.start_again();
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub fn terminate(&mut self) -> Ended {
        self.process.take().expect("the hub runs").terminate(STOP_DEADLINE)
    }

    /// Changes its configuration, for its next start.
    pub const fn config(&mut self) -> &mut HubConfig {
        &mut self.config
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the hub runs")
    }

    /// What all its runs have logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.place.file("hub.log")).unwrap_or_default()).into_owned()
    }

    /// Where MQTT clients connect.
    pub const fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where the API is.
    pub const fn web(&self) -> SocketAddr {
        self.web
    }

    /// The story's folder.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Where the hub keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.place.file("data")
    }

    /// Where it keeps its key, its certificate and the highest term it has seen.
    pub fn identity_dir(&self) -> PathBuf {
        self.data_dir().join("north")
    }

    fn socket(&self) -> PathBuf {
        self.place.socket("hub.sock")
    }

    fn config_file(&self) -> PathBuf {
        self.place.file("hub.toml")
    }

    /// The file its configuration names for a claim token.
    pub fn claim_token_file(&self) -> PathBuf {
        self.place.file("claim-token")
    }

    /// Copies its data, stopped, as an operator would. The name of the copy is for [`restore_storage`](Self::restore_storage).
    pub fn copy_storage(&self, name: &str) {
        copy(&self.data_dir(), &self.data_dir().with_file_name(name));
    }

    /// Puts a copy in the place of its data.
    pub fn restore_storage(&self, name: &str) {
        assert!(self.process.is_none(), "the hub runs");
        fs::remove_dir_all(self.data_dir()).expect("the data can be removed");
        copy(&self.data_dir().with_file_name(name), &self.data_dir());
    }

    /// Runs a command of `relais-hub` against it.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = clean_command(Hub::binary());
        Output::of(command.args(arguments).arg("--socket").arg(self.socket()))
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.cli(&["status", "--json"]).json()
    }

    /// Its id, `hub_…`.
    #[track_caller]
    pub fn id(&self) -> String {
        let status = self.status();
        status["hub"].as_str().unwrap_or_else(|| panic!("no hub in {status}")).to_owned()
    }

    /// Its link to central, as `status --json` tells of it.
    pub fn link(&self) -> Link {
        Link::of(&self.status())
    }

    /// Waits until central answers it.
    pub fn wait_for_central(&self, deadline: Duration) {
        eventually(deadline, "the hub to reach central", || {
            let link = self.link();
            if link.state == "connected" { Ok(()) } else { Err(format!("{link:?}")) }
        });
    }

    /// Waits until central has confirmed every number it has given out.
    pub fn wait_until_confirmed(&self, deadline: Duration) {
        eventually(deadline, "central to confirm everything", || {
            let ledger = self.ledger();
            if ledger.rows.iter().all(|row| row.confirmed == row.next) {
                return Ok(());
            }
            Err(format!("{:?}, {ledger:?}", self.link()))
        });
    }

    /// Everything it has of one metric of a device; nothing where it does not know the device.
    pub fn readings(&self, device: &str, metric: &str) -> Readings {
        let path = format!("/api/v1/series?device={device}&metric={metric}&limit=10000");
        if self.get(&path).status == 404 {
            return Readings::default();
        }
        let mut pages = vec![self.get_json(&path)];
        while let Some(token) = pages.last().and_then(|page| page["next_page_token"].as_str()) {
            let next = format!("{path}&page_token={token}");
            pages.push(self.get_json(&next));
        }
        Readings::of_pages(&pages)
    }

    /// `data ledger --json`.
    pub fn ledger(&self) -> Ledger {
        Ledger::parse(&self.cli(&["data", "ledger", "--json"]).json())
    }

    /// `data gaps --json`.
    pub fn gaps(&self) -> Vec<Gap> {
        Gap::parse_all(&self.cli(&["data", "gaps", "--json"]).json())
    }

    /// Every reading, by `data export --format ndjson`.
    pub fn export(&self) -> Vec<Reading> {
        parse_export(&self.cli(&["data", "export", "--format", "ndjson"]).success())
    }

    /// A GET request to its API.
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.web, path)
    }

    /// A GET request that must be answered with 200 and JSON.
    #[track_caller]
    pub fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// `/metrics`.
    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "GET /metrics");
        Metrics::parse(&answer.text())
    }

    /// Waits until the MQTT listener takes connections.
    pub fn wait_for_mqtt(&self) {
        eventually(START_DEADLINE, "the MQTT listener", || {
            TcpStream::connect(self.mqtt).map(drop).map_err(|e| e.to_string())
        });
    }
}

/// The addresses a hub reports through its socket: MQTT and web.
fn addresses(socket: &Path) -> Result<(SocketAddr, SocketAddr), String> {
    if !socket.exists() {
        return Err("no socket yet".to_owned());
    }
    let output = Output::of(Command::new(Hub::binary()).args(["status", "--json", "--socket"]).arg(socket));
    if output.code != Some(0) {
        return Err(output.stderr);
    }
    let status: Value =
        serde_json::from_str(&output.stdout).map_err(|e| format!("{e}: {}", output.stdout))?;
    let find = |kind: &str| {
        status["listeners"]
            .as_array()
            .and_then(|all| all.iter().find(|listener| listener["kind"] == kind))
            .and_then(|listener| listener["address"].as_str()?.parse().ok())
            .ok_or_else(|| format!("no {kind} listener in {status}"))
    };
    Ok((find("mqtt")?, find("web")?))
}
