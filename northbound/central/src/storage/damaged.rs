//! Table `damaged`: ranges whose blocks went bad here and that their hubs are asked for again. A row goes when its
//! numbers are accounted for again; one that was filled in parts goes later, and does not count meanwhile.

use hub_model::{HubId, SeqRange, UtcMs};
use northbound_wire::Lane;

use super::StorageError;
use super::cell::{Cells, class, epoch, number, size};
use super::database::Db;

const LIST: &str = "SELECT from_seq, to_seq FROM damaged
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq >= $5
    ORDER BY from_seq LIMIT $6";

const REMOVE: &str = "DELETE FROM damaged
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq >= $5 AND from_seq < $6
        AND to_seq <= $6";

/// Statements that must not read a whole table, with the index each goes by.
#[cfg(test)]
pub(super) const LOOKUPS: &[(&str, &str)] =
    &[(LIST, "sqlite_autoindex_damaged_1"), (REMOVE, "sqlite_autoindex_damaged_1")];

impl Db<'_> {
    pub(crate) async fn put_damaged(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
        now: UtcMs,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO damaged (org_id, hub_id, epoch, class, from_seq, to_seq, found_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (org_id, hub_id, epoch, class, from_seq) DO UPDATE SET to_seq = excluded.to_seq,
                 found_ms = excluded.found_ms",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        statement.bind(now.0).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// A range is accounted for.
    pub(crate) async fn remove_damaged(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(REMOVE).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Damaged ranges of a lane that are not here again, by number, of those that begin at `from_seq` or later.
    pub(crate) async fn damaged(
        &mut self,
        hub: HubId,
        lane: Lane,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<SeqRange>, StorageError> {
        let query = sqlx::query(LIST).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(number(from_seq)).bind(size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let range = Cells(row).range()?;
            if !self.is_covered(hub, lane, range).await? {
                found.push(range);
            }
        }
        Ok(found)
    }

    /// How many rows there are.
    pub(crate) async fn damaged_count(&mut self) -> Result<u64, StorageError> {
        let query = sqlx::query("SELECT COUNT(*) AS blocks FROM damaged WHERE org_id = $1");
        Cells(&query.bind(self.org).fetch_one(&mut *self.conn).await?).count("blocks")
    }
}
