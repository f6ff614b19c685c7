//! What the device agent reads: its queue's file, after any end of the device, and the answers of whoever listens where
//! the hub should.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use device_agent::Moment;
use device_agent::mqtt::codec;
use device_agent::mqtt::{Output, Session, Settings};
use device_agent::queue::{Kind, Medium, Outgoing, Queue, Record, Ring, SEGMENTS, Taken};

/// The smallest file there is.
const SEGMENT: usize = 16 * 1024;
const SEGMENT_COUNT: usize = 16;
/// Of an input, each segment gets so much at its beginning: an input reaches all of them.
const PIECE: usize = 4 * 1024;

/// Of a segment: compare `device-agent/src/queue/ring.rs`.
const MAGIC_AND_VERSION: &[u8] = b"RAGENTQ\x01";
const NUMBER: std::ops::Range<usize> = 8..16;
const SUM: std::ops::Range<usize> = 16..20;
const RECORDS_AT: usize = 24;
/// Of a record: compare `device-agent/src/queue/record.rs`.
const RECORD_SUM: std::ops::Range<usize> = 4..8;
const RECORD_BYTES: usize = 44;

/// A boot that no input knows of, and no wall clock: nothing is too old.
const NOW: Moment = Moment { since_boot: Duration::from_secs(1), wall_ms: None };
const BOOT: u64 = 0xb007;
const AGE_MAX: Duration = Duration::from_secs(86_400);

/// A file in memory that can be opened again.
#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Memory {
    fn new(bytes: Vec<u8>) -> Memory {
        Memory(Rc::new(RefCell::new(bytes)))
    }
}

impl Medium for Memory {
    fn size(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (bytes, at) = (self.0.borrow(), usize::try_from(offset).map_err(io::Error::other)?);
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, new: &[u8]) -> io::Result<()> {
        let (mut bytes, at) = (self.0.borrow_mut(), usize::try_from(offset).map_err(io::Error::other)?);
        bytes[at..at + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue's file as it is, then with all its checksums made right.
pub(super) fn queue(input: &[u8]) {
    let mut file = spread(input);
    goes_on(file.clone());
    repair(&mut file);
    goes_on(file);
}

/// Whatever is in the file: each message comes once, in order, and a new one is kept behind what is left of them.
fn goes_on(file: Vec<u8>) {
    let memory = Memory::new(file);
    let Ok(ring) = Ring::open(memory.clone()) else { return };
    let (waiting, next) = (ring.len(), ring.next_number());
    assert!(ring.bytes() <= ring.room(), "{} bytes in {}", ring.bytes(), ring.room());
    let mut queue = Queue::new(Some(ring), BOOT, AGE_MAX);
    let before = all(&mut queue);
    assert_eq!(before.len() as u64 + queue.dropped(), waiting as u64, "each is there or counted");
    assert!(before.windows(2).all(|pair| pair[0].number < pair[1].number), "in order");
    assert!(before.iter().all(|sent| sent.number < next && sent.again), "told as what may come again");

    queue.push(Kind::Event, "{\"new\":true}".to_owned(), NOW);
    queue.spill(NOW);
    assert!(queue.take_problem().is_none(), "memory takes everything");
    drop(queue);
    let ring = Ring::open(memory).expect("what was written can be opened");
    let after = all(&mut Queue::new(Some(ring), BOOT, AGE_MAX));
    let (new, old) = after.split_last().expect("the new one is there");
    assert_eq!((new.number, new.payload.as_slice()), (next, b"{\"new\":true}".as_slice()));
    assert!(before.ends_with(old), "only the oldest may have gone");
}

fn all(queue: &mut Queue<Memory>) -> Vec<Outgoing> {
    std::iter::from_fn(|| queue.next(NOW)).collect()
}

fn spread(input: &[u8]) -> Vec<u8> {
    let mut file = vec![0; SEGMENT * SEGMENT_COUNT];
    for (segment, piece) in file.chunks_mut(SEGMENT).zip(input.chunks(PIECE)) {
        segment[..piece.len()].copy_from_slice(piece);
    }
    file
}

/// What a file has at the places an input reaches.
fn gathered(file: &[u8]) -> Vec<u8> {
    file.chunks(SEGMENT).flat_map(|segment| &segment[..PIECE]).copied().collect()
}

/// Makes each segment that begins like one a segment of its place, and every record in it one behind the record before.
fn repair(file: &mut [u8]) {
    for (place, segment) in (0..SEGMENTS).zip(file.chunks_mut(SEGMENT)) {
        if !segment.starts_with(MAGIC_AND_VERSION) {
            continue;
        }
        let number = u64::from_be_bytes(segment[NUMBER].try_into().expect("eight bytes"));
        let number = number / SEGMENTS * SEGMENTS + place;
        segment[NUMBER].copy_from_slice(&number.to_be_bytes());
        let sum = crc32c::crc32c(&segment[..SUM.start]);
        segment[SUM].copy_from_slice(&sum.to_be_bytes());
        let mut chain = crc32c::crc32c(&number.to_be_bytes());
        let mut at = RECORDS_AT;
        while let Some(length) = record_length(&segment[at..]) {
            let record = &mut segment[at..at + length];
            chain = crc32c::crc32c_append(chain, &record[RECORD_SUM.end..]);
            record[RECORD_SUM].copy_from_slice(&chain.to_be_bytes());
            at += length;
        }
    }
}

/// The length of what may be a record; zeros are none.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..RECORD_BYTES).filter(|header| header.iter().any(|byte| *byte != 0))?;
    let body = u32::from_be_bytes(header[..RECORD_SUM.start].try_into().ok()?);
    let length = RECORD_BYTES.checked_add(usize::try_from(body).ok()?)?;
    (length <= bytes.len()).then_some(length)
}

/// The released bytes, and rings that were written once, twice around, and to a mark.
pub(super) fn queue_seeds() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/agent-queue-v1/ring.hex");
    let text = fs::read_to_string(golden).expect("golden bytes can be read");
    let digits = text.trim().as_bytes().chunks(2);
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let released: Vec<u8> = digits.map(|pair| byte(pair).expect("golden bytes are hexadecimal")).collect();
    // Numbers at the end of their range: of the segment, then of its first record.
    let [mut last_segment, mut last_record] = [released.clone(), released.clone()];
    last_segment[NUMBER].fill(0xff);
    last_record[RECORDS_AT + RECORD_SUM.end..][..8].fill(0xff);
    vec![
        released,
        last_segment,
        last_record,
        gathered(&ring_of(20, 300)),
        gathered(&ring_of(60, 2_000)),
        gathered(&ring_of(400, 1_500)),
    ]
}

/// A ring with so many messages of this length, every tenth of which was done with.
fn ring_of(count: u64, bytes: usize) -> Vec<u8> {
    let memory = Memory::new(vec![0; SEGMENT * SEGMENT_COUNT]);
    let mut ring = Ring::open(memory.clone()).expect("an empty file is an empty ring");
    let mut dropped = 0;
    for number in 1..=count {
        let wall_ms = number.is_multiple_of(3).then_some(1_800_000_000_000 + number);
        let taken = Taken { boot: number / 50, since_boot_ms: 10_000 * number, wall_ms };
        let body = format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat(bytes)).into_bytes();
        let kind = if number.is_multiple_of(7) { Kind::Event } else { Kind::Telemetry };
        ring.append(&[Record { number, kind, taken, body }], &mut dropped).expect("memory takes everything");
        if number.is_multiple_of(10) {
            ring.mark_done_below(number / 10).expect("memory takes everything");
        }
    }
    memory.0.borrow().clone()
}

/// Answers of a hub: one by one, then to a session that sends as much as it may, in pieces.
pub(super) fn answers(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((_, taken))) = codec::decode(rest) {
        assert!((2..=4).contains(&taken) && taken <= rest.len(), "{taken} bytes");
        rest = &rest[taken..];
    }
    let piece = usize::from(input.first().copied().unwrap_or(0) % 5) + 1;
    drop(converse(input, piece));
}

/// The conversation that comes of it, up to its end.
fn converse(input: &[u8], piece: usize) -> Conversation {
    let mut conversation = Conversation::begin();
    for piece in input.chunks(piece) {
        if !conversation.hear(piece) {
            break;
        }
    }
    conversation
}

/// A session, and what it has sent and heard.
struct Conversation {
    session: Session,
    next: u64,
    delivered: u64,
}

impl Conversation {
    fn begin() -> Conversation {
        let settings =
            Settings { client_id: "c".into(), telemetry_topic: "t".into(), event_topic: "e".into() };
        let mut session = Session::new(settings, 1, NOW.since_boot);
        session.handle_timeout(NOW.since_boot);
        session.handle_dialed();
        Conversation { session, next: 1, delivered: 1 }
    }

    /// Whether the connection stands after these bytes.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        self.session.handle_bytes(bytes, NOW.since_boot);
        let mut stands = true;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::DeliveredBelow(number) => {
                    assert!(number > self.delivered && number <= self.next, "{number}: {} sent", self.next);
                    self.delivered = number;
                }
                Output::Down { .. } => {
                    assert!(!self.session.can_send(), "nothing is sent into a closed connection");
                    stands = false;
                }
                Output::Dial | Output::Send(_) | Output::Close | Output::Up { .. } => {}
            }
        }
        while stands && self.session.can_send() {
            let payload = b"{}".to_vec();
            self.session.send(&Outgoing { number: self.next, kind: Kind::Telemetry, payload, again: false });
            self.next += 1;
        }
        stands
    }
}

/// A greeting and acknowledgements in order, out of order, and of what was never sent.
pub(super) fn answer_seeds() -> Vec<Vec<u8>> {
    let greeting = [0x20, 2, 1, 0];
    let acknowledged = |ids: &[u8]| -> Vec<u8> {
        let acks = ids.iter().flat_map(|id| [0x40, 2, 0, *id]);
        greeting.into_iter().chain(acks).chain([0xd0, 0]).collect()
    };
    let many: Vec<u8> = (2..60).collect();
    vec![acknowledged(&many), acknowledged(&[2, 4, 3, 7, 6, 5]), acknowledged(&[9]), vec![0x20, 2, 0, 5]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repairs_know_the_format() {
        for (count, bytes) in [(20, 300), (60, 2_000), (400, 1_500)] {
            let file = ring_of(count, bytes);
            let mut repaired = file.clone();
            repair(&mut repaired);
            assert!(repaired == file, "what is right stays as it is");
        }
    }

    #[test]
    fn seeds_say_something() {
        let rings = queue_seeds().into_iter().map(|seed| Ring::open(Memory::new(spread(&seed))).unwrap());
        assert_eq!(rings.filter(|ring| !ring.is_empty()).count(), 4);
        let conversation = converse(&answer_seeds()[0], 3);
        assert!(conversation.delivered > 40, "{}", conversation.delivered);
    }
}
