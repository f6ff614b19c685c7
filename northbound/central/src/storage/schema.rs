//! The schema and its history. A version, once released, is never edited: what changes is a new one behind it.
//!
//! Times are UTC milliseconds (`…_ms`), `…_mono` milliseconds of a boot. `epoch` holds the 64 random bits as a signed
//! number. `layer` is 1 for what is deleted, which may lie over stored blocks, and 0 for everything else: within a
//! layer, the ranges of a lane never overlap.

use hub_model::UtcMs;

use super::StorageError;
use super::writer::Writer;

/// One list of statements per version, the first brings version 1.
const VERSIONS: &[&[&str]] = &[
    &[
    "CREATE TABLE orgs (
        org_id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, created_ms BIGINT NOT NULL)",
    "CREATE TABLE settings (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (org_id, name))",
    "CREATE TABLE sites (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), site_id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL,
        created_ms BIGINT NOT NULL, UNIQUE (org_id, name))",
    "CREATE TABLE hubs (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL PRIMARY KEY,
        site_id TEXT NOT NULL REFERENCES sites (site_id), state BIGINT NOT NULL, key_sha256 BLOB NOT NULL,
        certificate_serial TEXT, not_after_ms BIGINT, enrolled_ms BIGINT NOT NULL, seen_ms BIGINT, program TEXT,
        protocol BIGINT, boot TEXT, address TEXT, UNIQUE (org_id, key_sha256))",
    "CREATE TABLE certificates (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), serial TEXT NOT NULL,
        hub_id TEXT NOT NULL REFERENCES hubs (hub_id), key_sha256 BLOB NOT NULL, issued_ms BIGINT NOT NULL,
        not_after_ms BIGINT NOT NULL, PRIMARY KEY (org_id, serial))",
    "CREATE TABLE tokens (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), token_id TEXT NOT NULL PRIMARY KEY, kind BIGINT NOT NULL,
        name TEXT NOT NULL, site_id TEXT REFERENCES sites (site_id), secret_sha256 BLOB NOT NULL UNIQUE,
        created_ms BIGINT NOT NULL, expires_ms BIGINT, revoked_ms BIGINT, uses_max BIGINT NOT NULL)",
    "CREATE TABLE token_uses (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), token_id TEXT NOT NULL REFERENCES tokens (token_id),
        used_by_hub TEXT NOT NULL, used_key BLOB NOT NULL, used_ms BIGINT NOT NULL,
        PRIMARY KEY (token_id, used_by_hub))",
    "CREATE TABLE audit (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), seq BIGINT NOT NULL, at_ms BIGINT NOT NULL, actor TEXT NOT NULL,
        action TEXT NOT NULL, target TEXT NOT NULL, outcome BIGINT NOT NULL, address TEXT NOT NULL,
        detail TEXT NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (org_id, seq))",
    "CREATE TABLE objects (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), object_id TEXT NOT NULL PRIMARY KEY, size_bytes BIGINT NOT NULL,
        created_ms BIGINT NOT NULL)",
    "CREATE TABLE ranges (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        class BIGINT NOT NULL, layer BIGINT NOT NULL, from_seq BIGINT NOT NULL, to_seq BIGINT NOT NULL,
        kind BIGINT NOT NULL, received_ms BIGINT NOT NULL,
        cause BIGINT, since_boot TEXT, since_mono BIGINT, until_boot TEXT, until_mono BIGINT,
        object_id TEXT REFERENCES objects (object_id), offset_bytes BIGINT, length_bytes BIGINT, boot TEXT,
        t_min_mono BIGINT, t_max_mono BIGINT, wall_min_ms BIGINT, wall_max_ms BIGINT, records BIGINT,
        decoded BIGINT,
        PRIMARY KEY (org_id, hub_id, epoch, class, layer, from_seq))",
    "CREATE INDEX ranges_by_time ON ranges (org_id, hub_id, epoch, class, boot, t_max_mono, t_min_mono, from_seq)
        WHERE boot IS NOT NULL",
    "CREATE INDEX ranges_by_wall ON ranges (org_id, hub_id, epoch, class, wall_max_ms, wall_min_ms, from_seq)
        WHERE wall_max_ms IS NOT NULL",
    "CREATE INDEX ranges_by_object ON ranges (object_id) WHERE object_id IS NOT NULL",
    "CREATE INDEX ranges_undecoded ON ranges (org_id, hub_id, epoch, from_seq) WHERE decoded = 1",
    "CREATE INDEX ranges_gaps ON ranges (org_id, hub_id, epoch, class, from_seq) WHERE cause IS NOT NULL",
    "CREATE TABLE coverage (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        class BIGINT NOT NULL, from_seq BIGINT NOT NULL, to_seq BIGINT NOT NULL,
        PRIMARY KEY (org_id, hub_id, epoch, class, from_seq))",
    "CREATE TABLE epochs (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        first_received_ms BIGINT NOT NULL, PRIMARY KEY (org_id, hub_id, epoch))",
    "CREATE TABLE zero_gaps (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        class BIGINT NOT NULL, at_seq BIGINT NOT NULL, cause BIGINT NOT NULL, since_boot TEXT, since_mono BIGINT,
        until_boot TEXT NOT NULL, until_mono BIGINT NOT NULL, PRIMARY KEY (org_id, hub_id, epoch, class, at_seq))",
    "CREATE TABLE devices (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), device_id TEXT NOT NULL, hub_id TEXT NOT NULL,
        name TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (org_id, device_id, hub_id))",
    "CREATE INDEX devices_by_hub ON devices (org_id, hub_id, name)",
    "CREATE TABLE series (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        series_id BIGINT NOT NULL, device_id TEXT NOT NULL, metric TEXT NOT NULL, value_type BIGINT NOT NULL,
        unit TEXT NOT NULL, dictionary TEXT NOT NULL, PRIMARY KEY (org_id, hub_id, epoch, series_id))",
    "CREATE INDEX series_by_device ON series (org_id, device_id, metric)",
    "CREATE TABLE clocks (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, boot TEXT NOT NULL,
        mono_from BIGINT NOT NULL, offset_ms BIGINT NOT NULL, quality BIGINT NOT NULL, revision BIGINT NOT NULL,
        PRIMARY KEY (org_id, hub_id, boot, mono_from))",
    ],
    &["CREATE TABLE damaged (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        class BIGINT NOT NULL, from_seq BIGINT NOT NULL, to_seq BIGINT NOT NULL, found_ms BIGINT NOT NULL,
        PRIMARY KEY (org_id, hub_id, epoch, class, from_seq))"],
    &["CREATE TABLE runs (
        org_id TEXT NOT NULL REFERENCES orgs (org_id), hub_id TEXT NOT NULL, epoch BIGINT NOT NULL,
        token BIGINT NOT NULL, PRIMARY KEY (org_id, hub_id, epoch))"],
];

/// Tables and indexes that every database of this version has.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let statements = VERSIONS.iter().copied().flatten();
    statements.filter_map(|statement| {
        let rest =
            statement.strip_prefix("CREATE TABLE ").or_else(|| statement.strip_prefix("CREATE INDEX "))?;
        rest.split_whitespace().next()
    })
}

/// Brings the database to the version this program knows.
pub(super) async fn migrate(writer: &Writer, now: UtcMs) -> Result<(), StorageError> {
    let mut tx = writer.begin().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)",
    )
    .execute(tx.conn())
    .await?;
    let found: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM schema_versions").fetch_one(tx.conn()).await?;
    let known = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
    let found = found.unwrap_or(0);
    if found > known {
        return Err(StorageError::Newer { found, known });
    }
    for (version, statements) in (1i64..).zip(VERSIONS) {
        if version <= found {
            continue;
        }
        for statement in *statements {
            sqlx::query(*statement).execute(tx.conn()).await?;
        }
        let applied = sqlx::query("INSERT INTO schema_versions (version, applied_ms) VALUES ($1, $2)");
        applied.bind(version).bind(now.0).execute(tx.conn()).await?;
    }
    tx.commit().await
}
