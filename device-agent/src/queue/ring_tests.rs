use super::*;
use crate::queue::{Kind, SimMedium};

const SIZE: usize = 256 * 1024;

fn record(number: u64, bytes: usize) -> Record {
    let taken = Taken { boot: 1, since_boot_ms: number, wall_ms: None };
    let mut body = number.to_be_bytes().to_vec();
    body.resize(bytes.max(8), b'x');
    Record { number, kind: Kind::Telemetry, taken, body }
}

fn numbers(ring: &Ring<SimMedium>) -> Vec<u64> {
    ring.entries.iter().map(|entry| entry.number).collect()
}

fn filled(count: u64, bytes: usize) -> (Ring<SimMedium>, u64) {
    let mut ring = Ring::open(SimMedium::new(SIZE)).unwrap();
    let mut dropped = 0;
    for n in 1..=count {
        ring.append(&[record(n, bytes)], &mut dropped).unwrap();
    }
    (ring, dropped)
}

#[test]
fn messages_come_back_in_order_after_a_restart() {
    let (ring, dropped) = filled(100, 1000);
    assert_eq!(dropped, 0);
    let mut ring = Ring::open(ring.medium.after_power_cut(0, 0)).unwrap();
    assert_eq!(numbers(&ring), (1..=100).collect::<Vec<_>>());
    assert_eq!((ring.next_number(), ring.bytes()), (101, 100 * 1044));
    for number in 1..=100 {
        let entry = ring.first_from(number).unwrap();
        assert_eq!(ring.read(&entry), Some(record(number, 1000)));
    }
}

#[test]
fn a_full_ring_drops_its_oldest_and_counts_them() {
    let (ring, dropped) = filled(1000, 1000);
    let kept = numbers(&ring);
    assert_eq!(kept.len() as u64 + dropped, 1000);
    assert_eq!(kept.last(), Some(&1000));
    assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert!(ring.bytes() > SIZE as u64 * 13 / 16, "{} bytes of {SIZE} are used", ring.bytes());
    let again = Ring::open(ring.medium.after_power_cut(0, 0)).unwrap();
    assert_eq!(numbers(&again), kept);
}

#[test]
fn marks_are_found_after_a_restart_and_numbers_go_on() {
    let (mut ring, _) = filled(100, 100);
    ring.mark_done_below(61).unwrap();
    assert_eq!(numbers(&Ring::open(ring.medium.after_kill()).unwrap()), (61..=100).collect::<Vec<_>>());
    let cut = Ring::open(ring.medium.after_power_cut(0, 0)).unwrap();
    assert_eq!(cut.len(), 100, "a mark is not synced by itself");
    ring.mark_done_below(101).unwrap();
    ring.sync().unwrap();
    let again = Ring::open(ring.medium.after_power_cut(0, 0)).unwrap();
    assert!(again.is_empty());
    assert_eq!(again.next_number(), 101);
}

#[test]
fn a_power_cut_at_any_byte_leaves_a_beginning_of_what_was_written() {
    let (mut ring, _) = filled(14, 1000);
    let batch: Vec<Record> = (15..=20).map(|n| record(n, 1000)).collect();
    // As `append` does, but without the sync; the batch crosses into another segment.
    ring.write_all(&batch, &mut 0).unwrap();
    let writes = ring.medium.unsynced();
    assert!(writes >= 2);
    for kept in 0..=writes {
        for bytes in (0..6000).step_by(97) {
            let mut cut = Ring::open(ring.medium.after_power_cut(kept, bytes)).unwrap();
            let found = numbers(&cut);
            assert!(found.len() >= 14, "what was synced is there");
            assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
            let next = cut.next_number();
            cut.append(&[record(next, 500)], &mut 0).unwrap();
            let again = Ring::open(cut.medium.after_power_cut(0, 0)).unwrap();
            assert_eq!(again.len(), found.len() + 1);
        }
    }
}

#[test]
fn after_a_failed_sync_messages_are_written_anew_elsewhere() {
    let (mut ring, _) = filled(3, 100);
    ring.medium.fail_syncs = true;
    let batch = [record(4, 100), record(5, 100)];
    ring.append(&batch, &mut 0).unwrap_err();
    assert_eq!(ring.len(), 3);
    ring.medium.fail_syncs = false;
    ring.append(&batch, &mut 0).unwrap();
    for medium in [ring.medium.after_kill(), ring.medium.after_power_cut(0, 0)] {
        assert_eq!(numbers(&Ring::open(medium).unwrap()), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let (mut ring, _) = filled(3, 100);
    ring.medium.fail_writes = true;
    ring.append(&[record(4, 100)], &mut 0).unwrap_err();
    ring.medium.fail_writes = false;
    ring.append(&[record(4, 100)], &mut 0).unwrap();
    assert_eq!(numbers(&Ring::open(ring.medium.after_kill()).unwrap()), [1, 2, 3, 4]);
}

#[test]
fn damage_costs_the_rest_of_its_segment_only() {
    let (mut ring, _) = filled(60, 1000);
    // In the second record of the first segment.
    ring.medium.flip(1500);
    let damaged = ring.first_from(2).unwrap();
    assert_eq!(ring.read(&damaged), None);
    let again = Ring::open(ring.medium.after_kill()).unwrap();
    let found = numbers(&again);
    assert_eq!(found[0], 1);
    assert!(found[1] > 10 && found[1] < 20, "{found:?}");
    assert_eq!(found.last(), Some(&60));
    assert_eq!(again.next_number(), 61);
}

#[test]
fn files_that_are_no_rings_are_refused_or_empty() {
    assert!(matches!(Ring::open(SimMedium::new(1000)), Err(OpenError::Size { found: 1000 })));
    assert!(Ring::open(SimMedium::new(SIZE)).unwrap().is_empty());
    let mut newer = SimMedium::new(SIZE);
    let mut header = encode_segment_header(0);
    header[7] = 2;
    let sum = crc32c::crc32c(&header[..16]);
    header[16..20].copy_from_slice(&sum.to_be_bytes());
    newer.write_at(0, &header).unwrap();
    assert!(matches!(Ring::open(newer), Err(OpenError::Newer { found: 2 })));
}

#[test]
fn noise_anywhere_is_survived() {
    let (ring, _) = filled(300, 700);
    let mut random = 1u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % n
    };
    for _ in 0..200 {
        let mut medium = ring.medium.after_kill();
        for _ in 0..1 + below(40) {
            medium.flip(below(SIZE));
        }
        let mut ring = Ring::open(medium).unwrap();
        let found = numbers(&ring);
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        for number in found {
            let entry = ring.first_from(number).unwrap();
            assert_eq!(ring.read(&entry), Some(record(number, 700)));
        }
        let next = ring.next_number();
        // As long as what may lie behind damage, and yet another one: nothing behind it may come back.
        let taken = Taken { boot: 2, since_boot_ms: 0, wall_ms: None };
        ring.append(&[Record { taken, ..record(next, 700) }], &mut 0).unwrap();
        let again = Ring::open(ring.medium.after_power_cut(0, 0)).unwrap();
        assert_eq!(numbers(&again).last(), Some(&next));
    }
}
