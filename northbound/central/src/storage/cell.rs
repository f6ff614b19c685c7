//! Between Rust's types and what a cell can hold: 64-bit signed integers, texts, bytes.

use std::str::FromStr;

use hub_model::{BootId, BootStamp, Class, HubId, LogEpoch, SeqRange, UtcMs};
use northbound_wire::Lane;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Type};

use super::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

/// A count as a cell. What is larger than cells hold was refused at the door; a time beyond 292 million years is cut.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A length in memory as a cell.
pub(crate) fn size(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Epochs are random 64 bits compared for equality only, so the sign does not matter.
pub(crate) fn epoch(epoch: LogEpoch) -> i64 {
    epoch.0.cast_signed()
}

pub(crate) fn class(class: Class) -> i64 {
    i64::from(class.number())
}

/// A moment of a boot as its two cells.
pub(crate) fn moment(stamp: Option<BootStamp>) -> (Option<String>, Option<i64>) {
    (stamp.map(|s| s.boot.to_string()), stamp.map(|s| number(s.mono_ms)))
}

/// Reads cells of a row by name.
pub(crate) struct Cells<'r>(pub(crate) &'r SqliteRow);

impl<'r> Cells<'r> {
    pub(crate) fn get<T: sqlx::Decode<'r, Sqlite> + Type<Sqlite>>(&self, name: &'static str) -> Result<T> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn count(&self, name: &'static str) -> Result<u64> {
        u64::try_from(self.get::<i64>(name)?).map_err(|_| StorageError::Malformed(name))
    }

    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T> {
        self.get::<&str>(name)?.parse().map_err(|_| StorageError::Malformed(name))
    }

    pub(crate) fn parsed_or_none<T: FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(name)?;
        text.map(|text| text.parse().map_err(|_| StorageError::Malformed(name))).transpose()
    }

    /// A kind by its fixed number.
    pub(crate) fn kind<T>(&self, name: &'static str, from_number: impl Fn(u8) -> Option<T>) -> Result<T> {
        let number = u8::try_from(self.get::<i64>(name)?).ok();
        number.and_then(from_number).ok_or(StorageError::Malformed(name))
    }

    pub(crate) fn hash(&self, name: &'static str) -> Result<[u8; 32]> {
        self.get::<&[u8]>(name)?.try_into().map_err(|_| StorageError::Malformed(name))
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<UtcMs> {
        self.get(name).map(UtcMs)
    }

    pub(crate) fn time_or_none(&self, name: &'static str) -> Result<Option<UtcMs>> {
        Ok(self.get::<Option<i64>>(name)?.map(UtcMs))
    }

    pub(crate) fn epoch(&self) -> Result<LogEpoch> {
        Ok(LogEpoch(self.get::<i64>("epoch")?.cast_unsigned()))
    }

    pub(crate) fn hub(&self) -> Result<HubId> {
        self.parsed("hub_id")
    }

    pub(crate) fn lane(&self) -> Result<Lane> {
        Ok(Lane { epoch: self.epoch()?, class: self.kind("class", Class::from_number)? })
    }

    /// Columns `from_seq` and `to_seq`.
    pub(crate) fn range(&self) -> Result<SeqRange> {
        let (from, to) = (self.count("from_seq")?, self.count("to_seq")?);
        if from >= to {
            return Err(StorageError::Malformed("range"));
        }
        Ok(SeqRange::new(from, to))
    }

    pub(crate) fn boot(&self, name: &'static str) -> Result<BootId> {
        self.parsed(name)
    }

    pub(crate) fn moment_or_none(&self, boot: &'static str, mono: &'static str) -> Result<Option<BootStamp>> {
        let Some(boot_id) = self.parsed_or_none::<BootId>(boot)? else { return Ok(None) };
        Ok(Some(BootStamp { boot: boot_id, mono_ms: self.count(mono)? }))
    }
}
