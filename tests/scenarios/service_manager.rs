//! What a service manager hears of the daemons, and that it is not made to start one again for what a start does not mend.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use site_tests::mqtt::{Publish, RawClient, Version};
use site_tests::{
    Central, Hub, HubConfig, HubPaths, Output, Place, Process, ServiceManager, clean_command, eventually,
};

const SOON: Duration = Duration::from_secs(30);

/// As short as leaves a busy machine its time: a beat comes four times in it.
const WATCHDOG: Duration = Duration::from_secs(4);

/// A hub of which a service manager hears; run by `sh`, where `before` is to be done first.
struct Watched {
    // Before `place`, so that the process is gone when its folder goes.
    hub: Process,
    manager: ServiceManager,
    place: Place,
}

impl Watched {
    fn start(story: &str, before: &str) -> Watched {
        let place = Place::new(story);
        let (data, socket) = (place.file("data"), place.socket("hub.sock"));
        let token = place.file("claim-token");
        let paths = HubPaths { data: &data, socket: &socket, claim_token: &token, files: place.path() };
        fs::write(place.file("hub.toml"), HubConfig::default().text(paths)).expect("a file can be written");
        let manager = ServiceManager::listen(&place.socket("notify"));
        let mut command = clean_command("sh");
        command.arg("-c").arg(format!("{before}; exec \"$@\"")).arg("sh");
        command.arg(Hub::binary()).arg("run").arg("--config").arg(place.file("hub.toml"));
        manager.watch(&mut command, WATCHDOG);
        let hub = Process::start("relais-hub", &mut command, &place.file("hub.log"));
        let mut watched = Watched { hub, manager, place };
        watched.manager.wait_for("READY=1", 1, SOON);
        watched
    }

    fn status(&self) -> serde_json::Value {
        let mut command = clean_command(Hub::binary());
        Output::of(command.args(["status", "--json", "--socket"]).arg(self.place.socket("hub.sock"))).json()
    }

    fn address(&self, kind: &str) -> std::net::SocketAddr {
        let status = self.status();
        let all = status["listeners"].as_array().expect("a list of listeners");
        let found = all.iter().find(|listener| listener["kind"] == kind).expect("such a listener");
        found["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// How large a file it may write: from now on, larger writes fail.
    fn limit_files(&self, bytes: &str) {
        let id = self.hub.id().to_string();
        Output::of(Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:unlimited")]))
            .success();
    }
}

#[test]
fn a_hub_is_ready_once_it_listens_gives_signs_of_life_reloads_and_stops() {
    let mut watched = Watched::start("notify", "true");
    // Whoever waited for READY finds everything there, at the first try.
    let mqtt = watched.address("mqtt");
    let mut device = RawClient::connect(mqtt, Version::V5, "device");
    assert_eq!(device.publish("relais/v1/pump/telemetry", br#"{"x":1}"#, 1), Some(0));
    let first = watched.manager.heard()[0].clone();
    assert!(first.starts_with("STATUS=Working, 0 devices known; mqtt 127.0.0.1:"), "{first}");
    watched.manager.wait_for("WATCHDOG=1", 3, SOON);
    eventually(SOON, "a status with the device", || {
        let status = watched.manager.status();
        if status.starts_with("Working, 1 device known; ") { Ok(()) } else { Err(status) }
    });

    watched.hub.hang_up();
    watched.manager.wait_for("RELOADING=1", 1, SOON);
    watched.manager.wait_for("READY=1", 2, SOON);

    // What needs a restart is found by the hub itself, long after `systemctl reload` has ended well.
    let config = watched.place.file("hub.toml");
    let good = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, good.replace("/data\"", "/elsewhere\"")).expect("a file can be written");
    watched.hub.hang_up();
    watched.manager.wait_for("READY=1", 3, SOON);
    eventually(SOON, "the status to tell of the reload", || {
        let status = watched.manager.status();
        if status.contains("; the last reload was refused, ") { Ok(()) } else { Err(status) }
    });
    fs::write(&config, good).expect("a file can be written");
    watched.hub.hang_up();
    watched.manager.wait_for("READY=1", 4, SOON);
    eventually(SOON, "the status to forget it", || {
        let status = watched.manager.status();
        if status.contains("refused") { Err(status) } else { Ok(()) }
    });

    let pulses = watched.manager.count("WATCHDOG=1");
    watched.hub.halted(|| {
        assert_eq!(watched.manager.count_during("WATCHDOG=1", WATCHDOG), 0, "a hub that hangs is silent");
    });
    watched.manager.wait_for("WATCHDOG=1", pulses + 1, SOON);

    assert_eq!(watched.hub.terminate(SOON).code, Some(0));
    let words: Vec<&str> = watched.manager.heard().iter().map(String::as_str).collect();
    let at = |word: &str| words.iter().position(|heard| *heard == word);
    assert!(at("STOPPING=1") > at("RELOADING=1"), "{words:?}");
    assert_eq!(watched.manager.status(), "Stopping");
    assert_eq!((watched.manager.count("RELOADING=1"), watched.manager.count("READY=1")), (3, 4));
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_no_reason_to_start_the_hub_again() {
    // What a write beyond the limit would kill it with is ignored, and so the write fails, as on a full disk.
    let mut watched = Watched::start("notify-full", "trap '' XFSZ");
    let mut device = RawClient::connect(watched.address("mqtt"), Version::V4, "device");
    let publish = |id: u16| {
        let (topic, payload) = (b"relais/v1/pump/telemetry", br#"{"x":1}"#);
        Publish { version: Version::V4, topic, payload, qos: 1, id, dup: false }.bytes()
    };
    device.send(&publish(1));
    assert_eq!(device.puback(1), Some(0));
    watched.limit_files("0");
    device.send(&publish(2));
    eventually(SOON, "the status to tell of it", || {
        let status = watched.manager.status();
        if status.starts_with("Not working: nothing can be stored for ") { Ok(()) } else { Err(status) }
    });
    let signs = watched.manager.count_during("WATCHDOG=1", 3 * WATCHDOG);
    assert!(signs >= 6, "{signs} signs of life in three times the watchdog's time");
    watched.limit_files("unlimited");
    assert_eq!(device.puback(2), Some(0), "it goes on by itself");
    eventually(SOON, "the status to say so", || {
        let status = watched.manager.status();
        if status.starts_with("Working, ") { Ok(()) } else { Err(status) }
    });
    assert!(!watched.hub.log().contains("a part hangs"), "{}", watched.hub.log());
    assert_eq!(watched.hub.terminate(SOON).code, Some(0));
}

#[test]
fn central_is_ready_gives_signs_of_life_stops_and_tells_the_journal_no_secret() {
    let place = Place::new("notify-central");
    let config = format!(
        "[storage]\ndir = {:?}\n\n[sync]\nlisten = \"127.0.0.1:0\"\n\n[api]\nlisten = \"127.0.0.1:0\"\n",
        place.file("data")
    );
    fs::write(place.file("central.toml"), config).expect("a file can be written");
    let mut manager = ServiceManager::listen(&place.socket("notify"));
    // What a service manager connects standard output to is known by its device and inode.
    let log = place.file("central.log");
    let journal = File::create(&log).and_then(|file| file.metadata()).expect("a file can be made");
    let mut command = clean_command(Central::binary());
    command.arg("run").arg("--config").arg(place.file("central.toml"));
    command.env("JOURNAL_STREAM", format!("{}:{}", journal.dev(), journal.ino()));
    manager.watch(&mut command, WATCHDOG);
    let mut central = Process::start("relais-central", &mut command, &log);
    manager.wait_for("READY=1", 1, SOON);
    manager.wait_for("WATCHDOG=1", 3, SOON);
    assert!(
        manager.status().starts_with("Working, 0 hubs connected; hubs 127.0.0.1:"),
        "{}",
        manager.status()
    );
    let said = central.log();
    assert!(!said.contains("relais-admin-v1."), "{said}");
    let hint =
        "<4> WARN nobody has an admin token yet: make one with `relais-central token create --admin NAME`";
    assert!(said.lines().any(|line| line == hint), "a warning, as the journal is told: {said}");
    let mut create = clean_command(Central::binary());
    create.args(["token", "create", "--admin", "anna", "--config"]).arg(place.file("central.toml"));
    assert!(Output::of(&mut create).success().starts_with("relais-admin-v1."));
    assert_eq!(central.terminate(SOON).code, Some(0));
    assert_eq!((manager.count("STOPPING=1"), manager.count("READY=1")), (1, 1));
    assert_eq!(manager.status(), "Stopping");
}
