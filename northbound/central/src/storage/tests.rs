//! Tokens, enrolment, the audit's chain, the folder.

use hub_model::UtcMs;
use northbound_wire::{AdminToken, ClaimToken, Fingerprint, RefusalCode, TokenSecret};

use super::{
    AuditEntry, AuditError, Certificate, Enrolment, FolderLock, HubSeen, HubState, NewToken, Outcome,
    Storage, StorageError,
};
use crate::testing::{BOOT, Folder, NOW, hub_id};

const ROOT: Fingerprint = Fingerprint([9; 32]);

async fn storage(folder: &Folder) -> Storage {
    Storage::create(folder.path(), "Test", NOW).await.unwrap().0
}

async fn claim(storage: &Storage, hubs: u32) -> ClaimToken {
    let new = NewToken::Claim { site: "Hall 3".to_owned(), hubs, expires: UtcMs(NOW.0 + 1_000) };
    let (_, secret) = storage.create_token(&new, "test", NOW).await.unwrap();
    ClaimToken { secret, root: ROOT }
}

async fn enrol(
    storage: &Storage,
    token: &ClaimToken,
    hub: u8,
    key: u8,
    at: i64,
) -> Result<String, RefusalCode> {
    let key = Fingerprint([key; 32]);
    let enrolment = Enrolment { token, hub: hub_id(hub), key, address: "192.0.2.1" };
    let enrolled = storage.enrol(&enrolment, UtcMs(NOW.0 + at)).await.unwrap();
    enrolled.map(|site| site.name).map_err(|refusal| refusal.code)
}

#[tokio::test]
async fn a_claim_token_is_good_for_one_hub_and_for_it_again() {
    let folder = Folder::new("claim");
    let storage = storage(&folder).await;
    let token = claim(&storage, 1).await;
    assert_eq!(enrol(&storage, &token, 1, 1, 0).await, Ok("Hall 3".to_owned()));
    assert_eq!(
        enrol(&storage, &token, 1, 1, 0).await,
        Ok("Hall 3".to_owned()),
        "it broke off and is tried again"
    );
    assert_eq!(enrol(&storage, &token, 1, 1, 5_000).await, Ok("Hall 3".to_owned()), "also past its time");
    assert_eq!(enrol(&storage, &token, 2, 2, 0).await, Err(RefusalCode::TokenUsed));
    assert_eq!(enrol(&storage, &token, 1, 2, 0).await, Err(RefusalCode::TokenUsed));
    let unknown = ClaimToken { secret: TokenSecret([1; 32]), root: ROOT };
    assert_eq!(enrol(&storage, &unknown, 3, 3, 0).await, Err(RefusalCode::TokenUnknown));
    let audit = storage.audit_rows(None, 100).await.unwrap();
    let enrolled = |outcome| {
        audit.iter().filter(|row| row.entry.action == "hub.enrol" && row.entry.outcome == outcome).count()
    };
    assert_eq!(
        (enrolled(Outcome::Done), enrolled(Outcome::Denied)),
        (3, 0),
        "who asks audits refusals, in bounds"
    );
    assert!(
        !audit.iter().any(|row| row.entry.detail.contains(&token.reveal()[16..40])),
        "no secret is in it"
    );
}

#[tokio::test]
async fn a_token_for_several_ends_by_number_time_or_order() {
    let folder = Folder::new("several");
    let storage = storage(&folder).await;
    let token = claim(&storage, 2).await;
    assert!(enrol(&storage, &token, 1, 1, 0).await.is_ok());
    assert!(enrol(&storage, &token, 2, 2, 999).await.is_ok());
    assert_eq!(enrol(&storage, &token, 3, 3, 0).await, Err(RefusalCode::TokenUsed));
    let token = claim(&storage, 2).await;
    assert_eq!(enrol(&storage, &token, 4, 4, 1_000).await, Err(RefusalCode::TokenExpired));
    let unused = storage.tokens().await.unwrap().into_iter().find(|token| token.uses == 0);
    let id = unused.unwrap().id;
    assert!(storage.revoke_token(id, "test", NOW).await.unwrap());
    assert!(!storage.revoke_token(id, "test", NOW).await.unwrap());
    assert_eq!(enrol(&storage, &token, 4, 4, 0).await, Err(RefusalCode::TokenUnknown));
}

#[tokio::test]
async fn ids_and_keys_belong_to_one_hub() {
    let folder = Folder::new("ids");
    let storage = storage(&folder).await;
    let token = claim(&storage, 10).await;
    assert!(enrol(&storage, &token, 1, 1, 0).await.is_ok());
    assert_eq!(
        enrol(&storage, &claim(&storage, 1).await, 1, 2, 0).await,
        Err(RefusalCode::HubKnown),
        "another key"
    );
    assert_eq!(enrol(&storage, &token, 2, 1, 0).await, Err(RefusalCode::HubKnown), "another id");
    let uses: u64 = storage.tokens().await.unwrap().iter().map(|token| token.uses).sum();
    assert_eq!(uses, 1, "a refusal uses nothing up");
}

#[tokio::test]
async fn a_hub_becomes_active_and_can_be_suspended() {
    let folder = Folder::new("states");
    let storage = storage(&folder).await;
    let token = claim(&storage, 1).await;
    assert!(enrol(&storage, &token, 1, 1, 0).await.is_ok());
    let state = async || storage.hub(hub_id(1)).await.unwrap().unwrap().state;
    assert_eq!(state().await, HubState::Claimed);
    assert!(!state().await.may_connect());
    let certificate = Certificate {
        hub: hub_id(1),
        key: Fingerprint([1; 32]),
        serial: "0a".to_owned(),
        not_after: UtcMs(NOW.0 + 1),
    };
    storage.certificate_issued(&certificate, "192.0.2.1", NOW).await.unwrap();
    assert_eq!(state().await, HubState::Certified);
    let seen = HubSeen {
        program: "relais-hub 1".to_owned(),
        protocol: 1,
        boot: BOOT,
        address: "192.0.2.1".to_owned(),
    };
    storage.hub_seen(hub_id(1), &seen, NOW).await.unwrap();
    assert_eq!(state().await, HubState::Active);
    let renewed = Certificate { serial: "0b".to_owned(), key: Fingerprint([2; 32]), ..certificate };
    storage.certificate_issued(&renewed, "", NOW).await.unwrap();
    let hub = storage.hub(hub_id(1)).await.unwrap().unwrap();
    assert_eq!((hub.state, hub.certificate_serial.as_deref()), (HubState::Active, Some("0b")));
    assert_eq!((hub.seen, hub.boot), (Some(NOW), Some(BOOT)));
    assert!(storage.set_hub_state(hub_id(1), HubState::Suspended, "test", "", NOW).await.unwrap());
    storage.hub_seen(hub_id(1), &seen, NOW).await.unwrap();
    assert_eq!(state().await, HubState::Suspended);
    let again = Fingerprint([2; 32]);
    let enrolment = Enrolment { token: &token, hub: hub_id(1), key: again, address: "" };
    assert!(storage.enrol(&enrolment, NOW).await.unwrap().is_err());
}

#[tokio::test]
async fn an_admin_token_is_found_by_its_secret_only() {
    let folder = Folder::new("admin");
    let storage = storage(&folder).await;
    let (id, secret) =
        storage.create_token(&NewToken::Admin { name: "Ada".to_owned() }, "test", NOW).await.unwrap();
    storage.create_token(&NewToken::Admin { name: "Bob".to_owned() }, "test", NOW).await.unwrap();
    let shown = |secret| AdminToken { secret, root: ROOT };
    let found = storage.admin(&shown(secret), NOW).await.unwrap().unwrap();
    assert_eq!((found.id, found.name.as_str()), (id, "Ada"));
    assert_eq!(storage.admin(&shown(TokenSecret([0; 32])), NOW).await.unwrap(), None);
    // The secret of a claim is none of an admin.
    let claim = claim(&storage, 1).await;
    assert_eq!(storage.admin(&shown(claim.secret), NOW).await.unwrap(), None);
    storage.revoke_token(id, "test", NOW).await.unwrap();
    assert_eq!(storage.admin(&shown(secret), NOW).await.unwrap(), None);
}

async fn audited(folder: &Folder) -> Storage {
    let storage = storage(folder).await;
    for n in 0..5 {
        let entry = AuditEntry {
            actor: "test".to_owned(),
            action: "test.write".to_owned(),
            target: format!("{n}"),
            outcome: Outcome::Done,
            address: String::new(),
            detail: "detail".to_owned(),
        };
        storage.audit(&entry, UtcMs(NOW.0 + n)).await.unwrap();
    }
    assert_eq!(storage.verify_audit().await.unwrap(), Ok(5));
    storage
}

#[tokio::test]
async fn tampering_with_the_audit_shows() {
    for (statement, seq, what) in [
        ("UPDATE audit SET detail = 'other' WHERE seq = 2", 2, "was changed"),
        ("UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 5", 5, "was changed"),
        ("UPDATE audit SET actor = 'testt', action = 'est.write' WHERE seq = 1", 1, "was changed"),
        ("DELETE FROM audit WHERE seq = 3", 3, "is missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "is missing"),
        ("UPDATE audit SET previous = zeroblob(32) WHERE seq = 4", 4, "does not follow the one before"),
    ] {
        let folder = Folder::new("tamper");
        let storage = audited(&folder).await;
        let mut tx = storage.write().await.unwrap();
        sqlx::query(statement).execute(&mut *tx.db().conn).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(storage.verify_audit().await.unwrap(), Err(AuditError { seq, what }), "{statement}");
    }
}

#[tokio::test]
async fn two_processes_write_one_chain() {
    let folder = Folder::new("chain");
    let storage = audited(&folder).await;
    let other = Storage::open(folder.path(), NOW).await.unwrap();
    let (_, secret) =
        other.create_token(&NewToken::Admin { name: "x".to_owned() }, "cli", NOW).await.unwrap();
    assert!(storage.admin(&AdminToken { secret, root: ROOT }, NOW).await.unwrap().is_some());
    assert_eq!(storage.verify_audit().await.unwrap(), Ok(6));
}

#[tokio::test]
async fn one_process_runs_with_a_folder() {
    let folder = Folder::new("lock");
    let lock = FolderLock::take(folder.path()).unwrap();
    assert!(matches!(FolderLock::take(folder.path()), Err(StorageError::InUse { .. })));
    drop(lock);
    FolderLock::take(folder.path()).unwrap();
    assert!(matches!(Storage::open(folder.path(), NOW).await, Err(StorageError::Empty { .. })));
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let folder = Folder::new("newer");
    let storage = storage(&folder).await;
    let mut tx = storage.write().await.unwrap();
    sqlx::query("INSERT INTO schema_versions (version, applied_ms) VALUES (99, 0)")
        .execute(&mut *tx.db().conn)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    storage.close().await;
    let opened = Storage::create(folder.path(), "Test", NOW).await;
    assert!(matches!(opened, Err(StorageError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn lookups_go_by_their_index() {
    let folder = Folder::new("plans");
    let storage = storage(&folder).await;
    let mut reading = storage.read().await.unwrap();
    for (statement, index) in
        super::ranges::LOOKUPS.iter().chain(super::coverage::LOOKUPS).chain(super::damaged::LOOKUPS)
    {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&mut *reading.db().conn).await.unwrap();
        // Rows that were found and are then counted are no table.
        let of_found = |line: &&str| line.starts_with("CO-ROUTINE") || line.starts_with("SCAN (subquery");
        let lines = plan.iter().map(|(_, _, _, line)| line.as_str());
        let lines: Vec<&str> = lines.filter(|line| !of_found(line)).collect();
        assert!(lines[0].starts_with("SEARCH") && lines[0].contains(index), "{statement}\n{lines:#?}");
        assert!(lines.iter().all(|line| !line.starts_with("SCAN")), "{statement}\n{lines:#?}");
    }
}

#[tokio::test]
async fn a_folder_that_lost_its_database_becomes_no_other_organisation() {
    let folder = Folder::new("lost-database");
    let first = storage(&folder).await;
    first.close().await;
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let database = folder.path().join("central.db");
    for is_empty in [false, true] {
        std::fs::remove_file(&database).unwrap();
        if is_empty {
            std::fs::write(&database, []).unwrap();
        }
        let created = Storage::create(folder.path(), "Test", NOW).await;
        assert!(matches!(created, Err(StorageError::Lost { .. })), "{created:?}");
        assert!(matches!(Storage::must_exist(folder.path()), Err(StorageError::Lost { .. })));
        let checked =
            crate::check::Checked::unopened(Storage::open(folder.path(), NOW).await.unwrap_err()).unwrap();
        assert!(checked.problems[0].contains("put it back from the backup") && !checked.steps.is_empty());
        std::fs::write(&database, b"x").unwrap();
    }
    let garbage = Storage::open(folder.path(), NOW).await.unwrap_err();
    let checked = crate::check::Checked::unopened(garbage).unwrap();
    assert!(!checked.steps.is_empty(), "{checked:?}");
}

#[tokio::test]
async fn check_finds_a_table_that_is_gone() {
    let folder = Folder::new("table-gone");
    let storage = storage(&folder).await;
    let mut tx = storage.write().await.unwrap();
    sqlx::query("DROP TABLE zero_gaps").execute(&mut *tx.db().conn).await.unwrap();
    sqlx::query("DROP TABLE audit").execute(&mut *tx.db().conn).await.unwrap();
    tx.commit().await.unwrap();
    let checked = crate::check::check(&storage).await.unwrap();
    assert!(checked.problems.iter().any(|p| p == "the database lacks zero_gaps"), "{checked:?}");
    assert!(checked.problems.iter().any(|p| p == "the database lacks audit"), "{checked:?}");
    assert!(!checked.steps.is_empty());
}
