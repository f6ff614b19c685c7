//! Table `clocks`: clock records, through which monotonic stamps become times. Of two with the same start, the higher
//! revision holds.

use hub_model::{BootClock, ClockQuality, ClockRecord, HubId};
use sqlx::sqlite::SqliteRow;

use super::StorageError;
use super::cell::{Cells, number};
use super::database::Db;

impl Db<'_> {
    pub(crate) async fn put_clock(&mut self, hub: HubId, record: &ClockRecord) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO clocks (org_id, hub_id, boot, mono_from, offset_ms, quality, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (org_id, hub_id, boot, mono_from) DO UPDATE SET offset_ms = excluded.offset_ms,
                 quality = excluded.quality, revision = excluded.revision
             WHERE clocks.revision < excluded.revision",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(record.boot.to_string());
        let statement = statement.bind(number(record.mono_from_ms)).bind(record.offset_ms);
        let statement = statement.bind(i64::from(record.quality as u8)).bind(i64::from(record.revision));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Every clock record of a hub.
    pub(crate) async fn clock(&mut self, hub: HubId) -> Result<BootClock, StorageError> {
        let query = sqlx::query(
            "SELECT boot, mono_from, offset_ms, quality, revision FROM clocks WHERE org_id = $1 AND hub_id = $2",
        );
        let rows = query.bind(self.org).bind(hub.to_string()).fetch_all(&mut *self.conn).await?;
        let mut clock = BootClock::default();
        for row in &rows {
            clock.insert(read(row)?);
        }
        Ok(clock)
    }
}

fn read(row: &SqliteRow) -> Result<ClockRecord, StorageError> {
    let cells = Cells(row);
    Ok(ClockRecord {
        boot: cells.boot("boot")?,
        mono_from_ms: cells.count("mono_from")?,
        offset_ms: cells.get("offset_ms")?,
        quality: cells.kind("quality", ClockQuality::from_number)?,
        revision: u32::try_from(cells.count("revision")?).map_err(|_| StorageError::Malformed("revision"))?,
    })
}
