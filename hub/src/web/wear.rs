//! What is written to flash, as status and `/metrics` tell it. The pace is decided in [`crate::wear`].

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use hub_chassis::metrics::{MetricRow, float};
use rustix::fs::{major, minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::Api;
use crate::wear::{Mark, Pace, Wear, wait_ms};

/// What the broker calls the bytes it wrote to its sessions' file.
const SESSION_BYTES: &str = "relais_mqtt_session_store_written_bytes_total";

/// What is written to flash. Bytes are as handed to the file system.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct WearStatus {
    /// Bytes the hub wrote since start, the opening of its files included.
    pub written_bytes: u64,
    /// Of these, to the write-ahead log: page headers, padding, repeated definitions, and the zeros of new files.
    pub wal_bytes: u64,
    /// To the tables that hold the blocks.
    pub tables_bytes: u64,
    /// To the broker's sessions.
    pub sessions_bytes: u64,
    /// Over how long the pace below was measured: at most a day. Null while no pace is told.
    #[schema(required)]
    pub measured_s: Option<u64>,
    /// How long after the start a pace is told: `storage.seal_after`, at least five minutes.
    pub told_after_s: u64,
    /// Bytes the hub writes in a day.
    #[schema(required)]
    pub bytes_per_day: Option<u64>,
    /// Bytes the hub writes for each reading; null also where there were no readings.
    #[schema(required)]
    pub bytes_per_reading: Option<f64>,
    /// Bytes that everything on this machine writes in a day to the disk that `storage.dir` is on, by the disk's own
    /// count; null where there is no such count (tmpfs, overlay, some network disks).
    #[schema(required)]
    pub machine_bytes_per_day: Option<u64>,
}

impl Api {
    /// The pace is measured from now on.
    pub fn begin_wear(&self) {
        let begun = Wear::new(self.clock.now().mono_ms, self.wear_mark());
        self.lock_wear().get_or_insert(begun);
    }

    /// Takes a sample.
    pub(super) fn note_wear(&self) {
        let mark = self.wear_mark();
        if let Some(wear) = self.lock_wear().as_mut() {
            wear.note(self.clock.now().mono_ms, mark);
        }
    }

    pub(super) fn wear_status(&self) -> WearStatus {
        let written = self.log.stats().written;
        let (gather_ms, pace) = (self.gather_ms(), self.wear_pace());
        WearStatus {
            written_bytes: self.written_bytes(),
            wal_bytes: written.wal.bytes,
            tables_bytes: written.tables.bytes,
            sessions_bytes: self.session_bytes(),
            measured_s: pace.map(|pace| pace.span_ms / 1_000),
            told_after_s: wait_ms(gather_ms) / 1_000,
            bytes_per_day: pace.map(|pace| pace.bytes_per_day),
            bytes_per_reading: pace
                .and_then(|pace| pace.tenths_per_reading)
                .map(|tenths| float(tenths) / 10.0),
            machine_bytes_per_day: pace.and_then(|pace| pace.machine_bytes_per_day),
        }
    }

    pub(super) fn wear_metrics(&self) -> Vec<MetricRow> {
        let written = self.log.stats().written;
        let row = |file: &str, bytes| {
            let help = "Bytes handed to the file system since start, by file: what wears the flash.";
            MetricRow::counter("relais_storage_written_bytes_total", help, bytes).label("file", file)
        };
        let syncs = |file: &str, count| {
            let help = "How often the disk was asked to finish what was written, by file.";
            MetricRow::counter("relais_storage_syncs_total", help, count).label("file", file)
        };
        let mut rows = vec![
            row("wal", written.wal.bytes),
            row("tables", written.tables.bytes),
            row("sessions", self.session_bytes()),
            row("other", written.other.bytes),
            syncs("wal", written.wal.syncs),
            syncs("tables", written.tables.syncs),
            syncs("other", written.other.syncs),
        ];
        if let Some(bytes) = machine_bytes(&self.facts.storage_dir) {
            let help = "Bytes everything on this machine wrote to the disk of storage.dir since the machine started.";
            rows.push(MetricRow::counter("relais_machine_disk_written_bytes_total", help, bytes));
        }
        if let Some(pace) = self.wear_pace() {
            let per_day = |name, help, bytes| MetricRow::gauge(name, help, bytes);
            let help = "Bytes the hub writes in a day, at the pace of the last 24 h or since start.";
            rows.push(per_day("relais_wear_bytes_per_day", help, pace.bytes_per_day));
            if let Some(tenths) = pace.tenths_per_reading {
                let help = "Bytes the hub writes for each reading, over the same time.";
                let mut row = MetricRow::gauge("relais_wear_bytes_per_reading", help, 0);
                row.value = float(tenths) / 10.0;
                rows.push(row);
            }
        }
        rows
    }

    fn wear_pace(&self) -> Option<Pace> {
        let (now_ms, mark) = (self.clock.now().mono_ms, self.wear_mark());
        self.lock_wear().as_ref()?.pace(now_ms, mark, self.gather_ms())
    }

    fn wear_mark(&self) -> Mark {
        Mark {
            bytes: self.written_bytes(),
            readings: self.registry.lock().counts().samples,
            machine_bytes: machine_bytes(&self.facts.storage_dir),
        }
    }

    fn written_bytes(&self) -> u64 {
        self.log.stats().written.bytes() + self.session_bytes()
    }

    fn session_bytes(&self) -> u64 {
        let rows = self.metric_sources.iter().flat_map(|source| source());
        rows.filter(|row| row.name == SESSION_BYTES).map(|row| row.count()).sum()
    }

    fn lock_wear(&self) -> MutexGuard<'_, Option<Wear>> {
        self.wear.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kernel counted for the block device (or the partition) that a folder is on, since the machine started. `None`
/// where there is no device below.
fn machine_bytes(folder: &Path) -> Option<u64> {
    let device = fs::metadata(folder).ok()?.dev();
    let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
    sectors_written(&fs::read_to_string(stat).ok()?)?.checked_mul(512)
}

/// The seventh field of a device's `stat`: sectors of 512 bytes, whatever the device's own are.
fn sectors_written(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disks_own_count_is_read_where_there_is_one() {
        let stat = "  123 4 5678 90 11 12 1314 15 0 16 17 0 0 0 0 0 0\n";
        assert_eq!(sectors_written(stat), Some(1314));
        assert_eq!(sectors_written("1 2 3"), None);
        assert_eq!(machine_bytes(Path::new("/proc")), None, "nothing is written there");
    }
}
