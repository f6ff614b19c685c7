//! Table `certificates`: every certificate given out to a hub. A hub's row names its newest.

use hub_model::{HubId, UtcMs};
use northbound_wire::Fingerprint;

use super::audit::{AuditEntry, Outcome};
use super::hubs::HubState;
use super::{Storage, StorageError};

/// A certificate given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose.
    pub hub: HubId,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// In hexadecimal.
    pub serial: String,
    /// Its end.
    pub not_after: UtcMs,
}

impl Storage {
    /// Writes down that a certificate was made, before it is handed out. The hub counts as certified from now on.
    pub async fn certificate_issued(
        &self,
        certificate: &Certificate,
        address: &str,
        now: UtcMs,
    ) -> Result<(), StorageError> {
        let Certificate { hub, key, serial, not_after } = certificate;
        let mut tx = self.write().await?;
        let db = tx.db();
        let statement = sqlx::query(
            "INSERT INTO certificates (org_id, serial, hub_id, key_sha256, issued_ms, not_after_ms)
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let statement = statement.bind(db.org).bind(serial).bind(hub.to_string()).bind(&key.0[..]);
        statement.bind(now.0).bind(not_after.0).execute(&mut *db.conn).await?;
        // A hub that works already stays active while it renews.
        let statement = sqlx::query(
            "UPDATE hubs SET key_sha256 = $3, certificate_serial = $4, not_after_ms = $5,
                 state = CASE WHEN state < $6 THEN $6 ELSE state END
             WHERE org_id = $1 AND hub_id = $2",
        );
        let statement = statement.bind(db.org).bind(hub.to_string()).bind(&key.0[..]).bind(serial);
        let statement = statement.bind(not_after.0).bind(i64::from(HubState::Certified.number()));
        statement.execute(&mut *db.conn).await?;
        let entry = AuditEntry {
            actor: hub.to_string(),
            action: "certificate.issue".to_owned(),
            target: hub.to_string(),
            outcome: Outcome::Done,
            address: address.to_owned(),
            detail: format!("serial {serial}, key {key}, valid until {} ms", not_after.0),
        };
        tx.db().append_audit(&entry, now).await?;
        tx.commit().await
    }
}
