//! Doors for fuzzers: every decoder of bytes from disk. Each takes anything and must neither panic nor hang.

use std::sync::Arc;

use hub_model::{BootId, BootStamp, HubId, LogEpoch};

use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::field::Reader;
use crate::record::{Base, read_definition, read_event, read_sample};
use crate::wal::recovery::recover;
use crate::wal::{Sealed, WalConfig};

/// Size of the WAL file that [`wal_recovery`] reads.
pub const WAL_BYTES: usize = 64 * 1024;

/// A block as it would come from the tables or a peer.
pub fn block(bytes: &[u8]) {
    if let Ok((header, records)) = crate::block::decode(bytes) {
        assert_eq!(records.len() as u64, header.range.len(), "a block that decodes is whole");
    }
}

/// Records outside any frame.
pub fn records(bytes: &[u8]) {
    let base = Base { boot: BootId::from_bytes([1; 16]), mono_ms: 1 };
    for read in [read_sample_any, read_event_any, read_definition_any] {
        let mut r = Reader::new(bytes);
        while read(&mut r, base) && !r.is_empty() {}
    }
}

/// A WAL file with these bytes in front.
pub fn wal_recovery(bytes: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let Ok(file) = disk.open("wal-000") else { return };
    let cut = bytes.get(..WAL_BYTES).unwrap_or(bytes);
    if file.set_len(WAL_BYTES as u64).and_then(|()| file.write_at(0, cut)).is_err() {
        return;
    }
    let config = WalConfig {
        hub: HubId::from_bytes([1; 16]),
        epoch: LogEpoch(1),
        secret: [0; 16],
        file_bytes: WAL_BYTES as u64,
        known: Vec::new(),
    };
    let found = recover(&disk, config, Sealed::default(), |commit| {
        assert!(commit.frames.iter().all(|f| f.range.from <= f.range.to), "ranges run forward");
    });
    // The one refusal there is: a whole header of a newer program's version.
    let refused = found.err().is_none_or(|error| error.to_string().contains("newer program"));
    assert!(refused, "bytes in a file are no I/O error");
}

fn read_sample_any(r: &mut Reader<'_>, base: Base) -> bool {
    read_sample(r, base).is_ok()
}

fn read_event_any(r: &mut Reader<'_>, base: Base) -> bool {
    read_event(r, base).is_ok()
}

fn read_definition_any(r: &mut Reader<'_>, _: Base) -> bool {
    read_definition(r).is_ok()
}

/// A moment, for callers that need one.
pub const fn moment(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms }
}
