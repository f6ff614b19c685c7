//! Enrolment and renewal, killed at every step.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use hub_model::{HubId, OrgId, SiteId, UtcMs};
use northbound_wire::EnrolAnswer;
use rcgen::PublicKeyData as _;

use super::*;
use crate::identity::{AnswerError, Expected};
use crate::issue::{DAY_MS, YEAR_MS};
use crate::trouble::TrustError;
use crate::{Authority, CheckedCsr, HubName};

const NOW: UtcMs = UtcMs(1_796_083_200_000);

struct Temp(PathBuf);

impl Temp {
    fn new() -> Temp {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("relais-identity-{}-{number}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        Temp(dir)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn name() -> HubName {
    HubName {
        org: OrgId::from_bytes([1; 16]),
        site: SiteId::from_bytes([2; 16]),
        hub: HubId::from_bytes([3; 16]),
    }
}

fn authority() -> Authority {
    Authority::create(name().org, NOW).unwrap().0
}

fn answer(authority: &Authority, pending: &PendingKey, name: HubName) -> EnrolAnswer {
    let csr = CheckedCsr::from_der(&pending.csr().unwrap()).unwrap();
    let chain = authority.issue_hub(&csr, name, NOW).unwrap();
    EnrolAnswer {
        org: name.org,
        site: name.site,
        site_name: "Bakery\n-----BEGIN CERTIFICATE-----".into(),
        chain: chain.into_iter().map(|der| der.to_vec()).collect(),
    }
}

fn expected(authority: &Authority) -> Expected {
    Expected { root: authority.fingerprint(), hub: name().hub }
}

fn identity(authority: &Authority, pending: &PendingKey) -> Identity {
    pending.accept(&answer(authority, pending, name()), expected(authority), NOW).unwrap()
}

#[test]
fn an_identity_survives_its_file_and_nobody_else_reads_it() {
    let (temp, authority) = (Temp::new(), authority());
    let dir = IdentityDir::open(&temp.0).unwrap();
    assert!(dir.current().unwrap().is_none());
    dir.install(&identity(&authority, &dir.pending_key().unwrap())).unwrap();
    let loaded = dir.current().unwrap().unwrap();
    assert_eq!(loaded.name(), name());
    assert_eq!(loaded.root_fingerprint(), authority.fingerprint());
    assert_eq!(loaded.site_name(), "Bakery\u{fffd}-----BEGIN CERTIFICATE-----");
    assert!(!format!("{loaded:?}").contains("PRIVATE"));
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(temp.0.clone()), mode(temp.0.join(IDENTITY))), (0o700, 0o600));
    assert!(!temp.0.join(PENDING).exists());
}

#[test]
fn a_lax_folder_is_closed() {
    let temp = Temp::new();
    std::fs::create_dir(&temp.0).unwrap();
    std::fs::set_permissions(&temp.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    IdentityDir::open(&temp.0).unwrap();
    assert_eq!(std::fs::metadata(&temp.0).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn enrolment_goes_on_after_a_kill_at_any_step() {
    let authority = authority();
    for steps in 0.. {
        let temp = Temp::new();
        let dir = IdentityDir::open(&temp.0).unwrap();
        dir.files.steps.store(steps, Ordering::Relaxed);
        let asked = dir.pending_key().ok().map(|key| key.pair.subject_public_key_info());
        let done = asked.is_some() && dir.install(&identity(&authority, &dir.pending_key().unwrap())).is_ok();
        let dir = IdentityDir::open(&temp.0).unwrap();
        if let Some(current) = dir.current().unwrap() {
            assert_eq!(current.name(), name());
            let left = dir.pending_key().unwrap();
            assert!(!left.belongs_to(current.leaf()), "a key that has its certificate is not used again");
        } else {
            let again = dir.pending_key().unwrap();
            assert!(
                asked.is_none_or(|asked| asked == again.pair.subject_public_key_info()),
                "the same key asks again after step {steps}"
            );
            dir.install(&identity(&authority, &again)).unwrap();
            assert!(dir.current().unwrap().is_some());
        }
        if done {
            assert!(steps > 8, "every step was a kill point");
            break;
        }
    }
}

#[test]
fn renewal_leaves_an_identity_that_works_at_any_step() {
    let authority = authority();
    for steps in 0.. {
        let temp = Temp::new();
        let dir = IdentityDir::open(&temp.0).unwrap();
        dir.install(&identity(&authority, &dir.pending_key().unwrap())).unwrap();
        let old = dir.current().unwrap().unwrap().leaf().clone();
        dir.files.steps.store(steps, Ordering::Relaxed);
        let renew = || {
            let next = identity(&authority, &dir.pending_key()?);
            dir.keep_beside(&next)?;
            dir.promote()?;
            Ok::<_, IdentityError>(next.leaf().clone())
        };
        let renewed = renew();
        let dir = IdentityDir::open(&temp.0).unwrap();
        let current = dir.current().unwrap().unwrap();
        if let Ok(renewed) = renewed {
            assert_eq!(current.leaf(), &renewed);
            assert!(dir.next().unwrap().is_none());
            break;
        }
        assert!(current.leaf() == &old || dir.next().unwrap().is_none(), "step {steps}");
        let next = identity(&authority, &dir.pending_key().unwrap());
        dir.keep_beside(&next).unwrap();
        dir.promote().unwrap();
        assert_eq!(dir.current().unwrap().unwrap().leaf(), next.leaf());
    }
}

#[test]
fn answers_that_are_not_for_us_are_refused() {
    let (temp, authority) = (Temp::new(), authority());
    let dir = IdentityDir::open(&temp.0).unwrap();
    let pending = dir.pending_key().unwrap();
    let good = answer(&authority, &pending, name());
    let refused = |answer: &EnrolAnswer, now| pending.accept(answer, expected(&authority), now).unwrap_err();

    let other = Authority::create(name().org, NOW).unwrap().0;
    assert_eq!(refused(&answer(&other, &pending, name()), NOW), AnswerError::Root);
    let mixed = EnrolAnswer { chain: answer(&other, &pending, name()).chain, ..good.clone() };
    let mut forged = mixed.clone();
    forged.chain[2] = good.chain[2].clone();
    assert_eq!(
        refused(&forged, NOW),
        AnswerError::Chain(TrustError::UnknownIssuer),
        "our root behind their chain"
    );
    let mut cut = good.clone();
    cut.chain.pop();
    assert_eq!(refused(&cut, NOW), AnswerError::Root);

    let stranger = PendingKey::generate().unwrap();
    assert_eq!(refused(&answer(&authority, &stranger, name()), NOW), AnswerError::Key);

    let neighbour = HubName { hub: HubId::from_bytes([9; 16]), ..name() };
    assert!(matches!(refused(&answer(&authority, &pending, neighbour), NOW), AnswerError::Other { .. }));
    let moved = EnrolAnswer { site: SiteId::from_bytes([9; 16]), ..good.clone() };
    assert!(matches!(refused(&moved, NOW), AnswerError::Other { .. }));

    let late = UtcMs(NOW.0 + YEAR_MS + DAY_MS);
    assert!(matches!(refused(&good, late), AnswerError::Chain(TrustError::Expired { .. })));
    let early = UtcMs(NOW.0 - 2 * DAY_MS);
    assert!(matches!(refused(&good, early), AnswerError::Chain(TrustError::NotYetValid { .. })));
    assert!(pending.accept(&good, expected(&authority), NOW).is_ok());
}

#[test]
fn damage_is_told_without_what_is_in_the_file() {
    let (temp, authority) = (Temp::new(), authority());
    let dir = IdentityDir::open(&temp.0).unwrap();
    dir.install(&identity(&authority, &dir.pending_key().unwrap())).unwrap();
    let good = std::fs::read(temp.0.join(IDENTITY)).unwrap();
    for cut in (0..good.len() - 1).step_by(97) {
        std::fs::write(temp.0.join(IDENTITY), &good[..cut]).unwrap();
        let error = dir.current().unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        assert!(!error.to_string().contains("PRIVATE"));
    }
    // Central knows the hub by the key that is still whole, whatever other request there was.
    let other = PendingKey::generate().unwrap().pair.serialize_pem();
    std::fs::write(temp.0.join(PENDING), other).unwrap();
    std::fs::write(temp.0.join(IDENTITY), &good[..good.len() / 2]).unwrap();
    let known = Identity::from_text(&good).unwrap();
    assert!(dir.pending_key().unwrap().belongs_to(known.leaf()));
    std::fs::write(temp.0.join(IDENTITY), &good[..100]).unwrap();
    assert!(!dir.pending_key().unwrap().belongs_to(known.leaf()));
    std::fs::write(temp.0.join(NEXT), b"rubbish").unwrap();
    assert!(dir.next().unwrap().is_none(), "a damaged renewal is forgotten");
    std::fs::write(temp.0.join(PENDING), b"rubbish").unwrap();
    assert!(dir.pending_key().is_ok(), "a damaged key is replaced");
}

#[test]
fn the_term_belongs_to_one_root() {
    let temp = Temp::new();
    let dir = IdentityDir::open(&temp.0).unwrap();
    let (ours, theirs) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
    assert_eq!(dir.term(ours).unwrap(), 0);
    dir.save_term(ours, 7).unwrap();
    assert_eq!((dir.term(ours).unwrap(), dir.term(theirs).unwrap()), (7, 0));
    std::fs::write(temp.0.join(TERM), b"term 9").unwrap();
    assert!(matches!(dir.term(ours), Err(IdentityError::Damaged { .. })));
}
