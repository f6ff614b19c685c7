//! Refusals in the audit, bounded: an attacker must not fill the disk, nor hide among its own noise.
//!
//! Of each address a few refusals a minute are written one by one; further ones are counted in one row at the end of
//! that minute.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::UtcMs;
use northbound_wire::RefusalCode;

use crate::clock::Clock;
use crate::counts::Counts;
use crate::storage::{AuditEntry, Outcome, Storage};

/// Rows of one address and minute: enough to see what it tries.
const ROWS_PER_MINUTE: u32 = 10;

/// Addresses watched at once. Beyond, they share one account, and so its rows.
const ADDRESSES_MAX: usize = 1_024;

const MINUTE_MS: u64 = 60_000;

/// What was refused.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who: a hub's id, or what it said; may be empty.
    pub actor: String,
    /// What: `hub.connect`.
    pub action: &'static str,
    /// Why.
    pub code: RefusalCode,
    /// For people.
    pub detail: String,
    /// From where.
    pub address: IpAddr,
}

#[derive(Debug)]
struct Account {
    since_ms: u64,
    written: u32,
    unlisted: u64,
}

/// Where refusals go.
#[derive(Debug)]
pub struct Denials {
    storage: Storage,
    counts: Arc<Counts>,
    clock: Clock,
    accounts: Mutex<BTreeMap<Option<IpAddr>, Account>>,
}

/// What to write for one refusal.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// Refusals of the minute before that had no row of their own.
    unlisted: u64,
    listed: bool,
}

impl Denials {
    /// Nothing refused yet.
    pub fn new(storage: Storage, counts: Arc<Counts>, clock: Clock) -> Arc<Denials> {
        Arc::new(Denials { storage, counts, clock, accounts: Mutex::default() })
    }

    /// Counts a refusal and writes it to the audit. An audit that cannot be written is logged: the refusal stands.
    pub async fn note(&self, denial: Denial) {
        self.counts.link_refused(denial.code);
        tracing::warn!(
            code = denial.code.name(),
            address = %denial.address,
            hub = denial.actor,
            action = denial.action,
            "refused: {}",
            denial.detail
        );
        let Verdict { unlisted, listed } = self.judge(denial.address);
        let now = self.clock.utc();
        if unlisted > 0 {
            let detail = format!("{unlisted} further refusals within a minute");
            self.write(entry("", "link.refused", detail, denial.address), now).await;
        }
        if listed {
            let detail = format!("{}: {}", denial.code.name(), denial.detail);
            self.write(entry(&denial.actor, denial.action, detail, denial.address), now).await;
        } else {
            self.counts.link_unlisted.add(1);
        }
    }

    async fn write(&self, entry: AuditEntry, now: UtcMs) {
        let written = async {
            let mut tx = self.storage.write().await?;
            tx.db().append_audit(&entry, now).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, action = entry.action, "a refusal could not be written to the audit");
        }
    }

    fn judge(&self, address: IpAddr) -> Verdict {
        let now_ms = self.clock.mono_ms();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&mut accounts, address, now_ms)
    }
}

fn judge(accounts: &mut BTreeMap<Option<IpAddr>, Account>, address: IpAddr, now_ms: u64) -> Verdict {
    let over = |account: &Account| now_ms.saturating_sub(account.since_ms) >= MINUTE_MS;
    if accounts.len() >= ADDRESSES_MAX {
        // An account with something to tell stays until its address comes back, or everybody's place is needed.
        accounts.retain(|_, account| !over(account) || account.unlisted > 0);
    }
    if accounts.len() >= ADDRESSES_MAX {
        accounts.retain(|_, account| !over(account));
    }
    let known = accounts.contains_key(&Some(address)) || accounts.len() < ADDRESSES_MAX;
    let account = accounts.entry(known.then_some(address)).or_insert(Account {
        since_ms: now_ms,
        written: 0,
        unlisted: 0,
    });
    let mut unlisted = 0;
    if over(account) {
        unlisted = account.unlisted;
        *account = Account { since_ms: now_ms, written: 0, unlisted: 0 };
    }
    let listed = account.written < ROWS_PER_MINUTE;
    if listed {
        account.written += 1;
    } else {
        account.unlisted += 1;
    }
    Verdict { unlisted, listed }
}

fn entry(actor: &str, action: &str, detail: String, address: IpAddr) -> AuditEntry {
    AuditEntry {
        actor: if actor.is_empty() { "unknown".to_owned() } else { actor.to_owned() },
        action: action.to_owned(),
        target: String::new(),
        outcome: Outcome::Denied,
        address: address.to_string(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_a_few_rows_a_minute_and_one_for_the_rest() {
        let mut accounts = BTreeMap::new();
        let address: IpAddr = [192, 0, 2, 1].into();
        let listed = (0..100).filter(|_| judge(&mut accounts, address, 5).listed).count();
        assert_eq!(listed, 10);
        assert!(judge(&mut accounts, [192, 0, 2, 2].into(), 5).listed, "another address has rows of its own");
        assert_eq!(judge(&mut accounts, address, 60_005), Verdict { unlisted: 90, listed: true });
        assert_eq!(judge(&mut accounts, address, 60_006), Verdict { unlisted: 0, listed: true });
    }

    #[test]
    fn a_thousand_addresses_are_watched_and_no_more() {
        let mut accounts = BTreeMap::new();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let listed = (0..10_000).filter(|n| judge(&mut accounts, address(*n), 5).listed).count();
        assert!(accounts.len() <= ADDRESSES_MAX + 1, "{}", accounts.len());
        assert!(listed <= ADDRESSES_MAX + 10, "{listed}");
        assert!(judge(&mut accounts, address(77_777), 70_000).listed, "a minute later there is room again");
    }
}
