//! After a failed sync: the kernel shows what was written and calls it clean, although part of it never reached the
//! flash. A later sync does not write it either, and the next process on this machine reads the same pretence.
//!
//! So the process that sees a sync fail leaves a file named [`MARKER`], and whoever opens the log next writes every
//! byte anew before believing any. The marker need not be durable: a power cut takes it away together with the page
//! cache it warns of.

use std::io;

use super::{Disk, DiskFile};

/// The name of the marker.
pub(crate) const MARKER: &str = "sync-failed";
const CHUNK: u64 = 256 * 1024;

/// Syncs a file. When that fails, leaves the marker before it says so (best effort, for the disk is failing).
pub(crate) fn sync(disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<()> {
    let synced = file.sync_data();
    if synced.is_err()
        && let Err(error) = disk.open(MARKER)
    {
        tracing::error!(%error, "a sync failed, and the marker for the next start could not be left");
    }
    synced
}

/// Writes anew what an earlier process could not sync, if it left the marker.
pub(crate) fn heal(disk: &dyn Disk) -> io::Result<bool> {
    let names = disk.list()?;
    if !names.iter().any(|n| n == MARKER) {
        return Ok(false);
    }
    for name in names.iter().filter(|n| *n != MARKER) {
        rewrite(disk, name)?;
    }
    disk.remove(MARKER)?;
    disk.sync_dir()?;
    Ok(true)
}

/// Writes every byte of a file anew and syncs it.
pub(crate) fn rewrite(disk: &dyn Disk, name: &str) -> io::Result<()> {
    tracing::warn!(file = name, "a sync had failed: the file is written anew, every byte of it");
    let file = disk.open(name)?;
    let size = file.size()?;
    let mut at = 0;
    while at < size {
        let mut chunk = vec![0; usize::try_from(CHUNK.min(size - at)).unwrap_or_default()];
        file.read_at(at, &mut chunk)?;
        file.write_at(at, &chunk)?;
        at += chunk.len() as u64;
    }
    sync(disk, file.as_ref())
}
