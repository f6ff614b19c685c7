//! A running `relais-central`, and everything a story may ask of it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use northbound_wire::{AdminToken, Fingerprint};
use serde_json::Value;

use crate::https::HttpsClient;
use crate::place::profile_dir;
use crate::ports::lasting_port;
use crate::process::clean_command;
use crate::{Answer, Ended, Gap, Metrics, Output, Place, Process, Readings, eventually};

/// From start to answering, with room for a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// From SIGTERM to the end.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Pages of one list a story reads at most.
const PAGES_MAX: usize = 10_000;

/// A central of its own: a folder, a configuration, a process. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Central {
    // Before `place`, so that the process is gone when its folder goes.
    process: Option<Process>,
    ports: Ports,
    admin: String,
    place: Place,
}

/// Where it listens: the same ports in every run, so that hubs find it again.
#[derive(Clone, Copy, Debug)]
struct Ports {
    sync: SocketAddr,
    api: SocketAddr,
}

impl Ports {
    /// Ports that were free a moment ago.
    fn free() -> Ports {
        let [sync, api] = [lasting_port(), lasting_port()].map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Ports { sync, api }
    }
}

impl Central {
    /// Starts a central with an empty folder, and waits until it answers.
    pub fn start(story: &str) -> Central {
        Central::start_on(Place::new(story), Ports::free())
    }

    /// Starts another central, of an organisation of its own, at the addresses of this one, which must be stopped.
    pub fn start_impostor(&self, story: &str) -> Central {
        assert!(self.process.is_none(), "the central runs, and its ports are taken");
        Central::start_on(Place::new(story), self.ports)
    }

    fn start_on(place: Place, ports: Ports) -> Central {
        let mut central = Central { process: None, ports, admin: String::new(), place };
        central.start_again();
        central
    }

    /// The binary under test: `RELAIS_CENTRAL_BIN`, or the one beside the tests.
    pub fn binary() -> PathBuf {
        std::env::var_os("RELAIS_CENTRAL_BIN")
            .map_or_else(|| profile_dir().join("relais-central"), PathBuf::from)
    }

    /// Starts the stopped central again and waits until it answers.
    pub fn start_again(&mut self) {
        self.launch(&[]);
        self.wait_until_it_answers();
    }

    /// The same, telling it that its folder is a copy that was put back.
    pub fn start_restored(&mut self) {
        self.launch(&["--restored"]);
        self.wait_until_it_answers();
    }

    fn launch(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "the central runs already");
        let Ports { sync, api } = self.ports;
        let dir = Value::from(self.storage_dir().to_string_lossy().into_owned());
        let text =
            format!("[storage]\ndir = {dir}\n\n[sync]\nlisten = \"{sync}\"\n\n[api]\nlisten = \"{api}\"\n");
        fs::write(self.config_file(), text).expect("a configuration can be written");
        let mut command = clean_command(Central::binary());
        command.arg("run").arg("--config").arg(self.config_file()).args(arguments);
        command.env("RUST_BACKTRACE", "1");
        self.process = Some(Process::start("relais-central", &mut command, &self.log_file()));
    }

    fn wait_until_it_answers(&mut self) {
        eventually(START_DEADLINE, "central to answer", || {
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.ended() {
                panic!("central ended at its start ({status}):\n{}", process.log());
            }
            if self.admin.is_empty() {
                self.admin = find_admin_token(&process.log()).ok_or("it has not told its admin token yet")?;
            }
            let answer = self.client().get(self.ports.api, "/healthz")?;
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        });
    }

    /// Kills it with signal 9, at this very moment.
    pub fn kill9(&mut self) {
        self.process.take().expect("central runs").kill9();
    }

    /// Kills it with signal 9 and starts it again.
    pub fn restart9(&mut self) {
        self.kill9();
        self.start_again();
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub fn terminate(&mut self) -> Ended {
        self.process.take().expect("central runs").terminate(STOP_DEADLINE)
    }

    /// What all its runs have logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Where hubs connect (UDP).
    pub const fn sync(&self) -> SocketAddr {
        self.ports.sync
    }

    /// Where the API is (TCP).
    pub const fn api(&self) -> SocketAddr {
        self.ports.api
    }

    /// The story's folder.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Where it keeps its data.
    pub fn storage_dir(&self) -> PathBuf {
        self.place.file("data")
    }

    fn config_file(&self) -> PathBuf {
        self.place.file("central.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.place.file("central.log")
    }

    /// Copies its storage as an operator would: stopped, or as a snapshot of the file system sees it while it runs. The
    /// name of the copy is for [`restore_storage`](Self::restore_storage).
    pub fn copy_storage(&self, name: &str) {
        let (from, to) = (self.storage_dir(), self.place.file(name));
        match &self.process {
            Some(process) => process.halted(|| copy(&from, &to)),
            None => copy(&from, &to),
        }
    }

    /// The files of its pack objects.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.storage_dir().join("objects"), &mut found);
        found.sort();
        found
    }

    /// Puts a copy in the place of the storage.
    pub fn restore_storage(&self, name: &str) {
        assert!(self.process.is_none(), "the central runs");
        fs::remove_dir_all(self.storage_dir()).expect("the storage can be removed");
        copy(&self.place.file(name), &self.storage_dir());
    }

    /// Runs a command of `relais-central` with its configuration.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = clean_command(Central::binary());
        Output::of(command.args(arguments).arg("--config").arg(self.config_file()))
    }

    /// A new claim token for one hub at this site.
    #[track_caller]
    pub fn claim_token(&self, site: &str) -> String {
        self.claim_token_for(site, "24h")
    }

    /// The same, with another time to live, such as `1s`.
    #[track_caller]
    pub fn claim_token_for(&self, site: &str, expires: &str) -> String {
        let created = self.cli(&["token", "create", "--site", site, "--expires", expires]).success();
        let token = created.trim().to_owned();
        assert!(token.starts_with("relais-claim-v1."), "not a claim token: {token}");
        token
    }

    /// The token that was told at the first start.
    pub fn admin_token(&self) -> &str {
        &self.admin
    }

    /// The fingerprint of its root.
    pub fn root(&self) -> Fingerprint {
        let token: AdminToken = self.admin.parse().expect("central tells a good token");
        token.root
    }

    fn client(&self) -> HttpsClient {
        HttpsClient::new(self.root(), &self.admin)
    }

    /// A GET request to its API, as administrator.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.client().get(self.ports.api, path).unwrap_or_else(|why| panic!("{why}"))
    }

    /// A GET request that must be answered with 200 and JSON.
    #[track_caller]
    pub fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// All pages of a list.
    #[track_caller]
    pub fn pages(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut pages = Vec::new();
        let mut next = path.to_owned();
        while pages.len() < PAGES_MAX {
            let page = self.get_json(&next);
            let token = page["next_page_token"].as_str().map(str::to_owned);
            pages.push(page);
            match token {
                Some(token) => next = format!("{path}{joint}page_token={token}"),
                None => return pages,
            }
        }
        panic!("{path} has no end after {PAGES_MAX} pages");
    }

    /// All rows of a list, by the name it has in the answer.
    #[track_caller]
    pub fn list(&self, path: &str, name: &str) -> Vec<Value> {
        let rows = |page: Value| match page[name].as_array() {
            Some(rows) => rows.clone(),
            None => panic!("no {name} in {page}"),
        };
        self.pages(path).into_iter().flat_map(rows).collect()
    }

    /// Everything central has of one metric of a hub's device; nothing where it does not know the hub, the device or
    /// the metric yet.
    pub fn readings(&self, hub: &str, device: &str, metric: &str) -> Readings {
        let path = format!("/v1/series?hub={hub}&device={device}&metric={metric}&limit=10000");
        if self.get(&path).status == 404 {
            return Readings::default();
        }
        Readings::of_pages(&self.pages(&path))
    }

    /// Everything a hub lost, or never had, as far as central knows.
    pub fn gaps(&self, hub: &str) -> Vec<Gap> {
        let pages = self.pages(&format!("/v1/gaps?hub={hub}"));
        pages.iter().flat_map(Gap::parse_all).collect()
    }

    /// The whole audit, oldest first.
    pub fn audit(&self) -> Vec<Value> {
        let mut rows = self.list("/v1/audit-events", "audit_events");
        rows.sort_by_key(|row| row["seq"].as_u64());
        rows
    }

    /// `/metrics`.
    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "GET /metrics: {}", answer.text());
        Metrics::parse(&answer.text())
    }
}

fn find_admin_token(log: &str) -> Option<String> {
    let from = log.find(AdminToken::PREFIX)?;
    let token: String = log[from..].chars().take_while(|c| !c.is_whitespace()).collect();
    // The line may be written half.
    token.parse::<AdminToken>().is_ok().then_some(token)
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Copies a folder with everything that says who may read it.
pub(crate) fn copy(from: &Path, to: &Path) {
    drop(Output::of(Command::new("cp").arg("-a").arg(from).arg(to)).success());
}
