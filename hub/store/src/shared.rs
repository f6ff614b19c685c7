//! What the writer, the sealer and the readers share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use hub_model::{BootId, Class, HubId, LogEpoch, SeqRange};
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::handle::SealTrouble;
use crate::table::Tables;
use crate::tail::Tail;

/// Damaged blocks that are remembered for people; a disk with more of them is told in time.
const DAMAGED_SEEN_MAX: usize = 1024;

/// Shared by reference; each lock guards a few synchronous lines.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) boot: BootId,
    pub(crate) tables: Tables,
    tail: Mutex<Tail>,
    catalog: RwLock<Catalog>,
    /// Set while blocks cannot be written.
    seal_trouble: Mutex<Option<SealTrouble>>,
    /// Blocks that readers met damaged, by where they begin: at most [`DAMAGED_SEEN_MAX`].
    damaged_seen: Mutex<BTreeMap<(Class, u64), SeqRange>>,
    pub(crate) counters: Counters,
    /// Raised whenever the tables have something else to send.
    pub(crate) changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(
        hub: HubId,
        epoch: LogEpoch,
        boot: BootId,
        tables: Tables,
        tail: Tail,
        catalog: Catalog,
    ) -> Shared {
        let (tail, catalog) = (Mutex::new(tail), RwLock::new(catalog));
        Shared {
            hub,
            epoch,
            boot,
            tables,
            tail,
            catalog,
            seal_trouble: Mutex::new(None),
            damaged_seen: Mutex::new(BTreeMap::new()),
            counters: Counters::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Says that the tables have something else to send.
    pub(crate) fn bump(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        // Every change to the tail is made of steps that cannot panic half-way, so a poisoned lock still guards a
        // tail that is whole.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why blocks cannot be written, while they cannot.
    pub(crate) fn seal_trouble(&self) -> MutexGuard<'_, Option<SealTrouble>> {
        self.seal_trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader met a block that does not decode.
    pub(crate) fn note_damaged(&self, class: Class, range: SeqRange) {
        add(&self.counters.damaged_reads, 1);
        let mut seen = self.damaged_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < DAMAGED_SEEN_MAX {
            seen.insert((class, range.from), range);
        }
    }

    /// Blocks that readers met damaged.
    pub(crate) fn damaged_seen(&self) -> Vec<(Class, SeqRange)> {
        let seen = self.damaged_seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|((class, _), range)| (*class, *range)).collect()
    }

    pub(crate) fn with_catalog<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) {
        change(&mut self.catalog.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Counts since the log was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) commit_failures: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) wal_files: AtomicU64,
    /// How much of the WAL is taken until the next seal, of 100.
    pub(crate) wal_used_percent: AtomicU64,
    pub(crate) pending_bytes: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) seals: AtomicU64,
    pub(crate) seal_failures: AtomicU64,
    pub(crate) blocks_sealed: AtomicU64,
    pub(crate) block_bytes_sealed: AtomicU64,
    pub(crate) records_sealed: AtomicU64,
    pub(crate) blocks_evicted: AtomicU64,
    pub(crate) block_bytes_evicted: AtomicU64,
    pub(crate) blocks_expired: AtomicU64,
    pub(crate) block_bytes_expired: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) damaged_reads: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) quarantine_dropped: AtomicU64,
    /// Bytes of the blocks now in the tables.
    pub(crate) block_bytes_held: AtomicU64,
    /// Monotonic ms since which no commit has worked; 0 while they do.
    pub(crate) blocked_since_ms: AtomicU64,
    /// Monotonic ms since which samples are held back; 0 while they are taken.
    pub(crate) held_since_ms: AtomicU64,
    /// Monotonic ms since which the writer waits for the disk; 0 while it does not.
    pub(crate) writing_since_ms: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Lowers a gauge that others change too; never below 0.
pub(crate) fn sub(gauge: &AtomicU64, by: u64) {
    let lower = |held: u64| Some(held.saturating_sub(by));
    // It never refuses: `lower` always has a value.
    gauge.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower).ok();
}

pub(crate) fn set(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
