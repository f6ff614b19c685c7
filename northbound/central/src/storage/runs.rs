//! Table `runs`: of each life of a hub's log, the run that brought something last. A folder that is a copy, or was put
//! back from one, goes on in a run that does not know this one.

use std::collections::BTreeMap;

use hub_model::{HubId, LogEpoch};
use northbound_wire::Run;

use super::cell::{Cells, epoch};
use super::{Storage, StorageError};

impl Storage {
    /// The run that brought something last, of every epoch of a hub of which that is known.
    pub async fn known_runs(&self, hub: HubId) -> Result<BTreeMap<LogEpoch, u64>, StorageError> {
        let mut reading = self.read().await?;
        let db = reading.db();
        let query = sqlx::query("SELECT epoch, token FROM runs WHERE org_id = $1 AND hub_id = $2");
        let rows = query.bind(db.org).bind(hub.to_string()).fetch_all(&mut *db.conn).await?;
        let known = |row| {
            let cells = Cells(row);
            Ok((cells.epoch()?, cells.get::<i64>("token")?.cast_unsigned()))
        };
        rows.iter().map(known).collect()
    }

    /// This run brings something from now on; durable when this returns.
    pub async fn note_run(&self, hub: HubId, run: Run) -> Result<(), StorageError> {
        let mut tx = self.write().await?;
        let db = tx.db();
        let statement = sqlx::query(
            "INSERT INTO runs (org_id, hub_id, epoch, token) VALUES ($1, $2, $3, $4)
             ON CONFLICT (org_id, hub_id, epoch) DO UPDATE SET token = excluded.token",
        );
        let statement = statement.bind(db.org).bind(hub.to_string()).bind(epoch(run.epoch));
        statement.bind(run.token.cast_signed()).execute(&mut *db.conn).await?;
        tx.commit().await
    }
}
