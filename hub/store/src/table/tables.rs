//! The redb file as the log uses it: opened, sealed into, read.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hub_model::{Class, Gap, LogEpoch, RangeSet, SeqRange};
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use thiserror::Error;

use super::backend::FileBackend;
use super::cover::{Cover, Sequence, cover_at, zero_gaps};
use super::store_info::StoreInfo;
use super::time_index::IndexRow;
use super::{
    block, clock, confirmed, cursor, definition, dup, gap, place_from, place_key, quarantine, store_info,
    time_index,
};
use crate::catalog::Catalog;
use crate::disk::{Disk, distrust};
use crate::dup::SessionMarks;
use crate::field::Malformed;
use crate::record::Definition;
use crate::wal::PAGE;

/// redb's page cache. Its default of 1 GiB is a server's.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Why the tables could not be opened, written or read.
#[derive(Debug, Error)]
pub enum TableError {
    /// redb's file, or the disk below it, refused.
    #[error("tables: {0}")]
    Redb(#[from] Box<redb::Error>),
    /// A row does not say what it should.
    #[error("tables: {0}")]
    Malformed(#[from] Malformed),
    /// redb panicked on what it found in its file.
    #[error("tables: the file is damaged beyond what redb can read")]
    Panicked,
    /// After a disk error the file is being closed and opened again; try later.
    #[error("tables: closed after a disk error")]
    Closed,
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for TableError {
            fn from(error: $error) -> Self {
                TableError::Redb(Box::new(error.into()))
            }
        }
    )*};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

impl TableError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the list is open, and the rest is shown as redb says it"
    )]
    /// What it says of the disk, as a clause for people; `None` for what only follows from an earlier failure.
    pub(crate) fn disk_trouble(&self) -> Option<String> {
        let TableError::Redb(error) = self else {
            return (!matches!(self, TableError::Closed)).then(|| self.to_string());
        };
        match error.as_ref() {
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => None,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                Some("the disk is full".to_owned())
            }
            redb::Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                Some("the disk's quota for this user is used up".to_owned())
            }
            redb::Error::Io(error) => Some(format!("the disk fails: {error}")),
            _ => Some(self.to_string()),
        }
    }
}

/// Everything one seal writes, in one transaction.
#[derive(Debug, Default)]
pub(crate) struct SealWrite {
    pub(crate) info: Option<StoreInfo>,
    pub(crate) blocks: Vec<(Class, IndexRow, Vec<u8>)>,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) dup: Vec<(u64, Option<SessionMarks>)>,
    pub(crate) sealed_upto: Vec<(Class, u64)>,
}

/// The redb file.
#[derive(Debug)]
pub(crate) struct Tables {
    disk: Arc<dyn Disk>,
    name: &'static str,
    /// `None` between a disk error and the next successful opening: redb refuses even reads after one.
    db: RwLock<Option<Arc<Database>>>,
    /// Held by whoever writes, from the beginning of the transaction to the opening after its failure. redb lets one
    /// transaction write at a time, but would go on with one while the same file is opened again.
    writing: Mutex<()>,
    /// A write failed and the file was not opened again yet.
    broken: AtomicBool,
    /// A sync of the file failed since it was last known to be whole.
    sync_failed: Arc<AtomicBool>,
}

impl Tables {
    pub(crate) const FILE: &'static str = "telemetry.redb";

    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Tables, TableError> {
        let sync_failed = Arc::new(AtomicBool::new(false));
        let db = open_database(&disk, Self::FILE, &sync_failed)?;
        Ok(Tables {
            disk,
            name: Self::FILE,
            db: RwLock::new(Some(Arc::new(db))),
            writing: Mutex::new(()),
            broken: AtomicBool::new(false),
            sync_failed,
        })
    }

    /// Changes the tables in one transaction; `None` from `change` changes nothing.
    ///
    /// Every writer comes through here, the sealer and the outbox alike, one at a time. After an error the file is
    /// closed and opened again before the next one has its turn, so the error of one is not met by the other. The
    /// transaction that failed may be on flash all the same; who repeats it must not count it twice.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<Option<T>, TableError>,
    ) -> Result<Option<T>, TableError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen_broken()?;
        let done = guard(|| {
            let txn = self.begin()?;
            let changed = change(&txn)?;
            if changed.is_some() {
                txn.commit()?;
            }
            Ok(changed)
        });
        // A row that does not decode is no disk error: redb goes on as it was.
        if matches!(done, Err(TableError::Redb(_) | TableError::Panicked | TableError::Closed)) {
            self.broken.store(true, Ordering::Relaxed);
            if let Err(error) = self.reopen_broken() {
                // Whoever writes hears of the failure itself, and says it.
                tracing::debug!(%error, "the tables do not open again yet; it is tried before the next write");
            }
        }
        drop(writing);
        done
    }

    /// Opens the file again if a write failed and that was not done yet.
    pub(crate) fn reopen(&self) -> Result<(), TableError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let reopened = self.reopen_broken();
        drop(writing);
        reopened
    }

    /// Closes the file and opens it again, which is how redb gets over a disk error. After a failed sync every byte is
    /// written anew first. A reader that still holds the old handle finds it refusing and lets go; until then this
    /// fails, and is tried again. Only for who holds `writing`.
    fn reopen_broken(&self) -> Result<(), TableError> {
        if !self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let slot = || self.db.write().unwrap_or_else(PoisonError::into_inner);
        // Meanwhile readers hear `Closed`; nobody waits for the lock while a whole file is written.
        let old = slot().take();
        if let Some(db) = old {
            match Arc::try_unwrap(db) {
                Ok(db) => drop(db),
                Err(shared) => {
                    *slot() = Some(shared);
                    return Err(TableError::Closed);
                }
            }
        }
        if self.sync_failed.load(Ordering::Relaxed) {
            distrust::rewrite(self.disk.as_ref(), self.name).map_err(io_error)?;
            self.sync_failed.store(false, Ordering::Relaxed);
        }
        let db = open_database(&self.disk, self.name, &self.sync_failed)?;
        *slot() = Some(Arc::new(db));
        self.broken.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The tables as they are now, for several looks at the same moment.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, TableError> {
        guard(|| Ok(Snapshot(self.db()?.begin_read()?)))
    }

    pub(super) fn db(&self) -> Result<Arc<Database>, TableError> {
        let slot = self.db.read().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(Arc::clone).ok_or(TableError::Closed)
    }

    /// The store's row; `None` when the file is new.
    pub(crate) fn store_info(&self) -> Result<Option<StoreInfo>, TableError> {
        let table = match self.db()?.begin_read()?.open_table(store_info::STORE_INFO) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let row = table.get(store_info::KEY)?;
        Ok(row.map(|r| store_info::decode_value(r.value())).transpose()?)
    }

    /// Writes the store's row.
    pub(crate) fn put_info(&self, info: &StoreInfo) -> Result<(), TableError> {
        self.write(|txn| {
            let value = store_info::encode_value(info);
            txn.open_table(store_info::STORE_INFO)?.insert(store_info::KEY, value.as_slice())?;
            Ok(Some(()))
        })?;
        Ok(())
    }

    /// Makes all tables and the store's row, in a new file.
    pub(crate) fn create(&self, info: &StoreInfo) -> Result<(), TableError> {
        let txn = self.begin()?;
        for table in [
            block::BLOCK,
            time_index::TIME_INDEX,
            cursor::CURSOR,
            gap::GAP,
            definition::DEFINITION,
            clock::CLOCK,
            confirmed::CONFIRMED,
            dup::DUP,
            quarantine::QUARANTINE,
            store_info::STORE_INFO,
        ] {
            txn.open_table(table)?;
        }
        txn.open_table(store_info::STORE_INFO)?
            .insert(store_info::KEY, store_info::encode_value(info).as_slice())?;
        Ok(txn.commit()?)
    }

    /// Writes one seal. Idempotent: the same seal again changes nothing and is not counted twice, whatever became of
    /// its blocks since.
    pub(crate) fn seal(&self, epoch: LogEpoch, write: &SealWrite) -> Result<(), TableError> {
        self.write(|txn| {
            if let Some(info) = &write.info {
                let value = store_info::encode_value(info);
                txn.open_table(store_info::STORE_INFO)?.insert(store_info::KEY, value.as_slice())?;
            }
            let mut ledger = LedgerChange::default();
            insert_blocks(txn, epoch, &write.blocks, &mut ledger)?;
            insert_gaps(txn, epoch, &write.gaps, &mut ledger)?;
            insert_definitions(txn, epoch, &write.definitions)?;
            insert_dup(txn, &write.dup)?;
            ledger.apply(txn, epoch, &write.sealed_upto)?;
            Ok(Some(()))
        })?;
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction, TableError> {
        let mut txn = self.db()?.begin_write()?;
        txn.set_durability(redb::Durability::Immediate)?;
        // Without it, opening after a crash reads the whole file: seconds at a gigabyte instead of milliseconds.
        txn.set_quick_repair(true);
        Ok(txn)
    }

    /// Every definition of the epoch.
    pub(crate) fn catalog(&self, epoch: LogEpoch) -> Result<Catalog, TableError> {
        let read = self.db()?.begin_read()?;
        let mut catalog = Catalog::default();
        let (first, last) = epoch_keys(epoch);
        for table in [definition::DEFINITION, clock::CLOCK] {
            for row in read.open_table(table)?.range(first.as_slice()..=last.as_slice())? {
                let (_, value) = row?;
                match definition::decode_value(value.value()) {
                    Ok(definition) => catalog.insert(&definition),
                    Err(error) => tracing::error!(%error, "a damaged definition is passed over"),
                }
            }
        }
        Ok(catalog)
    }

    /// The marks of every session.
    pub(crate) fn dup(&self) -> Result<Vec<(u64, SessionMarks)>, TableError> {
        let table = self.db()?.begin_read()?.open_table(dup::DUP)?;
        let mut sessions = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            match (dup::decode_key(key.value()), dup::decode_value(value.value())) {
                (Ok(incarnation), Ok(marks)) => sessions.push((incarnation, marks)),
                _ => tracing::error!("the damaged resend marks of a session are passed over"),
            }
        }
        Ok(sessions)
    }

    /// The first block of a class that holds `seq` or lies after it.
    pub(crate) fn index_at(
        &self,
        epoch: LogEpoch,
        class: Class,
        seq: u64,
    ) -> Result<Option<IndexRow>, TableError> {
        guard(|| {
            let table = self.db()?.begin_read()?.open_table(time_index::TIME_INDEX)?;
            let (first, at) = (place_key(epoch, class, 0), place_key(epoch, class, seq));
            if let Some(row) = table.range(first.as_slice()..=at.as_slice())?.next_back() {
                let (key, value) = row?;
                let row = index_row(key.value(), value.value())?;
                if row.range.to > seq {
                    return Ok(Some(row));
                }
            }
            let last = place_key(epoch, class, u64::MAX);
            let Some(row) = table.range(at.as_slice()..=last.as_slice())?.next() else { return Ok(None) };
            let (key, value) = row?;
            Ok(Some(index_row(key.value(), value.value())?))
        })
    }

    /// The bytes of the block that begins at `from`.
    pub(crate) fn block(
        &self,
        epoch: LogEpoch,
        class: Class,
        from: u64,
    ) -> Result<Option<Vec<u8>>, TableError> {
        guard(|| {
            let table = self.db()?.begin_read()?.open_table(block::BLOCK)?;
            Ok(table.get(place_key(epoch, class, from).as_slice())?.map(|b| b.value().to_vec()))
        })
    }

    /// Bytes of all blocks of a class. A damaged row of the index is passed over; a query will meet it.
    pub(crate) fn block_bytes(&self, epoch: LogEpoch, class: Class) -> Result<u64, TableError> {
        let table = self.db()?.begin_read()?.open_table(time_index::TIME_INDEX)?;
        let (first, last) = (place_key(epoch, class, 0), place_key(epoch, class, u64::MAX));
        let mut bytes = 0;
        for row in table.range(first.as_slice()..=last.as_slice())? {
            let (key, value) = row?;
            bytes += index_row(key.value(), value.value()).map_or(0, |row| u64::from(row.bytes));
        }
        Ok(bytes)
    }
}

/// The tables at one moment.
pub(crate) struct Snapshot(redb::ReadTransaction);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A class's row; zeros when it has none yet.
    pub(crate) fn cursor(&self, epoch: LogEpoch, class: Class) -> Result<cursor::Cursor, TableError> {
        guard(|| cursor::read(&self.0.open_table(cursor::CURSOR)?, epoch, class))
    }

    /// What central has confirmed of a class.
    pub(crate) fn confirmed(&self, epoch: LogEpoch, class: Class) -> Result<RangeSet, TableError> {
        guard(|| match self.0.open_table(confirmed::CONFIRMED) {
            Ok(table) => confirmed::read(&table, epoch, class),
            // Made with the first confirmation, in a file that is older than the table.
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(RangeSet::new()),
            Err(error) => Err(error.into()),
        })
    }

    /// What stands for `at`, which lies below `end`.
    pub(crate) fn cover_at(&self, sequence: Sequence, at: u64, end: u64) -> Result<Cover, TableError> {
        guard(|| {
            let index = self.0.open_table(time_index::TIME_INDEX)?;
            cover_at(&index, &self.0.open_table(gap::GAP)?, sequence, at, end)
        })
    }

    /// The gap rows without numbers at places within `range`.
    pub(crate) fn zero_gaps(&self, sequence: Sequence, range: SeqRange) -> Result<Vec<Gap>, TableError> {
        guard(|| zero_gaps(&self.0.open_table(gap::GAP)?, sequence, range))
    }

    /// The bytes of the block that begins at `from`.
    pub(crate) fn block(
        &self,
        Sequence { epoch, class }: Sequence,
        from: u64,
    ) -> Result<Option<Vec<u8>>, TableError> {
        guard(|| {
            let table = self.0.open_table(block::BLOCK)?;
            Ok(table.get(place_key(epoch, class, from).as_slice())?.map(|b| b.value().to_vec()))
        })
    }

    /// All gaps of the epoch, by class and place.
    pub(crate) fn gaps(&self, epoch: LogEpoch) -> Result<Vec<Gap>, TableError> {
        guard(|| {
            let table = self.0.open_table(gap::GAP)?;
            let mut gaps = Vec::new();
            let (first, last) = epoch_keys(epoch);
            for row in table.range(first.as_slice()..=last.as_slice())? {
                let (key, value) = row?;
                let (class, range) = gap::decode_key(key.value())?;
                gaps.push(gap::decode_value(class, range, value.value())?);
            }
            Ok(gaps)
        })
    }
}

/// redb panics on some damage that its checks let through. One bad page must not take a thread along, nor let an
/// answer that was cut short pass for a whole one.
fn guard<T>(access: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(access)).unwrap_or(Err(TableError::Panicked))
}

/// Opens a redb file, also one that makes redb panic.
fn open_database(
    disk: &Arc<dyn Disk>,
    name: &str,
    sync_failed: &Arc<AtomicBool>,
) -> Result<Database, TableError> {
    let file = disk.open(name).and_then(|file| disk.sync_dir().map(|()| file)).map_err(io_error)?;
    // Growing the file was cut short by a power cut. redb never reads what lies there, but wants whole pages.
    let size = file.size().map_err(io_error)?;
    if !size.is_multiple_of(PAGE as u64) {
        file.set_len(size.next_multiple_of(PAGE as u64)).map_err(io_error)?;
    }
    // A killed process may have left its last commit in the page cache only. WAL files are reused on the word of these
    // tables, so what is read here must be on flash first.
    if let Err(error) = distrust::sync(disk.as_ref(), file.as_ref()) {
        sync_failed.store(true, Ordering::Relaxed);
        return Err(io_error(error));
    }
    let backend = FileBackend { disk: Arc::clone(disk), file, sync_failed: Arc::clone(sync_failed) };
    let open = || redb::Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend);
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    Ok(opened.map_err(|_| TableError::Panicked)??)
}

fn io_error(error: io::Error) -> TableError {
    TableError::Redb(Box::new(redb::Error::Io(error)))
}

/// The bounds of an epoch's keys: they are longer than the epoch, and none reaches 40 bytes of 0xff behind it.
fn epoch_keys(epoch: LogEpoch) -> ([u8; 8], [u8; 48]) {
    let mut last = [0xff; 48];
    last[..8].copy_from_slice(&epoch.0.to_be_bytes());
    (epoch.0.to_be_bytes(), last)
}

pub(super) fn index_row(key: &[u8], value: &[u8]) -> Result<IndexRow, TableError> {
    let from = place_from(key).ok_or(Malformed("time index key"))?;
    Ok(time_index::decode_value(from, value)?)
}

/// What a transaction changes in the ledger, per class.
#[derive(Default)]
pub(super) struct LedgerChange {
    pub(super) stored: [i128; 7],
    pub(super) expired: [i128; 7],
    pub(super) gaps: [i128; 7],
}

impl LedgerChange {
    pub(super) fn apply(
        self,
        txn: &WriteTransaction,
        epoch: LogEpoch,
        sealed_upto: &[(Class, u64)],
    ) -> Result<(), TableError> {
        let mut table = txn.open_table(cursor::CURSOR)?;
        for class in Class::ALL {
            let before = cursor::read(&table, epoch, class)?;
            let mut after = before;
            after.stored = changed(before.stored, self.stored[class.index()])?;
            after.expired = changed(before.expired, self.expired[class.index()])?;
            after.gaps = changed(before.gaps, self.gaps[class.index()])?;
            if let Some((_, upto)) = sealed_upto.iter().find(|(c, _)| *c == class) {
                after.sealed_upto = before.sealed_upto.max(*upto);
            }
            if after != before {
                let key = cursor::encode_key(epoch, class);
                table.insert(key.as_slice(), cursor::encode_value(&after).as_slice())?;
            }
        }
        Ok(())
    }
}

fn changed(before: u64, by: i128) -> Result<u64, Malformed> {
    u64::try_from(i128::from(before) + by).map_err(|_| Malformed("ledger count"))
}

fn insert_blocks(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    blocks: &[(Class, IndexRow, Vec<u8>)],
    ledger: &mut LedgerChange,
) -> Result<(), TableError> {
    let cursors = txn.open_table(cursor::CURSOR)?;
    let mut table = txn.open_table(block::BLOCK)?;
    let mut index = txn.open_table(time_index::TIME_INDEX)?;
    for (class, row, bytes) in blocks {
        // This very seal reached the flash although its commit failed. Its block may have become a gap row since.
        if row.range.from < cursor::read(&cursors, epoch, *class)?.sealed_upto {
            continue;
        }
        let key = place_key(epoch, *class, row.range.from);
        let value = time_index::encode_value(row);
        index.insert(key.as_slice(), value.as_slice())?;
        table.insert(key.as_slice(), bytes.as_slice())?;
        ledger.stored[class.index()] += i128::from(row.range.len());
    }
    Ok(())
}

pub(super) fn insert_gaps(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    gaps: &[Gap],
    ledger: &mut LedgerChange,
) -> Result<(), TableError> {
    let mut table = txn.open_table(gap::GAP)?;
    for new in gaps {
        let key = gap::encode_key(epoch, new.class, new.range);
        let known = table.get(key.as_slice())?.map(|r| gap::decode_value(new.class, new.range, r.value()));
        let row = match known.transpose()? {
            Some(known) => gap::merge(&known, new),
            None => {
                ledger.gaps[new.class.index()] += i128::from(new.range.len());
                *new
            }
        };
        table.insert(key.as_slice(), gap::encode_value(&row).as_slice())?;
    }
    Ok(())
}

fn insert_definitions(
    txn: &WriteTransaction,
    epoch: LogEpoch,
    definitions: &[Definition],
) -> Result<(), TableError> {
    let mut table = txn.open_table(definition::DEFINITION)?;
    let mut clocks = txn.open_table(clock::CLOCK)?;
    for new in definitions {
        if let Some(key) = definition::encode_key(epoch, new) {
            table.insert(key.as_slice(), definition::encode_value(new).as_slice())?;
        }
        if let Definition::Clock(record) = new {
            let key = clock::encode_key(epoch, record);
            let known =
                clocks.get(key.as_slice())?.map(|r| definition::decode_value(r.value())).transpose()?;
            let newer = !matches!(known, Some(Definition::Clock(k)) if k.revision >= record.revision);
            if newer {
                clocks.insert(key.as_slice(), definition::encode_value(new).as_slice())?;
            }
        }
    }
    Ok(())
}

fn insert_dup(txn: &WriteTransaction, sessions: &[(u64, Option<SessionMarks>)]) -> Result<(), TableError> {
    let mut table = txn.open_table(dup::DUP)?;
    for (incarnation, marks) in sessions {
        let key = dup::encode_key(*incarnation);
        match marks {
            Some(marks) => table.insert(key.as_slice(), dup::encode_value(marks).as_slice())?,
            None => table.remove(key.as_slice())?,
        };
    }
    Ok(())
}
