//! A directory in memory that forgets, tears, refuses and dies, by seed.
//!
//! Every mutating call counts as one operation. The plan says at which operation the power goes, and how often an
//! operation fails. When the power goes, each file falls back to its last synced bytes plus, sector by sector (512
//! bytes) and write by write, a random choice of what was written since: so unsynced writes are forgotten, torn and
//! reordered. [`SimDisk::restart`] then gives the directory as the next process finds it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

const SECTOR: usize = 512;

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The power goes when this many operations were done; `None` for never.
    pub power_off_at: Option<u64>,
    /// Of 1,000 writes that need room, how many are refused with ENOSPC.
    pub no_space_per_mille: u32,
    /// Of files whose names contain this, every write is refused with ENOSPC.
    pub refuses: Option<&'static str>,
    /// Whether overwriting needs room too, as on a copy-on-write file system.
    pub copy_on_write: bool,
    /// How many of the next syncs fail.
    pub syncs_to_fail: u32,
    /// Of 1,000 syncs, how many fail (and lose, for good, a random part of what they should have made durable).
    pub sync_fails_per_mille: u32,
}

/// A simulated directory. Clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: Rng,
    faults: Faults,
    operations: u64,
    off: bool,
    /// Raised at each restart, so that handles of the dead process stay dead.
    life: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    files: BTreeMap<u64, FileState>,
    next_file: u64,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

impl SimDisk {
    /// An empty directory whose misfortunes follow from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            faults: Faults::default(),
            operations: 0,
            off: false,
            life: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            files: BTreeMap::new(),
            next_file: 0,
        })))
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many operations were done so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Cuts the power now (if it is still on) and gives the directory as the next process finds it, without faults.
    pub fn restart(&self) -> SimDisk {
        let mut state = self.state();
        if !state.off {
            state.power_off();
        }
        state.off = false;
        state.life += 1;
        state.faults = Faults::default();
        SimDisk(Arc::clone(&self.0))
    }

    /// Only the process dies: what it wrote is still in the page cache, synced or not, and the next process reads it.
    pub fn kill(&self) -> SimDisk {
        let mut state = self.state();
        if state.off {
            drop(state);
            return self.restart();
        }
        state.life += 1;
        state.faults = Faults::default();
        SimDisk(Arc::clone(&self.0))
    }

    /// Overwrites durable bytes behind the log's back, as a worn flash cell would.
    pub fn corrupt(&self, name: &str, offset: usize, xor: u8) {
        let mut state = self.state();
        let Some(&id) = state.names.get(name) else { return };
        if let Some(file) = state.files.get_mut(&id)
            && offset < file.now.len()
        {
            file.now[offset] ^= xor;
            file.durable = file.now.clone();
        }
    }

    /// A file's bytes as they are now; empty when there is none.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        let file = state.names.get(name).and_then(|id| state.files.get(id));
        file.map(|f| f.now.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation; the error of a machine that is off when its moment has come.
    fn operate(&mut self, life: u64) -> io::Result<()> {
        self.alive(life)?;
        if self.faults.power_off_at.is_some_and(|at| self.operations >= at) {
            self.power_off();
            return Err(gone());
        }
        self.operations += 1;
        Ok(())
    }

    fn alive(&self, life: u64) -> io::Result<()> {
        if self.off || self.life != life { Err(gone()) } else { Ok(()) }
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.below(1000) < u64::from(per_mille)
    }

    fn power_off(&mut self) {
        self.off = true;
        self.names = self.durable_names.clone();
        let ids: Vec<u64> = self.files.keys().copied().collect();
        for id in ids {
            let mut file = self.files.remove(&id).unwrap_or_default();
            file.lose_unsynced(&mut self.rng);
            self.files.insert(id, file);
        }
    }

    fn file(&mut self, id: u64) -> io::Result<&mut FileState> {
        self.files.get_mut(&id).ok_or_else(gone)
    }
}

impl FileState {
    /// What a good sync leaves: the changes since the last one, and not what an earlier failed one lost.
    fn make_durable(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::SetLen(len) => self.durable.resize(len, 0),
                Change::Write { offset, data } => {
                    let end = offset + data.len();
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[offset..end].copy_from_slice(&data);
                }
            }
        }
    }

    /// What a power cut leaves: the synced bytes and any part of the rest, by sector.
    fn lose_unsynced(&mut self, rng: &mut Rng) {
        let mut kept = std::mem::take(&mut self.durable);
        for change in self.unsynced.drain(..) {
            match change {
                Change::SetLen(len) => {
                    if rng.below(2) == 0 {
                        kept.resize(len, 0);
                    }
                }
                Change::Write { offset, data } => tear(&mut kept, offset, &data, rng),
            }
        }
        self.now.clone_from(&kept);
        self.durable = kept;
    }
}

fn tear(kept: &mut Vec<u8>, offset: usize, data: &[u8], rng: &mut Rng) {
    let mut done = 0;
    while done < data.len() {
        let at = offset + done;
        let step = (SECTOR - at % SECTOR).min(data.len() - done);
        if rng.below(2) == 0 {
            if kept.len() < at + step {
                kept.resize(at + step, 0);
            }
            kept[at..at + step].copy_from_slice(&data[done..done + step]);
        }
        done += step;
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the simulated machine is off")
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let life = state.life;
        let id = if let Some(&id) = state.names.get(name) {
            state.alive(life)?;
            id
        } else {
            state.operate(life)?;
            let id = state.next_file;
            state.next_file += 1;
            state.names.insert(name.to_owned(), id);
            state.files.insert(id, FileState::default());
            id
        };
        drop(state);
        Ok(Box::new(SimFile { disk: self.clone(), name: name.to_owned(), life, id }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let life = state.life;
        state.operate(life)?;
        state.names.remove(name).map(|_| ()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let life = state.life;
        state.operate(life)?;
        let id = state.names.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        let life = state.life;
        state.operate(life)?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    /// As it was opened.
    name: String,
    life: u64,
    id: u64,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.file(self.id)?.now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate(self.life)?;
        let len = index(len)?;
        let per_mille = state.faults.no_space_per_mille;
        let grows = state.file(self.id)?.now.len() < len;
        if grows && state.chance(per_mille) {
            return Err(no_space());
        }
        let file = state.file(self.id)?;
        file.now.resize(len, 0);
        file.unsynced.push(Change::SetLen(len));
        Ok(())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive(self.life)?;
        let at = index(offset)?;
        let file = state.file(self.id)?;
        let found =
            file.now.get(at..at + out.len()).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate(self.life)?;
        let at = index(offset)?;
        let Faults { no_space_per_mille, copy_on_write, refuses, .. } = state.faults;
        if refuses.is_some_and(|part| self.name.contains(part)) {
            return Err(no_space());
        }
        let needs_room = copy_on_write || state.file(self.id)?.now.len() < at + data.len();
        if needs_room && state.chance(no_space_per_mille) {
            return Err(no_space());
        }
        let file = state.file(self.id)?;
        if file.now.len() < at + data.len() {
            file.now.resize(at + data.len(), 0);
        }
        file.now[at..at + data.len()].copy_from_slice(data);
        file.unsynced.push(Change::Write { offset: at, data: data.to_vec() });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate(self.life)?;
        let Faults { sync_fails_per_mille, syncs_to_fail, .. } = state.faults;
        state.faults.syncs_to_fail = syncs_to_fail.saturating_sub(1);
        if syncs_to_fail > 0 || state.chance(sync_fails_per_mille) {
            // As on Linux: the pages are marked clean, part of them never reached the disk, and the page cache still
            // shows them until they are evicted.
            let mut rng = state.rng;
            state.rng.next();
            let file = state.file(self.id)?;
            let shown = file.now.clone();
            file.lose_unsynced(&mut rng);
            file.now = shown;
            return Err(io::Error::other("simulated fsync failure"));
        }
        state.file(self.id)?.make_durable();
        Ok(())
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// A small generator, so that a run depends on its seed alone. xorshift64*, Vigna 2016.
#[derive(Clone, Copy, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator; every seed gives another sequence.
    pub fn new(seed: u64) -> Rng {
        // Spread the seed (splitmix64's step), so that seeds 1, 2, 3 … do not start alike; state 0 would stay 0.
        Rng(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "an endless generator, not an iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
