//! Tables that are lost or damaged: what the WAL still holds goes into a new epoch, and the files are set aside.
//!
//! Nothing is deleted: a person may still want what a program could not read.

use std::sync::Arc;

use hub_model::{BootStamp, Class, Gap, GapCause, HubId, SeqRange};

use crate::disk::Disk;
use crate::log::{Log, seal};
use crate::open::OpenError;
use crate::record::{Base, Definition, Record};
use crate::wal::frame::{FrameKind, MarkRow, read_marks, read_records, read_repeat};
use crate::wal::header::FileHeader;
use crate::wal::recovery::{FoundCommit, recover};
use crate::wal::{PAGE, Sealed, WalConfig, WalError};

/// One commit of the old epoch.
#[derive(Debug)]
pub(crate) struct Salvaged {
    base: Base,
    records: Vec<Record>,
    repeated: Vec<Definition>,
    marks: Vec<MarkRow>,
}

/// What was found of the old epoch.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// Whose log it was, where a header tells.
    pub(crate) hub: Option<HubId>,
    pub(crate) commits: Vec<Salvaged>,
    /// Files that held more than zeros, readable or not.
    files: usize,
}

impl Salvage {
    /// Whether there was nothing that could have been a log.
    pub(crate) const fn is_empty(&self) -> bool {
        self.files == 0
    }
}

/// Reads what the WAL files hold and sets the files aside. Files of zeros, made and never used, go.
pub(crate) fn take_wal(disk: &Arc<dyn Disk>, set_aside: &mut Vec<String>) -> Result<Salvage, OpenError> {
    let mut salvage = Salvage::default();
    let names: Vec<String> = disk.list()?.into_iter().filter(|n| n.starts_with("wal-")).collect();
    let header = names.iter().find_map(|name| header(disk.as_ref(), name));
    if let Some((header, file_bytes)) = header {
        salvage.hub = Some(header.hub);
        let FileHeader { hub, epoch, secret, .. } = header;
        let config = WalConfig { hub, epoch, secret, file_bytes, known: Vec::new() };
        // Nothing counts as sealed: what the lost tables had is lost, unless the WAL still has it.
        recover(disk, config, Sealed::default(), |commit| salvage.commits.push(read_commit(&commit)))?;
    }
    for name in disk.list()?.into_iter().filter(|n| n.starts_with("wal-")) {
        if is_blank(disk.as_ref(), &name)? {
            disk.remove(&name)?;
        } else {
            tracing::error!(file = name, "a WAL file has no tables beside it; its records are stored anew");
            set_file_aside(disk.as_ref(), &name, set_aside)?;
            salvage.files += 1;
        }
    }
    Ok(salvage)
}

fn header(disk: &dyn Disk, name: &str) -> Option<(FileHeader, u64)> {
    let file = disk.open(name).ok()?;
    let mut page = vec![0; PAGE];
    file.read_at(0, &mut page).ok()?;
    Some((FileHeader::decode(&page).ok()?, file.size().ok()?))
}

fn is_blank(disk: &dyn Disk, name: &str) -> Result<bool, OpenError> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or_default()];
    file.read_at(0, &mut bytes)?;
    Ok(bytes.iter().all(|b| *b == 0))
}

/// Gives a file a name that nothing here uses.
pub(crate) fn set_file_aside(
    disk: &dyn Disk,
    name: &str,
    set_aside: &mut Vec<String>,
) -> Result<(), OpenError> {
    let names = disk.list()?;
    let free = (1u32..).map(|n| format!("damaged-{n}-{name}")).find(|candidate| !names.contains(candidate));
    let Some(aside) = free else { return Ok(()) };
    disk.rename(name, &aside)?;
    disk.sync_dir()?;
    set_aside.push(aside);
    Ok(())
}

fn read_commit(commit: &FoundCommit<'_>) -> Salvaged {
    let base = commit.header.base;
    let mut salvaged = Salvaged { base, records: Vec::new(), repeated: Vec::new(), marks: Vec::new() };
    for frame in &commit.frames {
        let read = match frame.kind {
            FrameKind::Samples | FrameKind::Events | FrameKind::Definitions => {
                read_records(frame.kind, base, frame.range.len(), frame.body)
                    .map(|r| salvaged.records.extend(r))
            }
            FrameKind::Repeat => read_repeat(frame.body).map(|d| salvaged.repeated.extend(d)),
            FrameKind::Marks => read_marks(frame.body).map(|m| salvaged.marks.extend(m)),
            FrameKind::Gap | FrameKind::Close | FrameKind::Open => Ok(()),
        };
        if let Err(error) = read {
            tracing::error!(%error, number = commit.header.number, "a frame of the old epoch does not decode");
        }
    }
    salvaged
}

/// Stores what was salvaged into a log that is new, behind a row that says that the tables were lost.
pub(crate) fn store(log: &mut Log, salvage: Salvage, now: BootStamp) -> Result<u64, WalError> {
    for class in [Class::Alarm, Class::Event, Class::Meta, Class::Telemetry, Class::Bulk] {
        let range = SeqRange::new(0, 0);
        log.stage_gap(Gap { class, range, cause: GapCause::Corrupted, since: None, until: now }, now);
    }
    commit(log, now)?;
    let mut records = 0;
    for Salvaged { base, records: found, repeated, marks } in salvage.commits {
        records += found.len() as u64;
        let at = BootStamp { boot: base.boot, mono_ms: base.mono_ms };
        log.stage_anew(at, repeated, found, marks);
        commit(log, at)?;
    }
    Ok(records)
}

/// Commits; where the WAL is too small for all of it, seals in between.
fn commit(log: &mut Log, now: BootStamp) -> Result<(), WalError> {
    loop {
        match log.commit(now) {
            Err(WalError::Full) => {}
            done => return done,
        }
        let Some(plan) = log.plan_seal(now.mono_ms, true) else { return Err(WalError::Full) };
        if let Err(error) = seal(&log.shared(), &plan) {
            return Err(WalError::Io(std::io::Error::other(error)));
        }
        log.sealed(&plan);
    }
}
