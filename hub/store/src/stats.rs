//! The log in numbers.

use hub_model::Class;

use crate::disk::meter::{Meter, Written};
use crate::shared::{Shared, get};

/// Counts since the log was opened, and gauges of now. Bytes are as handed to the file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Commits synced.
    pub commits: u64,
    /// WAL files given up after a failed write or sync.
    pub commit_failures: u64,
    /// Bytes of the commits, with file headers, padding and repeated definitions.
    pub wal_bytes: u64,
    /// Everything written, by kind of file, opening included.
    pub written: Written,
    /// WAL files there are.
    pub wal_files: u64,
    /// How much of these files is taken until blocks are written, of 100.
    pub wal_used_percent: u64,
    /// Bytes waiting for a commit.
    pub pending_bytes: u64,
    /// Records committed.
    pub records: u64,
    /// QoS 1 resends recognised.
    pub duplicates: u64,
    /// Seals written.
    pub seals: u64,
    /// Seals that failed and were tried again.
    pub seal_failures: u64,
    /// Blocks sealed.
    pub blocks_sealed: u64,
    /// Bytes of these blocks.
    pub block_bytes_sealed: u64,
    /// Records in these blocks.
    pub records_sealed: u64,
    /// Blocks evicted for the quota.
    pub blocks_evicted: u64,
    /// Bytes of these blocks.
    pub block_bytes_evicted: u64,
    /// Blocks taken out for the quota that central had: no loss.
    pub blocks_expired: u64,
    /// Bytes of these blocks.
    pub block_bytes_expired: u64,
    /// Places where acknowledged bytes went bad, found at start, while sealing or while sending.
    pub damaged: u64,
    /// Damaged blocks met by queries.
    pub damaged_reads: u64,
    /// Damaged blocks that became gap rows when they were to be sent.
    pub quarantined: u64,
    /// Older damaged blocks whose bytes were given up for newer ones.
    pub quarantine_dropped: u64,
    /// Bytes of all blocks held now.
    pub block_bytes_held: u64,
    /// Records in the WAL that are in no block yet.
    pub tail_records: u64,
    /// Since when commits fail and acknowledgements are withheld, in ms of the log's clock; 0 while they work. A moment
    /// is normal under load; seconds mean a full or failing disk.
    pub blocked_since_ms: u64,
    /// Since when samples are held back because what is left of the WAL is for alarms, events and definitions, in ms of
    /// the log's clock; 0 while they are taken. A moment is normal under load.
    pub held_since_ms: u64,
    /// Since when one commit waits for the disk, in ms of the log's clock; 0 while none does. Some ms are normal; seconds
    /// mean a disk that stalls.
    pub writing_since_ms: u64,
}

impl LogStats {
    pub(crate) fn of(shared: &Shared, meter: &Meter) -> LogStats {
        let c = &shared.counters;
        let tail = shared.tail();
        let tail_records = Class::ALL.into_iter().map(|class| tail.records(class)).sum();
        LogStats {
            commits: get(&c.commits),
            commit_failures: get(&c.commit_failures),
            wal_bytes: get(&c.wal_bytes),
            written: meter.written(),
            wal_files: get(&c.wal_files),
            wal_used_percent: get(&c.wal_used_percent),
            pending_bytes: get(&c.pending_bytes),
            records: get(&c.records),
            duplicates: get(&c.duplicates),
            seals: get(&c.seals),
            seal_failures: get(&c.seal_failures),
            blocks_sealed: get(&c.blocks_sealed),
            block_bytes_sealed: get(&c.block_bytes_sealed),
            records_sealed: get(&c.records_sealed),
            blocks_evicted: get(&c.blocks_evicted),
            block_bytes_evicted: get(&c.block_bytes_evicted),
            blocks_expired: get(&c.blocks_expired),
            block_bytes_expired: get(&c.block_bytes_expired),
            damaged: get(&c.damaged),
            damaged_reads: get(&c.damaged_reads),
            quarantined: get(&c.quarantined),
            quarantine_dropped: get(&c.quarantine_dropped),
            block_bytes_held: get(&c.block_bytes_held),
            tail_records,
            blocked_since_ms: get(&c.blocked_since_ms),
            held_since_ms: get(&c.held_since_ms),
            writing_since_ms: get(&c.writing_since_ms),
        }
    }
}
