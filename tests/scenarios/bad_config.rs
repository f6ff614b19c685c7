//! Configurations that cannot work: the hub does not start, and says all that is wrong at once, with its place.

use std::process::Command;

use site_tests::{Hub, Output, Place};

/// Starts a hub with this text as its file; it must refuse with 78. What it said.
#[track_caller]
fn refused(place: &Place, text: &str) -> String {
    let file = place.file("hub.toml");
    std::fs::write(&file, text).expect("a file can be written");
    let run = Output::of(Command::new(Hub::binary()).arg("run").arg("--config").arg(&file));
    assert_eq!(run.code, Some(78), "stdout: {}\nstderr: {}", run.stdout, run.stderr);
    let check = Output::of(Command::new(Hub::binary()).args(["config", "check", "--config"]).arg(&file));
    assert!(check.code.is_some_and(|code| code != 0), "config check says the same: {check:?}");
    run.stderr + &run.stdout
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "does not say {part:?}:\n{said}");
    }
}

#[test]
fn every_problem_is_told_at_once_with_line_and_suggestion() {
    let place = Place::new("bad-config");
    let text = "[site]\nnmae = \"x\"\n\n[storage]\nquota = \"lots\"\n\n[[mqtt.listener]]\naddress = \"nowhere\"\n\
                transport = \"tls\"\n\n[web]\nlisten = \"0.0.0.0:8080\"\n\n[wbe]\nlisten = 1\n";
    let said = refused(&place, text);
    says(&said, &["hub.toml:2", "nmae", "name"]);
    says(&said, &["hub.toml:5", "quota"]);
    says(&said, &["hub.toml:8", "address"]);
    says(&said, &["hub.toml:9", "tls"]);
    says(&said, &["hub.toml:12", "0.0.0.0:8080"]);
    says(&said, &["hub.toml:14", "wbe", "web"]);
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    let place = Place::new("not-toml");
    says(&refused(&place, "[site]\nname = \"x\"\n\n[storage\n"), &["hub.toml:4"]);
    says(&refused(&place, "site = 3\n"), &["hub.toml:1", "site"]);
    says(&refused(&place, "\u{0}\u{1}"), &["hub.toml:1"]);
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_named() {
    let place = Place::new("no-file");
    let missing = place.file("missing.toml");
    let run = Output::of(Command::new(Hub::binary()).arg("run").arg("--config").arg(&missing));
    assert_eq!(run.code, Some(78), "{run:?}");
    says(&run.stderr, &["missing.toml"]);
    let binary = place.file("binary.toml");
    std::fs::write(&binary, b"\xff\xfe\x00").expect("a file can be written");
    let run = Output::of(Command::new(Hub::binary()).arg("run").arg("--config").arg(&binary));
    assert_eq!(run.code, Some(78), "{run:?}");
    says(&run.stderr, &["binary.toml"]);
}

#[test]
fn anonymous_clients_beyond_loopback_are_not_configurable() {
    let place = Place::new("anonymous");
    let text = "[[mqtt.listener]]\naddress = \"0.0.0.0:1883\"\ntransport = \"tcp\"\nanonymous = true\n";
    says(&refused(&place, text), &["hub.toml:", "anonymous", "loopback"]);
}

#[test]
fn a_wrong_environment_is_named_too() {
    let run = Output::of(
        Command::new(Hub::binary())
            .arg("run")
            .env("RELAIS__STORAGE__QOTA", "1GiB")
            .env("RELAIS__WEB__LISTEN", "x"),
    );
    assert_eq!(run.code, Some(78), "{run:?}");
    says(&run.stderr, &["RELAIS__STORAGE__QOTA", "RELAIS__WEB__LISTEN"]);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let run = Output::of(Command::new(Hub::binary()).args(["run", "--confg", "x"]));
    assert_eq!(run.code, Some(2), "{run:?}");
    says(&run.stderr, &["--config"]);
}
