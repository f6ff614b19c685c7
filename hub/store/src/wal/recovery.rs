//! Reading the WAL back after any kind of end: what counts, what was torn, what is damaged.
//!
//! In each file, commits are read from the first page to the first mismatch; then the rest is scanned. A later whole
//! commit of the same generation means that bytes between went bad; none means that the last write was torn, and it
//! is dropped whole, for it was never acknowledged. A commit whose sync failed may be there beside the one that took its
//! place: both are handed on, and whoever numbers records knows the second's by their ranges.

use std::io;
use std::sync::Arc;

use super::commit::{COMMIT_HEADER_BYTES, CommitHeader};
use super::frame::{FrameRef, read_frame};
use super::header::{FileHeader, NEWER};
use super::writer::{FileState, KnownFile, Sealed, Wal, WalConfig, WalFile, file_name, name_number};
use super::{PAGE, pages};
use crate::disk::{Disk, distrust};
use crate::field::Reader;

/// What reading the files found, besides the commits it handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WalFindings {
    /// Commits handed on.
    pub(crate) commits: u64,
    /// Places where bytes of an acknowledged commit or of a file's header went bad.
    pub(crate) damaged: u64,
    /// The last write was torn and is dropped: normal after a crash.
    pub(crate) torn_tail: bool,
    /// Files that should be there and are missing, cut or replaced by older ones.
    pub(crate) lacking: Vec<String>,
    /// How many bytes of commits can have been in what these files lack.
    pub(crate) lost_bytes: u64,
}

/// A commit as recovery hands it on.
#[derive(Debug)]
pub(crate) struct FoundCommit<'a> {
    pub(crate) header: CommitHeader,
    pub(crate) frames: Vec<FrameRef<'a>>,
}

struct Candidate {
    file: WalFile,
    generation: u64,
    header_damaged: bool,
}

/// Opens the WAL files of a directory and hands every whole commit to `visit`, in the order they were written.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    config: WalConfig,
    sealed: Sealed,
    mut visit: impl FnMut(FoundCommit<'_>),
) -> io::Result<(Wal, WalFindings)> {
    let (mut candidates, mut files) = candidates(disk, &config)?;
    candidates.sort_by_key(|c| c.generation);
    let lacking = lacking(&config.known, &candidates, &files);
    let lost_bytes = lacking.iter().map(|(_, bytes)| bytes).sum();
    let lacking = lacking.into_iter().map(|(name, _)| name).collect();
    let mut findings = WalFindings { lacking, lost_bytes, ..WalFindings::default() };
    let mut current = None;
    let (mut generation, mut number) = (0, 0);
    let last = candidates.len().wrapping_sub(1);
    for (order, candidate) in candidates.into_iter().enumerate() {
        let Candidate { mut file, generation: file_generation, header_damaged } = candidate;
        // A killed process may have left its last commit in the page cache only; what is handed on counts as stored.
        distrust::sync(disk.as_ref(), file.handle.as_ref())?;
        let bytes = read_all(&file)?;
        let mut reading =
            FileReading { config: &config, generation: file_generation, last: number, upto: [0; 7] };
        let end = reading.read(&bytes, &mut findings, &mut visit);
        generation = file_generation;
        number = reading.last;
        if header_damaged && reading.last > sealed.number {
            findings.damaged += 1;
        }
        // A file that someone has cut is read and not written again.
        let failed = known(&config.known, &file).is_some_and(|known| file.len < known.bytes);
        let written_on = bytes.get(end..end + PAGE).is_none_or(|page| looks_torn(page, file_generation));
        if failed && !header_damaged && !written_on {
            // It was cut behind the last thing written to it.
            let known = known(&config.known, &file).filter(|known| file_generation >= known.generation);
            findings.lost_bytes -= known.map_or(0, |known| known.bytes - file.len);
        }
        let upto = reading.upto;
        file.state = FileState::Used { generation: file_generation, last: reading.last, upto, failed };
        files.push(file);
        if order == last {
            findings.torn_tail =
                bytes.get(end..end + PAGE).is_some_and(|page| looks_torn(page, file_generation));
            current = (!failed).then_some((files.len() - 1, end as u64));
        }
    }
    let number = number.max(sealed.number);
    let wal = Wal::new(Arc::clone(disk), config, files, current, (generation, number), sealed);
    Ok((wal, findings))
}

/// Splits the files into those with commits that may count and those that are free to be used.
fn candidates(disk: &Arc<dyn Disk>, config: &WalConfig) -> io::Result<(Vec<Candidate>, Vec<WalFile>)> {
    let (mut candidates, mut free) = (Vec::new(), Vec::new());
    for name in disk.list()? {
        if name_number(&name).is_none() {
            continue;
        }
        let handle = disk.open_direct(&name)?;
        let len = handle.size()?;
        let mut file = WalFile { name, len, handle, state: FileState::Free };
        let mut page = vec![0; PAGE.min(usize::try_from(len).unwrap_or(PAGE))];
        file.handle.read_at(0, &mut page)?;
        let ours = |h: &FileHeader| h.epoch == config.epoch && h.secret == config.secret;
        match FileHeader::decode(&page) {
            Ok(header) if ours(&header) => {
                candidates.push(Candidate { file, generation: header.generation, header_damaged: false });
            }
            Ok(header) => {
                // Of another epoch: none of ours to overwrite.
                let aside = format!("epoch-{}-{}", header.epoch, file.name);
                disk.rename(&file.name, &aside)?;
                disk.sync_dir()?;
            }
            Err(error) if error == NEWER => {
                return Err(io::Error::other(format!("{} has a {error}", file.name)));
            }
            Err(_) => match generation_inside(&read_all(&file)?, config) {
                Some(generation) => candidates.push(Candidate { file, generation, header_damaged: true }),
                None => {
                    // Of another size: its zero-filling was cut short, or the setting was changed.
                    let state = match known(&config.known, &file) {
                        _ if len != config.file_bytes => FileState::Retired,
                        Some(_) => FileState::Free,
                        None => FileState::New,
                    };
                    file.state = state;
                    free.push(file);
                }
            },
        }
    }
    Ok((candidates, free))
}

/// The entry of a file in the tables' list.
fn known<'k>(known: &'k [KnownFile], file: &WalFile) -> Option<&'k KnownFile> {
    known.iter().find(|k| Some(k.number) == name_number(&file.name))
}

/// What is not as the tables have it, and how many bytes are gone: a file is not there, shorter, or holds only what is
/// older than it once held.
fn lacking(known: &[KnownFile], candidates: &[Candidate], free: &[WalFile]) -> Vec<(String, u64)> {
    let found = |number: u32| {
        let used = candidates.iter().map(|c| (&c.file, c.generation));
        let found = used.chain(free.iter().map(|file| (file, 0)));
        found.into_iter().find(|(file, _)| name_number(&file.name) == Some(number))
    };
    let lost_bytes = |known: &KnownFile| match found(known.number) {
        Some((file, generation)) if generation >= known.generation => known.bytes.checked_sub(file.len),
        Some(_) | None => Some(known.bytes),
    };
    let lacks = |known: &KnownFile| lost_bytes(known).filter(|bytes| *bytes > 0);
    known.iter().filter_map(|known| Some((file_name(known.number), lacks(known)?))).collect()
}

/// The highest generation of any whole commit in a file whose header does not tell.
fn generation_inside(bytes: &[u8], config: &WalConfig) -> Option<u64> {
    (PAGE..bytes.len())
        .step_by(PAGE)
        .filter_map(|at| CommitHeader::decode(&config.secret, at as u64, &bytes[at..]).ok())
        .map(|(header, _)| header.generation)
        .max()
}

fn read_all(file: &WalFile) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut bytes = vec![0; len];
    file.handle.read_at(0, &mut bytes)?;
    Ok(bytes)
}

struct FileReading<'c> {
    config: &'c WalConfig,
    generation: u64,
    last: u64,
    upto: [u64; 7],
}

impl FileReading<'_> {
    /// Reads a whole file; returns where the next commit would begin.
    fn read(
        &mut self,
        bytes: &[u8],
        findings: &mut WalFindings,
        visit: &mut impl FnMut(FoundCommit<'_>),
    ) -> usize {
        let mut at = PAGE;
        while at < bytes.len() {
            if let Some((header, frames, len)) = self.commit_at(bytes, at) {
                at += len;
                self.accept(header, frames, findings, visit);
            } else {
                let later =
                    (at + PAGE..bytes.len()).step_by(PAGE).find(|&p| self.commit_at(bytes, p).is_some());
                let Some(later) = later else { break };
                findings.damaged += 1;
                at = later;
            }
        }
        at
    }

    fn commit_at<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(CommitHeader, Vec<FrameRef<'a>>, usize)> {
        // Before the checksum, which may run over a whole file: most pages are of another generation.
        if bytes.get(at + 4..at + 12) != Some(&self.generation.to_le_bytes()[..]) {
            return None;
        }
        let (header, frames) = CommitHeader::decode(&self.config.secret, at as u64, &bytes[at..]).ok()?;
        let len = pages(COMMIT_HEADER_BYTES + frames.len());
        let mut r = Reader::new(frames);
        let mut read = Vec::new();
        for _ in 0..header.frames {
            read.push(read_frame(&mut r).ok()?);
        }
        r.is_empty().then_some((header, read, len))
    }

    fn accept(
        &mut self,
        header: CommitHeader,
        frames: Vec<FrameRef<'_>>,
        findings: &mut WalFindings,
        visit: &mut impl FnMut(FoundCommit<'_>),
    ) {
        for frame in frames.iter().filter(|f| f.kind.numbered() || f.kind == super::frame::FrameKind::Gap) {
            let held = &mut self.upto[frame.class.index()];
            *held = (*held).max(frame.range.to);
        }
        if header.number <= self.last {
            return;
        }
        self.last = header.number;
        findings.commits += 1;
        visit(FoundCommit { header, frames });
    }
}

/// Whether a page that holds no whole commit begins like one of this generation.
fn looks_torn(page: &[u8], generation: u64) -> bool {
    page.starts_with(b"RWC1") && page.get(4..12) == Some(&generation.to_le_bytes()[..])
}
