//! Device files change while the hub runs, and a technician tests a device.

use std::collections::BTreeMap;
use std::time::Duration;

use relais_sim::modbus::{Options, Server};
use serde_json::Value;
use site_tests::{Hub, HubConfig, Stopwatch, eventually};

const SOON: Duration = Duration::from_secs(20);

fn meter(name: &str, server: &Server, unit: u8, interval: &str) -> (String, String) {
    let text = format!(
        "name = \"{name}\"\ndriver = \"modbus\"\nendpoint = \"tcp://{}\"\nunit = {unit}\ninterval = \"{interval}\"\n\
         timeout = \"300ms\"\n\n[[register]]\nmetric = \"seen\"\naddress = \"input:0\"\ntype = \"u64\"\n\n\
         [[register]]\nmetric = \"also\"\naddress = \"holding:40\"\ntype = \"u64\"\n",
        server.address()
    );
    (name.to_owned(), text)
}

/// State and complete cycles of a device; `None` while it is not read.
fn device(hub: &Hub, name: &str) -> Option<(String, u64)> {
    let page = hub.get_json("/api/v1/devices");
    let devices = page["devices"].as_array()?;
    let modbus = &devices.iter().find(|device| device["name"] == name)?["modbus"];
    let state = modbus["state"].as_str()?.to_owned();
    Some((state, modbus["cycles"]["complete"].as_u64()?))
}

/// Waits until a device is live, with more than so many complete cycles; how many it has then.
#[track_caller]
fn live(hub: &Hub, name: &str, more_than: u64) -> u64 {
    eventually(SOON, &format!("{name} to be read"), || match device(hub, name) {
        Some((state, complete)) if state == "live" && complete > more_than => Ok(complete),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn a_reload_is_taken_as_a_whole_and_disturbs_only_what_changes() {
    let stays = Server::start(Options::default()).expect("a port");
    // A new link must not come before the old one has let go.
    let only_one = Options { one_connection: true, ..Options::default() };
    let changes = Server::start(only_one).expect("a port");
    let files: BTreeMap<String, String> =
        [meter("stays", &stays, 1, "200ms"), meter("changes", &changes, 1, "200ms")].into();
    let config = HubConfig { devices: files.clone(), ..HubConfig::default() };
    let mut hub = Hub::start_with("device-files", config);
    let (before, _) = (live(&hub, "stays", 2), live(&hub, "changes", 2));

    // One file is broken, another one is right: neither is taken.
    let mut broken = files.clone();
    broken.extend([meter("comes", &changes, 2, "200ms")]);
    broken.insert("changes".to_owned(), files["changes"].replace("u64", "u65"));
    hub.reload_devices(broken);
    let problems = eventually(SOON, "status to tell of the broken file", || {
        let status = hub.status();
        let problems = status["asked"]["file_problems"].as_array().cloned().unwrap_or_default();
        if problems.is_empty() { Err(status.to_string()) } else { Ok(problems) }
    });
    let told: Vec<&str> = problems.iter().filter_map(Value::as_str).collect();
    assert!(
        told.iter().all(|line| line.contains("changes.toml:") && line.contains("is not a type")),
        "{told:?}"
    );
    assert_eq!(told.len(), 2, "one for each register: {told:?}");
    let screen = hub.cli(&["status"]).success();
    assert!(
        screen.contains("files")
            && screen.contains("changes.toml:")
            && screen.contains("2 of 2 devices live"),
        "{screen}"
    );
    let log = hub.log();
    assert!(log.contains("nothing is changed") && log.contains(told[0]), "{log}");
    assert_eq!(device(&hub, "comes"), None, "nothing of a broken reload is taken");
    let (between, _) = (live(&hub, "stays", before + 5), live(&hub, "changes", before + 5));
    assert_eq!(
        (stays.counts().connections.total, changes.counts().connections.total),
        (1, 1),
        "nothing is disturbed"
    );

    // Mended: the other endpoint's devices change, this one's stay.
    let mut good = files;
    good.extend([meter("comes", &changes, 2, "200ms")]);
    hub.reload_devices(good.clone());
    let _complete = live(&hub, "comes", 2);
    let after = live(&hub, "stays", between);
    assert!(after > between, "its count goes on: {between}, then {after}");
    assert_eq!(stays.counts().connections.total, 1, "whose devices stay the same keeps its connection");
    assert_eq!(changes.counts().connections.total, 2, "another list is another link");
    assert_eq!(changes.counts().connections.refused, 0, "and the old one was closed before");
    assert_eq!(hub.status()["asked"]["file_problems"], Value::Array(Vec::new()));

    // A device that is taken away is not asked any more, and what it said stays.
    good.remove("changes");
    hub.reload_devices(good);
    eventually(SOON, "the device to be let go", || match device(&hub, "changes") {
        None => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(!hub.readings("changes", "seen").rows.is_empty());
    let asked = changes.counts().unit(1).requests;
    let comes = live(&hub, "comes", 0);
    let _complete = live(&hub, "comes", comes + 3);
    assert_eq!(changes.counts().unit(1).requests, asked, "nobody asks it");
}

#[test]
fn a_test_of_a_dead_unit_ends_with_its_first_timeout_and_shows_the_bytes() {
    let server = Server::start(Options { dead: [4].into(), ..Options::default() }).expect("a port");
    // So slow that no cycle comes between.
    let devices = [meter("lives", &server, 3, "1h"), meter("dead", &server, 4, "1h")].into();
    let hub = Hub::start_with("device-test", HubConfig { devices, ..HubConfig::default() });
    let _complete = live(&hub, "lives", 0);
    eventually(SOON, "the dead unit to be told", || match device(&hub, "dead") {
        Some((state, _)) if state == "silent" => Ok(()),
        other => Err(format!("{other:?}")),
    });

    let good = hub.cli(&["device", "test", "lives"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    let shown = good.stdout;
    // Unit 3, function 4, address 0, 4 registers; then table 4, unit 3, address 0 of the pattern.
    for part in [
        "00 00 00 06 03 04 00 00 00 04",
        "00 00 00 0b 03 04 08 40 03 00 00",
        "holding 40, 4 registers",
        "2 registers read.",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }

    let asked = server.counts().unit(4).requests;
    let watch = Stopwatch::start();
    let dead = hub.cli(&["device", "test", "dead"]);
    assert_eq!(dead.code, Some(9), "{dead:?}");
    assert_eq!(server.counts().unit(4).requests, asked + 1, "one request, and no more behind it");
    assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
    let shown = dead.stdout;
    for part in [
        "00 00 00 06 04 ",
        "received  nothing",
        "no whole answer within ",
        "Stopped: the unit does not answer",
        "bad:no-answer",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let json = hub.cli(&["device", "test", "dead", "--json"]);
    assert_eq!(json.code, Some(9), "{json:?}");
    let view: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (view["passed"].as_bool(), view["requests"].as_array().map(Vec::len)),
        (Some(false), Some(1)),
        "{view}"
    );

    // Tests disturb nobody: the living unit is read as before.
    let again = hub.cli(&["device", "test", "lives"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_ne!(hub.cli(&["device", "test", "nobody"]).code, Some(0));
}
