//! The log as the rest of the hub uses it: a handle in front of a writer thread and a sealer thread.
//!
//! The writer owns the core and is the only one that commits; the sealer encodes blocks and writes the tables beside
//! it. Appends wait for room (their bytes are bounded), then for their commit.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hub_model::{BootStamp, Class, HubId, LogEpoch};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::append::{Append, AppendError, RefusedAppend, Stored};
use crate::catalog::Catalog;
use crate::disk::meter::{Meter, MeteredDisk};
use crate::disk::{Disk, RealDisk};
use crate::log::{CoreConfig, Log};
use crate::open::{OpenContext, OpenError, Recovery, open_core};
use crate::outbox::Outbox;
use crate::queue::{Entry, Room, WAITING_MAX};
use crate::reader::Reader;
use crate::sealer::Sealer;
use crate::shared::Shared;
use crate::stats::LogStats;
use crate::wal::group::LazyWait;
use crate::writer::{Message, Writer};

/// Numbers reserved ahead with each seal, which comes long before so many are used up: a WAL of 8 MiB files holds some
/// 3 million of the shortest samples, and a class seals at 16,384.
const RESERVE: u64 = 1 << 22;

/// Settings of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Size of a WAL file in bytes. Smaller wears the flash more with repeated definitions; two such files are
    /// allocated at once. Files of another size are used up and then made anew. Default 8 MiB, at least 256 KiB.
    pub wal_file_bytes: u64,
    /// How long telemetry waits for company in its block. Default 15 min.
    pub seal_after: Duration,
    /// How many bytes of blocks are kept; at 90 % the oldest go, until 85 %. Default 8 GiB.
    pub quota_bytes: u64,
    /// Whether samples that nobody waits for stay in memory for up to 5 s instead of 1 s, so that fewer pages are
    /// written. A power cut costs so much more of them. Default false.
    pub wear_saver: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            wal_file_bytes: 8 * 1024 * 1024,
            seal_after: Duration::from_secs(15 * 60),
            quota_bytes: 8 * 1024 * 1024 * 1024,
            wear_saver: false,
        }
    }
}

/// What may change while a log is open. See [`LogConfig`] for the meaning and the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// How long telemetry waits for company in its block.
    pub seal_after: Duration,
    /// How many bytes of blocks are kept.
    pub quota_bytes: u64,
    /// Whether samples that nobody waits for stay in memory longer.
    pub wear_saver: bool,
}

/// The hub's monotonic clock.
pub type Clock = Arc<dyn Fn() -> BootStamp + Send + Sync>;

/// Opens the log in `dir` (made with mode 0700 when missing) and starts its threads.
pub fn open(
    dir: &Path,
    config: LogConfig,
    context: &OpenContext,
    clock: Clock,
) -> Result<(LogHandle, Recovery), OpenError> {
    let disk = RealDisk::open(dir)?.ok_or_else(|| OpenError::Locked { dir: dir.display().to_string() })?;
    open_on(Arc::new(disk), config, context, clock)
}

/// [`open`] on any disk.
pub fn open_on(
    disk: Arc<dyn Disk>,
    config: LogConfig,
    context: &OpenContext,
    clock: Clock,
) -> Result<(LogHandle, Recovery), OpenError> {
    let core = CoreConfig {
        wal_file_bytes: config.wal_file_bytes.max(256 * 1024).next_multiple_of(4096),
        seal_after_ms: seal_after_ms(config.seal_after),
        quota_bytes: config.quota_bytes,
        reserve: RESERVE,
    };
    let began = clock();
    let (disk, meter) = MeteredDisk::new(disk);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (log, mut recovery) = open_core(&disk, core, context)?;
    recovery.duration = Duration::from_millis(clock().mono_ms.saturating_sub(began.mono_ms));
    let lazy_wait = LazyWait::of(config.wear_saver);
    Ok((LogHandle::start(log, core, lazy_wait, meter, clock)?, recovery))
}

/// A running log. Clones share it; it stops with [`LogHandle::close`], or unclean when the last clone goes.
#[derive(Clone, Debug)]
pub struct LogHandle {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    clock: Clock,
    inbox: SyncSender<Message>,
    room: Room,
    meter: Arc<Meter>,
    fatal: watch::Receiver<Option<String>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// As it was when the log was opened; what changed since is in `changed`.
    config: CoreConfig,
    changed: Arc<Changed>,
}

/// The limits in force, for those that are not told by a message.
#[derive(Debug)]
pub(crate) struct Changed {
    seal_after_ms: AtomicU64,
    quota_bytes: AtomicU64,
}

impl Changed {
    pub(crate) fn quota_bytes(&self) -> u64 {
        self.quota_bytes.load(Ordering::Relaxed)
    }
}

fn seal_after_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 2)
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

/// The promise of an append: resolves after its fsync.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Stored, AppendError>>);

impl Receipt {
    /// Waits for the commit.
    pub async fn stored(self) -> Result<Stored, AppendError> {
        self.0.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Waits for the commit, on a thread that may block.
    pub fn wait(self) -> Result<Stored, AppendError> {
        self.0.blocking_recv().unwrap_or(Err(AppendError::Closed))
    }
}

/// Why a log did not close in order. What was acknowledged is safe all the same.
#[derive(Debug, Error)]
pub enum CloseError {
    /// The writer had stopped before.
    #[error("close the log: its writer had stopped")]
    Stopped,
    /// The last commit failed.
    #[error("close the log: {0}")]
    Commit(String),
}

/// Why not everything was sealed. What was acknowledged is safe all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The log is closed, or its writer has stopped.
    #[error("seal: the log has stopped")]
    Stopped,
}

/// Blocks cannot be written: the log goes on in the WAL until that is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealTrouble {
    /// Since when, in ms of the log's clock.
    pub since_ms: u64,
    /// What is wrong, as a clause for people.
    pub why: String,
}

impl LogHandle {
    fn start(
        log: Log,
        config: CoreConfig,
        lazy_wait: LazyWait,
        meter: Arc<Meter>,
        clock: Clock,
    ) -> Result<LogHandle, OpenError> {
        let shared = log.shared();
        let (inbox, messages) = sync_channel(WAITING_MAX + 16);
        let (plans, plans_in) = sync_channel(1);
        let (fatal_out, fatal) = watch::channel(None);
        let room = Room::default();
        let changed = Arc::new(Changed {
            seal_after_ms: AtomicU64::new(config.seal_after_ms),
            quota_bytes: AtomicU64::new(config.quota_bytes),
        });
        let sealer = {
            let (shared, inbox, fatal) = (Arc::clone(&shared), inbox.clone(), fatal_out.clone());
            let sealer_room = room.clone();
            let sealer = Sealer::new(shared, plans_in, inbox, Arc::clone(&changed), Arc::clone(&clock));
            spawn("log-sealer", move || sealer.run(&fatal, &sealer_room))?
        };
        let writer = {
            let writer = Writer::new(log, plans, Arc::clone(&clock), fatal_out, room.clone(), lazy_wait);
            let messages: Receiver<Message> = messages;
            spawn("log-writer", move || writer.run(&messages))?
        };
        let threads = Mutex::new(vec![writer, sealer]);
        let inner = Inner { shared, clock, inbox, room, meter, fatal, threads, config, changed };
        Ok(LogHandle { inner: Arc::new(inner) })
    }

    /// Hands an append over, as soon as there is room. Appends of one caller are stored in the order of the calls; but
    /// while the rest of the WAL is kept for them, those with events or definitions pass those with samples alone
    /// ([`LogStats::held_since_ms`]).
    pub async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        append.check(self.inner.shared.boot)?;
        let (weight, max) = (append.weight(), self.inner.config.commit_bytes_max());
        if weight > max {
            return Err(RefusedAppend::TooLarge { found: weight, max }.into());
        }
        let room = self.inner.room.take(append.is_precious(), weight).await?;
        let (done, receipt) = oneshot::channel();
        let entry = Entry { append: Box::new(append), weight, done, room };
        // One permit at least per append and more places in the inbox than permits: this never blocks.
        self.inner.inbox.send(Message::Append(entry)).map_err(|_| AppendError::Closed)?;
        Ok(Receipt(receipt))
    }

    /// [`LogHandle::append`] on a thread that may block.
    pub fn append_blocking(&self, append: Append) -> Result<Receipt, AppendError> {
        block_on(self.append(append))
    }

    /// Commits what is pending and seals everything there is now, for tests and before an orderly end; waits for it,
    /// also while the disk refuses.
    pub async fn seal_now(&self) -> Result<(), SealError> {
        self.ask_seal()?.await.map_err(|_| SealError::Stopped)
    }

    /// [`LogHandle::seal_now`] on a thread that may block.
    pub fn seal_now_blocking(&self) -> Result<(), SealError> {
        self.ask_seal()?.blocking_recv().map_err(|_| SealError::Stopped)
    }

    fn ask_seal(&self) -> Result<oneshot::Receiver<()>, SealError> {
        let (done, sealed) = oneshot::channel();
        self.inner.inbox.send(Message::SealNow(done)).map_err(|_| SealError::Stopped)?;
        Ok(sealed)
    }

    /// Puts other limits in force. What waits is sealed at once, and what is too much for a smaller quota is evicted
    /// behind it; where nothing waits, with the next block. May block for a moment when the log is busy.
    pub fn change(&self, limits: LogLimits) {
        let seal_after_ms = seal_after_ms(limits.seal_after);
        self.inner.changed.seal_after_ms.store(seal_after_ms, Ordering::Relaxed);
        self.inner.changed.quota_bytes.store(limits.quota_bytes, Ordering::Relaxed);
        let lazy_wait = LazyWait::of(limits.wear_saver);
        if self.inner.inbox.send(Message::Change { seal_after_ms, lazy_wait }).is_err() {
            tracing::debug!("limits are changed after the log was closed");
        }
    }

    /// A persistent session is gone: its marks need not be known any more.
    pub fn forget_session(&self, incarnation: u64) {
        if self.inner.inbox.send(Message::Forget(incarnation)).is_err() {
            tracing::debug!("a session is forgotten after the log was closed");
        }
    }

    /// A view for queries.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.inner.shared))
    }

    /// The side for the sync with central.
    pub fn outbox(&self) -> Outbox {
        Outbox::new(Arc::clone(&self.inner.shared), Arc::clone(&self.inner.clock))
    }

    /// A copy of all definitions.
    pub fn catalog(&self) -> Catalog {
        self.reader().catalog()
    }

    /// Whose log this is.
    pub fn hub(&self) -> HubId {
        self.inner.shared.hub
    }

    /// Which life of it.
    pub fn epoch(&self) -> LogEpoch {
        self.inner.shared.epoch
    }

    /// Becomes `Some(reason)` when the writer has stopped for good.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.inner.fatal.clone()
    }

    /// Asks the writer for a sign of life and waits for it: it comes at once, also while the disk refuses every write, but
    /// not while one write takes its time ([`LogStats::writing_since_ms`]). False: the writer has stopped, or so many
    /// questions wait already that it must hang.
    pub async fn writer_answers(&self) -> bool {
        let (done, answered) = oneshot::channel();
        self.inner.inbox.try_send(Message::Ping(done)).is_ok() && answered.await.is_ok()
    }

    /// Counts and gauges, cheap.
    pub fn stats(&self) -> LogStats {
        LogStats::of(&self.inner.shared, &self.inner.meter)
    }

    /// Why blocks cannot be written, while they cannot. What is committed is safe in the WAL all the same.
    pub fn seal_trouble(&self) -> Option<SealTrouble> {
        self.inner.shared.seal_trouble().clone()
    }

    /// Records that should be in a block by now and are not, because blocks cannot be written.
    pub fn overdue_records(&self) -> u64 {
        if self.seal_trouble().is_none() {
            return 0;
        }
        let now = (self.inner.clock)();
        let tail = self.inner.shared.tail();
        let seal_after_ms = self.inner.changed.seal_after_ms.load(Ordering::Relaxed);
        let config = CoreConfig { seal_after_ms, ..self.inner.config };
        let overdue = |class: Class| {
            let before_ms = now.mono_ms.saturating_sub(config.seal_wait_ms(class));
            let frames = tail.frames(class);
            let old = frames.filter(|f| f.base.boot != now.boot || f.base.mono_ms <= before_ms);
            old.map(|f| f.range.len()).sum::<u64>()
        };
        Class::ALL.into_iter().map(overdue).sum()
    }

    /// Commits what is pending, marks the log as closed in order and stops its threads. Blocks for one commit, and for
    /// a seal that is under way.
    pub fn close(&self) -> Result<(), CloseError> {
        let (done, closed) = oneshot::channel();
        self.inner.inbox.send(Message::Close(done)).map_err(|_| CloseError::Stopped)?;
        let result = closed.blocking_recv().map_err(|_| CloseError::Stopped)?;
        self.inner.room.close();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
        result.map_err(CloseError::Commit)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The sealer holds an inbox too, so the writer would not notice by itself. After a close it is gone already.
        if self.inbox.send(Message::Abandon).is_err() {
            tracing::trace!("the log was closed before");
        }
    }
}

/// Waits for a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(OpenError::Thread)
}
