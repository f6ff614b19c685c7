//! `token create`, `list`, `revoke`: on the folder, beside a running daemon.

use std::io::{self, Write};
use std::path::Path;

use hub_chassis::cli::{Failure, Table, exit, output};
use hub_chassis::config::{load, told};
use hub_chassis::time_text::format_utc;
use hub_model::UtcMs;
use northbound_wire::{AdminToken, ClaimToken};
use serde_json::json;

use super::args::{CreateArgs, TokenCommand};
use super::block_on;
use crate::authority;
use crate::clock::Clock;
use crate::config::Config;
use crate::storage::{NewToken, Storage, TokenId, TokenKind, TokenRow};

/// Who does what is done here, in the audit.
const ACTOR: &str = "command line";

/// Runs a token command.
pub(super) fn token(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => block_on(create(args)),
        TokenCommand::List { config, json } => block_on(list(config.as_deref(), *json)),
        TokenCommand::Revoke { id, config } => block_on(revoke(config.as_deref(), id)),
    }
}

async fn open(config: Option<&Path>, now: UtcMs) -> Result<Storage, Failure> {
    let loaded = load::<Config>(config, &[]).map_err(|problems| Failure::failed(told(&problems)))?;
    Storage::open(&loaded.config.storage.dir, now).await.map_err(|error| Failure::failed(error.to_string()))
}

async fn create(args: &CreateArgs) -> Result<(), Failure> {
    let now = Clock::new().utc();
    let storage = open(args.config.as_deref(), now).await?;
    let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
    let root = authority::load(&storage.keys_dir()).map_err(|error| failed(&error))?.fingerprint();
    let expires = UtcMs(now.0.saturating_add(i64::try_from(args.expires.as_millis()).unwrap_or(i64::MAX)));
    let new = match (&args.site, &args.admin) {
        (Some(site), _) => NewToken::Claim { site: site.clone(), hubs: args.hubs, expires },
        (None, name) => NewToken::Admin { name: name.clone().unwrap_or_default() },
    };
    let (id, secret) = storage.create_token(&new, ACTOR, now).await.map_err(|error| failed(&error))?;
    storage.close().await;
    let (text, explained) = match &new {
        NewToken::Claim { site, hubs, .. } => (
            ClaimToken { secret, root }.reveal(),
            format!("claim token {id} for {hubs} hub(s) at {site:?}, good until {}", format_utc(expires)),
        ),
        NewToken::Admin { name } => (
            AdminToken { secret, root }.reveal(),
            format!("admin token {id} of {name:?}, good until revoked"),
        ),
    };
    // The token alone goes to stdout, for scripts; without stderr there is nobody to tell the rest.
    let _unheard = writeln!(io::stderr().lock(), "{explained}; it is shown this once and kept nowhere:");
    output::line(&text)
}

async fn list(config: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let now = Clock::new().utc();
    let storage = open(config, now).await?;
    let tokens = storage.tokens().await.map_err(|error| Failure::failed(error.to_string()))?;
    storage.close().await;
    if as_json {
        let views: Vec<_> = tokens.iter().map(|token| view(token, now)).collect();
        return output::line(&json!({ "tokens": views }).to_string());
    }
    let mut table = Table::new(&["id", "kind", "name", "created", "expires", ">used", "state"]);
    for token in &tokens {
        let uses = match token.kind {
            TokenKind::Claim => format!("{} of {}", token.uses, token.uses_max),
            TokenKind::Admin => String::new(),
        };
        table.row(vec![
            token.id.to_string(),
            token.kind.name().to_owned(),
            output::printable(&token.name),
            format_utc(token.created),
            token.expires.map(format_utc).unwrap_or_default(),
            uses,
            state(token, now).to_owned(),
        ]);
    }
    output::text(&table.render())
}

fn view(token: &TokenRow, now: UtcMs) -> serde_json::Value {
    json!({
        "id": token.id.to_string(),
        "kind": token.kind.name(),
        "name": token.name,
        "site_id": token.site.map(|site| site.to_string()),
        "created_time": format_utc(token.created),
        "expiry_time": token.expires.map(format_utc),
        "uses": token.uses,
        "uses_max": token.uses_max,
        "state": state(token, now),
    })
}

fn state(token: &TokenRow, now: UtcMs) -> &'static str {
    if token.revoked.is_some() {
        "revoked"
    } else if token.kind == TokenKind::Claim && token.uses >= token.uses_max {
        "used"
    } else if token.expires.is_some_and(|expires| now >= expires) {
        "expired"
    } else {
        "good"
    }
}

async fn revoke(config: Option<&Path>, id: &str) -> Result<(), Failure> {
    let now = Clock::new().utc();
    let wrong =
        |error| Failure::Told(exit::USAGE, format!("{id:?} is no token id: {error}; see `token list`"));
    let id: TokenId = id.parse().map_err(wrong)?;
    let storage = open(config, now).await?;
    let found =
        storage.revoke_token(id, ACTOR, now).await.map_err(|error| Failure::failed(error.to_string()))?;
    storage.close().await;
    if found {
        return output::line(&format!("{id} is revoked"));
    }
    Err(Failure::failed(format!("{id} is not known, or was revoked before; see `token list`")))
}
