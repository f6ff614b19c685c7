//! An endpoint on a virtual clock: who answers how, when, and what the schedule makes of it.

use super::*;
use crate::modbus::frame::Mismatch;
use crate::modbus::testing;
use std::io;

const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(5);

/// What an endpoint does with a request at a moment since the start; `took` is how long until the outcome.
type Behave<'a> = dyn FnMut(Duration, Ask) -> (Outcome, Duration) + 'a;

/// Everything that happened.
#[derive(Default)]
struct Told {
    /// Since the start, with the device's place.
    complete: Vec<(Duration, usize)>,
    failed: Vec<(Duration, usize, Quality, bool, usize)>,
    asked: Vec<(Duration, Ask)>,
    connects: Vec<Duration>,
    counts: Vec<JobCounts>,
    bus: Duration,
    probing: Duration,
    /// Registers of cycles that have not ended, and whether one failed.
    open: BTreeMap<JobId, (Vec<usize>, bool)>,
}

impl Told {
    fn completed(&self, device: usize) -> Vec<Duration> {
        self.complete.iter().filter(|(_, of)| *of == device).map(|(at, _)| *at).collect()
    }

    fn asked_of(&self, unit: u8) -> Vec<Duration> {
        self.asked.iter().filter(|(_, ask)| ask.unit == unit).map(|(at, _)| *at).collect()
    }
}

/// Runs a schedule for so long. `reach` says whether a connect succeeds at a moment.
#[expect(clippy::disallowed_methods, reason = "any moment will do as the first")]
fn run(
    devices: Vec<Device>,
    time: Duration,
    behave: &mut Behave<'_>,
    reach: &mut dyn FnMut(Duration) -> bool,
) -> Told {
    let start = Instant::now();
    let mut now = start;
    let mut schedule = Schedule::new(devices, 7, start);
    let mut told = Told::default();
    let mut idle = 0;
    while now < start + time {
        let since = now - start;
        match schedule.next(now) {
            Step::Connect => {
                told.connects.push(since);
                if reach(since) {
                    now += FAST;
                    schedule.handle_connected(now);
                } else {
                    now += FAST;
                    schedule.handle_connect_failed(now);
                }
            }
            Step::Ask(ask) => {
                let (outcome, took) = behave(since, ask);
                told.asked.push((since, ask));
                told.bus += took;
                if ask.is_probe {
                    told.probing += took;
                }
                let sent = now;
                now += took;
                schedule.handle_outcome(outcome, sent, now);
            }
            Step::Wait(until) => {
                assert!(until > now, "waits for the past at {since:?}");
                idle += 1;
                assert!(idle < 1_000_000, "never gets anywhere");
                now = until;
            }
        }
        collect(&mut schedule, start, now, &mut told);
    }
    told.counts = schedule.counts().map(|(_, counts)| counts).collect();
    told
}

/// Every cycle must account for every register of its group exactly once.
fn collect(schedule: &mut Schedule, start: Instant, now: Instant, told: &mut Told) {
    while let Some(event) = schedule.poll_event() {
        match event {
            Event::Read { job, registers, at, .. } => {
                assert!(at <= now);
                told.open.entry(job).or_default().0.extend(registers);
            }
            Event::Failed { job, registers, quality, was_asked, at } => {
                told.failed.push((at - start, job.device, quality, was_asked, registers.len()));
                let open = told.open.entry(job).or_default();
                open.0.extend(registers);
                open.1 = true;
            }
            Event::CycleEnd { job } => {
                let (mut registers, has_failed) = told.open.remove(&job).unwrap_or_default();
                registers.sort_unstable();
                let count = schedule.devices()[job.device].groups[job.group].registers.len();
                assert_eq!(registers, (0..count).collect::<Vec<_>>(), "of {job:?}");
                if !has_failed {
                    told.complete.push((now - start, job.device));
                }
            }
        }
    }
}

fn answer(ask: Ask) -> Outcome {
    Outcome::Answer(Data::Words(vec![0; usize::from(ask.count)]))
}

fn answering(_: Duration, ask: Ask) -> (Outcome, Duration) {
    (answer(ask), FAST)
}

fn always(_: Duration) -> bool {
    true
}

#[test]
fn devices_keep_their_interval_and_are_spread_over_it() {
    let devices = (1..=10).map(|unit| testing::device(unit, SECOND)).collect();
    let told = run(devices, 60 * SECOND, &mut answering, &mut always);
    assert_eq!(told.connects.len(), 1, "one connection for all");
    for device in 0..10 {
        let times = told.completed(device);
        assert!((59..=61).contains(&times.len()), "{} cycles", times.len());
        for pair in times[1..].windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap >= SECOND - 20 * FAST && gap <= SECOND + 20 * FAST, "{gap:?}");
        }
    }
    assert!(told.counts.iter().all(|counts| counts.skipped == 0 && counts.failed == 0));
    // Two blocks each: no more than one device's requests come without a pause.
    let busy: Vec<Duration> = told.asked.iter().map(|(at, _)| *at).filter(|at| *at > 30 * SECOND).collect();
    let longest_run = busy.chunk_by(|a, b| *b - *a <= FAST).map(<[Duration]>::len).max().unwrap();
    assert!(longest_run <= 4, "{longest_run} requests in a row");
}

#[test]
fn a_phase_is_kept() {
    let mut device = testing::device(1, 10 * SECOND);
    device.groups[0].phase = Some(3 * SECOND);
    let told = run(vec![device], 60 * SECOND, &mut answering, &mut always);
    let seconds: Vec<u64> = told.completed(0).iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [3, 13, 23, 33, 43, 53]);
}

#[test]
fn a_full_bus_is_shared_and_what_cannot_be_served_is_skipped_not_queued() {
    // Ten devices of two requests with 100 ms each want 2 s of bus in each second.
    let devices = (1..=10).map(|unit| testing::device(unit, SECOND)).collect();
    let mut slow = |_: Duration, ask: Ask| (answer(ask), Duration::from_millis(100));
    let told = run(devices, 100 * SECOND, &mut slow, &mut always);
    for device in 0..10 {
        let count = told.completed(device).len();
        assert!((45..=55).contains(&count), "device {device} had {count} cycles of a fair 50");
        let JobCounts { complete, skipped, failed } = told.counts[device];
        assert!((95..=102).contains(&(complete + skipped)), "{complete} + {skipped} of 100");
        assert_eq!(failed, 0);
    }
}

#[test]
fn a_dead_unit_costs_the_living_no_cycle() {
    let devices: Vec<Device> = (1..=8).map(|unit| testing::device(unit, SECOND)).collect();
    let mut behave = |_: Duration, ask: Ask| match ask.unit {
        4 | 8 => (Outcome::Timeout, ask.timeout),
        _ => (answer(ask), FAST),
    };
    let told = run(devices, 120 * SECOND, &mut behave, &mut always);
    for device in (0..8).filter(|device| !matches!(device, 3 | 7)) {
        let after_start = told.completed(device).iter().filter(|at| **at > 10 * SECOND).count();
        assert!((109..=111).contains(&after_start), "device {device}: {after_start} of 110 cycles");
    }
    assert!(told.completed(3).is_empty());
    // The dead ones say so in every cycle, and cost a tenth of the time at most.
    let silent: Vec<_> = told.failed.iter().filter(|(_, device, ..)| *device == 3).collect();
    assert!(
        silent.len() >= 110
            && silent.iter().all(|(.., quality, _, count)| *quality == NO_ANSWER && *count == 3)
    );
    assert!(told.probing <= 120 * SECOND / 10, "{:?} of probes", told.probing);
    assert!(told.asked_of(4).len() >= 10, "it is still asked now and then");
}

#[test]
fn a_unit_that_is_back_is_read_within_two_cycles() {
    for interval in [SECOND, 5 * SECOND, 30 * SECOND] {
        let devices = vec![testing::device(1, interval), testing::device(2, interval)];
        let (from, until) = (20 * interval, 40 * interval + SECOND / 3);
        let mut behave = |at: Duration, ask: Ask| {
            if ask.unit == 2 && at >= from && at < until {
                (Outcome::Timeout, ask.timeout)
            } else {
                (answer(ask), FAST)
            }
        };
        let told = run(devices, 60 * interval, &mut behave, &mut always);
        let back = told.completed(1).into_iter().find(|at| *at >= until).unwrap();
        let bound = (2 * interval).max(Duration::from_millis(2_600)) + FAST * 20;
        assert!(back - until <= bound, "{:?} after its return at an interval of {interval:?}", back - until);
        let missed = told.completed(0).windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        let bound = interval * 2 + Duration::from_millis(500);
        assert!(missed <= bound, "its neighbour had to wait for {missed:?}");
    }
}

#[test]
fn a_single_lost_answer_costs_one_retry_and_no_sample() {
    let mut lost = 0;
    let mut behave = |at: Duration, ask: Ask| {
        if at > 10 * SECOND && lost == 0 {
            lost += 1;
            return (Outcome::Timeout, ask.timeout);
        }
        (answer(ask), FAST)
    };
    let told = run(vec![testing::device(1, 10 * SECOND)], 60 * SECOND, &mut behave, &mut always);
    assert!(told.failed.is_empty());
    assert_eq!(told.connects.len(), 2, "after a timeout the connection is another one");
}

#[test]
fn a_wrong_answer_ends_the_connection_and_is_named() {
    let wrong = Mismatch::Unit { expected: 1, found: 2 };
    let mut behave = |at: Duration, ask: Ask| {
        if at > 10 * SECOND && at < 20 * SECOND {
            (Outcome::Mismatch(wrong), FAST)
        } else {
            (answer(ask), FAST)
        }
    };
    let told = run(vec![testing::device(1, SECOND)], 30 * SECOND, &mut behave, &mut always);
    assert!(told.failed.len() >= 5);
    assert!(told.failed.iter().all(|(_, _, quality, ..)| *quality == Quality::bad(Reason::Malformed)));
    let back = told.completed(0).into_iter().find(|at| *at > 20 * SECOND).unwrap();
    assert!(back < 22 * SECOND, "{back:?}");
}

#[test]
fn an_endpoint_out_of_reach_is_said_every_cycle_and_found_again_within_two() {
    let mut reach = |at: Duration| !(20 * SECOND..100 * SECOND).contains(&at);
    let mut behave = |at: Duration, ask: Ask| {
        if at >= 20 * SECOND && at < 100 * SECOND {
            return (Outcome::Closed(io::ErrorKind::ConnectionReset), FAST);
        }
        (answer(ask), FAST)
    };
    let devices = vec![testing::device(1, 5 * SECOND), testing::device(2, 10 * SECOND)];
    let told = run(devices, 150 * SECOND, &mut behave, &mut reach);
    let not_connected = |device: usize| {
        let failed = told.failed.iter().filter(|(_, of, ..)| *of == device);
        failed
            .filter(|(.., quality, _, count)| *quality == Quality::bad(Reason::NotConnected) && *count == 3)
            .count()
    };
    assert!((15..=17).contains(&not_connected(0)), "{}", not_connected(0));
    assert!((7..=9).contains(&not_connected(1)), "{}", not_connected(1));
    let back = told.completed(0).into_iter().find(|at| *at >= 100 * SECOND).unwrap();
    assert!(back <= 110 * SECOND, "{back:?}");
    assert!(told.connects.len() < 30, "{} attempts", told.connects.len());
}

#[test]
fn a_connection_that_others_hold_is_tried_with_growing_pauses() {
    let mut behave = |_: Duration, _: Ask| (Outcome::Closed(io::ErrorKind::UnexpectedEof), FAST);
    let told = run(vec![testing::device(1, 60 * SECOND)], 600 * SECOND, &mut behave, &mut always);
    assert!(told.connects.len() <= 20, "{} attempts", told.connects.len());
    assert!(told.failed.iter().all(|(_, _, quality, ..)| *quality == Quality::bad(Reason::NotConnected)));
}

#[test]
fn a_unit_at_which_the_gateway_hangs_up_costs_the_others_nothing() {
    let devices = (1..=3).map(|unit| testing::device(unit, SECOND)).collect();
    let mut behave = |since: Duration, ask: Ask| match ask.unit {
        2 if (10 * SECOND..40 * SECOND).contains(&since) => {
            (Outcome::Closed(io::ErrorKind::UnexpectedEof), FAST)
        }
        _ => answering(since, ask),
    };
    let told = run(devices, 60 * SECOND, &mut behave, &mut always);
    assert!(told.failed.iter().all(|failed| failed.1 == 1), "{:?}", told.failed);
    assert!(told.failed.iter().all(|failed| failed.2 == Quality::bad(Reason::NotConnected)));
    for living in [0, 2] {
        assert_eq!((told.counts[living].failed, told.counts[living].skipped), (0, 0));
    }
    // Every cycle of the unit needs two connections, until it is only probed: with the jitter, every two seconds.
    assert!(told.connects.len() < 2 * (4 + 30), "{}", told.connects.len());
    let back = told.completed(1).into_iter().find(|at| *at >= 40 * SECOND).unwrap();
    assert!(back < 42 * SECOND, "{back:?}");
}

#[test]
fn an_endpoint_that_hangs_up_at_everybody_is_left_alone_although_they_answered_before() {
    let devices = (1..=3).map(|unit| testing::device(unit, SECOND)).collect();
    let mut behave = |since: Duration, ask: Ask| {
        if since < 10 * SECOND {
            return answering(since, ask);
        }
        (Outcome::Closed(io::ErrorKind::UnexpectedEof), FAST)
    };
    let told = run(devices, 60 * SECOND, &mut behave, &mut always);
    let late = told.connects.iter().filter(|at| **at > 10 * SECOND).count();
    assert!((20..60).contains(&late), "{late} attempts");
    let all = told.failed.iter().filter(|failed| failed.1 != 1).all(|failed| failed.0 >= 10 * SECOND);
    assert!(all && told.counts.iter().all(|counts| counts.failed >= 45), "{:?}", told.counts);
}

#[test]
fn a_busy_device_is_asked_again_after_a_pause_in_which_others_are_served() {
    let mut refusals = 0;
    let mut behave = |at: Duration, ask: Ask| {
        if ask.unit == 1 && at > 5 * SECOND && refusals < 2 {
            refusals += 1;
            return (Outcome::Exception(6), FAST);
        }
        (answer(ask), FAST)
    };
    let devices = vec![testing::device(1, SECOND), testing::device(2, SECOND)];
    let told = run(devices, 10 * SECOND, &mut behave, &mut always);
    assert!(told.failed.is_empty() && told.connects.len() == 1);
    let mut always_busy = |_: Duration, _: Ask| (Outcome::Exception(5), FAST);
    let told = run(vec![testing::device(1, SECOND)], 3 * SECOND, &mut always_busy, &mut always);
    let quality = Quality::new(hub_model::Level::Bad, Reason::Exception, 5);
    assert!(told.failed.iter().all(|(.., found, _, _)| *found == quality) && !told.failed.is_empty());
    // Two blocks, each once and three times again.
    let first = told.asked.iter().filter(|(at, _)| *at < SECOND).count();
    assert_eq!(first, 8);
}

#[test]
fn one_refused_register_costs_the_others_nothing() {
    let mut device = testing::device(1, SECOND);
    let registers: Vec<_> = (0..16)
        .map(|at| testing::register(&format!("m{at}"), at, crate::modbus::register::DataType::U16))
        .collect();
    device.groups[0].registers = registers;
    let mut behave = |_: Duration, ask: Ask| {
        let holds = (ask.start..ask.start + ask.count).contains(&11);
        if holds { (Outcome::Exception(2), FAST) } else { (answer(ask), FAST) }
    };
    let told = run(vec![device], 10 * SECOND, &mut behave, &mut always);
    let quality = Quality::new(hub_model::Level::Bad, Reason::Exception, 2);
    assert!(told.failed.iter().all(|(.., found, asked, count)| *found == quality && *asked && *count == 1));
    assert!((9..=11).contains(&told.failed.len()));
    // What was learned is remembered: five requests (8, 2, 1 + 1, 4) from the second cycle on.
    let later = told.asked.iter().filter(|(at, _)| *at > 5 * SECOND).count();
    assert!((20..=30).contains(&later), "{later}");
}

#[test]
fn a_gateway_that_answers_for_a_dead_unit_is_no_sign_of_life() {
    let mut behave = |_: Duration, ask: Ask| match ask.unit {
        2 => (Outcome::Exception(0x0b), SECOND / 2),
        _ => (answer(ask), FAST),
    };
    let devices = vec![testing::device(1, SECOND), testing::device(2, SECOND)];
    let told = run(devices, 60 * SECOND, &mut behave, &mut always);
    assert_eq!(told.connects.len(), 1, "the connection itself is well");
    assert!(told.completed(0).len() >= 57, "{}", told.completed(0).len());
    assert!(told.asked_of(2).len() <= 20, "{} requests in vain", told.asked_of(2).len());
    let quality = Quality::new(hub_model::Level::Bad, Reason::Exception, 0x0b);
    assert!(told.failed.iter().all(|(_, device, found, ..)| *device == 1 && *found == quality));
}

#[test]
fn a_slow_device_is_waited_for_once_it_is_known_to_be_slow() {
    let slow = Duration::from_millis(1_500);
    let mut behave = |_: Duration, ask: Ask| {
        if ask.timeout < slow { (Outcome::Timeout, ask.timeout) } else { (answer(ask), slow) }
    };
    let told = run(vec![testing::device(1, 10 * SECOND)], 120 * SECOND, &mut behave, &mut always);
    let late = told.completed(0).iter().filter(|at| **at > 60 * SECOND).count();
    assert!(late >= 5, "{late} cycles of 6");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let go = || {
        let devices: Vec<Device> = (1..=5).map(|unit| testing::device(unit, SECOND)).collect();
        let mut behave = |at: Duration, ask: Ask| match (at.as_millis() / 7 + u128::from(ask.unit)) % 5 {
            0 => (Outcome::Timeout, ask.timeout),
            1 => (Outcome::Closed(io::ErrorKind::UnexpectedEof), FAST),
            2 => (Outcome::Exception(2), FAST),
            _ => (answer(ask), FAST),
        };
        run(devices, 60 * SECOND, &mut behave, &mut always).asked
    };
    assert_eq!(go(), go());
}
