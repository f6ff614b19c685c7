//! Blocks go north, confirmations come back, and nothing of it is lost or doubled by cuts and restarts.

use std::sync::atomic::Ordering;

use hub_model::{Class, RangeSet, SeqRange};
use northbound::{Content, LinkState, Origin};
use northbound_wire::{Lane, RefusalCode};

use crate::central::{Central, Fault};
use crate::hub::{EPOCH, Hub, eventually};
use crate::logging::Lines;

#[tokio::test]
async fn a_hub_enrols_and_its_blocks_arrive() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 50, 60_000);
    hub.log.seal(Class::Alarm, 3, 100);
    hub.log.lose(Class::Bulk);
    let status = hub.connected().await;
    assert_eq!(status.site_name.as_deref(), Some("Bakery"));
    assert!(matches!(status.state, LinkState::Connected { version: 1, term: 1, .. }));
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 500).await;
    eventually("confirmed", || hub.log.confirmed(Class::Bulk) == 10 && hub.log.confirmed(Class::Alarm) == 30)
        .await;
    // What is sealed while the connection stands goes at once.
    hub.log.seal(Class::Meta, 1, 10);
    eventually("meta", || hub.log.confirmed(Class::Meta) == 10).await;
    assert_eq!(central.has(Class::Telemetry), 500);
    let status = hub.until("all of it", |status| status.unconfirmed(Class::Telemetry) == 0).await;
    let counters = &status.counters;
    assert_eq!(
        (counters.blocks_sent[Class::Telemetry.index()], counters.gaps_sent[Class::Bulk.index()]),
        (50, 1)
    );
    assert_eq!(counters.resends, [0; 7]);
    let sizes: usize =
        central.state.arrived.lock().unwrap().iter().map(|(_, _, content)| size(content)).sum();
    assert_eq!(sizes, 50 * 60_000 + 300 + 10);
    let writes = hub.log.writes.load(Ordering::Relaxed);
    assert!(writes <= 20, "{writes} writes for 55 acknowledgements");
}

fn size(content: &Content) -> usize {
    if let Content::Block(bytes) = content { bytes.len() } else { 0 }
}

#[tokio::test]
async fn a_cut_costs_nothing_but_time() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    hub.log.seal(Class::Telemetry, 100, 60_000);
    eventually("half of it", || central.has(Class::Telemetry) > 300).await;
    central.cut(RefusalCode::Stopping);
    eventually("all of it", || hub.log.confirmed(Class::Telemetry) == 1_000).await;
    assert_eq!(central.has(Class::Telemetry), 1_000);
    let status = hub.connected().await;
    assert!(status.counters.connects >= 2, "{:?}", status.counters);
    assert_eq!(status.counters.refusals.get(&RefusalCode::Stopping), Some(&1));
}

#[tokio::test]
async fn a_restarted_central_is_found_again_and_a_restarted_hub_sends_nothing_twice() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 20, 1_000);
    hub.connected().await;
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 200).await;
    let (address, state) = central.stop(None).await;
    hub.until("gone", |status| !status.is_connected()).await;
    let central = Central::start_at(address, state).await;
    hub.connected().await;

    let (dir, log) = hub.stop().await;
    log.seal(Class::Telemetry, 1, 1_000);
    let mut hub = Hub::start_in(dir, log, &[address.to_string()]);
    hub.connected().await;
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 210).await;
    assert_eq!(central.state.arrived.lock().unwrap().len(), 21, "every block came once");
}

#[tokio::test]
async fn the_last_confirmations_are_written_at_the_end() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    hub.log.seal(Class::Event, 5, 100);
    let acked = |status: &northbound::LinkStatus| status.counters.acks[Class::Event.index()] > 0;
    hub.until("acknowledged", acked).await;
    eventually("there", || central.has(Class::Event) == 50).await;
    let (_, log) = hub.stop().await;
    assert!(log.confirmed(Class::Event) >= 10, "what was acknowledged is on flash before the link is off");
}

#[tokio::test]
async fn a_log_that_fails_is_asked_again() {
    let central = Central::start().await;
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.connected().await;
    hub.log.fails.store(1, Ordering::Relaxed);
    hub.log.seal(Class::Audit, 2, 100);
    eventually("confirmed", || hub.log.confirmed(Class::Audit) == 20).await;
    assert_eq!(hub.status.borrow().counters.log_failures, 1);
}

#[tokio::test]
async fn a_refused_block_is_looked_at_again_and_stops_nothing() {
    let central = Central::start().await;
    central.set(Fault::RefusesTelemetry(RefusalCode::BlockVersion));
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 3, 100);
    hub.log.seal(Class::Bulk, 3, 100);
    hub.connected().await;
    eventually("the rest", || hub.log.confirmed(Class::Bulk) == 30).await;
    eventually("rechecked", || hub.log.rechecks.load(Ordering::Relaxed) == 3).await;
    let parked =
        |status: &northbound::LinkStatus| status.lanes.iter().map(|lane| lane.parked).sum::<u64>() == 30;
    let status = hub.until("parked", parked).await;
    assert_eq!(status.counters.refusals.get(&RefusalCode::BlockVersion), Some(&3));
    // A new term, and all is well.
    central.set(Fault::None);
    central.state.term.store(2, Ordering::Relaxed);
    central.cut(RefusalCode::Stopping);
    eventually("taken", || hub.log.confirmed(Class::Telemetry) == 30).await;
}

#[tokio::test]
async fn a_central_that_refuses_everything_does_not_fill_the_log() {
    let (lines, _guard) = Lines::capture();
    let central = Central::start().await;
    central.set(Fault::RefusesTelemetry(RefusalCode::BlockVersion));
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 100, 100);
    let parked =
        |status: &northbound::LinkStatus| status.lanes.iter().map(|lane| lane.parked).sum::<u64>() == 1_000;
    let status = hub.until("parked", parked).await;
    assert_eq!(status.counters.refusals.get(&RefusalCode::BlockVersion), Some(&100), "each is counted");
    hub.stop().await;
    assert_eq!(lines.with("central refused a block").len(), 5, "{:?}", lines.with(""));
    let rest = lines.with("central refused more blocks on this connection");
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(rest[0].contains("count=95"), "{rest:?}");
}

#[tokio::test]
async fn an_alarm_goes_past_a_class_that_stalls() {
    let central = Central::start().await;
    central.set(Fault::Stalls(Class::Telemetry));
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 200, 60_000);
    hub.connected().await;
    let sending = |status: &northbound::LinkStatus| status.counters.blocks_sent[Class::Telemetry.index()] > 0;
    hub.until("sending", sending).await;
    for alarms in 1..=5 {
        hub.log.seal(Class::Alarm, 1, 1_000);
        eventually("the alarm is there", || hub.log.confirmed(Class::Alarm) == alarms * 10).await;
    }
    assert_eq!(central.has(Class::Telemetry), 0);
    let sent = hub.status.borrow().counters.bytes_sent[Class::Telemetry.index()];
    assert!(sent < 1_500_000, "{sent} bytes were taken out of the log for a class that stalls");
}

#[tokio::test]
async fn the_term_is_remembered_and_an_older_central_is_declined() {
    let central = Central::start().await;
    central.state.term.store(7, Ordering::Relaxed);
    let address = central.address.to_string();
    let mut hub = Hub::start(std::slice::from_ref(&address), Some(central.token(1)));
    hub.connected().await;
    let (dir, log) = hub.stop().await;
    central.state.term.store(6, Ordering::Relaxed);
    let mut hub = Hub::start_in(dir, log, &[address]);
    let status = hub.says("term-too-low").await;
    assert!(matches!(status.state, LinkState::Refused { code: RefusalCode::TermTooLow, .. }), "{status:?}");
    central.state.term.store(8, Ordering::Relaxed);
    hub.connected().await;
}

/// A central that has more of the telemetry than the hub has given out.
fn overtake(central: &Central, upto: u64) {
    let lane = Lane { epoch: EPOCH, class: Class::Telemetry };
    central.state.accounted.lock().unwrap().insert(lane, RangeSet::from_range(SeqRange::new(0, upto)));
}

fn origin(status: &northbound::LinkStatus) -> Option<Origin> {
    status.overtaken.as_ref().map(|overtaken| overtaken.origin)
}

#[tokio::test]
async fn a_folder_that_was_copied_and_one_that_was_put_back_are_told_apart() {
    let central = Central::start().await;
    overtake(&central, 50);
    let mut hub = Hub::start(&[central.address.to_string()], Some(central.token(1)));
    hub.log.seal(Class::Telemetry, 2, 100);
    hub.log.seal(Class::Event, 1, 100);
    let status = hub.until("overtaken", |status| status.is_connected() && origin(status).is_some()).await;
    let overtaken = status.overtaken.unwrap();
    assert_eq!((overtaken.origin, overtaken.lanes), (Origin::OtherFolder, vec![(Class::Telemetry, 50, 20)]));
    assert_eq!(
        hub.log.confirmed(Class::Telemetry) + hub.log.confirmed(Class::Event),
        0,
        "the whole log rests"
    );
    assert!(hub.status.borrow().overtaken.is_some(), "it stays told");

    // This central remembers no runs: once the numbers are passed, it is over.
    hub.log.seal(Class::Telemetry, 4, 100);
    central.cut(RefusalCode::Stopping);
    hub.until("passed", |status| status.is_connected() && origin(status).is_none()).await;
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 60).await;
    eventually("events too", || hub.log.confirmed(Class::Event) == 10).await;

    overtake(&central, 90);
    central.cut(RefusalCode::Stopping);
    hub.until("an older copy", |status| origin(status) == Some(Origin::OlderCopy)).await;
    // What central confirmed before is not remembered any more; what it meant is, for this process.
    central.cut(RefusalCode::Stopping);
    let again = |status: &northbound::LinkStatus| {
        status.counters.connects >= 4 && status.is_connected() && origin(status).is_some()
    };
    let status = hub.until("overtaken again", again).await;
    assert_eq!(origin(&status), Some(Origin::OlderCopy));
}

#[tokio::test]
async fn the_central_of_another_organisation_gets_everything_and_is_not_told_of_the_first() {
    let (first, second) = (Central::start().await, Central::start().await);
    let addresses = [first.address.to_string(), second.address.to_string()];
    let mut hub = Hub::start(&addresses, Some(first.token(1)));
    hub.log.seal(Class::Telemetry, 3, 100);
    hub.connected().await;
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 30).await;
    hub.link.enrol(second.token(2)).await.unwrap();
    eventually("all of it", || second.has(Class::Telemetry) == 30).await;
    assert_eq!(second.state.rewound.load(Ordering::Relaxed), 0, "it does not take itself for an older copy");
    eventually("confirmed", || hub.log.confirmed(Class::Telemetry) == 30).await;

    // And back, where another copy of the folder has gone on.
    overtake(&first, 80);
    hub.link.enrol(first.token(3)).await.unwrap();
    hub.until("another's", |status| origin(status) == Some(Origin::OtherOrganisation)).await;
    assert_eq!(first.state.rewound.load(Ordering::Relaxed), 0);
}
