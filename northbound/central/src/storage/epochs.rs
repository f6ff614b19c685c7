//! Table `epochs`: lives of hubs' logs, with the moment each was first heard of. Their numbers are random, so this
//! moment is what orders them.

use hub_model::{HubId, LogEpoch, UtcMs};

use super::StorageError;
use super::cell::{Cells, epoch};
use super::database::Db;

impl Db<'_> {
    /// Writes an epoch down unless it is known.
    pub(crate) async fn note_epoch(
        &mut self,
        hub: HubId,
        of: LogEpoch,
        now: UtcMs,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO epochs (org_id, hub_id, epoch, first_received_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (org_id, hub_id, epoch) DO NOTHING",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(of)).bind(now.0);
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// The epochs of a hub, oldest first.
    pub(crate) async fn epochs(&mut self, hub: HubId) -> Result<Vec<LogEpoch>, StorageError> {
        let query = sqlx::query(
            "SELECT epoch FROM epochs WHERE org_id = $1 AND hub_id = $2 ORDER BY first_received_ms, epoch",
        );
        let rows = query.bind(self.org).bind(hub.to_string()).fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| Cells(row).epoch()).collect()
    }
}
