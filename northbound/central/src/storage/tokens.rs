//! Tables `tokens` and `token_uses`. Secrets are never kept: only their SHA-256.

use std::fmt;
use std::str::FromStr;

use hub_chassis::number_text::counted;
use hub_chassis::time_text::format_utc;
use hub_model::{HubId, IdError, SiteId, Ulid, UtcMs};
use northbound_wire::{AdminToken, Fingerprint, RefusalCode, TokenSecret};
use ring::digest::{SHA256, digest};

use super::audit::{AuditEntry, Outcome};
use super::cell::Cells;
use super::database::Db;
use super::hubs::EnrolRefusal;
use super::sites::Site;
use super::{Storage, StorageError};
use crate::entropy;

/// Admin tokens that are good at once. Every request is compared with all of them.
const ADMIN_TOKENS_MAX: i64 = 1_000;

/// What a token is for. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenKind {
    /// Lets hubs enrol.
    Claim = 1,
    /// Lets a person or program use the API.
    Admin = 2,
}

impl TokenKind {
    const fn number(self) -> u8 {
        self as u8
    }

    fn from_number(number: u8) -> Option<TokenKind> {
        [TokenKind::Claim, TokenKind::Admin].into_iter().find(|k| k.number() == number)
    }

    /// The word people read.
    pub const fn name(self) -> &'static str {
        match self {
            TokenKind::Claim => "claim",
            TokenKind::Admin => "admin",
        }
    }
}

/// A token's identity, which is no secret: `tok_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(Ulid);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tok_{}", self.0)
    }
}

impl FromStr for TokenId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.strip_prefix("tok_").ok_or(IdError::Prefix { expected: "tok_" })?;
        rest.parse().map(TokenId)
    }
}

/// What a new token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewToken {
    /// Lets this many hubs enrol at the site of this name, which is made when there is none.
    Claim {
        /// The site.
        site: String,
        /// How many hubs.
        hubs: u32,
        /// Not usable from then on.
        expires: UtcMs,
    },
    /// Lets whoever has it use the API.
    Admin {
        /// Whose it is.
        name: String,
    },
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its identity.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose it is; the site's name for a claim.
    pub name: String,
    /// The site of a claim.
    pub site: Option<SiteId>,
    /// SHA-256 of its secret.
    pub secret_sha256: [u8; 32],
    /// When it was made.
    pub created: UtcMs,
    /// Not usable from then on.
    pub expires: Option<UtcMs>,
    /// Taken back.
    pub revoked: Option<UtcMs>,
    /// How many hubs may use it.
    pub uses_max: u64,
    /// How many have.
    pub uses: u64,
}

/// What is kept of a secret.
pub fn secret_hash(secret: &TokenSecret) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &secret.0).as_ref());
    hash
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT t.token_id, t.kind, t.name, t.site_id, t.secret_sha256, t.created_ms, t.expires_ms, t.revoked_ms,
                 t.uses_max, (SELECT COUNT(*) FROM token_uses u WHERE u.token_id = t.token_id) AS uses
             FROM tokens t ",
            $rest
        )
    };
}

impl Db<'_> {
    /// The claim token of a secret, when this hub with this key may use it now. One that the very same has used
    /// before is good as long as it is not revoked: enrolment may break off anywhere and is then tried again.
    pub(super) async fn usable_claim(
        &mut self,
        secret: [u8; 32],
        hub: HubId,
        key: Fingerprint,
        now: UtcMs,
    ) -> Result<Result<TokenRow, EnrolRefusal>, StorageError> {
        let refused = |code, detail: &str| Ok(Err(EnrolRefusal::new(code, detail)));
        let query = sqlx::query(columns!("WHERE t.org_id = $1 AND t.secret_sha256 = $2 AND t.kind = $3"));
        let query = query.bind(self.org).bind(&secret[..]).bind(i64::from(TokenKind::Claim.number()));
        let Some(row) = query.fetch_optional(&mut *self.conn).await? else {
            return refused(RefusalCode::TokenUnknown, "this token was not given out here");
        };
        let token = read(&Cells(&row))?;
        if token.revoked.is_some() {
            return refused(RefusalCode::TokenUnknown, "this token was taken back; ask for a new one");
        }
        let query =
            sqlx::query_scalar("SELECT used_key FROM token_uses WHERE token_id = $1 AND used_by_hub = $2");
        let query = query.bind(token.id.to_string()).bind(hub.to_string());
        let used: Option<Vec<u8>> = query.fetch_optional(&mut *self.conn).await?;
        match used {
            Some(used) if used == key.0 => return Ok(Ok(token)),
            Some(_) => {
                return refused(
                    RefusalCode::TokenUsed,
                    "this hub has used this token with another key; ask for a new one",
                );
            }
            None => {}
        }
        if token.expires.is_some_and(|expires| now >= expires) {
            return refused(RefusalCode::TokenExpired, "this token's time is over; ask for a new one");
        }
        if token.uses >= token.uses_max {
            return refused(
                RefusalCode::TokenUsed,
                "this token has been used by another hub; ask for a new one",
            );
        }
        Ok(Ok(token))
    }

    pub(super) async fn use_token(
        &mut self,
        token: TokenId,
        hub: HubId,
        key: Fingerprint,
        now: UtcMs,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO token_uses (org_id, token_id, used_by_hub, used_key, used_ms) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (token_id, used_by_hub) DO NOTHING",
        );
        let statement = statement.bind(self.org).bind(token.to_string()).bind(hub.to_string());
        statement.bind(&key.0[..]).bind(now.0).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn insert_token(&mut self, token: &TokenRow) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO tokens (org_id, token_id, kind, name, site_id, secret_sha256, created_ms, expires_ms, uses_max)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let statement =
            statement.bind(self.org).bind(token.id.to_string()).bind(i64::from(token.kind.number()));
        let statement = statement.bind(&token.name).bind(token.site.map(|site| site.to_string()));
        let statement = statement.bind(&token.secret_sha256[..]).bind(token.created.0);
        let statement = statement.bind(token.expires.map(|t| t.0)).bind(super::cell::number(token.uses_max));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }
}

impl Storage {
    /// Makes a token, audited. The secret is returned and kept nowhere.
    pub async fn create_token(
        &self,
        new: &NewToken,
        actor: &str,
        now: UtcMs,
    ) -> Result<(TokenId, TokenSecret), StorageError> {
        let secret = TokenSecret(entropy::bytes()?);
        let id = TokenId(entropy::ulid(now)?);
        let mut tx = self.write().await?;
        let (kind, name, site, expires, uses_max, detail) = match new {
            NewToken::Claim { site, hubs, expires } => {
                let Site { id: site, name } = tx.db().site_named(site, now).await?;
                let detail = format!(
                    "claim for {} at {site} ({name}), until {}",
                    counted(u64::from(*hubs), "hub", "hubs"),
                    format_utc(*expires)
                );
                (TokenKind::Claim, name, Some(site), Some(*expires), u64::from(*hubs), detail)
            }
            NewToken::Admin { name } => {
                (TokenKind::Admin, name.clone(), None, None, 0, format!("admin token of {name}"))
            }
        };
        let token = TokenRow {
            id,
            kind,
            name,
            site,
            secret_sha256: secret_hash(&secret),
            created: now,
            expires,
            revoked: None,
            uses_max,
            uses: 0,
        };
        tx.db().insert_token(&token).await?;
        let entry = AuditEntry {
            actor: actor.to_owned(),
            action: "token.create".to_owned(),
            target: id.to_string(),
            outcome: Outcome::Done,
            address: String::new(),
            detail,
        };
        tx.db().append_audit(&entry, now).await?;
        tx.commit().await?;
        Ok((id, secret))
    }

    /// Every token, by age.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StorageError> {
        let mut reading = self.read().await?;
        let db = reading.db();
        let query = sqlx::query(columns!("WHERE t.org_id = $1 ORDER BY t.token_id"));
        let rows = query.bind(db.org).fetch_all(&mut *db.conn).await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }

    /// Whether nobody out there knows this central yet: it has given out no token, and no hub is enrolled.
    pub async fn is_untouched(&self) -> Result<bool, StorageError> {
        let hubs = self.read().await?.db().hubs(None, 1).await?;
        Ok(hubs.is_empty() && self.tokens().await?.is_empty())
    }

    /// Takes a token back, audited; whether there was one to take back.
    pub async fn revoke_token(&self, id: TokenId, actor: &str, now: UtcMs) -> Result<bool, StorageError> {
        let mut tx = self.write().await?;
        let db = tx.db();
        let statement = sqlx::query(
            "UPDATE tokens SET revoked_ms = $3 WHERE org_id = $1 AND token_id = $2 AND revoked_ms IS NULL",
        );
        let statement = statement.bind(db.org).bind(id.to_string()).bind(now.0);
        let found = statement.execute(&mut *db.conn).await?.rows_affected() > 0;
        if found {
            let entry = AuditEntry {
                actor: actor.to_owned(),
                action: "token.revoke".to_owned(),
                target: id.to_string(),
                outcome: Outcome::Done,
                address: String::new(),
                detail: String::new(),
            };
            tx.db().append_audit(&entry, now).await?;
        }
        tx.commit().await?;
        Ok(found)
    }

    /// The admin token that was shown, when it is good. Compared with all of them in the same time, whichever fits.
    pub async fn admin(&self, token: &AdminToken, now: UtcMs) -> Result<Option<TokenRow>, StorageError> {
        let mut reading = self.read().await?;
        let db = reading.db();
        let query = sqlx::query(columns!(
            "WHERE t.org_id = $1 AND t.kind = $2 AND t.revoked_ms IS NULL ORDER BY t.token_id LIMIT $3"
        ));
        let query = query.bind(db.org).bind(i64::from(TokenKind::Admin.number())).bind(ADMIN_TOKENS_MAX);
        let rows = query.fetch_all(&mut *db.conn).await?;
        let shown = secret_hash(&token.secret);
        let mut found = None;
        for row in &rows {
            let known = read(&Cells(row))?;
            let good = same(&known.secret_sha256, &shown) & known.expires.is_none_or(|end| now < end);
            if good {
                found = Some(known);
            }
        }
        Ok(found)
    }
}

/// Looks at every byte, whatever the first ones say.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}

fn read(cells: &Cells<'_>) -> Result<TokenRow, StorageError> {
    Ok(TokenRow {
        id: cells.parsed("token_id")?,
        kind: cells.kind("kind", TokenKind::from_number)?,
        name: cells.get("name")?,
        site: cells.parsed_or_none("site_id")?,
        secret_sha256: cells.hash("secret_sha256")?,
        created: cells.time("created_ms")?,
        expires: cells.time_or_none("expires_ms")?,
        revoked: cells.time_or_none("revoked_ms")?,
        uses_max: cells.count("uses_max")?,
        uses: cells.count("uses")?,
    })
}
