//! What people read when their configuration is wrong.

use std::path::PathBuf;

use hub_chassis::config::{Configuration, Layers, read_defaults, uncommented_defaults};

use super::Config;

fn layers(text: &str) -> Layers {
    let files = vec![(PathBuf::from("central.toml"), text.to_owned())];
    Layers { files, ..Layers::default() }
}

#[test]
fn the_default_file_is_the_default_and_has_every_key() {
    let defaults = Layers::default().load::<Config>().unwrap().config;
    assert_eq!(layers(Config::DEFAULT_TOML).load::<Config>().unwrap().config, defaults);
    assert_eq!(defaults.sync.listen.to_string(), "0.0.0.0:7443");
    assert_eq!(defaults.api.listen.to_string(), "127.0.0.1:7444");
    let raw = read_defaults::<Config>().unwrap();
    let filled = [&raw.org_name, &raw.storage_dir, &raw.sync_listen, &raw.api_listen];
    assert!(filled.iter().all(|found| found.is_some()) && raw.api_hosts.is_some());
    assert_eq!(uncommented_defaults::<Config>(), []);
}

#[test]
fn every_problem_comes_at_once_with_its_place() {
    let text = "[org]\nname = \"\"\n[storage]\ndri = \"/x\"\ndir = \"x\"\n[sync]\nlisten = \"7443\"\n[api]\n\
                hosts = [\"https://central\", \"[::1]\", \"-a\"]\n";
    let problems = layers(text).load::<Config>().err().unwrap();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "central.toml:2:8: org.name: is empty",
        "central.toml:4:1: storage.dri: unknown key; did you mean `dir`?",
        "central.toml:5:7: storage.dir: \"x\" is not an absolute path",
        "central.toml:7:10: sync.listen: \"7443\" is not an IP address and port",
        "central.toml:9:10: api.hosts.0: \"https://central\" is neither a DNS name nor an IP address",
        "central.toml:9:38: api.hosts.2: \"-a\" is neither",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "expected {expected}\n     got {line}");
    }
}

#[test]
fn hosts_are_names_and_addresses() {
    let config =
        layers("[api]\nhosts = [\"Central.Example\", \"[2001:db8::1]\", \"192.0.2.1\"]").load::<Config>();
    assert_eq!(config.unwrap().config.api.hosts, ["central.example", "2001:db8::1", "192.0.2.1"]);
}
