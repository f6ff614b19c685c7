//! Table `zero_gaps`: places where readings without a number may be missing, such as a restart. A hub may tell of one
//! again, with a later end; the latest word holds.

use hub_model::{GapCause, HubId};
use northbound_wire::{Lane, ZeroGap};
use sqlx::sqlite::SqliteRow;

use super::StorageError;
use super::cell::{Cells, class, epoch, moment, number, size};
use super::database::Db;

impl Db<'_> {
    pub(crate) async fn put_zero_gap(
        &mut self,
        hub: HubId,
        lane: Lane,
        gap: &ZeroGap,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO zero_gaps (org_id, hub_id, epoch, class, at_seq, cause, since_boot, since_mono, until_boot,
                 until_mono)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (org_id, hub_id, epoch, class, at_seq) DO UPDATE SET cause = excluded.cause,
                 since_boot = excluded.since_boot, since_mono = excluded.since_mono, until_boot = excluded.until_boot,
                 until_mono = excluded.until_mono",
        );
        let (since_boot, since_mono) = moment(gap.since);
        let (until_boot, until_mono) = moment(Some(gap.until));
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(gap.at));
        let statement = statement.bind(i64::from(gap.cause.number())).bind(since_boot).bind(since_mono);
        statement.bind(until_boot).bind(until_mono).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Zero-length gaps of a lane from a number on, by number.
    pub(crate) async fn zero_gaps(
        &mut self,
        hub: HubId,
        lane: Lane,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<ZeroGap>, StorageError> {
        let query = sqlx::query(
            "SELECT at_seq, cause, since_boot, since_mono, until_boot, until_mono FROM zero_gaps
             WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND at_seq >= $5
             ORDER BY at_seq LIMIT $6",
        );
        let query =
            query.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch)).bind(class(lane.class));
        let rows = query.bind(number(from_seq)).bind(size(limit)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<ZeroGap, StorageError> {
    let cells = Cells(row);
    let until = cells.moment_or_none("until_boot", "until_mono")?;
    Ok(ZeroGap {
        at: cells.count("at_seq")?,
        cause: cells.kind("cause", GapCause::from_number)?,
        since: cells.moment_or_none("since_boot", "since_mono")?,
        until: until.ok_or(StorageError::Malformed("until_boot"))?,
    })
}
