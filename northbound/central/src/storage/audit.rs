//! Table `audit`: who did what, from where, with what outcome. Nothing secret is in it.
//!
//! A chain: each entry carries SHA-256 over its own fields and the hash of the entry before, so that changing, taking
//! out or swapping entries shows. What it cannot show by itself is that the newest entries were cut off.

use hub_model::UtcMs;
use ring::digest::{Context, SHA256};
use thiserror::Error;

use super::cell::Cells;
use super::database::Db;
use super::{Storage, StorageError};

/// What the first entry has for the one before.
const BEGINNING: [u8; 32] = [0; 32];

/// What the hash begins with: the version of its layout.
const LAYOUT: &[u8] = b"relais-audit-v1";

/// Longest text of a field; longer ones are cut. Nothing of ours comes close.
const TEXT_CHARS_MAX: usize = 1_000;

/// Entries read at once while the chain is followed.
const VERIFY_PAGE: usize = 1_000;

/// How it ended. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It was done.
    Done = 1,
    /// It was not allowed.
    Denied = 2,
    /// It was tried and failed.
    Failed = 3,
}

impl Outcome {
    fn from_number(number: u8) -> Option<Outcome> {
        [Outcome::Done, Outcome::Denied, Outcome::Failed].into_iter().find(|o| *o as u8 == number)
    }

    /// The word of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who: a hub, a token, or `system`.
    pub actor: String,
    /// What: `hub.enrol`.
    pub action: String,
    /// To what; may be empty.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// From where; empty for what this machine does itself.
    pub address: String,
    /// For people.
    pub detail: String,
}

/// An entry with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// From 1, without holes.
    pub seq: u64,
    /// When.
    pub at: UtcMs,
    /// What happened.
    pub entry: AuditEntry,
    /// Hash of the entry before.
    pub previous: [u8; 32],
    /// Hash of this one.
    pub hash: [u8; 32],
}

/// The chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("audit entry {seq} {what}")]
pub struct AuditError {
    /// Where.
    pub seq: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl AuditRow {
    fn computed(&self, org: &str) -> [u8; 32] {
        let AuditEntry { actor, action, target, outcome, address, detail } = &self.entry;
        let mut context = Context::new(&SHA256);
        context.update(LAYOUT);
        context.update(&self.previous);
        context.update(&self.seq.to_be_bytes());
        context.update(&self.at.0.to_be_bytes());
        context.update(&[*outcome as u8]);
        for text in [org, actor, action, target, address, detail] {
            // With its length in front, a field cannot take bytes from its neighbour.
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at_ms, actor, action, target, outcome, address, detail, previous, hash FROM audit ",
            $rest
        )
    };
}

impl Db<'_> {
    /// Adds an entry. Within a transaction that writes, so that nobody gets between it and the one before.
    pub(crate) async fn append_audit(&mut self, entry: &AuditEntry, at: UtcMs) -> Result<(), StorageError> {
        let query = sqlx::query(columns!("WHERE org_id = $1 ORDER BY seq DESC LIMIT 1"));
        let last = query.bind(self.org).fetch_optional(&mut *self.conn).await?;
        let last = last.map(|row| read(&Cells(&row))).transpose()?;
        let (seq, previous) = last.map_or((1, BEGINNING), |last| (last.seq + 1, last.hash));
        let mut row = AuditRow { seq, at, entry: cut(entry), previous, hash: BEGINNING };
        row.hash = row.computed(self.org);
        let AuditRow { entry, .. } = &row;
        let statement = sqlx::query(
            "INSERT INTO audit (org_id, seq, at_ms, actor, action, target, outcome, address, detail, previous, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        );
        let statement = statement.bind(self.org).bind(super::cell::number(seq)).bind(at.0).bind(&entry.actor);
        let statement =
            statement.bind(&entry.action).bind(&entry.target).bind(i64::from(entry.outcome as u8));
        let statement = statement.bind(&entry.address).bind(&entry.detail);
        statement.bind(&row.previous[..]).bind(&row.hash[..]).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn audit_from(&mut self, from: u64, limit: usize) -> Result<Vec<AuditRow>, StorageError> {
        let query = sqlx::query(columns!("WHERE org_id = $1 AND seq >= $2 ORDER BY seq LIMIT $3"));
        let query = query.bind(self.org).bind(super::cell::number(from)).bind(super::cell::size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }
}

impl Storage {
    /// Writes an entry.
    pub async fn audit(&self, entry: &AuditEntry, now: UtcMs) -> Result<(), StorageError> {
        let mut tx = self.write().await?;
        tx.db().append_audit(entry, now).await?;
        tx.commit().await
    }

    /// Entries, newest first, below a number.
    pub async fn audit_rows(&self, below: Option<u64>, limit: usize) -> Result<Vec<AuditRow>, StorageError> {
        let mut reading = self.read().await?;
        let db = reading.db();
        let query = sqlx::query(columns!("WHERE org_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"));
        let below = super::cell::number(below.unwrap_or(u64::MAX));
        let rows =
            query.bind(db.org).bind(below).bind(super::cell::size(limit)).fetch_all(&mut *db.conn).await?;
        rows.iter().map(|row| read(&Cells(row))).collect()
    }

    /// Follows the chain from its beginning; how many entries it has, or where it breaks.
    pub async fn verify_audit(&self) -> Result<Result<u64, AuditError>, StorageError> {
        let mut reading = self.read().await?;
        let org = self.org().to_string();
        let (mut seq, mut previous) = (1, BEGINNING);
        loop {
            let rows = reading.db().audit_from(seq, VERIFY_PAGE).await?;
            if rows.is_empty() {
                return Ok(Ok(seq - 1));
            }
            for row in rows {
                let what = if row.seq != seq {
                    "is missing"
                } else if row.previous != previous {
                    "does not follow the one before"
                } else if row.computed(&org) != row.hash {
                    "was changed"
                } else {
                    (seq, previous) = (seq + 1, row.hash);
                    continue;
                };
                return Ok(Err(AuditError { seq, what }));
            }
        }
    }
}

fn cut(entry: &AuditEntry) -> AuditEntry {
    let text = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect();
    AuditEntry {
        actor: text(&entry.actor),
        action: text(&entry.action),
        target: text(&entry.target),
        outcome: entry.outcome,
        address: text(&entry.address),
        detail: text(&entry.detail),
    }
}

fn read(cells: &Cells<'_>) -> Result<AuditRow, StorageError> {
    Ok(AuditRow {
        seq: cells.count("seq")?,
        at: cells.time("at_ms")?,
        entry: AuditEntry {
            actor: cells.get("actor")?,
            action: cells.get("action")?,
            target: cells.get("target")?,
            outcome: cells.kind("outcome", Outcome::from_number)?,
            address: cells.get("address")?,
            detail: cells.get("detail")?,
        },
        previous: cells.hash("previous")?,
        hash: cells.hash("hash")?,
    })
}
