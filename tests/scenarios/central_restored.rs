//! Central's folder is put back to an older copy. Central asks its hubs for what it lacks and becomes whole again; a
//! hub that enrolled after the copy was made is taken in again.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use site_tests::mqtt::{RawClient, Version};
use site_tests::{Central, Hub, HubConfig, Publisher, PublisherKind, ReadingRow, eventually, pause, report};

const DEVICE: &str = "pump";
const METRIC: &str = "x";
/// For enrolment, and for a hub to find central again.
const LINK_DEADLINE: Duration = Duration::from_secs(60);
/// For everything to be sent, acknowledged and decoded.
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

struct Fleet {
    central: Central,
    hubs: Vec<Hub>,
}

impl Fleet {
    fn start(story: &str) -> Fleet {
        let mut fleet = Fleet { central: Central::start(story), hubs: Vec::new() };
        fleet.add_hub(story);
        fleet
    }

    fn add_hub(&mut self, story: &str) {
        let token = self.central.claim_token("hall 1");
        let hub = Hub::start_with(story, HubConfig::synced(self.central.sync(), &token));
        hub.wait_for_central(LINK_DEADLINE);
        self.hubs.push(hub);
    }

    fn wait_until_confirmed(&self) {
        self.hubs.iter().for_each(|hub| hub.wait_until_confirmed(WHOLE_DEADLINE));
    }

    /// Stops central, puts the copy back and starts it as `start` does.
    fn put_back(&mut self, copy: &str, start: fn(&mut Central)) {
        let ended = self.central.terminate();
        assert_eq!(ended.code, Some(0), "central stops in order: {ended:?}");
        self.central.restore_storage(copy);
        start(&mut self.central);
    }

    /// Central shows every reading of every hub, and nothing is missing, doubled or another.
    fn becomes_whole(&self) -> usize {
        self.hubs.iter().map(|hub| self.shows_all_of(hub, DEVICE, METRIC)).sum()
    }

    fn shows_all_of(&self, hub: &Hub, device: &str, metric: &str) -> usize {
        let here = hub.readings(device, metric).rows;
        let id = hub.id();
        eventually(WHOLE_DEADLINE, "central to become whole", || {
            let there = self.central.readings(&id, device, metric);
            if there.rows == here && there.damaged == 0 {
                return Ok(());
            }
            let missing = missing(&here, &there.rows);
            Err(format!(
                "{} here, {} there, missing {missing:?}, {:?}",
                here.len(),
                there.rows.len(),
                hub.link()
            ))
        });
        here.len()
    }

    fn audit_of(&self, action: &str) -> Vec<Value> {
        self.central.audit().into_iter().filter(|row| row["action"] == action).collect()
    }
}

/// The first and the last number that is here and not there.
fn missing(here: &[ReadingRow], there: &[ReadingRow]) -> Option<(u64, u64)> {
    let there: std::collections::BTreeSet<u64> = there.iter().map(|row| row.seq).collect();
    let mut missing = here.iter().map(|row| row.seq).filter(|seq| !there.contains(seq));
    let first = missing.next()?;
    Some((first, missing.next_back().unwrap_or(first)))
}

/// Publishes these numbers and waits for every acknowledgement.
fn publish(hub: &Hub, numbers: Range<u16>) {
    let mut device = RawClient::connect(hub.mqtt(), Version::V4, "device");
    for number in numbers {
        let payload = format!("{{\"{METRIC}\": {number}.125}}");
        let id = number % 60_000 + 1;
        assert_eq!(device.publish(&format!("relais/v1/{DEVICE}/telemetry"), payload.as_bytes(), id), Some(0));
    }
}

/// The first half of each story: a copy is made, and much happens behind it.
fn fleet_with_an_old_copy(story: &str) -> Fleet {
    let mut fleet = Fleet::start(story);
    publish(&fleet.hubs[0], 0..300);
    fleet.wait_until_confirmed();
    assert_eq!(fleet.central.terminate().code, Some(0));
    fleet.central.copy_storage("backup");
    fleet.central.start_again();
    publish(&fleet.hubs[0], 300..700);
    fleet.add_hub(story);
    publish(&fleet.hubs[1], 0..200);
    fleet.hubs[0].wait_for_central(LINK_DEADLINE);
    fleet.wait_until_confirmed();
    assert_eq!(fleet.becomes_whole(), 900);
    fleet
}

/// The second half: both hubs are there again, and the audit says what happened to each.
fn both_hubs_filled_it_up(fleet: &Fleet) -> usize {
    fleet.hubs.iter().for_each(|hub| hub.wait_for_central(LINK_DEADLINE));
    publish(&fleet.hubs[0], 700..800);
    let readings = fleet.becomes_whole();
    assert_eq!(readings, 1000);
    fleet.wait_until_confirmed();
    let [first, second] = [fleet.hubs[0].id(), fleet.hubs[1].id()];
    let of_hub =
        |action: &str, hub: &str| fleet.audit_of(action).iter().filter(|row| row["target"] == hub).count();
    assert!(of_hub("sync.rewind", &first) > 0, "{:?}", fleet.central.audit());
    assert_eq!(of_hub("hub.adopt", &second), 1, "{:?}", fleet.central.audit());
    assert_eq!(of_hub("hub.adopt", &first), 0, "{:?}", fleet.central.audit());
    assert!(fleet.central.metrics().sum(&["relais_link_rewound_total"]) > 0.0);
    for hub in &fleet.hubs {
        assert!(fleet.central.gaps(&hub.id()).is_empty(), "{:?}", fleet.central.gaps(&hub.id()));
        assert!(hub.ledger().balanced());
    }
    drop(fleet.central.cli(&["check"]).success());
    readings
}

#[test]
fn an_older_copy_is_filled_up_without_being_told() {
    let mut fleet = fleet_with_an_old_copy("restored-silently");
    fleet.put_back("backup", Central::start_again);
    let readings = both_hubs_filled_it_up(&fleet);
    report(&format!("restored: an older copy was filled up by two hubs without a word: {readings} readings"));
}

#[test]
fn a_restored_central_raises_its_term_and_an_older_copy_is_refused_then() {
    let mut fleet = fleet_with_an_old_copy("restored");
    let before = fleet.hubs[0].link().term.expect("it is connected");
    fleet.put_back("backup", Central::start_restored);
    let readings = both_hubs_filled_it_up(&fleet);
    let after = fleet.hubs[0].link().term.expect("it is connected");
    assert!(after > before, "{after} > {before}");
    assert_eq!(fleet.audit_of("storage.restore").len(), 1, "{:?}", fleet.central.audit());

    // The same copy once more, and nobody says that it is one: its term is one the hubs have seen the end of.
    fleet.put_back("backup", Central::start_again);
    for hub in &mut fleet.hubs {
        // At once, and not when its time has come.
        hub.restart9();
        eventually(LINK_DEADLINE, "the hub to say why it stays away", || {
            let link = hub.link();
            let told =
                link.state == "refused" && link.refusal == "term-too-low" && link.says.contains("--restored");
            if told { Ok(()) } else { Err(format!("{link:?}")) }
        });
    }
    assert!(fleet.central.metrics().sum(&["relais_link_refused_total", "\"term-too-low\""]) >= 2.0);
    let denied = fleet.audit_of("hub.sync");
    assert!(
        denied.iter().any(|row| row["detail"].as_str().is_some_and(|d| d.contains("term-too-low"))),
        "{denied:?}"
    );

    fleet.put_back("backup", Central::start_restored);
    fleet.hubs.iter_mut().for_each(Hub::restart9);
    fleet.hubs.iter().for_each(|hub| hub.wait_for_central(LINK_DEADLINE));
    let again = fleet.becomes_whole();
    fleet.wait_until_confirmed();
    assert!(fleet.hubs[0].link().term > Some(after));
    report(&format!(
        "restored: term {before} -> {after}, {readings} readings; refused without --restored; then {again} again"
    ));
}

#[test]
fn a_snapshot_of_a_running_central_is_filled_up_as_well() {
    let mut fleet = Fleet::start("restored-running");
    let mut publisher = Publisher::start(&fleet.hubs[0], PublisherKind::PahoV5, 1, 200);
    publisher.wait_until_connected();
    eventually(LINK_DEADLINE, "central to confirm something", || {
        let confirmed = fleet.hubs[0].ledger().class("telemetry").confirmed;
        if confirmed > 500 { Ok(()) } else { Err(format!("{confirmed}")) }
    });
    fleet.central.copy_storage("backup");
    pause(Duration::from_secs(3));
    let _connects = publisher.finish();
    fleet.wait_until_confirmed();
    fleet.put_back("backup", Central::start_restored);
    fleet.hubs[0].wait_for_central(LINK_DEADLINE);
    let readings = fleet.shows_all_of(&fleet.hubs[0], publisher.device(), "check");
    fleet.wait_until_confirmed();
    drop(fleet.central.cli(&["check"]).success());
    report(&format!("restored: a snapshot of a running central was filled up: {readings} readings"));
}

/// One object is gone, one is cut short, and in one a bit has turned over.
#[test]
fn objects_that_went_bad_are_filled_up_from_the_hub() {
    let mut fleet = Fleet::start("bad-objects");
    for round in 0..8 {
        // One commit, and so one object, at a time.
        publish(&fleet.hubs[0], round * 100..round * 100 + 100);
        fleet.wait_until_confirmed();
    }
    assert_eq!(fleet.becomes_whole(), 800);
    assert_eq!(fleet.central.terminate().code, Some(0));
    let objects = fleet.central.objects();
    assert!(objects.len() >= 8, "{objects:?}");
    let bad = |at: usize| objects[objects.len() - at].clone();
    fs::remove_file(bad(6)).expect("an object can be removed");
    let bytes = fs::read(bad(4)).expect("an object can be read");
    fs::write(bad(4), &bytes[..bytes.len() - 1]).expect("an object can be written");
    let mut bytes = fs::read(bad(2)).expect("an object can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(bad(2), bytes).expect("an object can be written");

    fleet.central.start_again();
    fleet.hubs[0].wait_for_central(LINK_DEADLINE);
    // What is missing or short is found at the start, a turned bit when somebody reads it. It is listed then, and the
    // hub, though it is connected, is asked for it all the same.
    let id = fleet.hubs[0].id();
    eventually(WHOLE_DEADLINE, "central to list the damaged block", || {
        let found = fleet.central.readings(&id, DEVICE, METRIC);
        let listed = fleet.central.gaps(&id).iter().any(|gap| gap.cause == "damaged");
        if listed { Ok(()) } else { Err(format!("{} readings", found.rows.len())) }
    });
    assert_eq!(fleet.becomes_whole(), 800);
    fleet.wait_until_confirmed();
    assert_eq!(fleet.audit_of("object.lost").len(), 2, "{:?}", fleet.central.audit());
    let gaps = fleet.central.gaps(&fleet.hubs[0].id());
    assert!(gaps.is_empty(), "{gaps:?}");
    assert!(fleet.central.metrics().sum(&["relais_link_asked_again_total"]) >= 1.0);
    drop(fleet.central.cli(&["check"]).success());
    report("restored: a lost object, a cut one and a turned bit were filled up from the hub");
}
