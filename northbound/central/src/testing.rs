//! What tests here share: folders, hubs with real logs, blocks made by hand, a running ingest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hub_chassis::supervisor::{Rule, Supervisor};
use hub_model::{
    BootId, BootStamp, Class, ClockQuality, ClockRecord, Device, DeviceId, HubId, LogEpoch, Sample, SeqRange,
    Series, SeriesId, SeriesKey, Unit, UtcMs, Value, ValueType,
};
use hub_store::{Append, Definition, LogConfig, LogHandle, OpenContext, Urgency};
use northbound_sync::{Arrival, Content};
use northbound_wire::{Lane, ZeroGap};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::counts::Counts;
use crate::daemon::Manner;
use crate::ingest::Ingest;
use crate::storage::Storage;

/// 2026-11-22T00:00:00Z.
pub(crate) const NOW: UtcMs = UtcMs(1_795_305_600_000);

pub(crate) const BOOT: BootId = BootId::from_bytes([1; 16]);

/// A start by somebody who is there to see the admin token.
pub(crate) const fn manner(is_restored: bool) -> Manner {
    Manner { is_restored, makes_admin_token: true }
}

/// A folder of its own, removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("relais-central-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

/// A hub of this number.
pub(crate) const fn hub_id(number: u8) -> HubId {
    HubId::from_bytes([number; 16])
}

pub(crate) const fn stamp(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BOOT, mono_ms }
}

/// Block bytes with this place: header and checksum hold, the body is filler.
pub(crate) fn made_block(lane: Lane, range: SeqRange, filler: u8) -> Vec<u8> {
    let body = [filler; 40];
    let mut out = Vec::new();
    out.extend(b"RBLK");
    out.extend(hub_store::block::BLOCK_VERSION.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out.extend([lane.class.number(), 1]);
    out.extend(BOOT.to_bytes());
    out.extend(lane.epoch.0.to_le_bytes());
    out.extend(range.from.to_le_bytes());
    out.extend(u32::try_from(range.len()).unwrap().to_le_bytes());
    out.extend((range.from * 1_000).to_le_bytes());
    out.extend((range.len() * 1_000).to_le_bytes());
    out.extend([0; 16]);
    out.extend(0u32.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(40u32.to_le_bytes());
    out.extend(40u32.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out), &body);
    out.extend(crc.to_le_bytes());
    out.extend(body);
    out
}

/// A hub's log in a folder, with a device `boiler` and its metrics as series 1, 2, ….
pub(crate) struct TestHub {
    pub(crate) id: HubId,
    pub(crate) log: LogHandle,
    _folder: Folder,
    ticks: Arc<AtomicU64>,
}

pub(crate) const DEVICE: DeviceId = DeviceId::from_bytes([3; 16]);

impl TestHub {
    pub(crate) fn new(number: u8) -> TestHub {
        let folder = Folder::new("hub");
        let ticks = Arc::new(AtomicU64::new(1_000));
        let ticking = ticks.clone();
        let clock: hub_store::Clock = Arc::new(move || stamp(ticking.load(Ordering::Relaxed)));
        let context = OpenContext { hub: hub_id(number), now: clock(), seed: [number; 32] };
        let config = LogConfig { wal_file_bytes: 256 * 1024, ..LogConfig::default() };
        let (log, _) = hub_store::open(folder.path(), config, &context, clock).unwrap();
        TestHub { id: hub_id(number), log, _folder: folder, ticks }
    }

    /// Moves the hub's clock.
    pub(crate) fn at(&self, mono_ms: u64) -> &TestHub {
        self.ticks.store(mono_ms, Ordering::Relaxed);
        self
    }

    pub(crate) fn define(&self, metrics: &[(&str, ValueType)]) -> &TestHub {
        let device = Device { id: DEVICE, name: "boiler".parse().unwrap() };
        let mut definitions = vec![Definition::Device(device)];
        for (id, (metric, value_type)) in (1..).zip(metrics) {
            let metric = metric.parse().unwrap();
            let key = SeriesKey { device: DEVICE, metric, value_type: *value_type, unit: Unit::none() };
            definitions.push(Definition::Series(Series { id: SeriesId(id), key, dictionary: Vec::new() }));
        }
        self.append(Append { definitions, ..Append::default() })
    }

    /// Says that the clock is right from a moment on.
    pub(crate) fn set_clock(&self, mono_from_ms: u64, offset_ms: i64) -> &TestHub {
        let quality = ClockQuality::Synced;
        let record = ClockRecord { boot: BOOT, mono_from_ms, offset_ms, quality, revision: 1 };
        self.append(Append { definitions: vec![Definition::Clock(record)], ..Append::default() })
    }

    /// A reading each second from a moment on.
    pub(crate) fn readings(&self, series: u32, from_ms: u64, values: std::ops::Range<u32>) -> &TestHub {
        let sample = |(at, value): (u64, u32)| {
            Sample::observed(SeriesId(series), stamp(from_ms + at * 1_000), Value::F64(f64::from(value)))
        };
        let samples = (0..).zip(values).map(sample).collect();
        self.append(Append { samples, ..Append::default() })
    }

    pub(crate) fn append(&self, append: Append) -> &TestHub {
        let append = Append { urgency: Urgency::Now, ..append };
        self.apart(|| self.log.append_blocking(append).unwrap().wait().map(drop).unwrap())
    }

    pub(crate) fn seal(&self) -> &TestHub {
        self.apart(|| self.log.seal_now_blocking().unwrap())
    }

    /// Waits on a thread of its own: tests are asynchronous, and the log's waiting is not.
    fn apart(&self, wait: impl FnOnce() + Send) -> &TestHub {
        std::thread::scope(|scope| scope.spawn(wait).join().unwrap());
        self
    }

    pub(crate) fn lane(&self, class: Class) -> Lane {
        Lane { epoch: self.log.epoch(), class }
    }

    /// Everything sealed of a class, as it goes north.
    pub(crate) fn arrivals(&self, class: Class) -> Vec<Arrival> {
        let (outbox, mut arrivals, mut at) = (self.log.outbox(), Vec::new(), 0);
        loop {
            let items = outbox.items(class, SeqRange::new(at, u64::MAX / 4), 1 << 20).unwrap();
            let Some(last) = items.last() else { return arrivals };
            at = last.range.to;
            arrivals.extend(items.into_iter().map(|item| self.arrival(class, item)));
        }
    }

    fn arrival(&self, class: Class, item: hub_store::OutboxItem) -> Arrival {
        let content = match item.content {
            hub_store::Content::Block(bytes) => Content::Block(bytes),
            hub_store::Content::Gap { cause, since, until } => Content::Gap { cause, since, until },
        };
        let zero_gap = |gap: hub_model::Gap| ZeroGap {
            at: gap.range.from,
            cause: gap.cause,
            since: gap.since,
            until: gap.until,
        };
        let zero_gaps = item.zero_gaps.into_iter().map(zero_gap).collect();
        Arrival { lane: self.lane(class), range: item.range, content, zero_gaps }
    }
}

/// A storage with its ingest running.
pub(crate) struct Running {
    pub(crate) storage: Storage,
    pub(crate) ingest: Ingest,
    pub(crate) counts: Arc<Counts>,
    pub(crate) definitions: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
}

impl Running {
    pub(crate) async fn start(dir: &Path) -> Running {
        let (storage, _) = Storage::create(dir, "Test", NOW).await.unwrap();
        let (counts, definitions) = (Arc::new(Counts::default()), Arc::new(Notify::new()));
        crate::ingest::repair(&storage, &counts, NOW).await.unwrap();
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let (ingest, task) = Ingest::new(storage.clone(), Clock::new(), counts.clone(), definitions.clone());
        supervisor.spawn("ingest", Rule::Passing, task.run(supervisor.stop_signal()));
        Running { storage, ingest, counts, definitions, supervisor }
    }

    pub(crate) async fn stop(self) {
        self.supervisor.stop();
        assert_eq!(self.supervisor.wait_for_ends(0, std::time::Duration::from_secs(10)).await, 0);
        self.storage.close().await;
    }
}

pub(crate) const fn lane(epoch: u64, class: Class) -> Lane {
    Lane { epoch: LogEpoch(epoch), class }
}
