//! The dependency arrows between the crates of the workspace, as ARCHITECTURE.md draws them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on inside the workspace, for building and running.
const ALLOWED: &[(&str, &[&str])] = &[
    ("hub-model", &[]),
    ("southbound-wire", &["hub-model"]),
    ("device-agent", &["hub-model", "southbound-wire"]),
    ("hub-codec", &["hub-model"]),
    ("hub-store", &["hub-codec", "hub-model"]),
    ("southbound", &["hub-chassis", "hub-model", "southbound-wire"]),
    ("hub-chassis", &["hub-model"]),
    // The page sees the hub through one handle, which the hub implements.
    ("hub-ui", &["hub-chassis"]),
    (
        "hub",
        &[
            "hub-chassis",
            "hub-model",
            "hub-store",
            "hub-ui",
            "northbound",
            "northbound-trust",
            "northbound-wire",
            "southbound",
            "southbound-wire",
        ],
    ),
    ("northbound-wire", &["hub-model"]),
    ("northbound-sync", &["hub-model", "northbound-wire"]),
    ("northbound-trust", &["hub-model", "northbound-wire"]),
    ("northbound", &["hub-model", "northbound-sync", "northbound-trust", "northbound-wire"]),
    ("northbound-cli", &["hub-chassis", "hub-model", "northbound-trust", "northbound-wire"]),
    // Of the store, central reads the block format: `hub_store::block`.
    (
        "northbound-central",
        &["hub-chassis", "hub-model", "hub-store", "northbound-sync", "northbound-trust", "northbound-wire"],
    ),
    // Asks every program for the words of its command line.
    ("packaging-manual", &["hub", "hub-chassis", "northbound-central", "northbound-cli"]),
    // Simulated devices know the protocols of others and nothing of ours.
    ("relais-sim", &[]),
    ("site-telegen", &["hub-model"]),
    // The harness reaches into parsers to fuzz them and plays both ends of the link, the bench into the store to
    // measure it. Nothing depends on them.
    (
        "site-tests",
        &[
            "device-agent",
            "hub-chassis",
            "hub-codec",
            "hub-model",
            "hub-store",
            "northbound-trust",
            "northbound-wire",
            "relais-sim",
            "southbound",
            "southbound-wire",
        ],
    ),
    ("site-bench", &["hub-model", "hub-store", "relais-sim", "site-tests"]),
    ("site-codec-bench", &["hub-codec", "hub-model", "site-telegen"]),
];

/// Crates that must not be below `hub-model`: it is words, not formats and not I/O.
const NOT_IN_MODEL: [&str; 6] = ["serde", "serde_json", "tokio", "bytes", "rustix", "redb"];

/// The one module that may name rumqttd: a file and the folder of its parts.
const FANOUT: [&str; 2] = ["southbound/src/mqtt/fanout.rs", "southbound/src/mqtt/fanout/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the root").to_owned()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

fn name(value: &Value) -> String {
    value["name"].as_str().expect("a name").to_owned()
}

/// The crates a package depends on: all of them, or only what it ships with.
fn dependencies(package: &Value, with_dev: bool) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().expect("a list of dependencies");
    all.iter().filter(|d| with_dev || d["kind"] != "dev").map(name).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let skipped = path.file_name().is_some_and(|name| name == "target" || name == "node_modules");
        if path.is_dir() && !skipped {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_depend_inward_only() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let packages = packages();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    for package in &packages {
        let member = name(package);
        let may = allowed.get(member.as_str()).unwrap_or_else(|| {
            panic!("{member} is not in the list of arrows: decide what it may depend on, and write it there")
        });
        let inside = dependencies(package, false).into_iter().filter(|d| members.contains(d));
        let wrong: Vec<String> = inside.filter(|d| !may.contains(&d.as_str())).collect();
        assert!(wrong.is_empty(), "{member} must not depend on {wrong:?}");
    }
}

#[test]
fn tests_of_inner_crates_do_not_reach_outward_either() {
    let packages = packages();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let is_outermost =
        |package: &&Value| ["site-", "packaging-"].iter().any(|p| name(package).starts_with(p));
    for package in packages.iter().filter(|package| !is_outermost(package)) {
        let shipped = dependencies(package, false);
        let extra: Vec<String> = dependencies(package, true)
            .into_iter()
            .filter(|d| members.contains(d) && !shipped.contains(d) && *d != name(package))
            // Any crate's tests may talk to a simulated device: it depends on nothing here.
            .filter(|d| d != "relais-sim")
            .collect();
        assert!(extra.is_empty(), "the tests of {} reach for {extra:?}", name(package));
    }
}

#[test]
fn the_model_is_free_of_formats_and_io() {
    let packages = packages();
    let model = packages.iter().find(|p| name(p) == "hub-model").expect("hub-model exists");
    let found = dependencies(model, false);
    let wrong: Vec<&str> = NOT_IN_MODEL.into_iter().filter(|d| found.contains(*d)).collect();
    assert!(wrong.is_empty(), "hub-model depends on {wrong:?}");
}

#[test]
fn only_southbound_depends_on_rumqttd_and_only_the_fanout_names_it() {
    for package in packages() {
        let depends = dependencies(&package, true).contains("rumqttd");
        assert!(!depends || name(&package) == "southbound", "{} depends on rumqttd", name(&package));
    }
    let mut files = Vec::new();
    for folder in ["hub", "northbound", "southbound", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let naming: Vec<String> = files
        .iter()
        .filter(|file| code_names_rumqttd(&fs::read_to_string(file).expect("a source file can be read")))
        .map(|file| file.strip_prefix(root()).expect("it lies below the root").display().to_string())
        .collect();
    let elsewhere: Vec<&String> =
        naming.iter().filter(|file| !FANOUT.iter().any(|place| file.starts_with(place))).collect();
    assert!(elsewhere.is_empty(), "rumqttd is named in {elsewhere:?}");
    assert!(!naming.is_empty(), "this test looks for what is there");
}

/// Whether the crate is used: comments may speak of it.
fn code_names_rumqttd(text: &str) -> bool {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .any(|code| code.contains(concat!("rumqttd", "::")) || code.contains(concat!("use rumq", "ttd")))
}
