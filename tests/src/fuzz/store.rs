//! Seeds and repairs for the formats of the telemetry log.
//!
//! Seeds are what a real log writes, so that they follow the format. Behind a checksum almost no mutation would get
//! past the first check, so half of the inputs have their checksums made right again.

use std::sync::Arc;
use std::time::Duration;

use hub_model::{
    ClockQuality, ClockRecord, Device, DeviceId, Event, EventRecord, HubId, Quality, Reason, Sample, Series,
    SeriesId, SeriesKey, Severity, Stamp, Unit, UtcMs, Value, ValueType, WallSource,
};
use hub_store::block::BLOCK_HEADER_BYTES;
use hub_store::disk::sim::SimDisk;
use hub_store::fuzz::{WAL_BYTES, moment};
use hub_store::{Append, Definition, LogConfig, OpenContext, PublishMark, Urgency, open_on};

const PAGE: usize = 4096;
const BLOCK_CRC_AT: usize = BLOCK_HEADER_BYTES - 4;
/// Of a WAL file's header: version, hub, epoch, secret and where its checksum is. Compare `hub/store/src/wal/header.rs`.
const WAL_VERSION: std::ops::Range<usize> = 8..10;
const WAL_HUB: std::ops::Range<usize> = 10..26;
const WAL_EPOCH: std::ops::Range<usize> = 26..34;
const WAL_SECRET: std::ops::Range<usize> = 42..58;
const WAL_CRC_AT: usize = 66;
/// Of a commit: compare `hub/store/src/wal/commit.rs`.
const COMMIT_MAGIC: &[u8] = b"RWC1";
const COMMIT_LEN: std::ops::Range<usize> = 44..48;
const COMMIT_CRC_AT: usize = 52;

/// Feeds a block as it is, then with its checksum made right.
pub(super) fn block(input: &[u8]) {
    hub_store::fuzz::block(input);
    if let Some(repaired) = repair_block(input) {
        hub_store::fuzz::block(&repaired);
    }
}

/// Feeds a WAL file as it is, then with all its checksums made right.
pub(super) fn wal(input: &[u8]) {
    hub_store::fuzz::wal_recovery(input);
    hub_store::fuzz::wal_recovery(&repair_wal(input));
}

fn repair_block(input: &[u8]) -> Option<Vec<u8>> {
    let (front, rest) = (input.get(..BLOCK_CRC_AT)?, input.get(BLOCK_HEADER_BYTES..)?);
    let crc = crc32c::crc32c_append(crc32c::crc32c(front), rest);
    let mut repaired = input.to_vec();
    put(&mut repaired, BLOCK_CRC_AT, &crc.to_le_bytes());
    Some(repaired)
}

/// Makes the file one of the log that the fuzzers' door expects: version 1 (a whole header of another one stops a
/// hub on purpose), hub of ones, epoch 1, secret of zeros.
fn repair_wal(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    put(&mut bytes, WAL_VERSION.start, &1u16.to_le_bytes());
    put(&mut bytes, WAL_HUB.start, &[1; 16]);
    put(&mut bytes, WAL_EPOCH.start, &1u64.to_le_bytes());
    put(&mut bytes, WAL_SECRET.start, &[0; 16]);
    let crc = crc32c::crc32c(bytes.get(..WAL_CRC_AT).unwrap_or_default());
    put(&mut bytes, WAL_CRC_AT, &crc.to_le_bytes());
    for position in (PAGE..bytes.len()).step_by(PAGE) {
        repair_commit(&mut bytes, position);
    }
    bytes
}

fn repair_commit(bytes: &mut [u8], position: usize) {
    let commit = &bytes[position..];
    let Some(len) = commit.get(COMMIT_LEN).filter(|_| commit.starts_with(COMMIT_MAGIC)) else { return };
    let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
    let frames_at = COMMIT_CRC_AT + 4;
    // A length that lies beyond the file is refused before its checksum is looked at.
    let Some(frames) = commit.get(frames_at..frames_at.saturating_add(len)) else { return };
    let crc = commit_crc(&[0; 16], position, &commit[..COMMIT_CRC_AT], frames);
    put(bytes, position + COMMIT_CRC_AT, &crc.to_le_bytes());
}

fn commit_crc(secret: &[u8], position: usize, header: &[u8], frames: &[u8]) -> u32 {
    let parts = [secret, &(position as u64).to_le_bytes(), header, frames];
    parts.into_iter().fold(0, crc32c::crc32c_append)
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + new.len()) {
        place.copy_from_slice(new);
    }
}

/// Blocks, found by their magic in the tables' file of a log that sealed some.
pub(super) fn block_seeds() -> Vec<Vec<u8>> {
    let disk = written_log(120);
    let mut seeds = Vec::new();
    for name in names(&disk).into_iter().filter(|name| !name.starts_with("wal-")) {
        let bytes = disk.contents(&name);
        let starts = bytes.windows(4).enumerate().filter(|(_, four)| *four == b"RBLK").map(|(at, _)| at);
        seeds.extend(starts.filter_map(|at| whole_block(&bytes[at..])));
    }
    // Each once: redb keeps old pages.
    seeds.sort();
    seeds.dedup();
    seeds.sort_by_key(Vec::len);
    seeds.truncate(12);
    assert!(!seeds.is_empty(), "the log sealed blocks");
    seeds
}

/// The block at the front of some bytes: its header says how long its two parts are.
fn whole_block(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let block = bytes.get(..BLOCK_HEADER_BYTES + length(82)? + length(90)?)?;
    hub_store::block::decode(block).is_ok().then(|| block.to_vec())
}

/// The front of a WAL file with commits of every kind.
pub(super) fn wal_seeds() -> Vec<Vec<u8>> {
    let disk = written_log(3);
    let files = names(&disk).into_iter().filter(|name| name.starts_with("wal-"));
    let fronts = files.map(|name| disk.contents(&name)).filter(|bytes| bytes.starts_with(b"RELAISWL"));
    let mut seeds: Vec<Vec<u8>> = fronts
        .map(|mut bytes| {
            bytes.truncate(WAL_BYTES / 2);
            repair_wal(&bytes)
        })
        .collect();
    assert!(!seeds.is_empty(), "the log has a WAL");
    let shorter: Vec<Vec<u8>> = seeds.iter().map(|seed| seed[..3 * PAGE].to_vec()).collect();
    seeds.extend(shorter);
    seeds
}

/// Stretches of a WAL's frames, beginning at any byte: some begin where a record does.
pub(super) fn record_seeds() -> Vec<Vec<u8>> {
    let wal = &wal_seeds()[0];
    let commits = (PAGE..wal.len()).step_by(PAGE).filter(|at| wal[*at..].starts_with(COMMIT_MAGIC));
    let starts = commits.flat_map(|at| (0..60).map(move |offset| at + COMMIT_CRC_AT + 4 + offset));
    starts.filter_map(|at| wal.get(at..at + 300)).map(<[u8]>::to_vec).collect()
}

fn names(disk: &SimDisk) -> Vec<String> {
    use hub_store::disk::Disk as _;
    disk.list().expect("the simulated disk works")
}

/// A simulated disk with a log that took so many appends.
fn written_log(appends: u64) -> SimDisk {
    let disk = SimDisk::new(1);
    let context = OpenContext { hub: HubId::from_bytes([1; 16]), now: moment(1000), seed: [3; 32] };
    let config = LogConfig {
        wal_file_bytes: 256 * 1024,
        seal_after: Duration::from_secs(900),
        quota_bytes: 1 << 30,
        wear_saver: false,
    };
    let (log, _) =
        open_on(Arc::new(disk.clone()), config, &context, Arc::new(|| moment(2000))).expect("the log opens");
    let mut definitions = definitions();
    for number in 0..appends {
        let append = Append {
            definitions: std::mem::take(&mut definitions),
            samples: samples(number),
            events: vec![event(number)],
            mark: Some(PublishMark { incarnation: 5, packet_id: 7, content_hash: number, dup: false }),
            urgency: Urgency::Now,
            ..Append::default()
        };
        let receipt = log.append_blocking(append).expect("the log takes it");
        receipt.wait().expect("the log stores it");
    }
    log.close().expect("the log closes");
    disk
}

fn definitions() -> Vec<Definition> {
    let device = DeviceId::from_bytes([2; 16]);
    let clock = ClockRecord {
        boot: moment(0).boot,
        mono_from_ms: 0,
        offset_ms: 1_700_000_000_000,
        quality: ClockQuality::Synced,
        revision: 0,
    };
    let name = "boiler".parse().expect("a device's name");
    let mut all = vec![Definition::Clock(clock), Definition::Device(Device { id: device, name })];
    for (id, value_type) in (0..).zip(ValueType::ALL) {
        let metric = format!("m-{value_type}").parse().expect("a metric's name");
        let key = SeriesKey { device, metric, value_type, unit: Unit::none() };
        let dictionary = if value_type == ValueType::Enum {
            vec![(0, "off".into()), (1, "on".into())]
        } else {
            Vec::new()
        };
        all.push(Definition::Series(Series { id: SeriesId(id), key, dictionary }));
    }
    all
}

/// One sample of each type, by turns with the device's own time, and a failed reading; then a run of numbers.
fn samples(number: u64) -> Vec<Sample> {
    let text = format!("text {number} é");
    let values = [
        Value::F64(21.5),
        Value::F32(-0.0),
        Value::I64(-5),
        Value::U64(u64::MAX),
        Value::Bool(true),
        Value::string(&text).expect("a short text"),
        Value::bytes(text.as_bytes()).expect("a few bytes"),
        Value::Enum(1),
    ];
    let at = moment(1000 + number);
    let stated = Stamp::Wall(UtcMs(1_700_000_000_000), WallSource::Device);
    let stamps = [Stamp::Boot(at), stated].into_iter().cycle();
    let mut all: Vec<Sample> = (0..)
        .zip(values)
        .zip(stamps)
        .map(|((id, value), stamp)| Sample {
            series: SeriesId(id),
            stamp,
            received: at,
            value: Some(value),
            quality: Quality::GOOD,
        })
        .collect();
    all.push(Sample::failed(SeriesId(0), at, Quality::bad(Reason::NoAnswer)));
    all.extend((0..40).map(|n: u32| Sample::observed(SeriesId(0), at, Value::F64(f64::from(n)))));
    all
}

fn event(number: u64) -> EventRecord {
    let severity =
        [Severity::Info, Severity::Warning, Severity::Alarm][usize::try_from(number % 3).expect("small")];
    EventRecord {
        device: Some(DeviceId::from_bytes([2; 16])),
        stamp: Stamp::Boot(moment(1000 + number)),
        received: moment(1000 + number),
        event: Event {
            id: format!("e{number}").into(),
            severity,
            code: "overheat".into(),
            params: vec![("temp".into(), "99".into())],
            text: "too hot".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repairs_know_the_formats() {
        let disk = written_log(2);
        let wal = disk.contents(names(&disk).iter().find(|name| name.starts_with("wal-")).unwrap());
        assert_eq!(crc32c::crc32c(&wal[..WAL_CRC_AT]).to_le_bytes(), wal[WAL_CRC_AT..WAL_CRC_AT + 4]);
        let commit = &wal[PAGE..];
        assert!(commit.starts_with(COMMIT_MAGIC));
        let len = u32::from_le_bytes(commit[COMMIT_LEN].try_into().unwrap()) as usize;
        let frames = &commit[COMMIT_CRC_AT + 4..][..len];
        let crc = commit_crc(&wal[WAL_SECRET], PAGE, &commit[..COMMIT_CRC_AT], frames);
        assert_eq!(crc.to_le_bytes(), commit[COMMIT_CRC_AT..COMMIT_CRC_AT + 4]);
        for block in block_seeds() {
            assert_eq!(repair_block(&block), Some(block));
        }
    }
}
