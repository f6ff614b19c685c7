//! Table `sites`.

use hub_model::{SiteId, UtcMs};

use super::StorageError;
use super::cell::Cells;
use super::database::Db;
use crate::entropy;

/// A place with hubs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its identity.
    pub id: SiteId,
    /// What people call it; unique within the organisation.
    pub name: String,
}

impl Db<'_> {
    pub(crate) async fn site(&mut self, id: SiteId) -> Result<Option<Site>, StorageError> {
        let query = sqlx::query("SELECT site_id, name FROM sites WHERE org_id = $1 AND site_id = $2");
        let row = query.bind(self.org).bind(id.to_string()).fetch_optional(&mut *self.conn).await?;
        row.map(|row| read(&Cells(&row))).transpose()
    }

    /// The site of a name, made when there is none.
    pub(crate) async fn site_named(&mut self, name: &str, now: UtcMs) -> Result<Site, StorageError> {
        let query = sqlx::query("SELECT site_id, name FROM sites WHERE org_id = $1 AND name = $2");
        let row = query.bind(self.org).bind(name).fetch_optional(&mut *self.conn).await?;
        if let Some(row) = row {
            return read(&Cells(&row));
        }
        let site = Site { id: SiteId::new(entropy::ulid(now)?), name: name.to_owned() };
        let statement =
            sqlx::query("INSERT INTO sites (org_id, site_id, name, created_ms) VALUES ($1, $2, $3, $4)");
        let statement = statement.bind(self.org).bind(site.id.to_string()).bind(name).bind(now.0);
        statement.execute(&mut *self.conn).await?;
        Ok(site)
    }
}

fn read(cells: &Cells<'_>) -> Result<Site, StorageError> {
    Ok(Site { id: cells.parsed("site_id")?, name: cells.get("name")? })
}
