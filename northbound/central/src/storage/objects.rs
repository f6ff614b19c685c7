//! Table `objects`: the pack objects there are, with their sizes.

use std::fmt;
use std::str::FromStr;

use hub_model::{IdError, Ulid, UtcMs};

use super::StorageError;
use super::cell::{Cells, number};
use super::database::Db;
use crate::entropy;

/// A pack object: `pack_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Ulid);

impl ObjectId {
    /// A new one.
    pub fn new(now: UtcMs) -> Result<ObjectId, StorageError> {
        Ok(ObjectId(entropy::ulid(now)?))
    }

    /// The folder it lies in: objects of some nine hours share one, so that none gets too large to list.
    pub(super) fn shard(self) -> String {
        shard_of(&self.0.to_string())
    }
}

fn shard_of(ulid: &str) -> String {
    ulid.chars().take(5).collect()
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pack_{}", self.0)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.strip_prefix("pack_").ok_or(IdError::Prefix { expected: "pack_" })?;
        rest.parse().map(ObjectId)
    }
}

/// An object as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    /// Which.
    pub id: ObjectId,
    /// Its length in bytes.
    pub size_bytes: u64,
}

impl Db<'_> {
    pub(crate) async fn insert_object(&mut self, object: ObjectRow, now: UtcMs) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO objects (org_id, object_id, size_bytes, created_ms) VALUES ($1, $2, $3, $4)",
        );
        let statement = statement.bind(self.org).bind(object.id.to_string()).bind(number(object.size_bytes));
        statement.bind(now.0).execute(&mut *self.conn).await?;
        Ok(())
    }

    pub(crate) async fn has_object(&mut self, id: ObjectId) -> Result<bool, StorageError> {
        let query = sqlx::query("SELECT 1 FROM objects WHERE org_id = $1 AND object_id = $2");
        let row = query.bind(self.org).bind(id.to_string()).fetch_optional(&mut *self.conn).await?;
        Ok(row.is_some())
    }

    /// Takes the object's row out when no range names it any more; whether it did.
    pub(crate) async fn remove_object_without_ranges(&mut self, id: ObjectId) -> Result<bool, StorageError> {
        let statement = sqlx::query(
            "DELETE FROM objects WHERE org_id = $1 AND object_id = $2
                 AND NOT EXISTS (SELECT 1 FROM ranges WHERE ranges.object_id = $2)",
        );
        let statement = statement.bind(self.org).bind(id.to_string());
        Ok(statement.execute(&mut *self.conn).await?.rows_affected() > 0)
    }

    /// Objects behind an id, by id, which is by age.
    pub(crate) async fn objects_after(
        &mut self,
        after: Option<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StorageError> {
        let query = sqlx::query(
            "SELECT object_id, size_bytes FROM objects WHERE org_id = $1 AND object_id > $2 ORDER BY object_id LIMIT $3",
        );
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let rows = query
            .bind(self.org)
            .bind(after)
            .bind(super::cell::size(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }

    /// Objects that no range names.
    pub(crate) async fn objects_without_ranges(&mut self) -> Result<Vec<ObjectRow>, StorageError> {
        let query = sqlx::query(
            "SELECT object_id, size_bytes FROM objects o WHERE org_id = $1
                 AND NOT EXISTS (SELECT 1 FROM ranges r WHERE r.object_id = o.object_id)
             ORDER BY object_id",
        );
        let rows = query.bind(self.org).fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }

    /// Number and bytes of all objects.
    pub(crate) async fn object_totals(&mut self) -> Result<(u64, u64), StorageError> {
        let query = sqlx::query(
            "SELECT COUNT(*) AS objects, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes
             FROM objects WHERE org_id = $1",
        );
        let row = query.bind(self.org).fetch_one(&mut *self.conn).await?;
        let cells = Cells(&row);
        Ok((cells.count("objects")?, cells.count("bytes")?))
    }
}

fn read(cells: &Cells<'_>) -> Result<ObjectRow, StorageError> {
    Ok(ObjectRow { id: cells.parsed("object_id")?, size_bytes: cells.count("size_bytes")? })
}
