//! Table `orgs`: one organisation by default.

use hub_model::{OrgId, UtcMs};
use sqlx::{Row, SqliteConnection};

use super::StorageError;

/// The organisation, once there is one.
pub(super) async fn find(conn: &mut SqliteConnection) -> Result<Option<OrgId>, StorageError> {
    let row = sqlx::query("SELECT org_id FROM orgs ORDER BY org_id LIMIT 1").fetch_optional(conn).await?;
    let parse = |text: String| text.parse().map_err(|_| StorageError::Malformed("org_id"));
    row.map(|row| parse(row.try_get(0)?)).transpose()
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    org: OrgId,
    name: &str,
    now: UtcMs,
) -> Result<(), StorageError> {
    let statement = sqlx::query("INSERT INTO orgs (org_id, name, created_ms) VALUES ($1, $2, $3)");
    statement.bind(org.to_string()).bind(name).bind(now.0).execute(conn).await?;
    Ok(())
}
