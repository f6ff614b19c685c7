//! Writing: which file, which page, and what to do when a file fails.

use std::io;
use std::sync::Arc;

use hub_model::{HubId, LogEpoch};
use thiserror::Error;

use super::commit::{COMMIT_HEADER_BYTES, CommitHeader};
use super::header::{FileHeader, Secret};
use super::{PAGE, pages};
use crate::disk::{Disk, DiskFile, distrust};
use crate::record::Base;

/// The fewest files there are; one is written while the others wait for their records to reach the tables.
const FILES_MIN: usize = 2;
/// The most, reached only when files failed and could not be replaced yet.
const FILES_MAX: usize = 6;
/// The part of the files, of 100, that is kept for alarms, events, audit and definitions when blocks cannot be written.
/// Smaller: an outage of the tables soon silences alarms too. Larger: devices are held back sooner.
const RESERVE_PERCENT: u64 = 15;

#[derive(Clone, Debug)]
pub(crate) struct WalConfig {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) secret: Secret,
    pub(crate) file_bytes: u64,
    /// The files there should be.
    pub(crate) known: Vec<KnownFile>,
}

/// A file as the tables list it, so that a start notices when it is missing, cut or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownFile {
    /// The number in its name.
    pub(crate) number: u32,
    /// Its size.
    pub(crate) bytes: u64,
    /// The generation of a commit in it, 0 when there need be none. It may hold a later one by now.
    pub(crate) generation: u64,
}

/// How far the tables have taken over: records below `upto` of each class, and marks and gaps of commits up to and
/// including `number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sealed {
    pub(crate) upto: [u64; 7],
    pub(crate) number: u64,
}

/// Why a commit is not on flash. Nothing was acknowledged; the same frames may be written again.
#[derive(Debug, Error)]
pub(crate) enum WalError {
    /// It has to wait for the next seal: every file still holds records that the tables lack, or is not in their list
    /// yet, or they reserve too few numbers.
    #[error("write: no WAL file or no number is free before the next seal")]
    Full,
    /// No file could be written and synced.
    #[error("write: {0}")]
    Io(#[from] io::Error),
    /// The frames do not fit into one file.
    #[error("write: a commit of {0} bytes does not fit into a WAL file")]
    TooLarge(usize),
}

#[derive(Debug)]
pub(super) struct WalFile {
    pub(super) name: String,
    /// Its size; files of another size than the present setting are used up and then made anew.
    pub(super) len: u64,
    pub(super) handle: Box<dyn DiskFile>,
    pub(super) state: FileState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// Made, and not in the tables' list yet.
    New,
    /// Nothing in it counts.
    Free,
    /// Holds commits up to `last` whose records end at `upto`.
    Used { generation: u64, last: u64, upto: [u64; 7], failed: bool },
    /// Nothing in it counts nor will; it goes when the tables do not list it any more.
    Retired,
}

#[derive(Debug)]
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    config: WalConfig,
    files: Vec<WalFile>,
    /// Which file is written, and where its next commit begins.
    current: Option<(usize, u64)>,
    generation: u64,
    /// The last number given to a commit, good or failed.
    spent: u64,
    /// The last commit that was synced.
    number: u64,
    sealed: Sealed,
    /// The files the tables list.
    listed: Vec<KnownFile>,
    next_name: u32,
    pub(crate) bytes_written: u64,
}

impl Wal {
    /// The log's writing end, with the files recovery found. `current` is where recovery stopped reading.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        config: WalConfig,
        files: Vec<WalFile>,
        current: Option<(usize, u64)>,
        (generation, number): (u64, u64),
        sealed: Sealed,
    ) -> Wal {
        // Never the name of a file that is missing: a new file must not pass for it.
        let taken = files.iter().filter_map(|f| name_number(&f.name));
        let next_name =
            taken.chain(config.known.iter().map(|k| k.number)).max().map_or(0, |n| n.saturating_add(1));
        let mut wal = Wal {
            disk,
            listed: config.known.clone(),
            config,
            files,
            current,
            generation,
            spent: number,
            number,
            sealed,
            next_name,
            bytes_written: 0,
        };
        wal.handle_sealed(sealed);
        wal
    }

    /// Makes sure that there are enough files, zero-filled, so that commits need no allocation.
    pub(crate) fn provide_files(&mut self) -> io::Result<()> {
        while self.files.iter().filter(|f| f.serves()).count() < FILES_MIN && self.files.len() < FILES_MAX {
            self.create_file()?;
        }
        Ok(())
    }

    /// The number of the last commit that is on flash.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// How many files there are.
    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// How much of the files is taken until the next seal, of 100.
    pub(crate) fn used_percent(&self) -> u64 {
        let taken = |(at, file): (usize, &WalFile)| match (file.state, self.current) {
            (FileState::New | FileState::Free, _) => 0,
            (FileState::Used { .. }, Some((current, position))) if current == at => position,
            (FileState::Used { .. } | FileState::Retired, _) => file.len,
        };
        let all: u64 = self.files.iter().map(|file| file.len).sum();
        (self.files.iter().enumerate().map(taken).sum::<u64>() * 100).checked_div(all).unwrap_or(100)
    }

    /// The files as the tables should list them.
    pub(crate) fn list(&self) -> Vec<KnownFile> {
        let kept = self.files.iter().filter(|f| f.state != FileState::Retired);
        let mut list: Vec<KnownFile> = kept.filter_map(WalFile::known).collect();
        list.sort_by_key(|f| f.number);
        list
    }

    /// Whether the tables list other files than there are.
    pub(crate) fn list_differs(&self) -> bool {
        let brief =
            |list: &[KnownFile]| -> Vec<(u32, u64)> { list.iter().map(|f| (f.number, f.bytes)).collect() };
        brief(&self.list()) != brief(&self.listed)
    }

    /// The tables list these files now: new ones may be used, and those they have forgotten go.
    pub(crate) fn handle_listed(&mut self, list: Vec<KnownFile>) {
        let mut gone = Vec::new();
        for (at, file) in self.files.iter_mut().enumerate() {
            let listed = list.iter().any(|f| Some(f.number) == name_number(&file.name));
            if file.state == FileState::New && listed {
                file.state = FileState::Free;
            } else if file.state == FileState::Retired && !listed {
                gone.push(at);
            }
        }
        self.listed = list;
        for at in gone.into_iter().rev() {
            self.drop_file(at);
        }
    }

    /// Whether the next file must wait for the tables although this one is past its half.
    pub(crate) fn is_pressed(&self) -> bool {
        let free = self.files.iter().any(|f| f.state == FileState::Free);
        !free && self.current.is_none_or(|(at, position)| position > self.files[at].len / 2)
    }

    /// Bytes of pages that commits can still take before the next seal.
    pub(crate) fn room_bytes(&self) -> u64 {
        let free = self.files.iter().filter(|f| f.state == FileState::Free).map(|f| f.len - PAGE as u64);
        let current = self.current.map_or(0, |(at, position)| self.files[at].len - position);
        free.sum::<u64>() + current
    }

    /// The part of the files that is kept for classes 0–3: the last [`RESERVE_PERCENT`] of those that serve.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        let all: u64 = self.files.iter().filter(|f| f.serves()).map(|f| f.len).sum();
        all / 100 * RESERVE_PERCENT
    }

    /// Whether a commit of `len` bytes of frames needs another file.
    pub(crate) fn needs_next_file(&self, len: usize) -> bool {
        let needed = pages(COMMIT_HEADER_BYTES + len) as u64;
        self.current.is_none_or(|(at, position)| position + needed > self.files[at].len)
    }

    /// Takes the next free file into use; `repeat` (definitions written before) becomes its first commit.
    pub(crate) fn advance(&mut self, repeat: Option<(Base, &[u8])>) -> Result<(), WalError> {
        self.handle_sealed(self.sealed);
        let at = self.free_file()?;
        self.generation += 1;
        let header = FileHeader {
            hub: self.config.hub,
            epoch: self.config.epoch,
            generation: self.generation,
            secret: self.config.secret,
            number_before: self.spent,
        };
        let mut page = header.encode();
        page.resize(PAGE, 0);
        self.files[at].state =
            FileState::Used { generation: self.generation, last: 0, upto: [0; 7], failed: false };
        self.current = Some((at, PAGE as u64));
        // Synced before the first commit: a header that is torn then means that nothing of this use was acknowledged.
        let handle = &self.files[at].handle;
        if let Err(e) =
            handle.write_at(0, &page).and_then(|()| distrust::sync(self.disk.as_ref(), handle.as_ref()))
        {
            self.fail_current();
            return Err(e.into());
        }
        self.bytes_written += PAGE as u64;
        if let Some((base, frames)) = repeat {
            self.write(base, frames, 1, [0; 7])?;
        }
        Ok(())
    }

    /// Writes one commit to the current file and syncs it. `upto` says where its records end. After an error the file
    /// is not written again; the caller takes the next one.
    pub(crate) fn write(
        &mut self,
        base: Base,
        frames: &[u8],
        count: u32,
        upto: [u64; 7],
    ) -> Result<(), WalError> {
        let len = pages(COMMIT_HEADER_BYTES + frames.len());
        let Some((at, position)) = self.current else { return Err(WalError::Full) };
        if len as u64 + PAGE as u64 > self.config.file_bytes {
            return Err(WalError::TooLarge(frames.len()));
        }
        if position + len as u64 > self.files[at].len {
            return Err(WalError::Full);
        }
        let frames_len = u32::try_from(frames.len()).map_err(|_| WalError::TooLarge(frames.len()))?;
        // Spent also when it fails: the commit may be on flash all the same, and the next one may hold more.
        self.spent += 1;
        let header =
            CommitHeader { generation: self.generation, number: self.spent, base, frames_len, frames: count };
        let mut buffer = Vec::with_capacity(len);
        buffer.extend_from_slice(&header.encode(&self.config.secret, position, frames));
        buffer.extend_from_slice(frames);
        buffer.resize(len, 0);
        let file = &mut self.files[at];
        if let Err(e) = file
            .handle
            .write_at(position, &buffer)
            .and_then(|()| distrust::sync(self.disk.as_ref(), file.handle.as_ref()))
        {
            self.fail_current();
            return Err(e.into());
        }
        self.number = self.spent;
        self.bytes_written += len as u64;
        self.current = Some((at, position + len as u64));
        if let FileState::Used { last, upto: held, .. } = &mut file.state {
            // A repeat holds nothing that anybody waits for.
            if upto != [0; 7] {
                *last = self.number;
            }
            for (held, new) in held.iter_mut().zip(upto) {
                *held = (*held).max(new);
            }
        }
        Ok(())
    }

    /// The tables have taken over more: files with nothing else in them are free again, failed ones retire.
    pub(crate) fn handle_sealed(&mut self, sealed: Sealed) {
        self.sealed = sealed;
        let current = self.current.map(|(at, _)| at);
        for (at, file) in self.files.iter_mut().enumerate() {
            let FileState::Used { failed, .. } = file.state else { continue };
            if Some(at) == current || !file.covered_by(&sealed) {
                continue;
            }
            let retires = failed || file.len != self.config.file_bytes;
            file.state = if retires { FileState::Retired } else { FileState::Free };
        }
    }

    /// A file to go on with. Making another is only tried when there is none: on a full disk intake goes on. It can be
    /// used when the next seal has put it on the tables' list.
    fn free_file(&mut self) -> Result<usize, WalError> {
        let free = |files: &[WalFile]| files.iter().position(|f| f.state == FileState::Free);
        if let Some(at) = free(&self.files) {
            return Ok(at);
        }
        self.provide_files()?;
        free(&self.files).ok_or(WalError::Full)
    }

    fn fail_current(&mut self) {
        if let Some((at, _)) = self.current.take()
            && let FileState::Used { failed, .. } = &mut self.files[at].state
        {
            *failed = true;
        }
    }

    fn drop_file(&mut self, at: usize) {
        let file = self.files.swap_remove(at);
        if let Some((current, position)) = self.current
            && current == self.files.len()
        {
            self.current = Some((at, position));
        }
        if let Err(error) = self.disk.remove(&file.name) {
            // Nothing in it counts any more; recovery will find it covered and take it into use.
            tracing::warn!(file = file.name, %error, "a WAL file no longer used could not be removed");
        }
    }

    fn create_file(&mut self) -> io::Result<()> {
        const CHUNK: usize = 64 * 1024;
        let name = file_name(self.next_name);
        self.next_name += 1;
        let handle = self.disk.open_direct(&name)?;
        let filled = fill(handle.as_ref(), self.config.file_bytes, CHUNK).and_then(|()| self.disk.sync_dir());
        if let Err(error) = filled {
            drop(handle);
            if let Err(error) = self.disk.remove(&name) {
                tracing::warn!(file = name, %error, "a half-made WAL file could not be removed");
            }
            return Err(error);
        }
        self.files.push(WalFile { name, len: self.config.file_bytes, handle, state: FileState::New });
        Ok(())
    }
}

impl WalFile {
    /// Whether it takes commits, now or later.
    fn serves(&self) -> bool {
        match self.state {
            FileState::New | FileState::Free => true,
            FileState::Used { failed, .. } => !failed,
            FileState::Retired => false,
        }
    }

    /// How the tables should list it.
    fn known(&self) -> Option<KnownFile> {
        let generation = match self.state {
            // Of its commits, one is whole on flash and stays so until a later generation is.
            FileState::Used { generation, upto, failed: false, .. } if upto != [0; 7] => generation,
            FileState::Used { .. } | FileState::New | FileState::Free | FileState::Retired => 0,
        };
        Some(KnownFile { number: name_number(&self.name)?, bytes: self.len, generation })
    }

    fn covered_by(&self, sealed: &Sealed) -> bool {
        match self.state {
            FileState::New | FileState::Free | FileState::Retired => true,
            FileState::Used { last, upto, .. } => {
                last <= sealed.number && upto.iter().zip(sealed.upto).all(|(held, sealed)| *held <= sealed)
            }
        }
    }
}

fn fill(file: &dyn DiskFile, len: u64, chunk: usize) -> io::Result<()> {
    let zeros = vec![0u8; chunk];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(chunk).min(chunk);
        file.write_at(at, &zeros[..step])?;
        at += step as u64;
    }
    file.sync_data()
}

pub(super) fn file_name(number: u32) -> String {
    format!("wal-{number:03}")
}

pub(super) fn name_number(name: &str) -> Option<u32> {
    name.strip_prefix("wal-")?.parse().ok()
}
