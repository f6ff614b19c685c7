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
use crate::log::{CoreConfig, CoreParts, Identity, Log, seal};
use crate::record::{Record, put_definition, put_event, put_sample};
use crate::salvage::{self, Salvage, set_file_aside};
use crate::shared::{Shared, add, set};
use crate::table::store_info::{self, StoreInfo};
use crate::table::{TableError, Tables};
use crate::tail::Tail;
use crate::wal::frame::{FrameKind, FrameRef, read_gap, read_marks, read_records, read_repeat};
use crate::wal::pending::Frame;
use crate::wal::recovery::{FoundCommit, WalFindings, recover};
use crate::wal::{Sealed, WalConfig};

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
    /// There was no log before, and nothing that could have been one.
    pub is_new: bool,
    /// The log had been closed in order.
    pub clean: bool,
    /// Records replayed from the WAL; after a rebuild, records stored anew from it.
    pub records: u64,
    /// The last write had been torn and was dropped; nothing of it was acknowledged.
    pub torn_tail: bool,
    /// Places where acknowledged bytes went bad.
    pub damaged: u64,
    /// Records lost to that; each range has a gap row.
    pub lost: Vec<(Class, SeqRange)>,
    /// WAL files that should be there and are missing, cut or replaced by older ones. The numbers they can have held are
    /// among the lost ones, up to what was reserved, and are not given out again.
    pub missing: Vec<String>,
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
    let (loaded, salvage) = match load(disk) {
        Ok(Loaded::Log(loaded)) => (loaded, None),
        Ok(Loaded::Empty(tables)) => create(disk, tables, config, context, &mut set_aside)?,
        Err(error) if is_damage(&error) => {
            tracing::error!(%error, "the tables are damaged and are set aside; a new epoch begins");
            set_file_aside(disk.as_ref(), Tables::FILE, &mut set_aside)?;
            create(disk, Tables::open(Arc::clone(disk))?, config, context, &mut set_aside)?
        }
        Err(error) => return Err(error.into()),
    };
    let LoadedLog { tables, info, sealed, catalog, dup, held } = *loaded;
    // Nothing was ever acknowledged without a WAL file, so a half-made table file alone is no log that was lost.
    let is_new = salvage.as_ref().is_some_and(Salvage::is_empty);
    let mut replay = Replay::new(&info, sealed, catalog, dup);
    let wal_config = WalConfig {
        hub: info.hub,
        epoch: info.epoch,
        secret: info.secret,
        file_bytes: config.wal_file_bytes,
        known: info.files,
    };
    let (mut wal, findings) = recover(disk, wal_config, sealed, |commit| replay.visit(&commit))?;
    if let Err(error) = wal.provide_files() {
        if wal.file_count() == 0 {
            return Err(error.into());
        }
        tracing::warn!(%error, "no room for all WAL files yet");
    }
    let WalFindings { damaged, torn_tail, lacking, lost_bytes, .. } = findings;
    if !lacking.is_empty() {
        tracing::error!(files = ?lacking, lost_bytes, "WAL files are missing or cut; what they held is lost");
        Class::ALL.into_iter().for_each(|class| {
            let held_max = lost_bytes / record_bytes_min(class);
            let upto = info.reserved[class.index()].min(replay.tail.next[class.index()] + held_max);
            replay.lose(class, upto, GapCause::Missing, context.now);
        });
    }
    let Replay { tail, catalog, dup, lost, last_stamp, clean, records, .. } = replay;
    let shared = Arc::new(Shared::new(info.hub, info.epoch, context.now.boot, tables, tail, catalog));
    let damaged = damaged + lacking.len() as u64;
    add(&shared.counters.damaged, damaged);
    set(&shared.counters.block_bytes_held, held);
    let mut recovery = Recovery {
        hub: info.hub,
        epoch: info.epoch,
        is_new,
        clean: clean && lacking.is_empty() || is_new,
        records,
        torn_tail,
        damaged,
        lost: lost.iter().map(|g| (g.class, g.range)).collect(),
        missing: lacking,
        set_aside,
        duration: Duration::ZERO,
    };
    let identity = Identity { hub: info.hub, epoch: info.epoch, secret: info.secret };
    let parts = CoreParts { config, identity, shared, wal, dup, sealed, reserved: info.reserved, last_stamp };
    let mut log = Log::new(parts, context.now);
    settle(&mut log, &recovery, context.now)?;
    if let Some(salvage) = salvage.filter(|_| !is_new) {
        recovery.records =
            salvage::store(&mut log, salvage, context.now).map_err(|e| OpenError::Io(io::Error::other(e)))?;
    }
    first_commit(&mut log, &recovery, &lost, context.now);
    Ok((log, recovery))
}

/// Brings the tables up to what was found. After a loss of WAL files, what is left is sealed together with the gaps, in
/// one transaction: until it is written, the next start notices the same loss; from then on, numbers begin behind it.
fn settle(log: &mut Log, recovery: &Recovery, now: BootStamp) -> Result<(), TableError> {
    let lossy = !recovery.missing.is_empty();
    if let Some(plan) = lossy.then(|| log.plan_seal(now.mono_ms, true)).flatten() {
        seal(&log.shared(), &plan)?;
        log.sealed(&plan);
    }
    if let Err(error) = log.store_list() {
        tracing::warn!(%error, "the tables do not take the list of WAL files now; the next seal does it");
    }
    Ok(())
}

/// Puts into the WAL what opening found and the tables do not say yet.
fn first_commit(log: &mut Log, recovery: &Recovery, lost: &[Gap], now: BootStamp) {
    if recovery.missing.is_empty() {
        lost.iter().for_each(|gap| log.stage_gap(*gap, now));
    }
    if !recovery.clean {
        log.stage_restart_gap(now);
    }
    log.stage_open(now);
    if let Err(error) = log.commit(now) {
        // Nobody was told of anything; it goes with the next commit that works.
        tracing::warn!(%error, "the first commit after opening has to wait");
    }
}

/// What the tables held.
enum Loaded {
    Log(Box<LoadedLog>),
    /// A file without a log: new, or made by a start that did not get further.
    Empty(Tables),
}

struct LoadedLog {
    tables: Tables,
    info: StoreInfo,
    sealed: Sealed,
    catalog: Catalog,
    dup: DupTable,
    /// Bytes of all blocks.
    held: u64,
}

/// Reads everything a start needs from the tables. A damaged file may make redb panic: that is damage too.
fn load(disk: &Arc<dyn Disk>) -> Result<Loaded, TableError> {
    let read = || {
        let tables = Tables::open(Arc::clone(disk))?;
        let Some(info) = tables.store_info()? else { return Ok(Loaded::Empty(tables)) };
        let snapshot = tables.snapshot()?;
        let mut sealed = Sealed { upto: [0; 7], number: info.folded };
        let mut held = 0;
        for class in Class::ALL {
            sealed.upto[class.index()] = snapshot.cursor(info.epoch, class)?.sealed_upto;
            held += tables.block_bytes(info.epoch, class)?;
        }
        drop(snapshot);
        let mut dup = DupTable::default();
        for (incarnation, marks) in tables.dup()? {
            dup.load(incarnation, marks);
        }
        let catalog = tables.catalog(info.epoch)?;
        Ok(Loaded::Log(Box::new(LoadedLog { tables, info, sealed, catalog, dup, held })))
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or(Err(TableError::Panicked))
}

/// Whether a file must be given up. One of another version must not: its own program can read it.
fn is_damage(error: &TableError) -> bool {
    match error {
        TableError::Panicked => true,
        TableError::Malformed(what) => *what != store_info::NEWER,
        TableError::Closed => false,
        TableError::Redb(error) => {
            if let redb::Error::Io(e) = error.as_ref() {
                matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            } else {
                let wrong_table = matches!(
                    error.as_ref(),
                    redb::Error::TableTypeMismatch { .. }
                        | redb::Error::TableIsMultimap(_)
                        | redb::Error::TypeDefinitionChanged { .. }
                        | redb::Error::TableDoesNotExist(_)
                );
                wrong_table || matches!(error.as_ref(), redb::Error::Corrupted(_))
            }
        }
    }
}

/// Begins a new epoch in empty tables, with what WAL files of an older one still hold.
fn create(
    disk: &Arc<dyn Disk>,
    tables: Tables,
    config: CoreConfig,
    context: &OpenContext,
    set_aside: &mut Vec<String>,
) -> Result<(Box<LoadedLog>, Option<Salvage>), OpenError> {
    let salvage = salvage::take_wal(disk, set_aside)?;
    let [e0, e1, e2, e3, e4, e5, e6, e7, rest @ ..] = context.seed;
    let mut secret = [0; 16];
    secret.copy_from_slice(&rest[..16]);
    let epoch = LogEpoch(u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]));
    let hub = salvage.hub.unwrap_or(context.hub);
    let reserved = Class::ALL.map(|class| config.reserve_of(class, 0));
    let info = StoreInfo { hub, epoch, secret, folded: 0, reserved, files: Vec::new() };
    tables.create(&info)?;
    let (sealed, catalog, dup) = (Sealed::default(), Catalog::default(), DupTable::default());
    Ok((Box::new(LoadedLog { tables, info, sealed, catalog, dup, held: 0 }), Some(salvage)))
}

/// The fewest bytes that a record takes in the WAL: head, series, stamp and value; head, stamp and five short fields; kind
/// and id.
const fn record_bytes_min(class: Class) -> u64 {
    match class {
        Class::Telemetry | Class::Bulk | Class::Rollup => 4,
        Class::Alarm | Class::Event | Class::Audit => 7,
        Class::Meta => 16,
    }
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
    fn new(info: &StoreInfo, sealed: Sealed, catalog: Catalog, dup: DupTable) -> Replay {
        let mut tail = Tail::default();
        tail.next = sealed.upto;
        let folded = info.folded;
        Replay { tail, catalog, dup, folded, lost: Vec::new(), last_stamp: None, clean: false, records: 0 }
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
                FrameKind::Gap => self.gap(commit.header.number, frame, at),
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
                    self.lose(frame.class, frame.range.to, GapCause::Corrupted, at);
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
        self.lose(frame.class, frame.range.from, GapCause::Corrupted, at);
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
    fn lose(&mut self, class: Class, upto: u64, cause: GapCause, until: BootStamp) {
        let expected = self.tail.next[class.index()];
        if upto <= expected {
            return;
        }
        let range = SeqRange::new(expected, upto);
        let gap = Gap { class, range, cause, since: self.last_stamp, until };
        self.tail.push_gap(gap);
        self.lost.push(gap);
    }

    /// Fills in what is unknown because its own frame went bad. What is known may be newer than the repeat.
    fn repeat(&mut self, frame: &FrameRef<'_>) -> Result<(), Malformed> {
        read_repeat(frame.body)?.iter().for_each(|d| self.catalog.fill_in(d));
        Ok(())
    }

    fn gap(&mut self, number: u64, frame: &FrameRef<'_>, at: BootStamp) -> Result<(), Malformed> {
        let gap = read_gap(frame.class, frame.range, frame.body)?;
        // Also a gap without numbers says how far they had come.
        self.lose(gap.class, gap.range.from, GapCause::Corrupted, at);
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
