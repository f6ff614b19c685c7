//! The configuration changes while the hub runs: as a whole, or not at all.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use relais_sim::modbus::{Options, Server};
use serde_json::Value;
use site_tests::mqtt::Version;
use site_tests::{Central, Hub, HubConfig, eventually, mosquitto_pub, raw_exchange};

const SOON: Duration = Duration::from_secs(20);
/// For the first connection to central, enrolment included.
const ENROL_DEADLINE: Duration = Duration::from_secs(30);

fn meter(name: &str, server: &Server) -> (String, String) {
    let text = format!(
        "name = \"{name}\"\ndriver = \"modbus\"\nendpoint = \"tcp://{}\"\nunit = 1\ninterval = \"200ms\"\ntimeout = \"300ms\"\n\n\
         [[register]]\nmetric = \"seen\"\naddress = \"input:0\"\ntype = \"u64\"\n",
        server.address()
    );
    (name.to_owned(), text)
}

/// Names of the devices that are asked, and complete cycles of each.
fn asked(hub: &Hub) -> Vec<(String, u64)> {
    let page = hub.get_json("/api/v1/devices");
    let devices = page["devices"].as_array().cloned().unwrap_or_default();
    let cycles = |device: &Value| device["modbus"]["cycles"]["complete"].as_u64();
    let row = |device: &Value| Some((device["name"].as_str()?.to_owned(), cycles(device)?));
    devices.iter().filter_map(row).collect()
}

#[track_caller]
fn is_read(hub: &Hub, name: &str, more_than: u64) -> u64 {
    eventually(SOON, &format!("{name} to be read"), || {
        let all = asked(hub);
        let found = all.iter().find(|(known, cycles)| known == name && *cycles > more_than);
        found.map(|(_, cycles)| *cycles).ok_or_else(|| format!("{all:?}"))
    })
}

/// How many reloads were taken over, and how many refused.
fn reloads(hub: &Hub) -> (u64, u64) {
    let status = hub.status();
    let count = |name: &str| status["configuration"][name].as_u64().unwrap_or_else(|| panic!("{status}"));
    (count("reloads"), count("refused"))
}

#[track_caller]
fn wait_for_reloads(hub: &Hub, wanted: (u64, u64)) {
    eventually(SOON, "the reload", || {
        let found = reloads(hub);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// How a request under another name is answered.
fn status_under(hub: &Hub, name: &str) -> u16 {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    raw_exchange(hub.web(), request.as_bytes()).expect("an answer").status
}

fn told(status: &Value) -> Vec<String> {
    let lines = status["configuration"]["problems"].as_array().cloned().unwrap_or_default();
    lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn a_good_reload_takes_over_every_file_and_disturbs_nobody() {
    let server = Server::start(Options::default()).expect("a port");
    let config = HubConfig { devices: [meter("stays", &server)].into(), ..HubConfig::default() };
    let mut hub = Hub::start_with("reload-good", config);
    let before = is_read(&hub, "stays", 2);
    assert_eq!((status_under(&hub, "hall3.example"), reloads(&hub)), (421, (0, 0)));
    let sent = mosquitto_pub(hub.mqtt(), Version::V4, 1, "relais/v1/probe/telemetry", "{\"t\": 1}");
    assert_eq!(sent.code, Some(0), "{sent:?}");

    hub.reload_with(
        "[site]\nname = \"Hall 3\"\n[storage]\nquota = \"512MiB\"\nseal_after = \"1s\"\n\
         [web]\nhosts = [\"127.0.0.1\", \"hall3.example\"]\n",
    );
    wait_for_reloads(&hub, (1, 0));
    let status = hub.status();
    assert_eq!(status["site"], "Hall 3");
    assert_eq!(status["storage"]["quota_bytes"], 512 << 20);
    assert_eq!(status["configuration"]["in_force"], true);
    assert!(status["configuration"]["last_reload_time"].is_string(), "{status}");
    assert_eq!((status_under(&hub, "hall3.example"), status_under(&hub, "localhost")), (200, 421));
    eventually(SOON, "what waited and what comes to be sealed within a second", || {
        let ledger = hub.ledger();
        let telemetry =
            ledger.rows.iter().find(|row| row.class == "telemetry").expect("a row for each class");
        if telemetry.stored > 10 { Ok(()) } else { Err(format!("{telemetry:?}")) }
    });
    let log = hub.log();
    let said = "changed_keys=\"site.name, storage.quota, storage.seal_after, web.hosts\"";
    assert!(log.contains("the configuration was read again and is in force") && log.contains(said), "{log}");
    let _later = is_read(&hub, "stays", before + 2);
    assert_eq!(server.counts().connections.total, 1, "the device was read all the while");

    // Other folders of devices: what is in them counts.
    let elsewhere = hub.place().file("elsewhere");
    fs::create_dir_all(&elsewhere).expect("a folder can be made");
    let (_, text) = meter("comes", &server);
    fs::write(elsewhere.join("comes.toml"), text).expect("a file can be written");
    hub.reload_with(&format!("[devices]\ndir = {}\n", Value::from(elsewhere.display().to_string())));
    wait_for_reloads(&hub, (2, 0));
    let _cycles = is_read(&hub, "comes", 1);
    assert!(asked(&hub).iter().all(|(name, _)| name != "stays"), "{:?}", asked(&hub));
    assert_eq!(hub.status()["site"], "test site", "what a file does not say any more is as it was");
    assert_eq!(hub.metrics().sum(&["relais_config_reloads_total", "done"]).to_bits(), 2f64.to_bits());
}

#[test]
fn a_reload_with_any_problem_changes_nothing_and_tells_every_problem() {
    let server = Server::start(Options::default()).expect("a port");
    let files = [meter("meter", &server)];
    let mut hub =
        Hub::start_with("reload-bad", HubConfig { devices: files.clone().into(), ..HubConfig::default() });
    let before = is_read(&hub, "meter", 2);

    // A typo, a wrong value, a key that needs a restart, and a device's file with a slip: good values stand beside them.
    let broken = files[0].1.replace("u64", "u65");
    fs::write(hub.place().file("devices.d/meter.toml"), broken).expect("a file can be written");
    hub.reload_with("[site]\nname = \"Hall 3\"\n[storage]\nqouta = \"1GiB\"\nseal_after = \"1ms\"\n");
    wait_for_reloads(&hub, (0, 1));
    let status = hub.status();
    let lines = told(&status);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let place = format!("{}:", hub.place().file("hub.toml.d/50-story.toml").display());
    assert_eq!(lines[0], format!("{place}4:1: storage.qouta: unknown key; did you mean `quota`?"));
    assert!(
        lines[1].starts_with(&format!("{place}5:14: storage.seal_after: must lie between 1s")),
        "{lines:?}"
    );
    let device = status["asked"]["file_problems"][0].as_str().unwrap_or_default();
    assert!(device.contains("meter.toml:") && device.contains("is not a type"), "{status}");
    assert_eq!(
        (status["site"].as_str(), &status["configuration"]["in_force"]),
        (Some("test site"), &false.into())
    );
    let log = hub.log();
    assert!(lines.iter().all(|line| log.contains(line)) && log.contains(device), "{log}");
    assert!(log.contains("nothing is changed"), "{log}");
    let screen = hub.cli(&["status"]).success();
    assert!(screen.contains("qouta") && screen.contains("not in force"), "{screen}");
    let after = is_read(&hub, "meter", before + 2);
    assert_eq!(server.counts().connections.total, 1, "nothing was disturbed");
    assert_eq!(hub.metrics().sum(&["relais_config_in_force"]).to_bits(), 0f64.to_bits());

    // The typo is mended, the device is not: still nothing.
    hub.reload_with("[site]\nname = \"Hall 3\"\n");
    wait_for_reloads(&hub, (0, 2));
    let status = hub.status();
    assert_eq!((status["site"].as_str(), told(&status).len()), (Some("test site"), 0), "{status}");
    assert_eq!(status["configuration"]["in_force"], false);

    // Both: everything.
    hub.reload_devices(files.into());
    wait_for_reloads(&hub, (1, 2));
    let status = hub.status();
    assert_eq!(
        (status["site"].as_str(), &status["configuration"]["in_force"]),
        (Some("Hall 3"), &true.into())
    );
    assert_eq!(status["asked"]["file_problems"], Value::Array(Vec::new()));
    let _cycles = is_read(&hub, "meter", after + 2);
    assert_eq!(server.counts().connections.total, 1, "the same file is the same device");
}

#[test]
fn a_key_that_needs_a_restart_refuses_the_whole_reload_and_is_taken_over_by_one() {
    let mut hub = Hub::start("reload-restart");
    let other = hub.place().file("other.sock");
    let text = format!(
        "[site]\nname = \"Hall 3\"\n[web]\nlisten = \"127.0.0.1:1\"\n[[mqtt.listener]]\n\
         address = \"{}\"\nanonymous = true\n",
        hub.mqtt()
    );
    // The listener is written in another way, and is the same.
    hub.reload_with(&text);
    wait_for_reloads(&hub, (0, 1));
    let status = hub.status();
    assert_eq!(status["site"], "test site", "nothing is changed");
    let lines = told(&status);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let said = "50-story.toml:4:10: web.listen: has changed, which needs a restart of the hub";
    assert!(lines[0].contains(said), "{lines:?}");
    assert!(hub.log().contains(said), "{}", hub.log());

    let text =
        format!("[site]\nname = \"Hall 3\"\n[socket]\npath = {}\n", Value::from(other.display().to_string()));
    hub.reload_with(&text);
    wait_for_reloads(&hub, (0, 2));
    assert!(told(&hub.status())[0].contains("socket.path: has changed"), "{:?}", told(&hub.status()));

    // A start takes the file over; of the kind that a start alone can change, the site's listener goes.
    hub.reload_with("[site]\nname = \"Hall 3\"\n[mqtt]\nlistener = []\n");
    wait_for_reloads(&hub, (0, 3));
    assert!(told(&hub.status())[0].contains("mqtt.listener: has changed"), "{:?}", told(&hub.status()));
    hub.reload_with("[site]\nname = \"Hall 3\"\n");
    wait_for_reloads(&hub, (1, 3));
    assert_eq!(hub.status()["site"], "Hall 3");
    assert_eq!(hub.terminate().code, Some(0));
    hub.start_again();
    assert_eq!((hub.status()["site"].as_str(), reloads(&hub)), (Some("Hall 3"), (0, 0)));
}

#[test]
fn of_many_hangups_the_files_as_they_were_last_are_in_force() {
    let mut hub = Hub::start("reload-quick");
    for round in 0..10 {
        // Signals of one kind that come while one is handled are one: none of them may be the one that is lost.
        for change in 0..4 {
            hub.reload_with(&format!("[site]\nname = \"round {round}, change {change}\"\n"));
        }
        let wanted = format!("round {round}, change 3");
        eventually(SOON, "the last change", || {
            let site = hub.status()["site"].clone();
            if site == wanted.as_str() { Ok(()) } else { Err(site.to_string()) }
        });
    }
    let (done, refused) = reloads(&hub);
    assert!((10..=40).contains(&done) && refused == 0, "{done} {refused}");
}

#[test]
fn central_comes_moves_and_goes_with_a_reload() {
    let central = Central::start("reload-central");
    // Its token lies there, and no address is named.
    let config = HubConfig { claim_token: central.claim_token("hall 1"), ..HubConfig::default() };
    let mut hub = Hub::start_with("reload-central-hub", config);
    assert_eq!(hub.link().state, "off");
    let sent = mosquitto_pub(hub.mqtt(), Version::V4, 1, "relais/v1/probe/telemetry", "{\"t\": 1}");
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let token = Value::from(hub.claim_token_file().display().to_string());
    let north = |central: &[SocketAddr]| {
        let names: Vec<String> = central.iter().map(|address| format!("\"{address}\"")).collect();
        format!(
            "[storage]\nseal_after = \"1s\"\n[north]\ncentral = [{}]\nenroll_token_file = {token}\n",
            names.join(", ")
        )
    };
    hub.reload_with(&north(&[central.sync()]));
    hub.wait_for_central(ENROL_DEADLINE);
    hub.wait_until_confirmed(SOON);

    // Another name before it, at which nobody is: the hub finds its way, and what is stored meanwhile arrives once.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    hub.reload_with(&north(&[nobody, central.sync()]));
    wait_for_reloads(&hub, (2, 0));
    let sent = mosquitto_pub(hub.mqtt(), Version::V4, 1, "relais/v1/probe/telemetry", "{\"t\": 2}");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    eventually(SOON, "central to have both", || {
        let rows = central.readings(&hub.id(), "probe", "t").rows;
        if rows.len() == 2 { Ok(()) } else { Err(format!("{rows:?}, {:?}", hub.link())) }
    });

    hub.reload_with("[storage]\nseal_after = \"1s\"\n");
    eventually(SOON, "the link to be off", || {
        let link = hub.link();
        if link.state == "off" { Ok(()) } else { Err(format!("{link:?}")) }
    });
    assert_eq!(reloads(&hub), (3, 0));
}
