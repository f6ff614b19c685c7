//! The bytes of every message of version 1, as they were released: this program must go on writing and reading them.
//!
//! `RELAIS_GOLDEN=write cargo test -p northbound-wire --test golden` writes the files of messages that are new.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, OrgId, SeqRange, SiteId};
use northbound_wire::{
    Ack, Block, Credit, EnrolAnswer, EnrolRequest, GapNotice, HeldLane, Hello, Lane, Message, Refusal,
    RefusalCode, RefusedItem, Resume, Run, StreamHead, StreamKind, Versions, WantedLane, ZeroGap, decode,
    encode,
};

#[expect(clippy::too_many_lines, reason = "a list, one entry per message")]
fn messages() -> Vec<(&'static str, Message)> {
    let lane = Lane { epoch: LogEpoch(0x0123_4567_89ab_cdef), class: Class::Telemetry };
    let boot = BootId::from_bytes([7; 16]);
    let at = |mono_ms| BootStamp { boot, mono_ms };
    let zero_gap = ZeroGap { at: 12, cause: GapCause::Restart, since: Some(at(5)), until: at(9) };
    let item = RefusedItem { lane, range: SeqRange::new(10, 20) };
    let ending = Refusal::ending(RefusalCode::Version, "upgrade the hub");
    let of_item = Refusal::of_item(RefusalCode::BlockCrossing, "it crosses 5..15", item);
    let hub = HubId::from_bytes([1; 16]);
    vec![
        ("stream-control", Message::StreamHead(StreamHead { kind: StreamKind::Control })),
        ("stream-backlog", Message::StreamHead(StreamHead { kind: StreamKind::Backlog(Class::Bulk) })),
        ("stream-enrol", Message::StreamHead(StreamHead { kind: StreamKind::Enrol })),
        (
            "hello",
            Message::Hello(Hello {
                hub,
                versions: Versions { min: 1, max: 1 },
                boot,
                term_seen: 3,
                program: "relais-hub 0.0.1".to_owned(),
                lanes: vec![HeldLane { lane, first: 0, next: 300, confirmed_upto: 100 }],
                runs: Vec::new(),
            }),
        ),
        (
            "hello-runs",
            Message::Hello(Hello {
                hub,
                versions: Versions { min: 1, max: 1 },
                boot,
                term_seen: 3,
                program: "relais-hub 0.0.1".to_owned(),
                lanes: vec![HeldLane { lane, first: 0, next: 300, confirmed_upto: 100 }],
                runs: vec![Run { epoch: lane.epoch, token: 7 }, Run { epoch: lane.epoch, token: u64::MAX }],
            }),
        ),
        (
            "resume",
            Message::Resume(Resume {
                version: 1,
                term: 4,
                lanes: vec![WantedLane {
                    lane,
                    have_upto: 100,
                    holes: vec![SeqRange::new(10, 20), SeqRange::new(30, 31)],
                    more_holes: true,
                    known_run: None,
                }],
            }),
        ),
        (
            "resume-known-run",
            Message::Resume(Resume {
                version: 1,
                term: 4,
                lanes: vec![WantedLane {
                    lane,
                    have_upto: 100,
                    holes: Vec::new(),
                    more_holes: false,
                    known_run: Some(7),
                }],
            }),
        ),
        (
            "block",
            Message::Block(Block {
                lane,
                range: SeqRange::new(10, 20),
                bytes: vec![1, 2, 3],
                zero_gaps: vec![zero_gap],
            }),
        ),
        (
            "gap",
            Message::Gap(GapNotice {
                lane,
                range: SeqRange::new(10, 20),
                cause: GapCause::Evicted,
                since: None,
                until: at(70),
                zero_gaps: vec![zero_gap],
            }),
        ),
        ("ack", Message::Ack(Ack { lane, upto: 10, ranges: vec![SeqRange::new(20, 30)] })),
        ("credit", Message::Credit(Credit { class: Class::Alarm, bytes_total: 65_536 })),
        ("refusal-ending", Message::Refusal(ending)),
        ("refusal-of-item", Message::Refusal(of_item)),
        (
            "enrol-request",
            Message::EnrolRequest(EnrolRequest {
                versions: Versions { min: 1, max: 1 },
                token: "relais-claim-v1.x.y".to_owned(),
                hub,
                csr: vec![0x30, 0x03],
            }),
        ),
        (
            "enrol-answer",
            Message::EnrolAnswer(EnrolAnswer {
                org: OrgId::from_bytes([2; 16]),
                site: SiteId::from_bytes([3; 16]),
                site_name: "Hall 3".to_owned(),
                chain: vec![vec![0x30], vec![0x31]],
            }),
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_message_has_the_bytes_it_was_released_with() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/north-v1");
    let writing = std::env::var("RELAIS_GOLDEN").is_ok_and(|v| v == "write");
    for (name, message) in messages() {
        let file = folder.join(format!("{name}.hex"));
        if writing && !file.exists() {
            fs::write(&file, hex(&encode(&message)) + "\n").unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(hex(&encode(&message)), golden.trim(), "{name} is written as before");
        assert_eq!(decode(&unhex(&golden)[4..]), Ok(message), "{name} is read as before");
    }
}

#[test]
fn no_golden_file_is_without_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/north-v1");
    let mut files: Vec<String> =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let mut names: Vec<String> = messages().iter().map(|(name, _)| format!("{name}.hex")).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}
