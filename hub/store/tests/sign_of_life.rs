//! The writer's sign of life, for a watchdog: it comes from a writer that works on a disk that does not, and does not come
//! from one that hangs in a write.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hub_model::{BootId, BootStamp, HubId, Sample, SeriesId, Value};
use hub_store::disk::sim::{Faults, SimDisk};
use hub_store::disk::{Disk, DiskFile};
use hub_store::{Append, LogConfig, LogHandle, OpenContext, Receipt, Urgency};

/// A clock that moves a millisecond each time it is asked.
fn clock() -> Arc<dyn Fn() -> BootStamp + Send + Sync> {
    let ticks = AtomicU64::new(1000);
    Arc::new(move || BootStamp {
        boot: BootId::from_bytes([1; 16]),
        mono_ms: ticks.fetch_add(1, Ordering::Relaxed),
    })
}

fn open(disk: impl Disk) -> LogHandle {
    let clock = clock();
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now: clock(), seed: [7; 32] };
    hub_store::open_on(Arc::new(disk), LogConfig::default(), &context, clock).expect("it opens").0
}

fn append(log: &LogHandle) -> Receipt {
    let now = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: 5 };
    let samples = vec![Sample::observed(SeriesId(1), now, Value::U64(7))];
    let append = Append { samples, urgency: Urgency::Now, ..Append::default() };
    log.append_blocking(append).expect("it is taken")
}

/// The answer so far.
fn look(asked: &mut Pin<&mut impl Future<Output = bool>>) -> Poll<bool> {
    asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Asks and waits.
#[track_caller]
fn answers(log: &LogHandle) -> bool {
    let mut asked = pin!(log.writer_answers());
    for _ in 0..30_000 {
        if let Poll::Ready(answer) = look(&mut asked) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no answer");
}

#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{what}");
}

#[test]
fn a_writer_whose_disk_refuses_everything_answers_all_the_same() {
    let disk = SimDisk::new(5);
    let log = open(disk.clone());
    assert!(answers(&log));
    let everything = Faults { no_space_per_mille: 1000, copy_on_write: true, ..Faults::default() };
    disk.set_faults(everything);
    let waiting = append(&log);
    eventually("commits fail", || log.stats().blocked_since_ms > 0);
    for _ in 0..100 {
        assert!(answers(&log));
    }
    disk.set_faults(Faults::default());
    waiting.wait().expect("it is stored in the end");
    assert_eq!(log.stats().blocked_since_ms, 0);
    log.close().expect("it closes");
    assert!(!answers(&log), "a writer that has stopped");
}

/// Lets syncs wait while it is shut.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn shut(&self, shut: bool) {
        *self.0.0.lock().expect("nobody panics with it") = shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.0.0.lock().expect("nobody panics with it");
        drop(self.0.1.wait_while(shut, |shut| *shut).expect("nobody panics with it"));
    }
}

/// A disk that stalls: no sync ends while the gate is shut.
#[derive(Debug)]
struct Stalling {
    disk: SimDisk,
    gate: Gate,
}

impl Disk for Stalling {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(StallingFile { file: self.disk.open(name)?, gate: self.gate.clone() }))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

#[derive(Debug)]
struct StallingFile {
    file: Box<dyn DiskFile>,
    gate: Gate,
}

impl DiskFile for StallingFile {
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
        self.file.write_at(offset, data)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }
}

#[test]
fn a_writer_that_hangs_in_a_write_does_not_answer_and_says_since_when() {
    let gate = Gate::default();
    let log = open(Stalling { disk: SimDisk::new(6), gate: gate.clone() });
    append(&log).wait().expect("it is stored");
    eventually("the disk is done with it", || log.stats().writing_since_ms == 0);
    gate.shut(true);
    let waiting = append(&log);
    eventually("a write hangs", || log.stats().writing_since_ms > 0);
    let since = log.stats().writing_since_ms;
    let mut asked = pin!(log.writer_answers());
    for _ in 0..50 {
        assert_eq!(look(&mut asked), Poll::Pending, "it hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((log.stats().writing_since_ms, log.stats().blocked_since_ms), (since, 0));
    gate.shut(false);
    while look(&mut asked) != Poll::Ready(true) {
        std::thread::sleep(Duration::from_millis(1));
    }
    waiting.wait().expect("it is stored in the end");
    eventually("the disk is done with it", || log.stats().writing_since_ms == 0);
    log.close().expect("it closes");
}
