//! Table `settings`: single values that belong to the data. So far: the term.
//!
//! The term only rises: hubs remember the highest they saw, and refuse a central that says a lower one.

use hub_model::UtcMs;

use super::database::Db;
use super::{Storage, StorageError};

const TERM: &str = "term";

/// The term of a central that was never restored.
const FIRST_TERM: u64 = 1;

impl Db<'_> {
    async fn setting(&mut self, name: &str) -> Result<Option<String>, StorageError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE org_id = $1 AND name = $2");
        Ok(query.bind(self.org).bind(name).fetch_optional(&mut *self.conn).await?)
    }

    async fn set(&mut self, name: &str, value: &str) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO settings (org_id, name, value) VALUES ($1, $2, $3)
             ON CONFLICT (org_id, name) DO UPDATE SET value = excluded.value",
        );
        statement.bind(self.org).bind(name).bind(value).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn term(&mut self) -> Result<u64, StorageError> {
        let Some(text) = self.setting(TERM).await? else { return Ok(FIRST_TERM) };
        text.parse().map_err(|_| StorageError::Malformed(TERM))
    }
}

impl Storage {
    /// The term hubs are told.
    pub async fn term(&self) -> Result<u64, StorageError> {
        self.read().await?.db().term().await
    }

    /// Raises the term after the folder was restored from a copy: above the copy's, and, by the clock, above what the
    /// lost original may have said since.
    pub async fn raise_term(&self, now: UtcMs) -> Result<u64, StorageError> {
        let mut tx = self.write().await?;
        let seconds = u64::try_from(now.0 / 1_000).unwrap_or(0);
        let term = (tx.db().term().await? + 1).max(seconds);
        tx.db().set(TERM, &term.to_string()).await?;
        tx.commit().await?;
        Ok(term)
    }
}
