//! What each end refuses, and how it says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use hub_model::{BootId, Class, HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use northbound_sync::{
    Arrival, CentralConfig, CentralOutput, CentralSync, Content, Held, HubConfig, HubOutput, HubSync, Item,
    Placed, Recheck,
};
use northbound_wire::{
    Ack, Block, Credit, Hello, Lane, Message, Refusal, RefusalCode, RefusedItem, Resume, StreamKind,
    Versions, WantedLane,
};

const HUB: HubId = HubId::from_bytes([1; 16]);
/// 2026-12-01.
const NOW: UtcMs = UtcMs(1_796_083_200_000);
const LANE: Lane = Lane { epoch: LogEpoch(5), class: Class::Telemetry };

fn hub(term_seen: u64, next: u64) -> HubSync {
    let config = HubConfig {
        hub: HUB,
        boot: BootId::from_bytes([2; 16]),
        program: "test".to_owned(),
        versions: Versions::OURS,
        runs: Vec::new(),
    };
    let mut hub = HubSync::new(config, term_seen);
    hub.handle_held(vec![Held { lane: LANE, first: 0, next, confirmed: RangeSet::new() }], 0);
    hub.handle_connected(0, NOW);
    hub
}

fn outputs(hub: &mut HubSync) -> Vec<HubOutput> {
    std::iter::from_fn(|| hub.poll_output()).collect()
}

fn said(central: &mut CentralSync) -> Vec<CentralOutput> {
    std::iter::from_fn(|| central.poll_output()).collect()
}

fn resume(term: u64, version: u32, have_upto: u64) -> Message {
    let lanes =
        vec![WantedLane { lane: LANE, have_upto, holes: Vec::new(), more_holes: false, known_run: None }];
    Message::Resume(Resume { version, term, lanes })
}

fn hello(hub: HubId, versions: Versions, term_seen: u64) -> Message {
    let boot = BootId::from_bytes([2; 16]);
    let lanes = vec![northbound_wire::HeldLane { lane: LANE, first: 0, next: 100, confirmed_upto: 0 }];
    Message::Hello(Hello {
        hub,
        versions,
        boot,
        term_seen,
        program: "test".to_owned(),
        lanes,
        runs: Vec::new(),
    })
}

fn central() -> CentralSync {
    CentralSync::new(CentralConfig::new(HUB, 7))
}

/// A central that syncs.
fn syncing() -> CentralSync {
    let mut central = central();
    central.handle_message(hello(HUB, Versions::OURS, 0));
    said(&mut central);
    central.handle_accounted(vec![(LANE, RangeSet::new())], &BTreeMap::new());
    said(&mut central);
    central
}

fn block(lane: Lane, from: u64, len: usize) -> Message {
    let range = SeqRange::new(from, from + 1);
    Message::Block(Block { lane, range, bytes: vec![0; len], zero_gaps: Vec::new() })
}

fn closed_for(central: &mut CentralSync) -> Refusal {
    let closed = said(central)
        .into_iter()
        .find_map(|output| if let CentralOutput::Close(refusal) = output { Some(refusal) } else { None });
    closed.expect("central ends the connection")
}

fn disconnected_for(hub: &mut HubSync) -> Refusal {
    let closed = outputs(hub)
        .into_iter()
        .find_map(|output| if let HubOutput::Disconnect(refusal) = output { Some(refusal) } else { None });
    closed.expect("the hub ends the connection")
}

#[test]
fn central_refuses_a_hub_that_says_another_id_than_it_proved() {
    let mut central = central();
    central.handle_message(hello(HubId::from_bytes([9; 16]), Versions::OURS, 0));
    let refusal = closed_for(&mut central);
    assert_eq!(refusal.code, RefusalCode::HubMismatch);
    assert!(refusal.detail.contains(&HUB.to_string()), "{refusal}");
    central.handle_message(hello(HUB, Versions::OURS, 0));
    assert!(said(&mut central).is_empty(), "a closed connection stays closed");
}

#[test]
fn central_refuses_versions_it_does_not_speak_and_says_who_must_move() {
    for (versions, advice) in
        [(Versions { min: 0, max: 0 }, "upgrade the hub"), (Versions { min: 2, max: 9 }, "upgrade central")]
    {
        let mut central = central();
        central.handle_message(hello(HUB, versions, 0));
        let refusal = closed_for(&mut central);
        assert_eq!(refusal.code, RefusalCode::Version);
        assert!(refusal.detail.contains(advice), "{refusal}");
    }
}

#[test]
fn central_refuses_to_act_below_a_term_the_hub_has_seen() {
    let mut central = central();
    central.handle_message(hello(HUB, Versions::OURS, 8));
    assert_eq!(closed_for(&mut central).code, RefusalCode::TermTooLow);
}

#[test]
fn central_takes_nothing_before_the_hello_and_nothing_of_a_lane_it_did_not_hear_of() {
    let mut early = central();
    early.handle_message(block(LANE, 0, 10));
    assert_eq!(closed_for(&mut early).code, RefusalCode::Unexpected);
    let mut central = syncing();
    central.handle_message(block(Lane { epoch: LogEpoch(6), ..LANE }, 0, 10));
    assert_eq!(closed_for(&mut central).code, RefusalCode::Unexpected);
}

#[test]
fn central_refuses_a_flood() {
    let mut central = syncing();
    for from in 0..200 {
        central.handle_message(block(LANE, from, 60_000));
    }
    assert_eq!(closed_for(&mut central).code, RefusalCode::CreditExceeded);
}

#[test]
fn central_refuses_messages_of_its_own_kind() {
    let mut central = syncing();
    central.handle_message(resume(1, 1, 0));
    assert_eq!(closed_for(&mut central).code, RefusalCode::Unexpected);
}

#[test]
fn central_passes_on_what_the_storage_refuses_and_goes_on() {
    let mut central = syncing();
    central.handle_message(block(LANE, 3, 10));
    let range = SeqRange::new(3, 4);
    let arrival = Arrival { lane: LANE, range, content: Content::Block(vec![0; 10]), zero_gaps: Vec::new() };
    assert_eq!(said(&mut central), [CentralOutput::Store(arrival)]);
    central.handle_placed(LANE, range, Placed::Refused(RefusalCode::BlockDamaged, "checksum".to_owned()));
    let item = RefusedItem { lane: LANE, range };
    let refusal = Refusal::of_item(RefusalCode::BlockDamaged, "checksum", item);
    assert_eq!(said(&mut central).first(), Some(&CentralOutput::Send(Message::Refusal(refusal))));
}

#[test]
fn the_hub_refuses_a_version_it_did_not_offer() {
    let mut hub = hub(0, 10);
    hub.handle_message(resume(1, 0, 0), 1);
    let refusal = disconnected_for(&mut hub);
    assert_eq!(refusal.code, RefusalCode::Version);
    assert!(outputs(&mut hub).is_empty(), "nothing is sent to such a central");
}

#[test]
fn the_hub_refuses_a_lower_term_and_remembers_a_higher_one_first() {
    let mut low = hub(5, 10);
    low.handle_message(resume(4, 1, 0), 1);
    assert_eq!(disconnected_for(&mut low).code, RefusalCode::TermTooLow);
    let mut high = hub(5, 10);
    outputs(&mut high);
    high.handle_message(resume(6, 1, 0), 1);
    assert_eq!(outputs(&mut high).first(), Some(&HubOutput::Term(6)));
}

#[test]
fn the_hub_does_not_send_what_would_collide_with_numbers_it_never_gave_out() {
    let mut hub = hub(0, 10);
    outputs(&mut hub);
    hub.handle_message(resume(1, 1, 50), 1);
    let said = outputs(&mut hub);
    let overtaken = HubOutput::Overtaken { lane: LANE, have_upto: 50, next: 10, was_confirmed: false };
    assert!(said.contains(&overtaken), "{said:?}");
    assert!(!said.iter().any(|output| matches!(output, HubOutput::Fetch { .. })), "{said:?}");
}

#[test]
fn a_log_that_remembers_confirmations_of_any_class_is_an_older_copy_after_a_restart_too() {
    let mut hub = hub(0, 10);
    let event = Lane { class: Class::Event, ..LANE };
    let confirmed = RangeSet::from_range(SeqRange::new(0, 3));
    hub.handle_held(vec![Held { lane: event, first: 0, next: 5, confirmed }], 0);
    hub.handle_connected(0, NOW);
    outputs(&mut hub);
    hub.handle_message(resume(1, 1, 50), 1);
    let overtaken = HubOutput::Overtaken { lane: LANE, have_upto: 50, next: 10, was_confirmed: true };
    assert!(outputs(&mut hub).contains(&overtaken));
}

#[test]
fn what_another_log_of_the_same_name_has_confirms_nothing() {
    let mut hub = hub(0, 10);
    outputs(&mut hub);
    hub.handle_message(resume(1, 1, 50), 1);
    hub.handle_message(Message::Ack(Ack { lane: LANE, upto: 50, ranges: Vec::new() }), 2);
    assert_eq!(hub.progress()[0].confirmed, 0);
    let said = outputs(&mut hub);
    assert!(!said.iter().any(|output| matches!(output, HubOutput::Confirm { .. })), "{said:?}");
}

#[test]
fn refusals_alone_do_not_use_up_the_credit() {
    let mut central = syncing();
    let mut granted = 0;
    // Twelve windows of telemetry, of which nothing can be stored.
    for from in 0..1_000 {
        central.handle_message(block(LANE, from, 60_000));
        said(&mut central);
        let failed = Placed::Refused(RefusalCode::StorageFailed, "the disk is full".to_owned());
        central.handle_placed(LANE, SeqRange::new(from, from + 1), failed);
        for output in said(&mut central) {
            if let CentralOutput::Send(Message::Credit(credit)) = output
                && credit.class == Class::Telemetry
            {
                granted = credit.bytes_total;
            }
        }
    }
    assert!(granted > 60_000 * 1_000, "{granted}");
}

#[test]
fn the_hub_refuses_messages_of_its_own_kind() {
    let mut hub = hub(0, 10);
    hub.handle_message(block(LANE, 0, 1), 1);
    assert_eq!(disconnected_for(&mut hub).code, RefusalCode::Unexpected);
}

/// Sends one block of `0..10`.
fn hub_with_a_block_in_flight() -> HubSync {
    let mut hub = hub(0, 10);
    hub.handle_message(resume(1, 1, 0), 1);
    let item = Item { range: SeqRange::new(0, 10), content: Content::Block(vec![1]), zero_gaps: Vec::new() };
    hub.handle_items(LANE, SeqRange::new(0, 10), vec![item], 2);
    let sent = outputs(&mut hub);
    let on_its_stream = |o: &HubOutput| matches!(o, HubOutput::Send { stream: StreamKind::Backlog(_), .. });
    assert!(sent.iter().any(on_its_stream), "{sent:?}");
    hub
}

fn refused(code: RefusalCode) -> Message {
    let item = RefusedItem { lane: LANE, range: SeqRange::new(0, 10) };
    Message::Refusal(Refusal::of_item(code, "no", item))
}

#[test]
fn a_refused_block_is_looked_at_again_parked_and_tried_under_a_new_term() {
    let mut hub = hub_with_a_block_in_flight();
    hub.handle_message(refused(RefusalCode::BlockVersion), 3);
    assert_eq!(outputs(&mut hub), [HubOutput::Recheck { lane: LANE, range: SeqRange::new(0, 10) }]);
    hub.handle_rechecked(LANE, SeqRange::new(0, 10), Recheck::Good, 4);
    assert_eq!(hub.progress()[0].parked, 10);
    hub.handle_connected(5, NOW);
    outputs(&mut hub);
    hub.handle_message(resume(1, 1, 0), 6);
    assert!(outputs(&mut hub).is_empty(), "the same central would refuse it again");
    hub.handle_connected(7, NOW);
    outputs(&mut hub);
    hub.handle_message(resume(2, 1, 0), 8);
    let said = outputs(&mut hub);
    assert!(said.iter().any(|output| matches!(output, HubOutput::Fetch { .. })), "{said:?}");
}

#[test]
fn a_block_that_went_bad_is_answered_anew() {
    let mut hub = hub_with_a_block_in_flight();
    hub.handle_message(refused(RefusalCode::BlockDamaged), 3);
    outputs(&mut hub);
    hub.handle_rechecked(LANE, SeqRange::new(0, 10), Recheck::Gone, 4);
    let wanted = SeqRange::new(0, 10);
    assert!(matches!(outputs(&mut hub)[..], [HubOutput::Fetch { wanted: w, .. }] if w == wanted));
}

#[test]
fn what_central_cannot_store_now_is_sent_again_after_a_pause() {
    let mut hub = hub_with_a_block_in_flight();
    hub.handle_message(refused(RefusalCode::StorageFailed), 3);
    assert!(outputs(&mut hub).is_empty(), "not at once");
    let due = hub.poll_timeout().unwrap();
    assert!(due > 3 && due <= 10_000, "{due}");
    hub.handle_timeout(due);
    assert!(matches!(outputs(&mut hub)[..], [HubOutput::Fetch { .. }]));
}

#[test]
fn a_refusal_of_the_connection_ends_it() {
    let mut hub = hub(0, 10);
    let refusal = Refusal::ending(RefusalCode::Forbidden, "suspended");
    hub.handle_message(Message::Refusal(refusal.clone()), 1);
    assert_eq!(disconnected_for(&mut hub), refusal);
}

#[test]
fn without_credit_nothing_is_sent() {
    let mut hub = hub(0, 1_000);
    hub.handle_message(resume(1, 1, 0), 1);
    outputs(&mut hub);
    let mut sent = 0;
    for n in 0..20 {
        let range = SeqRange::new(n * 10, n * 10 + 10);
        let item = Item { range, content: Content::Block(vec![0; 60_000]), zero_gaps: Vec::new() };
        hub.handle_items(LANE, SeqRange::new(n * 10, 1_000), vec![item], 2);
        sent += outputs(&mut hub).iter().filter(|o| matches!(o, HubOutput::Send { .. })).count();
    }
    assert_eq!(sent, 4, "256 KiB before central has granted anything");
    hub.handle_message(Message::Credit(Credit { class: Class::Telemetry, bytes_total: 320_000 }), 3);
    assert_eq!(outputs(&mut hub).iter().filter(|o| matches!(o, HubOutput::Send { .. })).count(), 1);
}

#[test]
fn nobody_can_acknowledge_what_was_never_given_out() {
    let mut hub = hub(0, 10);
    hub.handle_message(resume(1, 1, 0), 1);
    outputs(&mut hub);
    hub.handle_message(Message::Ack(Ack { lane: LANE, upto: u64::MAX, ranges: Vec::new() }), 2);
    assert_eq!(hub.progress()[0].confirmed, 10);
}

#[test]
fn a_central_that_speaks_of_more_holes_and_names_none_is_asked_after_growing_pauses() {
    let mut hub = hub(0, 10);
    let vague = |lanes| Message::Resume(Resume { version: 1, term: 1, lanes });
    let more =
        vec![WantedLane { lane: LANE, have_upto: 10, holes: Vec::new(), more_holes: true, known_run: None }];
    for resume in [vague(more), vague(Vec::new())] {
        hub.handle_connected(0, NOW);
        outputs(&mut hub);
        let mut now_ms = 0;
        let pauses = [(); 9].map(|()| {
            hub.handle_message(resume.clone(), now_ms);
            let said = outputs(&mut hub);
            assert!(!said.iter().any(|o| matches!(o, HubOutput::Send { .. })), "not at once: {said:?}");
            let due_ms = hub.poll_timeout().unwrap();
            hub.handle_timeout(due_ms);
            let said = outputs(&mut hub);
            let hello = |o: &HubOutput| matches!(o, HubOutput::Send { stream: StreamKind::Control, .. });
            assert_eq!(said.iter().filter(|o| hello(o)).count(), 1, "{said:?}");
            let pause_ms = due_ms - now_ms;
            now_ms = due_ms;
            pause_ms
        });
        assert!(pauses[0] >= 5_000 && pauses[8] == 300_000, "{pauses:?}");
        assert!(pauses.is_sorted(), "{pauses:?}");
    }
}

#[test]
fn holes_beyond_a_page_are_asked_for_at_once_when_the_page_is_filled() {
    let mut hub = hub(0, 20);
    let hole = SeqRange::new(0, 10);
    let lanes =
        vec![WantedLane { lane: LANE, have_upto: 20, holes: vec![hole], more_holes: true, known_run: None }];
    hub.handle_message(Message::Resume(Resume { version: 1, term: 1, lanes }), 1);
    let item = Item { range: hole, content: Content::Block(vec![1]), zero_gaps: Vec::new() };
    hub.handle_items(LANE, hole, vec![item], 2);
    outputs(&mut hub);
    hub.handle_message(Message::Ack(Ack { lane: LANE, upto: 10, ranges: Vec::new() }), 3);
    let said = outputs(&mut hub);
    assert!(said.iter().any(|o| matches!(o, HubOutput::Send { message: Message::Hello(_), .. })), "{said:?}");
}

#[test]
fn a_term_that_no_clock_gives_is_not_believed() {
    let now_s = u64::try_from(NOW.0 / 1_000).unwrap();
    const DAY_S: u64 = 24 * 3_600;
    let check = |term: u64, is_believed: bool| {
        let mut hub = hub(5, 10);
        outputs(&mut hub);
        hub.handle_message(resume(term, 1, 0), 1);
        if is_believed {
            assert_eq!(outputs(&mut hub).first(), Some(&HubOutput::Term(term)), "{term}");
            return;
        }
        let refusal = disconnected_for(&mut hub);
        assert_eq!(refusal.code, RefusalCode::Malformed, "{term}");
        assert!(refusal.detail.contains(&format!("term {term}, which is a time in the future")), "{refusal}");
        // The true central is believed after that.
        hub.handle_connected(2, NOW);
        outputs(&mut hub);
        hub.handle_message(resume(now_s, 1, 0), 3);
        assert_eq!(outputs(&mut hub).first(), Some(&HubOutput::Term(now_s)));
    };
    // Never restored, restored now, and restored by a clock that is a day ahead of the hub's.
    [6, now_s, now_s + DAY_S].into_iter().for_each(|term| check(term, true));
    // Milliseconds, and all bits.
    [now_s + 3 * DAY_S, now_s * 1_000, u64::MAX].into_iter().for_each(|term| check(term, false));
    // What was believed once stays so, whatever the clock says now.
    let mut later = hub(u64::MAX - 1, 10);
    outputs(&mut later);
    later.handle_message(resume(u64::MAX - 1, 1, 0), 1);
    assert!(matches!(outputs(&mut later)[..], [HubOutput::Fetch { .. }]));
}

#[test]
fn a_refusal_of_what_was_never_sent_parks_nothing() {
    let mut hub = hub_with_a_block_in_flight();
    for from in 0..1_000 {
        let item = RefusedItem { lane: LANE, range: SeqRange::new(from, u64::MAX - from) };
        hub.handle_message(Message::Refusal(Refusal::of_item(RefusalCode::BlockVersion, "no", item)), 3);
    }
    assert_eq!(outputs(&mut hub), []);
    assert_eq!(hub.progress()[0].parked, 0);
}

#[test]
fn a_central_that_never_acknowledges_takes_no_memory_and_is_left_after_ten_minutes() {
    const NUMBERS: u64 = 1_000_000;
    let mut hub = hub(0, NUMBERS);
    hub.handle_message(resume(1, 1, 0), 1);
    hub.handle_message(Message::Credit(Credit { class: Class::Telemetry, bytes_total: u64::MAX }), 1);
    let (mut now_ms, mut sent) = (1, 0u64);
    let left_for = loop {
        let mut left_for = None;
        while let Some(output) = hub.poll_output() {
            match output {
                HubOutput::Fetch { lane, wanted, .. } => {
                    let one = |n| Item {
                        range: SeqRange::new(n, n + 1),
                        content: Content::Block(vec![0]),
                        zero_gaps: Vec::new(),
                    };
                    let items = (wanted.from..wanted.to).take(1_000).map(one).collect();
                    hub.handle_items(lane, wanted, items, now_ms);
                }
                HubOutput::Send { stream: StreamKind::Backlog(_), .. } => sent += 1,
                HubOutput::Disconnect(refusal) => left_for = Some(refusal),
                HubOutput::Send { .. }
                | HubOutput::Confirm { .. }
                | HubOutput::Replace { .. }
                | HubOutput::Term(_)
                | HubOutput::Recheck { .. }
                | HubOutput::Overtaken { .. } => {}
            }
        }
        if let Some(refusal) = left_for {
            break refusal;
        }
        assert!(hub.progress()[0].in_flight_bytes < 5_000 * 65, "{:?}", hub.progress());
        // Acknowledgements of nothing do not count.
        hub.handle_message(Message::Ack(Ack { lane: LANE, upto: 0, ranges: Vec::new() }), now_ms);
        now_ms = hub.poll_timeout().unwrap();
        hub.handle_timeout(now_ms);
    };
    assert!(left_for.detail.contains("acknowledged nothing of what was sent for 10 minutes"), "{left_for}");
    assert!((600_000..700_000).contains(&now_ms), "{now_ms}");
    assert!(sent <= 2 * 5_096, "{sent}");
    assert_eq!(hub.poll_timeout(), None);
    // Nothing of it is lost.
    hub.handle_connected(now_ms, NOW);
    outputs(&mut hub);
    hub.handle_message(resume(1, 1, 0), now_ms);
    let said = outputs(&mut hub);
    assert!(
        said.iter().any(|o| matches!(o, HubOutput::Fetch { wanted, .. } if wanted.from == 0)),
        "{said:?}"
    );
}

#[test]
fn a_central_that_reads_nothing_is_left_though_nothing_more_can_be_sent() {
    // The first copy still waits to be written, so that the shell does not answer what is fetched after it.
    let mut hub = hub_with_a_block_in_flight();
    let mut now_ms = 2;
    let left = loop {
        if let Some(HubOutput::Disconnect(refusal)) = hub.poll_output() {
            break refusal;
        }
        now_ms = hub.poll_timeout().unwrap().max(now_ms);
        hub.handle_timeout(now_ms);
    };
    assert!((600_000..700_000).contains(&now_ms), "{now_ms} {left}");
}
