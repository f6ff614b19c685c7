//! Table `hubs`: who is enrolled, and what was last heard of each.

use hub_model::{BootId, HubId, SiteId, UtcMs};
use northbound_wire::{ClaimToken, Fingerprint, RefusalCode};

use super::audit::{AuditEntry, Outcome};
use super::cell::Cells;
use super::database::Db;
use super::sites::Site;
use super::tokens::secret_hash;
use super::{Storage, StorageError};

/// How far a hub has come. Numbers are on disk and never reused; further states of the life of a hub go between or
/// behind these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum HubState {
    /// It showed a claim token and a key; its certificate is not made yet.
    Claimed = 10,
    /// Its certificate was made.
    Certified = 20,
    /// It has connected with it.
    Active = 30,
    /// It may not connect.
    Suspended = 40,
    /// It is no more.
    Retired = 50,
}

impl HubState {
    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state of a fixed number.
    pub fn from_number(number: u8) -> Option<HubState> {
        use HubState::{Active, Certified, Claimed, Retired, Suspended};
        [Claimed, Certified, Active, Suspended, Retired].into_iter().find(|s| s.number() == number)
    }

    /// The word of the API.
    pub const fn name(self) -> &'static str {
        match self {
            HubState::Claimed => "claimed",
            HubState::Certified => "certified",
            HubState::Active => "active",
            HubState::Suspended => "suspended",
            HubState::Retired => "retired",
        }
    }

    /// Whether a hub of this state may connect and send.
    pub const fn may_connect(self) -> bool {
        matches!(self, HubState::Certified | HubState::Active)
    }
}

/// A hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRow {
    /// Its identity.
    pub id: HubId,
    /// Where it is.
    pub site: SiteId,
    /// What people call that.
    pub site_name: String,
    /// How far it has come.
    pub state: HubState,
    /// SHA-256 of its key's SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// Of its newest certificate, in hexadecimal.
    pub certificate_serial: Option<String>,
    /// End of that.
    pub not_after: Option<UtcMs>,
    /// When it was claimed.
    pub enrolled: UtcMs,
    /// When it was last heard.
    pub seen: Option<UtcMs>,
    /// Name and version of its program.
    pub program: Option<String>,
    /// The version of the protocol spoken.
    pub protocol: Option<u32>,
    /// Its machine's run.
    pub boot: Option<BootId>,
    /// Where it connected from.
    pub address: Option<String>,
}

/// What a Hello says of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSeen {
    /// Name and version of its program.
    pub program: String,
    /// The version agreed on.
    pub protocol: u32,
    /// Its machine's run.
    pub boot: BootId,
    /// Where it connects from.
    pub address: String,
}

/// A hub that shows a claim token.
#[derive(Clone, Copy, Debug)]
pub struct Enrolment<'a> {
    /// The token.
    pub token: &'a ClaimToken,
    /// Who it says it is.
    pub hub: HubId,
    /// The key it proved to have: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// Where it connects from.
    pub address: &'a str,
}

/// Why a hub is not enrolled: what it is told, and what people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolRefusal {
    /// For the answer.
    pub code: RefusalCode,
    /// For the answer and the audit.
    pub detail: String,
}

impl EnrolRefusal {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> EnrolRefusal {
        EnrolRefusal { code, detail: detail.into() }
    }
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT h.hub_id, h.site_id, s.name AS site_name, h.state, h.key_sha256, h.certificate_serial,
                 h.not_after_ms, h.enrolled_ms, h.seen_ms, h.program, h.protocol, h.boot, h.address
             FROM hubs h JOIN sites s ON s.site_id = h.site_id ",
            $rest
        )
    };
}

impl Db<'_> {
    pub(crate) async fn hub(&mut self, id: HubId) -> Result<Option<HubRow>, StorageError> {
        let query = sqlx::query(columns!("WHERE h.org_id = $1 AND h.hub_id = $2"));
        let row = query.bind(self.org).bind(id.to_string()).fetch_optional(&mut *self.conn).await?;
        row.map(|row| read(&Cells(&row))).transpose()
    }

    async fn hub_of_key(&mut self, key: Fingerprint) -> Result<Option<HubRow>, StorageError> {
        let query = sqlx::query(columns!("WHERE h.org_id = $1 AND h.key_sha256 = $2"));
        let row = query.bind(self.org).bind(&key.0[..]).fetch_optional(&mut *self.conn).await?;
        row.map(|row| read(&Cells(&row))).transpose()
    }

    /// Hubs behind an id, by id.
    pub(crate) async fn hubs(
        &mut self,
        after: Option<HubId>,
        limit: usize,
    ) -> Result<Vec<HubRow>, StorageError> {
        let query = sqlx::query(columns!("WHERE h.org_id = $1 AND h.hub_id > $2 ORDER BY h.hub_id LIMIT $3"));
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let query = query.bind(self.org).bind(after).bind(super::cell::size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }

    /// The state of every hub, for counts.
    pub(crate) async fn hub_states(&mut self) -> Result<Vec<(HubState, u64)>, StorageError> {
        let query = sqlx::query(
            "SELECT state, COUNT(*) AS hubs FROM hubs WHERE org_id = $1 GROUP BY state ORDER BY state",
        );
        let rows = query.bind(self.org).fetch_all(&mut *self.conn).await?;
        let read = |cells: Cells<'_>| Ok((cells.kind("state", HubState::from_number)?, cells.count("hubs")?));
        rows.iter().map(|row| read(Cells(row))).collect()
    }

    async fn insert_hub(
        &mut self,
        enrolment: &Enrolment<'_>,
        site: SiteId,
        now: UtcMs,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO hubs (org_id, hub_id, site_id, state, key_sha256, enrolled_ms, address)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        let statement = statement.bind(self.org).bind(enrolment.hub.to_string()).bind(site.to_string());
        let statement = statement.bind(i64::from(HubState::Claimed.number())).bind(&enrolment.key.0[..]);
        statement.bind(now.0).bind(enrolment.address).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn set_hub_state(&mut self, hub: HubId, state: HubState) -> Result<bool, StorageError> {
        let statement = sqlx::query("UPDATE hubs SET state = $3 WHERE org_id = $1 AND hub_id = $2");
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(i64::from(state.number()));
        Ok(statement.execute(&mut *self.conn).await?.rows_affected() > 0)
    }

    /// Decides and writes; the audit is the caller's.
    async fn claim(
        &mut self,
        enrolment: &Enrolment<'_>,
        now: UtcMs,
    ) -> Result<Result<Site, EnrolRefusal>, StorageError> {
        let Enrolment { token, hub, key, .. } = *enrolment;
        let token = match self.usable_claim(secret_hash(&token.secret), hub, key, now).await? {
            Ok(token) => token,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let known = |detail: &str| Ok(Err(EnrolRefusal::new(RefusalCode::HubKnown, detail)));
        if let Some(found) = self.hub(hub).await?
            && found.key != key
        {
            return known("a hub of this id is enrolled with another key: each hub needs an id of its own");
        }
        let of_key = self.hub_of_key(key).await?;
        if of_key.as_ref().is_some_and(|found| found.id != hub) {
            return known(
                "this key is that of another hub: a hub's folder was copied; each hub makes its own",
            );
        }
        if of_key.as_ref().is_some_and(|found| found.state >= HubState::Suspended) {
            return Ok(Err(EnrolRefusal::new(RefusalCode::Forbidden, "this hub is suspended or retired")));
        }
        // A hub that is here already stays at its site, whatever the token says.
        let site_id = of_key.as_ref().map(|found| found.site).or(token.site);
        let site_id = site_id.ok_or(StorageError::Malformed("site_id"))?;
        let site = self.site(site_id).await?.ok_or(StorageError::Malformed("site_id"))?;
        if of_key.is_none() {
            self.insert_hub(enrolment, site.id, now).await?;
        }
        self.use_token(token.id, hub, key, now).await?;
        Ok(Ok(site))
    }
}

impl Storage {
    /// Takes a hub in that shows a claim token and a key, audited, or says why not. A refusal is for the caller to audit,
    /// who knows how often to: whoever knocks must not fill the disk. The same hub with the same key may come again, and
    /// finds what it had: what broke off in the middle goes on. A certificate is made and told with
    /// [`Storage::certificate_issued`] next.
    pub async fn enrol(
        &self,
        enrolment: &Enrolment<'_>,
        now: UtcMs,
    ) -> Result<Result<Site, EnrolRefusal>, StorageError> {
        let mut tx = self.write().await?;
        let site = match tx.db().claim(enrolment, now).await? {
            Ok(site) => site,
            Err(refusal) => {
                tx.take_back().await?;
                return Ok(Err(refusal));
            }
        };
        let entry = AuditEntry {
            actor: enrolment.hub.to_string(),
            action: "hub.enrol".to_owned(),
            target: enrolment.hub.to_string(),
            outcome: Outcome::Done,
            address: enrolment.address.to_owned(),
            detail: format!("site {} ({}), key {}", site.id, site.name, enrolment.key),
        };
        tx.db().append_audit(&entry, now).await?;
        tx.commit().await?;
        Ok(Ok(site))
    }

    /// One hub.
    pub async fn hub(&self, id: HubId) -> Result<Option<HubRow>, StorageError> {
        self.read().await?.db().hub(id).await
    }

    /// A hub has said Hello: what it is now. The first time makes it active.
    pub async fn hub_seen(&self, hub: HubId, seen: &HubSeen, now: UtcMs) -> Result<(), StorageError> {
        let mut tx = self.write().await?;
        let db = tx.db();
        let statement = sqlx::query(
            "UPDATE hubs SET seen_ms = $3, program = $4, protocol = $5, boot = $6, address = $7,
                 state = CASE WHEN state = $8 THEN $9 ELSE state END
             WHERE org_id = $1 AND hub_id = $2",
        );
        let statement = statement.bind(db.org).bind(hub.to_string()).bind(now.0).bind(&seen.program);
        let statement =
            statement.bind(i64::from(seen.protocol)).bind(seen.boot.to_string()).bind(&seen.address);
        let statement = statement.bind(i64::from(HubState::Certified.number()));
        statement.bind(i64::from(HubState::Active.number())).execute(&mut *db.conn).await?;
        tx.commit().await
    }

    /// Hubs are still there: moves when they were last heard. For many at once, from time to time.
    pub async fn hubs_heard(&self, hubs: &[HubId], now: UtcMs) -> Result<(), StorageError> {
        let mut tx = self.write().await?;
        let db = tx.db();
        for hub in hubs {
            let statement = sqlx::query("UPDATE hubs SET seen_ms = $3 WHERE org_id = $1 AND hub_id = $2");
            statement.bind(db.org).bind(hub.to_string()).bind(now.0).execute(&mut *db.conn).await?;
        }
        tx.commit().await
    }

    /// Changes a hub's state, audited; whether there is such a hub.
    pub async fn set_hub_state(
        &self,
        hub: HubId,
        state: HubState,
        actor: &str,
        address: &str,
        now: UtcMs,
    ) -> Result<bool, StorageError> {
        let mut tx = self.write().await?;
        let found = tx.db().set_hub_state(hub, state).await?;
        if found {
            let entry = AuditEntry {
                actor: actor.to_owned(),
                action: "hub.state".to_owned(),
                target: hub.to_string(),
                outcome: Outcome::Done,
                address: address.to_owned(),
                detail: state.name().to_owned(),
            };
            tx.db().append_audit(&entry, now).await?;
        }
        tx.commit().await?;
        Ok(found)
    }
}

fn read(cells: &Cells<'_>) -> Result<HubRow, StorageError> {
    Ok(HubRow {
        id: cells.hub()?,
        site: cells.parsed("site_id")?,
        site_name: cells.get("site_name")?,
        state: cells.kind("state", HubState::from_number)?,
        key: Fingerprint(cells.hash("key_sha256")?),
        certificate_serial: cells.get("certificate_serial")?,
        not_after: cells.time_or_none("not_after_ms")?,
        enrolled: cells.time("enrolled_ms")?,
        seen: cells.time_or_none("seen_ms")?,
        program: cells.get("program")?,
        protocol: cells.get("protocol")?,
        boot: cells.parsed_or_none("boot")?,
        address: cells.get("address")?,
    })
}
