//! Four devices publish while the hub is killed again and again. Nothing it acknowledged may be missing, and nothing
//! it was sent twice may be there twice.
//!
//! `RELAIS_KILLS` says how often (default 20), `RELAIS_SEED` at which moments.

use std::time::Duration;

use site_tests::{Hub, LedgerRow, Publisher, PublisherKind, Random, Reading, Tally, pause, report};

const PUBLISHERS: u32 = 4;
/// Messages per second and publisher: 500 in all.
const RATE: u32 = 125;

fn start(hub: &Hub, number: u32) -> Publisher {
    let kind = if number.is_multiple_of(2) { PublisherKind::PahoV4 } else { PublisherKind::PahoV5 };
    Publisher::start(hub, kind, number, RATE)
}

fn tally(publishers: &[Publisher], readings: &[Reading]) -> Tally {
    let mut tally = Tally::default();
    for publisher in publishers {
        let bits = |metric: &str| -> Vec<u64> {
            let mine = readings.iter().filter(|r| r.device == publisher.device() && r.metric == metric);
            mine.map(Reading::bits).collect()
        };
        tally.add(publisher, &bits("number"), &bits("check"));
    }
    tally
}

/// Resends the hub has recognised since its start.
fn duplicates(hub: &Hub) -> u64 {
    hub.status()["intake"]["duplicates"].as_u64().expect("a count")
}

#[test]
fn what_was_acknowledged_is_there_once_after_every_kill() {
    let kills: u64 =
        std::env::var("RELAIS_KILLS").map_or(20, |text| text.parse().expect("RELAIS_KILLS is a number"));
    let seed = Random::seed_from_env();
    println!("seed {seed}, {kills} kills");
    let mut hub = Hub::start("kill-nine");
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(|n| start(&hub, n)).collect();
    publishers.iter().for_each(Publisher::wait_until_connected);

    let mut random = Random::new(seed);
    // The resends recognised by each run of the hub, up to shortly before its end.
    let mut recognised = 0;
    for _ in 0..kills {
        let wait = Duration::from_millis(300 + random.below(1200));
        pause(wait / 2);
        recognised += duplicates(&hub);
        pause(wait / 2);
        hub.restart9();
    }
    let counts: Vec<_> = publishers.iter_mut().map(Publisher::finish).collect();

    recognised += duplicates(&hub);

    let readings = hub.export();
    let Tally { published, acked, stored, missing, doubled, wrong } = tally(&publishers, &readings);
    let ledger = hub.ledger();
    let connects: u64 = counts.iter().map(|c| c.connects).sum();
    let present: u64 = counts.iter().map(|c| c.sessions_present).sum();
    report(&format!(
        "kill -9: seed {seed}, {kills} kills, {connects} connects: published={published} acked={acked} \
         stored={stored} lost={missing} doubled={doubled} ledger {}, {recognised} resends recognised",
        if ledger.balanced() { "balanced" } else { "NOT BALANCED" }
    ));
    assert_eq!((missing, doubled, wrong), (0, 0, 0), "lost, doubled, wrong");
    assert_eq!((acked, stored), (published, published), "everything was acknowledged in the end");
    assert!(ledger.rows.iter().all(LedgerRow::balanced), "{ledger:?}");
    let telemetry = ledger.class("telemetry");
    let exported = u64::try_from(readings.len()).expect("a count");
    assert_eq!(telemetry.tail + telemetry.stored, exported, "the ledger counts what the export shows");
    assert_eq!(present, connects - u64::from(PUBLISHERS), "every session but the first was remembered");
    let restarts = hub.gaps().into_iter().filter(|gap| gap.cause == "restart" && gap.class == "telemetry");
    assert_eq!(restarts.count() as u64, kills, "one restart gap per kill");
}
