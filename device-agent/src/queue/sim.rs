//! A medium in memory that forgets, tears and fails.

use std::io;

use super::Medium;

/// Bytes as written, and as they would be after a power cut.
#[derive(Clone, Debug)]
pub(crate) struct SimMedium {
    written: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
    durable: Vec<u8>,
    pub(crate) fail_writes: bool,
    pub(crate) fail_syncs: bool,
    pub(crate) syncs: u64,
    pub(crate) bytes_written: u64,
}

impl SimMedium {
    pub(crate) fn new(size: usize) -> SimMedium {
        SimMedium {
            written: vec![0; size],
            unsynced: Vec::new(),
            durable: vec![0; size],
            fail_writes: false,
            fail_syncs: false,
            syncs: 0,
            bytes_written: 0,
        }
    }

    /// What is there after a power cut: of the unsynced writes, the first `kept` reached the medium, and so many bytes of
    /// the next.
    pub(crate) fn after_power_cut(&self, kept: usize, bytes_of_next: usize) -> SimMedium {
        let mut bytes = self.durable.clone();
        for (n, (at, write)) in self.unsynced.iter().enumerate().take(kept + 1) {
            let length = if n < kept { write.len() } else { bytes_of_next.min(write.len()) };
            bytes[*at..*at + length].copy_from_slice(&write[..length]);
        }
        let mut after = SimMedium::new(0);
        (after.written, after.durable) = (bytes.clone(), bytes);
        after
    }

    /// What is there after only the process was killed: everything written.
    pub(crate) fn after_kill(&self) -> SimMedium {
        let mut after = SimMedium::new(0);
        (after.written, after.durable) = (self.written.clone(), self.durable.clone());
        after.unsynced = self.unsynced.clone();
        after
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    pub(crate) fn flip(&mut self, at: usize) {
        self.written[at] ^= 0x40;
        self.durable[at] ^= 0x40;
    }
}

impl Medium for SimMedium {
    fn size(&self) -> u64 {
        self.written.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = place(offset);
        buffer.copy_from_slice(&self.written[at..at + buffer.len()]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.fail_writes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let at = place(offset);
        self.written[at..at + bytes.len()].copy_from_slice(bytes);
        self.unsynced.push((at, bytes.to_vec()));
        self.bytes_written += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.fail_syncs {
            // As Linux does: what failed is called clean, and forgotten with the next power cut.
            self.unsynced.clear();
            return Err(io::Error::other("sync"));
        }
        for (at, bytes) in self.unsynced.drain(..) {
            self.durable[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}
