//! The bytes of the queue's file in version 1, as it was released: this program must go on writing and reading them, for
//! an agent that is brought up to date in an outage finds the file of the one before.
//!
//! `RELAIS_GOLDEN=write cargo test -p device-agent --test golden` writes the file where there is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use device_agent::Moment;
use device_agent::queue::{Kind, Medium, Outgoing, Queue, Record, Ring, Taken};

const SIZE: usize = 256 * 1024;
const BOOT: u64 = 0x0123_4567_89ab_cdef;
const DAY: Duration = Duration::from_secs(86_400);

struct Memory(Vec<u8>);

impl Medium for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        buffer.copy_from_slice(&self.0[at..at + buffer.len()]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn records() -> [Record; 3] {
    let taken = |since_boot_ms, wall_ms| Taken { boot: BOOT, since_boot_ms, wall_ms };
    let record = |number, kind, taken, body: &str| Record { number, kind, taken, body: body.into() };
    [
        record(1, Kind::Event, taken(900, None), "{\"severity\":\"info\",\"code\":\"agent-hello\"}"),
        record(2, Kind::Telemetry, taken(1_000, Some(1_800_000_000_000)), "{\"load_1m\":0.25}"),
        record(3, Kind::Telemetry, taken(11_000, None), "{\"load_1m\":0.50,\"uptime_s\":11}"),
    ]
}

/// A ring with every kind of record; the first message is done with.
fn written() -> Vec<u8> {
    let mut ring = Ring::open(Memory(vec![0; SIZE])).unwrap();
    let (mut dropped, [first, second, third]) = (0, records());
    ring.append(&[first, second], &mut dropped).unwrap();
    ring.mark_done_below(2).unwrap();
    ring.append(&[third], &mut dropped).unwrap();
    assert_eq!(dropped, 0);
    let mut bytes = ring.into_medium().0;
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(used);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_file_has_the_bytes_it_was_released_with() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/agent-queue-v1/ring.hex");
    if std::env::var("RELAIS_GOLDEN").is_ok_and(|v| v == "write") && !file.exists() {
        fs::write(&file, hex(&written()) + "\n").unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    assert_eq!(hex(&written()), golden.trim(), "it is written as before");

    let mut bytes = unhex(&golden);
    bytes.resize(SIZE, 0);
    // Another boot, a minute and a half later by the wall clock: what had no time then gets none now.
    let mut queue = Queue::new(Some(Ring::open(Memory(bytes)).unwrap()), !BOOT, DAY);
    let now = Moment { since_boot: Duration::from_secs(1), wall_ms: Some(1_800_000_090_000) };
    let sent: Vec<Outgoing> = std::iter::from_fn(|| queue.next(now)).collect();
    let payload = |number, text: &str| Outgoing {
        number,
        kind: Kind::Telemetry,
        payload: text.as_bytes().to_vec(),
        again: true,
    };
    let expected = [
        payload(2, "{\"ts\":1800000000000,\"load_1m\":0.25}"),
        payload(3, "{\"load_1m\":0.50,\"uptime_s\":11}"),
    ];
    assert_eq!(sent, expected, "it is read as before");
}
