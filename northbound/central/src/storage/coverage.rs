//! Table `coverage`: which numbers are accounted for, as merged ranges. Follows from `ranges`, and changes with it in
//! one transaction: a hub that connects is answered from a few rows, however many blocks it has here.

use hub_model::{HubId, RangeSet, SeqRange};
use northbound_wire::Lane;

use super::cell::{Cells, class, epoch, number};
use super::database::Db;
use super::{Storage, StorageError};

/// Where the ranges begin and end that share a number with `$5..$6` or touch it, and how many they are.
const TOUCHING: &str = "SELECT MIN(from_seq) AS from_seq, MAX(to_seq) AS to_seq, COUNT(*) AS ranges FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq <= $6
        AND from_seq >= COALESCE((SELECT MAX(from_seq) FROM coverage WHERE org_id = $1 AND hub_id = $2 AND epoch = $3
            AND class = $4 AND from_seq <= $5), $5)
        AND to_seq >= $5";

const REMOVE: &str = "DELETE FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq >= $5 AND from_seq <= $6";

/// The range that holds a number.
const HOLDING: &str = "SELECT from_seq, to_seq FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq <= $5
    ORDER BY from_seq DESC LIMIT 1";

const ALL: &str = "SELECT from_seq, to_seq FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 ORDER BY from_seq";

/// Statements that must not read a whole table, with the index each goes by.
#[cfg(test)]
pub(super) const LOOKUPS: &[(&str, &str)] = &[
    (TOUCHING, "sqlite_autoindex_coverage_1"),
    (REMOVE, "sqlite_autoindex_coverage_1"),
    (HOLDING, "sqlite_autoindex_coverage_1"),
    (ALL, "sqlite_autoindex_coverage_1"),
];

impl Db<'_> {
    /// Every number of a lane that is accounted for.
    pub(crate) async fn covered(&mut self, hub: HubId, lane: Lane) -> Result<RangeSet, StorageError> {
        let query = sqlx::query(ALL).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let rows = query.bind(class(lane.class)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| Cells(row).range()).collect()
    }

    /// Whether every number of a range is accounted for.
    pub(crate) async fn is_covered(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<bool, StorageError> {
        let query = sqlx::query(HOLDING).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(number(range.from));
        let row = query.fetch_optional(&mut *self.conn).await?;
        let held = row.map(|row| Cells(&row).range()).transpose()?;
        Ok(held.is_some_and(|held| held.covers(range)))
    }

    /// Adds numbers.
    pub(crate) async fn cover(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<(), StorageError> {
        let Some((touched, count)) = self.touching(hub, lane, range).await? else {
            return self.insert_coverage(hub, lane, range).await;
        };
        let merged = SeqRange::new(range.from.min(touched.from), range.to.max(touched.to));
        if count == 1 && merged == touched {
            return Ok(());
        }
        // What nearly every block does: it follows the one before.
        if count == 1 && merged.from == touched.from {
            return self.extend_coverage(hub, lane, merged).await;
        }
        self.remove_coverage(hub, lane, touched.from, range.to).await?;
        self.insert_coverage(hub, lane, merged).await
    }

    /// Takes numbers out: they are holes again, and hubs are asked for them.
    pub(crate) async fn uncover(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<(), StorageError> {
        let Some((touched, _)) = self.touching(hub, lane, range).await? else { return Ok(()) };
        self.remove_coverage(hub, lane, touched.from, range.to).await?;
        if touched.from < range.from {
            self.insert_coverage(hub, lane, SeqRange::new(touched.from, range.from)).await?;
        }
        if range.to < touched.to {
            self.insert_coverage(hub, lane, SeqRange::new(range.to, touched.to)).await?;
        }
        Ok(())
    }

    /// From the first to the last of the ranges that share a number with a range or touch it, and how many there are.
    async fn touching(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<Option<(SeqRange, u64)>, StorageError> {
        let query = sqlx::query(TOUCHING).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        let row = query.fetch_one(&mut *self.conn).await?;
        let cells = Cells(&row);
        match cells.count("ranges")? {
            0 => Ok(None),
            count => Ok(Some((cells.range()?, count))),
        }
    }

    async fn insert_coverage(&mut self, hub: HubId, lane: Lane, range: SeqRange) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO coverage (org_id, hub_id, epoch, class, from_seq, to_seq) VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn extend_coverage(&mut self, hub: HubId, lane: Lane, range: SeqRange) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "UPDATE coverage SET to_seq = $6
             WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq = $5",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Takes out the ranges that begin from the one number to the other, both included.
    async fn remove_coverage(
        &mut self,
        hub: HubId,
        lane: Lane,
        first: u64,
        last: u64,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(REMOVE).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(first)).bind(number(last));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }
}

impl Storage {
    /// The numbers of these lanes of a hub that are accounted for: stored, expired, deleted or gap.
    pub async fn accounted(&self, hub: HubId, lanes: &[Lane]) -> Result<Vec<(Lane, RangeSet)>, StorageError> {
        let mut reading = self.read().await?;
        let mut found = Vec::with_capacity(lanes.len());
        for lane in lanes {
            found.push((*lane, reading.db().covered(hub, *lane).await?));
        }
        Ok(found)
    }
}
