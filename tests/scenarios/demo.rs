//! What `make demo` runs, with nobody at its prompt: a whole site that is broken in every way it can be told to, and that
//! says so truthfully; then stopped, gone on with, killed and started again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use site_tests::{Demo, EventStream, Place, Stopwatch, eventually, report};

/// A metric of each device.
const METRICS: [(&str, &str); 4] =
    [("cold-room", "temperature"), ("boiler", "pressure"), ("tank", "level"), ("meter", "voltage_l1")];
/// For readings to come, to be sealed (5 s) and to be confirmed.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(40);
/// For the hub to call central away: it does so after 90 s without a word.
const CUT_DEADLINE: Duration = Duration::from_secs(120);
/// For the hub to try again: up to a minute between attempts, and one that meets nothing takes ten seconds.
const MEND_DEADLINE: Duration = Duration::from_secs(100);
/// For blocks that cannot be written to be told, and to be written again.
const DISK_DEADLINE: Duration = Duration::from_secs(40);
/// For readings of a device to come, or what it sent last to be stored.
const READING_DEADLINE: Duration = Duration::from_secs(40);
/// For a device to be called silent: that of 5 s is after 50 s.
const SILENCE_DEADLINE: Duration = Duration::from_secs(90);

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// How many messages of a device the hub has acknowledged, and how many still wait, by the device's own account.
fn sensor(demo: &Demo, name: &str) -> (u64, u64) {
    let status = demo.tell(&["status"]);
    let line = status.lines().find(|line| line.trim_start().starts_with(name)).expect("its line");
    let of = |word: &str| {
        let part = line.split(", ").find(|part| part.ends_with(word))?;
        part.split(' ').next()?.parse().ok()
    };
    (
        of("acknowledged").unwrap_or_else(|| panic!("no acknowledgements in {line}")),
        of("waiting").unwrap_or(0),
    )
}

/// Waits until the page shows what is looked for: a probe of each message that has the site, or the device.
fn until_shown<T>(
    demo: &Demo,
    within: Duration,
    what: &str,
    probe: impl FnMut(&Value) -> Result<T, String>,
) -> T {
    let stream = EventStream::open(demo.page(), "/api/v1/stream", None, "");
    let mut stream = stream.unwrap_or_else(|answer| panic!("{}", answer.text()));
    stream.until(within, what, probe)
}

/// Waits until this stop of the path strip says this.
fn until_hop(demo: &Demo, within: Duration, hop: &str, code: &str) {
    until_shown(demo, within, &format!("{hop} to be {code}"), |message| {
        let site = &message["site"];
        let found = &site["path"][hop]["code"];
        if found == code { Ok(()) } else { Err(format!("{hop} is {found}, {}", site["verdict"])) }
    });
}

/// The codes of the verdict's clauses, worst first.
fn verdict(demo: &Demo) -> Vec<String> {
    until_shown(demo, READING_DEADLINE, "the verdict", |message| {
        let clauses = message["site"]["verdict"].as_array().ok_or("unchanged")?;
        Ok(clauses.iter().filter_map(|clause| clause["code"].as_str().map(str::to_owned)).collect())
    })
}

/// Waits until a device is in this state.
fn until_state(demo: &Demo, within: Duration, name: &str, state: &str) {
    until_shown(demo, within, &format!("{name} to be {state}"), |message| {
        let devices = message["devices"].as_array().ok_or("no devices")?;
        match devices.iter().find(|device| device["name"] == name) {
            Some(device) if device["state"] == state => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Waits until central has everything that is sealed, and something was taken since.
fn wait_until_confirmed(demo: &Demo, deadline: Duration) {
    let goal = number(&demo.status(), "/storage/stored");
    eventually(deadline, "central to confirm", || {
        let status = demo.status();
        if number(&status, "/central/confirmed") >= goal { Ok(()) } else { Err(status.to_string()) }
    });
}

/// Nothing is lost, and every number is accounted for.
#[track_caller]
fn check_account(demo: &Demo) {
    let status = demo.status();
    assert_eq!(status["storage"]["balanced"], true, "{status}");
    assert_eq!(number(&status, "/storage/lost"), 0, "{status}");
    assert_eq!(number(&status, "/storage/damaged"), 0, "{status}");
}

/// The link is cut: the hub says so, keeps everything, and hands it over once the link is whole.
fn cut_and_mend(demo: &Demo) {
    until_hop(demo, READING_DEADLINE, "link", "connected");
    assert!(demo.tell(&["cut"]).starts_with("ok: the link is cut"));
    let before = number(&demo.status(), "/central/unconfirmed");
    eventually(CONFIRM_DEADLINE, "readings to wait", || {
        let now = number(&demo.status(), "/central/unconfirmed");
        // More than is ever gathered while everything works.
        if now > before + 200 { Ok(()) } else { Err(format!("{now} after {before}")) }
    });
    // Long before the link counts as down, the page says that nothing arrives any more.
    until_shown(demo, CONFIRM_DEADLINE, "central to fall behind", |message| {
        let central = &message["site"]["path"]["central"];
        let is_told = central["code"] == "behind" && central["level"] == "warn";
        if is_told { Ok(()) } else { Err(central.to_string()) }
    });
    until_hop(demo, CUT_DEADLINE, "link", "away");
    assert_eq!(verdict(demo), ["nothing-lost", "all-live", "away"]);
    assert!(demo.tell(&["mend"]).starts_with("ok: the link is whole"));
    let watch = Stopwatch::start();
    until_hop(demo, MEND_DEADLINE, "link", "connected");
    wait_until_confirmed(demo, CONFIRM_DEADLINE);
    report(&format!("demo: caught up {:.1} s after the link was mended", watch.elapsed().as_secs_f64()));
    assert_eq!(verdict(demo), ["nothing-lost", "all-live"]);
    check_account(demo);
}

/// A sensor and the meter fall silent, and the meter answers wrongly; the others go on, and the hub tells them apart.
fn silence_and_wake(demo: &Demo) {
    demo.tell(&["silence", "boiler"]);
    demo.tell(&["silence", "meter"]);
    until_state(demo, SILENCE_DEADLINE, "meter", "silent");
    until_state(demo, SILENCE_DEADLINE, "boiler", "late");
    until_state(demo, SILENCE_DEADLINE, "boiler", "silent");
    until_state(demo, READING_DEADLINE, "cold-room", "live");
    assert_eq!(verdict(demo), ["nothing-lost", "silent"]);
    demo.tell(&["wake", "meter"]);
    demo.tell(&["fault", "meter", "exception:4"]);
    until_state(demo, READING_DEADLINE, "meter", "fault");
    demo.tell(&["reset"]);
    until_state(demo, READING_DEADLINE, "boiler", "live");
    until_state(demo, READING_DEADLINE, "meter", "live");
    assert_eq!(verdict(demo), ["nothing-lost", "all-live"]);
}

/// The disk is full: the hub says that blocks cannot be written, and takes readings all the same.
fn fill_and_free(demo: &Demo) {
    let said = demo.tell(&["fill"]);
    assert!(said.starts_with("ok: the hub's disk is full"), "{said}");
    until_hop(demo, DISK_DEADLINE, "hub", "not-working");
    assert_eq!(verdict(demo)[0], "not-working");
    assert_eq!(demo.get("/healthz").status, 503);
    let trouble = demo.status()["storage"]["trouble"].to_string();
    assert!(trouble.contains("disk is full"), "{trouble}");
    let before = demo.readings("cold-room", "temperature").rows.len();
    eventually(READING_DEADLINE, "readings to be taken all the same", || {
        let now = demo.readings("cold-room", "temperature").rows.len();
        if now > before { Ok(()) } else { Err(format!("{now} of them")) }
    });
    assert_eq!(demo.tell(&["free"]).trim(), "ok: the hub's disk has room again");
    until_hop(demo, DISK_DEADLINE, "hub", "working");
    wait_until_confirmed(demo, CONFIRM_DEADLINE);
    assert_eq!(demo.get("/healthz").status, 200);
    assert_eq!(verdict(demo), ["nothing-lost", "all-live"]);
    check_account(demo);
}

/// What the hub has acknowledged to each sensor it has, once: as many readings and events as messages.
fn compare_with_the_sensors(demo: &Demo) {
    for (name, metric) in &METRICS[..3] {
        demo.tell(&["silence", name]);
        let acknowledged =
            eventually(READING_DEADLINE, "all to be acknowledged", || match sensor(demo, name) {
                (acknowledged, 0) => Ok(acknowledged),
                waiting => Err(format!("{waiting:?}")),
            });
        let stored = demo.readings(name, metric).rows.len() + demo.events(name);
        assert_eq!(stored as u64, acknowledged, "{name}");
        demo.tell(&["wake", name]);
    }
}

fn runs(id: u32) -> bool {
    // A process that has ended and was not taken notice of has no command line any more.
    fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn is_mounted_below(folder: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the kernel tells its mounts");
    mounts.contains(folder.to_str().expect("a path of letters"))
}

/// Nothing of a demo is left: no process, no mount.
#[track_caller]
fn check_gone(parts: &[(String, u32)], folder: &Path) {
    for (name, id) in parts {
        assert!(!runs(*id), "{name} ({id}) runs still");
    }
    assert!(!is_mounted_below(folder), "the disk is mounted still");
}

#[test]
fn a_site_that_is_broken_says_so_and_loses_nothing() {
    let place = Place::new("demo");
    let folder = place.file("demo");
    let demo = Demo::start(&folder, false);
    let up = demo.up_after().as_secs_f64();
    report(&format!("demo: all up, with readings confirmed by central, after {up:.1} s"));
    let said = demo.said();
    assert!(said.contains("all 4 are heard"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80 || line.contains('/')), "{said}");
    for (device, metric) in METRICS {
        eventually(CONFIRM_DEADLINE, "a reading of each device at central", || {
            if demo.at_central(device, metric) > 0 { Ok(()) } else { Err(device.to_owned()) }
        });
    }
    cut_and_mend(&demo);
    silence_and_wake(&demo);
    if is_mounted_below(&folder) {
        fill_and_free(&demo);
    } else {
        // Without root, or where nothing can be mounted, it says so.
        let output = demo.run("relais-sim", &["do", "fill"]);
        assert!(output.code == Some(1) && output.stderr.contains("no disk of its own"), "{output:?}");
    }
    compare_with_the_sensors(&demo);
    let parts = demo.parts();
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["central", "sim", "hub"]);
    let ended = demo.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check_gone(&parts, &folder);
}

#[test]
fn a_demo_goes_on_starts_clean_and_clears_up_behind_a_killed_one() {
    let place = Place::new("demo-again");
    let folder = place.file("demo");
    let demo = Demo::start(&folder, false);
    wait_until_confirmed(&demo, CONFIRM_DEADLINE);
    let hub = demo.status()["hub"].clone();
    let readings = demo.readings("cold-room", "temperature").rows;
    let first = readings.first().cloned().expect("a reading");
    assert_eq!(demo.terminate().code, Some(0));

    // With its data: the same hub, whose first reading is there still, here and at central.
    let demo = Demo::start(&folder, true);
    assert_eq!(demo.status()["hub"], hub);
    let now = demo.readings("cold-room", "temperature").rows;
    assert!(now.len() > readings.len() && now.first() == Some(&first), "{now:?}");
    wait_until_confirmed(&demo, CONFIRM_DEADLINE);
    assert!(demo.at_central("cold-room", "temperature") > readings.len());
    check_account(&demo);

    // Killed: its parts run on, and the next one ends them first. It starts clean: another hub.
    let parts = demo.parts();
    demo.kill9();
    assert!(parts.iter().all(|(_, id)| runs(*id)), "{parts:?}");
    let demo = Demo::start(&folder, false);
    for (name, id) in &parts {
        assert!(!runs(*id), "{name} ({id}) of the killed demo runs still");
    }
    assert!(demo.said().contains("an earlier demo was killed"), "{}", demo.said());
    assert_ne!(demo.status()["hub"], hub);

    // A part that ends by itself ends all of it, and is named.
    let parts = demo.parts();
    let (_, sim) = parts.iter().find(|(name, _)| name == "sim").expect("a simulator");
    let status = std::process::Command::new("kill").args(["-KILL", &sim.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()));
    let (code, said) = demo.wait();
    assert_eq!(code, Some(1));
    assert!(said.contains("sim has ended (signal: 9"), "{said}");
    check_gone(&parts, &folder);
}
