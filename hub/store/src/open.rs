//! Opening a log after any kind of end: tables first, then the WAL replayed on top of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hub_model::{BootStamp, Class, Gap, GapCause, HubId, LogEpoch, SeqRange};
use thiserror::Error;

use crate::catalog::Catalog;
use crate::disk::{Disk, distrust};
use crate::dup::DupTable;
use crate::field::Malformed;
use crate::log::{CoreConfig, CoreParts, Identity, Log, count_held};
use crate::record::{Record, put_definition, put_event, put_sample};
use crate::shared::{Shared, add};
use crate::table::store_info::StoreInfo;
use crate::table::{TableError, Tables};
use crate::tail::Tail;
use crate::wal::frame::{FrameKind, FrameRef, read_gap, read_marks, read_records, read_repeat};
use crate::wal::header::FileHeader;
use crate::wal::pending::Frame;
use crate::wal::recovery::{FoundCommit, WalFindings, recover};
use crate::wal::{PAGE, Sealed, WalConfig};

/// What the log needs to know of the moment it is opened in.
#[derive(Clone, Copy, Debug)]
pub struct OpenContext {
    /// The id a new log takes; an existing one keeps its own.
    pub hub: HubId,
    /// Now.
    pub now: BootStamp,
    /// Random bytes, for the epoch and the checksum secret of a new log.
    pub seed: [u8; 32],
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The hub whose log this is.
    pub hub: HubId,
    /// The log's epoch.
    pub epoch: LogEpoch,
    /// There was no log before.
    pub is_new: bool,
    /// The log had been closed in order.
    pub clean: bool,
    /// Records replayed from the WAL.
    pub records: u64,
    /// The last write had been torn and was dropped; nothing of it was acknowledged.
    pub torn_tail: bool,
    /// Places where acknowledged bytes went bad.
    pub damaged: u64,
    /// Records lost to that; each range has a gap row.
    pub lost: Vec<(Class, SeqRange)>,
    /// Files that could not be opened and were set aside.
    pub set_aside: Vec<String>,
    /// How long opening took.
    pub duration: Duration,
}

/// Why a log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("open {dir}: another process holds this log")]
    Locked {
        /// The folder.
        dir: String,
    },
    /// The file system refused.
    #[error("open the log: {0}")]
    Io(#[from] io::Error),
    /// The tables could not be read or written.
    #[error("open the log: {0}")]
    Tables(#[from] TableError),
    /// A thread could not be started.
    #[error("start the log's threads: {0}")]
    Thread(io::Error),
}

/// Opens the core. `clean` starts leave no trace; others leave a zero-length restart gap.
pub(crate) fn open_core(
    disk: &Arc<dyn Disk>,
    config: CoreConfig,
    context: &OpenContext,
) -> Result<(Log, Recovery), OpenError> {
    let mut set_aside = Vec::new();
    if distrust::heal(disk.as_ref())? {
        tracing::warn!("an earlier process saw a sync fail; everything was written anew");
    }
    let tables = open_tables(disk, &mut set_aside)?;
    let (info, is_new) = match tables.store_info()? {
        Some(info) => (info, false),
        None => (create(disk, &tables, context, &mut set_aside)?, true),
    };
    let (identity, sealed) = (identity(&info), sealed(&tables, &info)?);
    let mut replay = Replay::new(&tables, info, sealed)?;
    let wal_config = WalConfig {
        hub: info.hub,
        epoch: info.epoch,
        secret: info.secret,
        file_bytes: config.wal_file_bytes,
    };
    let (mut wal, findings) = recover(disk, wal_config, sealed, |commit| replay.visit(&commit))?;
    if let Err(error) = wal.provide_files() {
        if wal.file_count() == 0 {
            return Err(error.into());
        }
        tracing::warn!(%error, "no room for all WAL files yet");
    }
    let Replay { tail, catalog, dup, lost, last_stamp, clean, records, .. } = replay;
    let shared = Arc::new(Shared::new(info.hub, info.epoch, context.now.boot, tables, tail, catalog));
    count_held(&shared)?;
    let WalFindings { damaged, torn_tail, .. } = findings;
    add(&shared.counters.damaged, damaged);
    let recovery = Recovery {
        hub: info.hub,
        epoch: info.epoch,
        is_new,
        clean: clean || is_new,
        records,
        torn_tail,
        damaged,
        lost: lost.iter().map(|g| (g.class, g.range)).collect(),
        set_aside,
        duration: Duration::ZERO,
    };
    let mut log = Log::new(CoreParts { config, identity, shared, wal, dup, sealed, last_stamp }, context.now);
    lost.iter().for_each(|gap| log.stage_gap(*gap, context.now));
    if !recovery.clean {
        log.stage_restart_gap(context.now);
    }
    log.stage_open(context.now);
    if let Err(error) = log.commit(context.now) {
        // Nobody was told of anything; it goes with the next commit that works.
        tracing::warn!(%error, "the first commit after opening has to wait");
    }
    Ok((log, recovery))
}

const fn identity(info: &StoreInfo) -> Identity {
    Identity { hub: info.hub, epoch: info.epoch, secret: info.secret }
}

fn sealed(tables: &Tables, info: &StoreInfo) -> Result<Sealed, TableError> {
    let mut sealed = Sealed { upto: [0; 7], number: info.folded };
    for class in Class::ALL {
        sealed.upto[class.index()] = tables.cursor(info.epoch, class)?.sealed_upto;
    }
    Ok(sealed)
}

/// Opens the tables; a file that is damaged is set aside and a new one begun, for the hub must start.
fn open_tables(disk: &Arc<dyn Disk>, set_aside: &mut Vec<String>) -> Result<Tables, OpenError> {
    let error = match Tables::open(Arc::clone(disk)).and_then(|tables| tables.store_info().map(|_| tables)) {
        Ok(tables) => return Ok(tables),
        Err(error) if is_damage(&error) => error,
        Err(error) => return Err(error.into()),
    };
    tracing::error!(%error, "the tables are damaged and are set aside; a new epoch begins");
    set_file_aside(disk, Tables::FILE, set_aside)?;
    Ok(Tables::open(Arc::clone(disk))?)
}

fn is_damage(error: &TableError) -> bool {
    match error {
        TableError::Panicked | TableError::Malformed(_) => true,
        TableError::Closed => false,
        TableError::Redb(error) => {
            if let redb::Error::Io(e) = error.as_ref() {
                matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            } else {
                matches!(error.as_ref(), redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_))
            }
        }
    }
}

/// Begins a new epoch in empty tables. WAL files of another epoch are set aside, never reused unread.
fn create(
    disk: &Arc<dyn Disk>,
    tables: &Tables,
    context: &OpenContext,
    set_aside: &mut Vec<String>,
) -> Result<StoreInfo, OpenError> {
    let mut hub = context.hub;
    for name in disk.list()?.into_iter().filter(|n| n.starts_with("wal-")) {
        let file = disk.open(&name)?;
        let mut page = vec![0; PAGE];
        let found = file.read_at(0, &mut page).ok().and_then(|()| FileHeader::decode(&page).ok());
        drop(file);
        match found {
            Some(header) => {
                hub = header.hub;
                tracing::error!(file = name, "a WAL file has no tables beside it and is set aside");
                set_file_aside(disk, &name, set_aside)?;
            }
            None => disk.remove(&name)?,
        }
    }
    let [e0, e1, e2, e3, e4, e5, e6, e7, rest @ ..] = context.seed;
    let mut secret = [0; 16];
    secret.copy_from_slice(&rest[..16]);
    let epoch = LogEpoch(u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]));
    let info = StoreInfo { hub, epoch, secret, folded: 0 };
    tables.create(info)?;
    Ok(info)
}

fn set_file_aside(disk: &Arc<dyn Disk>, name: &str, set_aside: &mut Vec<String>) -> Result<(), OpenError> {
    let names = disk.list()?;
    let free = (1u32..).map(|n| format!("damaged-{n}-{name}")).find(|candidate| !names.contains(candidate));
    let Some(aside) = free else { return Ok(()) };
    disk.rename(name, &aside)?;
    disk.sync_dir()?;
    set_aside.push(aside);
    Ok(())
}

/// The WAL's commits put on top of the tables.
struct Replay {
    tail: Tail,
    catalog: Catalog,
    dup: DupTable,
    folded: u64,
    lost: Vec<Gap>,
    last_stamp: Option<BootStamp>,
    clean: bool,
    records: u64,
}

impl Replay {
    fn new(tables: &Tables, info: StoreInfo, sealed: Sealed) -> Result<Replay, TableError> {
        let mut dup = DupTable::default();
        for (incarnation, marks) in tables.dup()? {
            dup.load(incarnation, marks);
        }
        let mut tail = Tail::default();
        tail.next = sealed.upto;
        Ok(Replay {
            tail,
            catalog: tables.catalog(info.epoch)?,
            dup,
            folded: info.folded,
            lost: Vec::new(),
            last_stamp: None,
            clean: false,
            records: 0,
        })
    }

    fn visit(&mut self, commit: &FoundCommit<'_>) {
        self.clean = false;
        let base = commit.header.base;
        let at = BootStamp { boot: base.boot, mono_ms: base.mono_ms };
        for frame in &commit.frames {
            let handled = match frame.kind {
                FrameKind::Samples | FrameKind::Events | FrameKind::Definitions => {
                    self.numbered(commit, frame, at)
                }
                FrameKind::Repeat => self.repeat(frame),
                FrameKind::Gap => self.gap(commit.header.number, frame),
                FrameKind::Marks => self.marks(commit.header.number, frame),
                FrameKind::Open => Ok(()),
                FrameKind::Close => {
                    self.clean = true;
                    Ok(())
                }
            };
            if let Err(error) = handled {
                tracing::error!(%error, number = commit.header.number, "a frame of a whole commit does not decode");
                if frame.kind.numbered() {
                    self.lose(frame.class, frame.range.to, at);
                }
            }
        }
        self.last_stamp = Some(at);
    }

    fn numbered(
        &mut self,
        commit: &FoundCommit<'_>,
        frame: &FrameRef<'_>,
        at: BootStamp,
    ) -> Result<(), Malformed> {
        let expected = self.tail.next[frame.class.index()];
        if frame.range.to <= expected {
            return Ok(());
        }
        self.lose(frame.class, frame.range.from, at);
        let (kind, class, base) = (frame.kind, frame.class, commit.header.base);
        let mut kept = Frame { kind, class, range: frame.range, base, body: frame.body.to_vec() };
        if kind == FrameKind::Definitions || frame.range.from < expected {
            let skipped = usize::try_from(expected.saturating_sub(frame.range.from)).unwrap_or(usize::MAX);
            let records = read_records(kind, base, frame.range.len(), frame.body)?;
            let rest = records.get(skipped..).unwrap_or_default();
            kept.body = reencode(&kept, rest);
            kept.range = SeqRange::new(frame.range.to - rest.len() as u64, frame.range.to);
            for record in rest {
                if let Record::Definition(definition) = record {
                    self.catalog.insert(definition);
                }
            }
        }
        self.records += kept.range.len();
        self.tail.push(Arc::new(kept));
        Ok(())
    }

    /// Everything of a class between what was expected and `upto` is lost: damage, for a crash alone loses nothing
    /// that was numbered before something else that is there.
    fn lose(&mut self, class: Class, upto: u64, until: BootStamp) {
        let expected = self.tail.next[class.index()];
        if upto <= expected {
            return;
        }
        let range = SeqRange::new(expected, upto);
        let gap = Gap { class, range, cause: GapCause::Corrupted, since: self.last_stamp, until };
        self.tail.push_gap(gap);
        self.lost.push(gap);
    }

    fn repeat(&mut self, frame: &FrameRef<'_>) -> Result<(), Malformed> {
        read_repeat(frame.body)?.iter().for_each(|d| self.catalog.insert(d));
        Ok(())
    }

    fn gap(&mut self, number: u64, frame: &FrameRef<'_>) -> Result<(), Malformed> {
        let gap = read_gap(frame.class, frame.range, frame.body)?;
        self.lost.retain(|lost| !(lost.class == gap.class && lost.range == gap.range));
        // A folded gap still shows the next seal where to go on; a folded restart shows nothing.
        if number > self.folded || !gap.range.is_empty() {
            self.tail.push_gap(gap);
        }
        Ok(())
    }

    fn marks(&mut self, number: u64, frame: &FrameRef<'_>) -> Result<(), Malformed> {
        let marks = read_marks(frame.body)?;
        if number > self.folded {
            marks.into_iter().for_each(|(incarnation, id, hash)| self.dup.insert(incarnation, id, hash));
        }
        Ok(())
    }
}

fn reencode(frame: &Frame, records: &[Record]) -> Vec<u8> {
    let mut body = Vec::new();
    for record in records {
        match record {
            Record::Sample(sample) => put_sample(&mut body, frame.base, sample),
            Record::Event(event) => put_event(&mut body, frame.base, event),
            Record::Definition(definition) => put_definition(&mut body, definition),
        }
    }
    body
}
