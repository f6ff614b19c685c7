//! What a start makes of WAL files: a torn tail is no damage, damage is no torn tail, an older use of a file is neither;
//! and where the writing end never writes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::{Class, HubId, LogEpoch, SeqRange};

use super::commit::CommitHeader;
use super::frame::{FrameKind, put_frame};
use super::header::FileHeader;
use super::recovery::{WalFindings, recover};
use super::writer::{Sealed, Wal, WalConfig, WalError};
use super::{PAGE, pages};
use crate::disk::sim::{Faults, SimDisk};
use crate::disk::{Disk, DiskFile};
use crate::record::Base;
use crate::record::tests::BOOT;

const BASE: Base = Base { boot: BOOT, mono_ms: 5 };
const FILE_BYTES: u64 = 64 * 1024;
/// A commit of these tests takes two pages.
const BODY: usize = 6_000;

/// The numbers of the commits in the order they are handed on, with the first record of each.
type Seen = Vec<(u64, u64)>;

fn reopen(disk: Arc<dyn Disk>, sealed: Sealed) -> (Wal, WalFindings, Seen) {
    let config = WalConfig {
        hub: HubId::from_bytes([1; 16]),
        epoch: LogEpoch(7),
        secret: [3; 16],
        file_bytes: FILE_BYTES,
        known: Vec::new(),
    };
    let mut seen = Vec::new();
    let (mut wal, findings) = recover(&disk, config, sealed, |commit| {
        seen.push((commit.header.number, commit.frames[0].range.from));
    })
    .expect("it reads");
    wal.provide_files().expect("there is room");
    let list = wal.list();
    wal.handle_listed(list);
    (wal, findings, seen)
}

fn write(wal: &mut Wal, record: u64) -> Result<(), WalError> {
    let mut frames = Vec::new();
    let body = vec![record.to_le_bytes()[0]; BODY];
    put_frame(&mut frames, FrameKind::Samples, Class::Telemetry, SeqRange::new(record, record + 1), &body);
    if wal.needs_next_file(frames.len()) {
        wal.advance(None)?;
    }
    let mut upto = [0; 7];
    upto[Class::Telemetry.index()] = record + 1;
    wal.write(BASE, &frames, 1, upto)
}

/// A log of so many commits; the power goes behind the last.
fn written(commits: u64) -> SimDisk {
    let disk = SimDisk::new(1);
    let (mut wal, findings, seen) = reopen(Arc::new(disk.clone()), Sealed::default());
    assert_eq!((findings, seen), (WalFindings::default(), Vec::new()));
    (0..commits).for_each(|record| write(&mut wal, record).expect("it is written"));
    disk.restart()
}

fn records(range: std::ops::Range<u64>) -> Seen {
    range.map(|record| (record + 1, record)).collect()
}

/// Where commit `n` of the first file begins: behind the header, two pages each.
fn place(n: usize) -> usize {
    PAGE + n * 2 * PAGE
}

#[test]
fn a_torn_tail_is_dropped_whole_and_is_no_damage() {
    assert_eq!(pages(BODY), 2 * PAGE);
    // Any sector of the last commit may be missing, in any combination that leaves it not whole.
    for missing in [0x01_u16, 0x02, 0x80, 0x0800, 0x0ffe, 0x0aaa, 0x0fff] {
        let disk = written(4);
        for sector in (0..12).filter(|sector| missing >> sector & 1 == 1) {
            let at = place(3) + sector * 512;
            let old = disk.contents("wal-000");
            (at..at + 512).for_each(|byte| disk.corrupt("wal-000", byte, old[byte]));
        }
        let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
        assert_eq!(seen, records(0..3), "missing {missing:x}");
        assert_eq!(findings.damaged, 0, "missing {missing:x}");
        assert_eq!(findings.torn_tail, missing & 1 == 0, "seen by the sector that is there");
    }
}

#[test]
fn what_is_followed_by_a_whole_commit_of_the_same_use_is_damage() {
    for damaged in 0..3 {
        let disk = written(4);
        disk.corrupt("wal-000", place(damaged) + 700, 1);
        let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
        let expected: Seen = records(0..4).into_iter().filter(|(_, n)| *n != damaged as u64).collect();
        assert_eq!((findings.damaged, findings.torn_tail), (1, false));
        assert_eq!(seen, expected);
    }
    // Two places are two, however many pages each has.
    let disk = written(6);
    for place in [place(1), place(2) + PAGE, place(4)] {
        disk.corrupt("wal-000", place + 9, 1);
    }
    let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
    assert_eq!(findings.damaged, 2);
    assert_eq!(seen.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 3, 5]);
}

/// Commits of the file's earlier use lie whole behind the torn one. They are of another generation, so they neither
/// count nor make damage of what is torn.
#[test]
fn an_earlier_use_of_the_file_is_neither_read_nor_taken_for_a_later_commit() {
    let disk = SimDisk::new(1);
    let (mut wal, ..) = reopen(Arc::new(disk.clone()), Sealed::default());
    let per_file = (FILE_BYTES - PAGE as u64) / (2 * PAGE as u64);
    let total = 2 * per_file + 2;
    for record in 0..total {
        let mut upto = [0; 7];
        upto[Class::Telemetry.index()] = record;
        wal.handle_sealed(Sealed { upto, number: record });
        write(&mut wal, record).expect("a file is free");
    }
    drop(wal);
    // The third use: of the first file again, with two commits in front and the rest of the first use behind them.
    let disk = disk.restart();
    disk.corrupt("wal-000", place(1) + 100, 1);
    let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
    assert_eq!((findings.damaged, findings.torn_tail), (0, true));
    assert_eq!(seen, records(per_file..total - 1), "the second file, then what is left of the third use");
}

#[test]
fn a_lost_file_header_is_damage_where_commits_stand_behind_it_and_nothing_where_none_do() {
    let (disk, empty) = (written(1), written(0));
    for disk in [&disk, &empty] {
        let old = disk.contents("wal-000");
        (0..PAGE).for_each(|byte| disk.corrupt("wal-000", byte, old[byte]));
    }
    let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
    assert_eq!((findings.damaged, seen), (1, records(0..1)));
    // The header is synced before the first commit: torn, it says that nothing of this use was acknowledged.
    let (_, findings, seen) = reopen(Arc::new(empty.restart()), Sealed::default());
    assert_eq!((findings, seen), (WalFindings::default(), Vec::new()));
}

#[test]
fn after_a_failed_sync_the_file_is_not_written_again_and_the_commit_goes_to_another() {
    let disk = SimDisk::new(1);
    let recorder = Recorder::new(disk.clone());
    let (mut wal, ..) = reopen(Arc::new(recorder.clone()), Sealed::default());
    (0..3).for_each(|record| write(&mut wal, record).expect("it is written"));
    disk.set_faults(Faults { syncs_to_fail: 1, ..Faults::default() });
    assert!(matches!(write(&mut wal, 3), Err(WalError::Io(_))));
    let before = recorder.writes_to("wal-000");
    (3..6).for_each(|record| write(&mut wal, record).expect("another file takes it"));
    assert_eq!(recorder.writes_to("wal-000"), before, "not one more byte");
    assert_eq!(wal.number(), 7, "the failed one spent its number");
    drop(wal);
    let (_, findings, seen) = reopen(Arc::new(disk.restart()), Sealed::default());
    assert_eq!(findings.damaged, 0);
    // The failed commit may be there as well: it was not acknowledged, and its record comes again.
    let rest: Seen = seen.into_iter().filter(|(number, _)| *number != 4).collect();
    assert_eq!(rest, [(1, 0), (2, 1), (3, 2), (5, 3), (6, 4), (7, 5)]);
}

#[test]
fn no_page_with_acknowledged_frames_is_written_again_before_its_file_is_free() {
    let mut disk = SimDisk::new(3);
    let mut sealed = Sealed::default();
    let (mut record, mut failed) = (0, 0);
    for life in 0..12 {
        let recorder = Recorder::new(disk.clone());
        let (mut wal, _, seen) = reopen(Arc::new(recorder.clone()), sealed);
        // What is there and not in the tables must not be touched in this life either.
        recorder.protect(sealed);
        let known = seen.iter().map(|(_, first)| first + 1).max().unwrap_or(0);
        record = record.max(known);
        for _ in 0..25 {
            disk.set_faults(Faults { syncs_to_fail: u32::from(record % 7 == 3), ..Faults::default() });
            match write(&mut wal, record) {
                Ok(()) => record += 1,
                Err(WalError::Full) => {
                    sealed.upto[Class::Telemetry.index()] = record;
                    sealed.number = wal.number();
                    recorder.release_all();
                    wal.handle_sealed(sealed);
                    let list = wal.list();
                    wal.handle_listed(list);
                }
                Err(WalError::Io(_)) => {
                    failed += 1;
                    record += 1;
                    disk.set_faults(Faults::default());
                }
                Err(error @ WalError::TooLarge(_)) => panic!("{error}"),
            }
        }
        drop(wal);
        disk = if life % 2 == 0 { disk.restart() } else { disk.kill() };
    }
    assert!(failed > 10, "{failed} syncs failed");
}

/// A disk that remembers which bytes were synced, and panics when one of them is written again.
#[derive(Clone, Debug)]
struct Recorder {
    disk: SimDisk,
    files: Arc<Mutex<BTreeMap<String, Record>>>,
}

#[derive(Clone, Debug, Default)]
struct Record {
    writes: u64,
    unsynced: Vec<(u64, u64)>,
    synced: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct RecordedFile {
    name: String,
    file: Box<dyn DiskFile>,
    recorder: Recorder,
}

impl Recorder {
    fn new(disk: SimDisk) -> Recorder {
        Recorder { disk, files: Arc::default() }
    }

    fn with<T>(&self, name: &str, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        change(files.entry(name.to_owned()).or_default())
    }

    fn writes_to(&self, name: &str) -> u64 {
        self.with(name, |record| record.writes)
    }

    /// Protects every whole commit of a file's present use that the tables do not have.
    fn protect(&self, sealed: Sealed) {
        for name in self.disk.list().expect("it lists").iter().filter(|name| name.starts_with("wal-")) {
            let bytes = self.disk.contents(name);
            let Ok(file) = FileHeader::decode(&bytes) else { continue };
            let commit = |at: &usize| CommitHeader::decode(&[3; 16], *at as u64, &bytes[*at..]).ok();
            let counts = |at: &usize| {
                commit(at).is_some_and(|(header, _)| {
                    header.generation == file.generation && header.number > sealed.number
                })
            };
            let places = (PAGE..bytes.len()).step_by(PAGE).filter(counts);
            let places = places.map(|at| (at as u64, at as u64 + 2 * PAGE as u64)).collect();
            self.with(name, |record| record.synced = places);
        }
    }

    /// The tables have everything: files may be used again.
    fn release_all(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.values_mut().for_each(|record| record.synced.clear());
    }
}

impl Disk for Recorder {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(name)?;
        Ok(Box::new(RecordedFile { name: name.to_owned(), file, recorder: self.clone() }))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(name, |record| *record = Record::default());
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for RecordedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        self.recorder.with(&self.name, |record| {
            let hit = record.synced.iter().find(|(from, to)| *from < end && offset < *to);
            assert!(hit.is_none(), "{} {offset}..{end} is written over {hit:?}", self.name);
            record.writes += 1;
            // The header holds no frames; a new use of the file begins with it.
            if offset > 0 {
                record.unsynced.push((offset, end));
            }
        });
        self.file.write_at(offset, data)
    }
    fn sync_data(&self) -> io::Result<()> {
        let synced = self.file.sync_data();
        self.recorder.with(&self.name, |record| {
            let unsynced = std::mem::take(&mut record.unsynced);
            if synced.is_ok() && unsynced.len() == 1 {
                // More than one write before a sync is the zero-filling of a new file.
                record.synced.extend(unsynced);
            }
        });
        synced
    }
}
