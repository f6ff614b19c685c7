//! Table `coverage`: which numbers are accounted for, as merged ranges. Follows from `ranges`, and changes with it in
//! one transaction: a hub that connects is answered from a few rows, however many blocks it has here.

use hub_model::{HubId, RangeSet, SeqRange};
use northbound_wire::Lane;

use super::cell::{Cells, class, epoch, number};
use super::database::Db;
use super::{Storage, StorageError};

/// Ranges that share a number with `$5..$6` or touch it.
const TOUCHING: &str = "SELECT from_seq, to_seq FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq <= $6
        AND from_seq >= COALESCE((SELECT MAX(from_seq) FROM coverage WHERE org_id = $1 AND hub_id = $2 AND epoch = $3
            AND class = $4 AND from_seq <= $5), $5)
        AND to_seq >= $5
    ORDER BY from_seq";

const ALL: &str = "SELECT from_seq, to_seq FROM coverage
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 ORDER BY from_seq";

/// Statements that must not read a whole table, with the index each goes by.
#[cfg(test)]
pub(super) const LOOKUPS: &[(&str, &str)] =
    &[(TOUCHING, "sqlite_autoindex_coverage_1"), (ALL, "sqlite_autoindex_coverage_1")];

impl Db<'_> {
    /// Every number of a lane that is accounted for.
    pub(crate) async fn covered(&mut self, hub: HubId, lane: Lane) -> Result<RangeSet, StorageError> {
        let query = sqlx::query(ALL).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let rows = query.bind(class(lane.class)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| Cells(row).range()).collect()
    }

    /// Adds numbers.
    pub(crate) async fn cover(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<(), StorageError> {
        self.change_coverage(hub, lane, range, |set| set.insert(range)).await
    }

    /// Takes numbers out: they are holes again, and hubs are asked for them.
    pub(crate) async fn uncover(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<(), StorageError> {
        self.change_coverage(hub, lane, range, |set| set.remove(range)).await
    }

    async fn change_coverage(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
        change: impl FnOnce(&mut RangeSet),
    ) -> Result<(), StorageError> {
        let query = sqlx::query(TOUCHING).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(number(range.from)).bind(number(range.to));
        let rows = query.fetch_all(&mut *self.conn).await?;
        let before: RangeSet = rows.iter().map(|row| Cells(row).range()).collect::<Result<_, _>>()?;
        let mut after = before.clone();
        change(&mut after);
        // What nearly every block does: it follows the one before.
        let (mut was, mut is) = (before.iter(), after.iter());
        if let (Some(old), None, Some(new), None) = (was.next(), was.next(), is.next(), is.next())
            && old.from == new.from
        {
            return if old == new { Ok(()) } else { self.extend_coverage(hub, lane, new).await };
        }
        for gone in before.iter().filter(|range| !after.iter().any(|a| a == *range)) {
            self.remove_coverage(hub, lane, gone).await?;
        }
        for new in after.iter().filter(|range| !before.iter().any(|b| b == *range)) {
            self.insert_coverage(hub, lane, new).await?;
        }
        Ok(())
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

    async fn remove_coverage(&mut self, hub: HubId, lane: Lane, range: SeqRange) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "DELETE FROM coverage
             WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND from_seq = $5",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        statement.bind(class(lane.class)).bind(number(range.from)).execute(&mut *self.conn).await?;
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
