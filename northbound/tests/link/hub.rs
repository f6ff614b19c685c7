//! A hub of tests: a log in memory, a folder, clocks that can be set, and the real link.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use northbound::{
    BoxedTask, Clocks, Content, EndpointName, HeldClass, HubRun, Item, Link, LinkConfig, LinkParts,
    LinkState, LinkStatus, Outbox, OutboxError, Recheck, Spawn, Timing,
};
use northbound_trust::TimeSource;
use northbound_wire::ClaimToken;
use tokio::sync::watch;

use crate::central::{NOW, spawn};

pub(crate) const HUB: HubId = HubId::from_bytes([3; 16]);
pub(crate) const EPOCH: LogEpoch = LogEpoch(7);

/// Long enough for a busy machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// In a hurry.
pub(crate) fn timing() -> Timing {
    Timing {
        resolve: Duration::from_secs(2),
        connect: Duration::from_millis(700),
        answer: Duration::from_millis(1_500),
        retry_min: Duration::from_millis(50),
        retry_max: Duration::from_millis(200),
        settled: Duration::from_millis(50),
        fail_back: Duration::from_millis(1_200),
        fail_back_max: Duration::from_secs(5),
        confirm: Duration::from_millis(100),
        token_poll: Duration::from_millis(50),
        renew_retry: Duration::from_millis(500),
        keep_alive: Duration::from_secs(1),
        idle: Duration::from_secs(3),
    }
}

#[derive(Default)]
struct Lane {
    items: BTreeMap<u64, (u64, Content)>,
    next: u64,
    confirmed: RangeSet,
}

/// A log in memory.
pub(crate) struct Log {
    lanes: Mutex<BTreeMap<Class, Lane>>,
    changed: watch::Sender<u64>,
    pub(crate) writes: AtomicU64,
    pub(crate) rechecks: AtomicU64,
    /// Fails this many times.
    pub(crate) fails: AtomicU32,
}

impl Log {
    fn new() -> Arc<Log> {
        let lanes = Class::ALL.into_iter().map(|class| (class, Lane::default())).collect();
        Arc::new(Log {
            lanes: Mutex::new(lanes),
            changed: watch::Sender::new(0),
            writes: AtomicU64::new(0),
            rechecks: AtomicU64::new(0),
            fails: AtomicU32::new(0),
        })
    }

    /// Seals blocks of ten records and `bytes` bytes.
    pub(crate) fn seal(&self, class: Class, blocks: u64, bytes: usize) {
        self.put(class, blocks, || Content::Block(vec![class.number(); bytes]));
    }

    /// Seals a run of ten records that are gone.
    pub(crate) fn lose(&self, class: Class) {
        let until = BootStamp { boot: BootId::from_bytes([4; 16]), mono_ms: 1 };
        self.put(class, 1, || Content::Gap { cause: GapCause::Evicted, since: None, until });
    }

    fn put(&self, class: Class, count: u64, content: impl Fn() -> Content) {
        let mut lanes = self.lanes.lock().unwrap();
        let lane = lanes.get_mut(&class).unwrap();
        for _ in 0..count {
            lane.items.insert(lane.next, (lane.next + 10, content()));
            lane.next += 10;
        }
        drop(lanes);
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn confirmed(&self, class: Class) -> u64 {
        self.lanes.lock().unwrap()[&class].confirmed.len()
    }

    fn fail(&self) -> Result<(), OutboxError> {
        let left = self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { Err(OutboxError("as told".into())) } else { Ok(()) }
    }
}

impl Outbox for Log {
    fn epoch(&self) -> LogEpoch {
        EPOCH
    }

    fn held(&self) -> Result<Vec<HeldClass>, OutboxError> {
        let lanes = self.lanes.lock().unwrap();
        let held = |(class, lane): (&Class, &Lane)| HeldClass {
            class: *class,
            first: 0,
            next: lane.next,
            confirmed: lane.confirmed.clone(),
        };
        Ok(lanes.iter().map(held).collect())
    }

    fn items(&self, class: Class, wanted: SeqRange, bytes_max: usize) -> Result<Vec<Item>, OutboxError> {
        self.fail()?;
        let lanes = self.lanes.lock().unwrap();
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (from, (to, content)) in lanes[&class].items.range(wanted.from / 10 * 10..wanted.to) {
            if let Content::Block(block) = content {
                bytes += block.len();
            }
            if bytes > bytes_max && !items.is_empty() {
                break;
            }
            items.push(Item {
                range: SeqRange::new(*from, *to),
                content: content.clone(),
                zero_gaps: Vec::new(),
            });
        }
        Ok(items)
    }

    fn begin_run(&self) -> Result<Vec<HubRun>, OutboxError> {
        Ok(vec![HubRun { epoch: EPOCH, token: 1, starts: [0; 7] }])
    }

    fn confirm(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError> {
        self.fail()?;
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut lanes = self.lanes.lock().unwrap();
        for (class, set) in confirmed {
            lanes.get_mut(class).unwrap().confirmed.extend_from(set);
        }
        Ok(())
    }

    fn replace_confirmed(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError> {
        let mut lanes = self.lanes.lock().unwrap();
        for (class, set) in confirmed {
            lanes.get_mut(class).unwrap().confirmed = set.clone();
        }
        Ok(())
    }

    fn recheck(&self, _class: Class, _range: SeqRange) -> Result<Recheck, OutboxError> {
        self.rechecks.fetch_add(1, Ordering::Relaxed);
        Ok(Recheck::Good)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

struct TestSpawn;

impl Spawn for TestSpawn {
    fn spawn(&self, _name: &'static str, task: BoxedTask) {
        spawn(task);
    }
}

/// A hub.
pub(crate) struct Hub {
    pub(crate) dir: PathBuf,
    pub(crate) log: Arc<Log>,
    pub(crate) utc_ms: Arc<AtomicI64>,
    pub(crate) link: Link,
    pub(crate) status: watch::Receiver<LinkStatus>,
    stop: watch::Sender<bool>,
}

impl Hub {
    /// A hub that knows these addresses and, if given, a token.
    pub(crate) fn start(endpoints: &[String], token: Option<ClaimToken>) -> Hub {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("relais-link-{}-{number}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir(&dir).unwrap();
        if let Some(token) = token {
            std::fs::write(dir.join("token"), token.reveal() + "\n").unwrap();
        }
        Hub::start_in(dir, Log::new(), endpoints)
    }

    /// The same hub after a restart.
    pub(crate) fn start_in(dir: PathBuf, log: Arc<Log>, endpoints: &[String]) -> Hub {
        let endpoints = endpoints.iter().map(|text| text.parse::<EndpointName>().unwrap()).collect();
        let config = LinkConfig {
            endpoints,
            identity_dir: dir.join("north"),
            token_file: Some(dir.join("token")),
            hub: HUB,
            boot: BootId::from_bytes([4; 16]),
            program: "test".into(),
            seed: 5,
            timing: timing(),
        };
        let utc_ms = Arc::new(AtomicI64::new(NOW.0));
        let (utc, start) = (Arc::clone(&utc_ms), instant());
        let clocks = Clocks {
            mono_ms: Arc::new(move || u64::try_from((instant() - start).as_millis()).unwrap()),
            utc: TimeSource::new(move || UtcMs(utc.load(Ordering::Relaxed))),
        };
        let (stop, stopping) = watch::channel(false);
        let parts = LinkParts { outbox: log.clone(), spawn: Arc::new(TestSpawn), clocks, stop: stopping };
        let link = Link::new(config, parts);
        let (running, status) = (link.clone(), link.status());
        spawn(async move { running.run().await });
        Hub { dir, log, utc_ms, link, status, stop }
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl FnMut(&LinkStatus) -> bool) -> LinkStatus {
        let found = tokio::time::timeout(PATIENCE, self.status.wait_for(wanted)).await;
        let found = found.map(|found| found.unwrap().clone());
        found.unwrap_or_else(|_| panic!("never {what}: {:#?}", self.status.borrow()))
    }

    pub(crate) async fn connected(&mut self) -> LinkStatus {
        self.until("connected", LinkStatus::is_connected).await
    }

    /// Waits for words among those the link shows.
    pub(crate) async fn says(&mut self, words: &str) -> LinkStatus {
        self.until(words, |status| shown(status).contains(words)).await
    }

    /// Stops in order, and keeps the folder.
    pub(crate) async fn stop(mut self) -> (PathBuf, Arc<Log>) {
        self.stop.send_replace(true);
        self.until("off", |status| status.state == LinkState::Off).await;
        (std::mem::take(&mut self.dir), self.log.clone())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if !self.dir.as_os_str().is_empty() {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

/// What a person reads.
pub(crate) fn shown(status: &LinkStatus) -> String {
    match &status.state {
        LinkState::Off => "off".into(),
        LinkState::NotEnrolled { why } => why.clone(),
        LinkState::Connecting { last, .. } => {
            last.as_ref().map(|last| format!("{}: {}", last.endpoint, last.what)).unwrap_or_default()
        }
        LinkState::Connected { .. } => "connected".into(),
        LinkState::Refused { detail, .. } => detail.clone(),
    }
}

/// Waits until something is true.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = instant() + PATIENCE;
    while !is_true() {
        assert!(instant() < end, "never {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the shell of a test reads the real clock")]
    Instant::now()
}
