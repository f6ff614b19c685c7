//! Whether a hub that has proved who it is may connect.

use hub_model::UtcMs;
use northbound_trust::HubName;
use northbound_wire::{Fingerprint, RefusalCode};

use super::audit::{AuditEntry, Outcome};
use super::database::Db;
use super::hubs::{EnrolRefusal, HubState};
use super::{Storage, StorageError};

/// A hub that may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is known.
    Known,
    /// It was not: this folder is an older copy than the hub's certificate. It was taken in again.
    Adopted,
}

impl Db<'_> {
    /// The site keeps its identity; its name was lost with the newer copy.
    async fn adopt(&mut self, name: HubName, key: Fingerprint, now: UtcMs) -> Result<(), StorageError> {
        let (site, hub) = (name.site.to_string(), name.hub.to_string());
        let statement = sqlx::query(
            "INSERT INTO sites (org_id, site_id, name, created_ms) VALUES ($1, $2, $2, $3)
             ON CONFLICT (site_id) DO NOTHING",
        );
        statement.bind(self.org).bind(&site).bind(now.0).execute(&mut *self.conn).await?;
        let statement = sqlx::query(
            "INSERT INTO hubs (org_id, hub_id, site_id, state, key_sha256, enrolled_ms) VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let statement = statement.bind(self.org).bind(&hub).bind(&site);
        let statement = statement.bind(i64::from(HubState::Certified.number())).bind(&key.0[..]).bind(now.0);
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }
}

impl Storage {
    /// Looks a hub up whose certificate was verified. The certificate is proof enough that it was enrolled here; what
    /// counts beside it is that the hub was not suspended since.
    pub async fn admit(
        &self,
        name: HubName,
        key: Fingerprint,
        address: &str,
        now: UtcMs,
    ) -> Result<Result<Admission, EnrolRefusal>, StorageError> {
        let forbidden = |detail: &str| Ok(Err(EnrolRefusal::new(RefusalCode::Forbidden, detail)));
        if name.org != self.org() {
            return forbidden("this hub belongs to another organisation");
        }
        if let Some(row) = self.hub(name.hub).await? {
            return match row.state {
                HubState::Suspended => forbidden("this hub is suspended; ask the operator of central"),
                HubState::Retired => forbidden("this hub is retired"),
                HubState::Claimed | HubState::Certified | HubState::Active => Ok(Ok(Admission::Known)),
            };
        }
        let mut tx = self.write().await?;
        tx.db().adopt(name, key, now).await?;
        let entry = AuditEntry {
            actor: name.hub.to_string(),
            action: "hub.adopt".to_owned(),
            target: name.hub.to_string(),
            outcome: Outcome::Done,
            address: address.to_owned(),
            detail: format!("its certificate is of this central, and this folder is older; key {key}"),
        };
        tx.db().append_audit(&entry, now).await?;
        tx.commit().await?;
        Ok(Ok(Admission::Adopted))
    }
}
