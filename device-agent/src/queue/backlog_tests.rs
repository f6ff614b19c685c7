use super::*;
use crate::queue::SimMedium;

const SIZE: usize = 256 * 1024;
const DAY: Duration = Duration::from_secs(86_400);
const START_MS: u64 = 1_800_000_000_000;

fn at(seconds: u64) -> Moment {
    Moment { since_boot: Duration::from_secs(seconds), wall_ms: Some(START_MS + seconds * 1000) }
}

fn unset(seconds: u64) -> Moment {
    Moment { wall_ms: None, ..at(seconds) }
}

fn over(medium: SimMedium, boot: u64) -> Queue<SimMedium> {
    Queue::new(Some(Ring::open(medium).unwrap()), boot, 7 * DAY)
}

fn body(n: u64) -> String {
    format!("{{\"n\":{n}}}")
}

/// Everything that would be sent now, as numbers of their bodies.
fn all(queue: &mut Queue<SimMedium>, now: Moment) -> Vec<Outgoing> {
    queue.rewind();
    std::iter::from_fn(|| queue.next(now)).collect()
}

#[test]
fn while_the_hub_acknowledges_nothing_is_written() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    for n in 0..1000 {
        let now = at(10 * n);
        queue.push(Kind::Telemetry, body(n), now);
        let sent = queue.next(now).unwrap();
        assert_eq!(sent.payload, format!("{{\"ts\":{},\"n\":{n}}}", now.wall_ms.unwrap()).into_bytes());
        assert!(!sent.again);
        queue.delivered_below(sent.number + 1);
        queue.handle_timeout(now);
    }
    assert_eq!((queue.len(), queue.bytes(), queue.dropped()), (0, 0, 0));
    assert_eq!((queue.medium().syncs, queue.medium().bytes_written), (0, 0));
}

#[test]
fn an_outage_costs_one_sync_a_minute_and_ends_with_two_marks() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    for n in 0..360 {
        queue.push(Kind::Telemetry, body(n), at(10 * n));
        queue.handle_timeout(at(10 * n));
    }
    let syncs = queue.medium().syncs;
    assert!((45..=60).contains(&syncs), "{syncs} syncs in an hour");
    let sent = all(&mut queue, at(3600));
    assert_eq!(sent.len(), 360);
    assert!(sent.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    for sent in &sent {
        queue.delivered_below(sent.number + 1);
    }
    assert!(queue.is_empty());
    assert_eq!(queue.medium().syncs, syncs + 1, "drained");
}

#[test]
fn a_reboot_keeps_what_waited_and_says_that_it_may_come_again() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    for n in 0..10 {
        queue.push(Kind::Telemetry, body(n), at(10 * n));
        queue.handle_timeout(at(10 * n));
    }
    let medium = queue.medium().after_power_cut(0, 0);
    let mut queue = over(medium, 2);
    assert_eq!(queue.len(), 7, "what was younger than a minute is lost");
    queue.push(Kind::Event, "{}".into(), at(5));
    let sent = all(&mut queue, at(5));
    assert_eq!(
        sent.iter().map(|s| s.again).collect::<Vec<_>>(),
        [true, true, true, true, true, true, true, false]
    );
    assert_eq!(sent[0].payload, format!("{{\"ts\":{START_MS},\"n\":0}}").into_bytes());
    assert_eq!(
        (sent[7].kind, sent[7].payload.as_slice()),
        (Kind::Event, b"{\"ts\":1800000005000}".as_slice())
    );
}

#[test]
fn after_a_rewind_the_same_bytes_come_again() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    for n in 0..20 {
        queue.push(Kind::Telemetry, body(n), unset(10 * n));
        queue.handle_timeout(unset(10 * n));
    }
    let first = all(&mut queue, at(200));
    assert_eq!(
        first[19].payload,
        format!("{{\"ts\":{},\"n\":19}}", START_MS + 190_000).into_bytes(),
        "repaired"
    );
    queue.delivered_below(first[3].number + 1);
    let stepped = Moment { wall_ms: Some(START_MS + 999_999_999), ..at(230) };
    queue.spill(stepped);
    let second = all(&mut queue, stepped);
    assert!(second.iter().all(|sent| sent.again));
    let payloads = |sent: &[Outgoing]| sent.iter().map(|s| s.payload.clone()).collect::<Vec<_>>();
    assert_eq!(payloads(&first[4..]), payloads(&second), "though the clock was set meanwhile");
}

#[test]
fn without_a_time_that_can_be_known_none_is_stated() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    queue.push(Kind::Telemetry, body(1), unset(10));
    queue.spill(unset(10));
    let medium = queue.medium().after_kill();
    let mut queue = over(medium, 2);
    assert_eq!(all(&mut queue, at(20))[0].payload, body(1).into_bytes());
}

#[test]
fn bounds_of_bytes_and_age_drop_the_oldest_and_count() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1000));
    for n in 0..1000 {
        queue.push(Kind::Telemetry, long.clone(), at(10 * n));
        queue.handle_timeout(at(10 * n));
    }
    assert_eq!(queue.len() as u64 + queue.dropped(), 1000);
    assert!(queue.bytes() <= SIZE as u64 + FRESH_BYTES_MAX);
    let waiting = queue.len() as u64;
    queue.push(Kind::Event, "{}".into(), at(10_000 + 8 * 86_400));
    assert_eq!((queue.len(), queue.dropped()), (1, 1000));
    assert!(waiting > 150);
    queue.push(Kind::Event, format!("{{{}}}", " ".repeat(BODY_BYTES_MAX)), at(10_001));
    assert_eq!((queue.len(), queue.dropped()), (1, 1001), "too long");
}

#[test]
fn a_failing_disk_leaves_a_bounded_queue_in_memory_until_it_works_again() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    queue.medium().fail_writes = true;
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1000));
    for n in 0..1000 {
        queue.push(Kind::Telemetry, long.clone(), at(10 * n));
        queue.handle_timeout(at(10 * n));
    }
    assert!(queue.take_problem().is_some());
    assert!(queue.bytes() <= FRESH_BYTES_MAX);
    assert_eq!(queue.len() as u64 + queue.dropped(), 1000);
    let kept = queue.len();
    queue.medium().fail_writes = false;
    queue.take_problem();
    queue.handle_timeout(at(20_000));
    assert!(queue.take_problem().is_none());
    let medium = queue.medium().after_power_cut(0, 0);
    assert_eq!(over(medium, 1).len(), kept);
}

#[test]
fn a_damaged_message_is_dropped_and_counted() {
    let mut queue = over(SimMedium::new(SIZE), 1);
    for n in 0..3 {
        queue.push(Kind::Telemetry, body(n), at(n));
    }
    queue.spill(at(3));
    queue.medium().flip(24 + 51 + 46);
    let sent = all(&mut queue, at(4));
    assert_eq!(sent.iter().map(|s| s.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((queue.len(), queue.dropped()), (2, 1));
    queue.delivered_below(4);
    assert!(queue.is_empty());
}

#[test]
fn boots_are_told_apart() {
    let id = "f39bbbbb-cb67-4e35-9f29-5bc6a5d2b0f1";
    assert_eq!(boot_number(Some(id), at(1)), 0xf39b_bbbb_cb67_4e35);
    assert_ne!(boot_number(None, at(1)), boot_number(None, at(2)));
}

#[test]
fn what_is_no_object_is_dropped_and_counted_whoever_wrote_it() {
    let mut ring = Ring::open(SimMedium::new(SIZE)).unwrap();
    let taken = Taken::new(1, at(1));
    let record = |number, body: &str| Record { number, kind: Kind::Telemetry, taken, body: body.into() };
    ring.append(&[record(1, ""), record(2, "{"), record(3, "[1]"), record(4, "{}")], &mut 0).unwrap();
    let mut queue = Queue::new(Some(ring), 1, 7 * DAY);
    let sent = all(&mut queue, at(2));
    assert_eq!((sent.len(), sent[0].number, queue.dropped(), queue.len()), (1, 4, 3, 1));
}
