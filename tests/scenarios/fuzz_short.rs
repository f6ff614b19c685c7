//! A few seconds of fuzzing per target. `RELAIS_FUZZ_SECONDS` says how many (default 5), `RELAIS_SEED` which inputs;
//! `make soak` does far more, by count.

use std::time::Duration;

use site_tests::fuzz::{Limit, TARGETS, run, target};
use site_tests::{Random, report};

#[track_caller]
fn check(name: &str) {
    let seconds = std::env::var("RELAIS_FUZZ_SECONDS").map_or(5, |text| text.parse().expect("a number"));
    let seed = Random::seed_from_env();
    eprintln!("{name}: seed {seed}");
    let target = target(name).expect("a target of this name");
    match run(target, seed, 0, Limit::Time(Duration::from_secs(seconds))) {
        Ok(outcome) => {
            let per_second = u128::from(outcome.inputs) * 1000 / outcome.took.as_millis().max(1);
            report(&format!(
                "fuzz: {name}: seed {seed}, {} inputs, {per_second}/s, no failure",
                outcome.inputs
            ));
        }
        Err(failure) => panic!("{name}: {failure}"),
    }
}

#[test]
fn mqtt_codec() {
    check("mqtt-codec");
}

#[test]
fn wire_payload() {
    check("wire-payload");
}

#[test]
fn wire_topic() {
    check("wire-topic");
}

#[test]
fn modbus_frame() {
    check("modbus-frame");
}

#[test]
fn modbus_device_file() {
    check("modbus-device-file");
}

#[test]
fn north_frames() {
    check("north-frames");
}

#[test]
fn north_tokens() {
    check("north-tokens");
}

#[test]
fn north_csr() {
    check("north-csr");
}

#[test]
fn north_certificate() {
    check("north-certificate");
}

#[test]
fn agent_queue() {
    check("agent-queue");
}

#[test]
fn agent_answers() {
    check("agent-answers");
}

#[test]
fn codec_block() {
    check("codec-block");
}

#[test]
fn store_block() {
    check("store-block");
}

#[test]
fn store_records() {
    check("store-records");
}

#[test]
fn store_wal() {
    check("store-wal");
}

#[test]
fn every_target_has_a_test() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let tested = [
        "mqtt-codec",
        "wire-payload",
        "wire-topic",
        "modbus-frame",
        "modbus-device-file",
        "north-frames",
        "north-tokens",
        "north-csr",
        "north-certificate",
        "agent-queue",
        "agent-answers",
        "codec-block",
        "store-block",
        "store-records",
        "store-wal",
    ];
    assert_eq!(names, tested, "add a test for a new target");
}
