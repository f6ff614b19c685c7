//! The organisation's authority: a root that can be taken offline, and the intermediate that issues.

use std::fmt;

use hub_model::{OrgId, UtcMs};
use northbound_wire::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use ring::hmac;
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::certificate::{Validity, fingerprint, fingerprint_of_key, is_self_signed_authority, parse};
use crate::issue::{self, IssueError, YEAR_MS};
use crate::pem;

/// A root is replaced by hand, at every hub: it should outlive the hardware.
const ROOT_YEARS: i64 = 20;

/// Long enough that no site runs into its end unnoticed, and half a root's.
const INTERMEDIATE_YEARS: i64 = 10;

/// Root and intermediate of an organisation, with the intermediate's key. The root's key is not needed for anything
/// here and may lie in a safe.
pub struct Authority {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) intermediate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) validity: Validity,
    fingerprint: Fingerprint,
}

/// Leaves the key out.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("root", &self.fingerprint).finish_non_exhaustive()
    }
}

/// An authority as texts, for whoever stores it. The keys are secret: files of mode 0600.
pub struct AuthorityPem {
    /// The root's private key. Needed only to issue another intermediate.
    pub root_key: String,
    /// The root's certificate.
    pub root: String,
    /// The intermediate's private key.
    pub intermediate_key: String,
    /// The intermediate's certificate.
    pub intermediate: String,
}

/// Leaves the keys out.
impl fmt::Debug for AuthorityPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityPem").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Why an authority cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// A certificate does not decode.
    #[error("the {0} certificate of the authority is damaged")]
    Certificate(&'static str),
    /// The key does not decode.
    #[error("the private key of the intermediate is damaged")]
    Key,
    /// The key is another's.
    #[error("the private key does not belong to the intermediate certificate")]
    KeyMismatch,
    /// The certificates do not belong together.
    #[error("the intermediate was not issued by this root")]
    Chain,
    /// Keys or certificates could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl Authority {
    /// Makes root and intermediate. Both texts of keys leave this function once.
    pub fn create(org: OrgId, now: UtcMs) -> Result<(Authority, AuthorityPem), AuthorityError> {
        let root_key = issue::new_key()?;
        let root_params = authority_params(&name("root", org, &root_key), None, ROOT_YEARS, now)?;
        let root = root_params.self_signed(&root_key).map_err(IssueError::from)?;

        let key = issue::new_key()?;
        let params = authority_params(&name("central", org, &key), Some(0), INTERMEDIATE_YEARS, now)?;
        let root_issuer = Issuer::from_params(&root_params, &root_key);
        let intermediate = params.signed_by(&key, &root_issuer).map_err(IssueError::from)?;

        let texts = AuthorityPem {
            root_key: root_key.serialize_pem(),
            root: root.pem(),
            intermediate_key: key.serialize_pem(),
            intermediate: intermediate.pem(),
        };
        let authority = Authority::from_pem(&texts.root, &texts.intermediate, &texts.intermediate_key)?;
        Ok((authority, texts))
    }

    /// Loads an authority and checks that its parts belong together.
    pub fn from_pem(
        root: &str,
        intermediate: &str,
        intermediate_key: &str,
    ) -> Result<Authority, AuthorityError> {
        let root = one_certificate(root).ok_or(AuthorityError::Certificate("root"))?;
        let intermediate =
            one_certificate(intermediate).ok_or(AuthorityError::Certificate("intermediate"))?;
        let key = KeyPair::from_pem(intermediate_key).map_err(|_| AuthorityError::Key)?;
        check_parts(&root, &intermediate, &key)?;
        let damaged = |_| AuthorityError::Certificate("intermediate");
        let validity = Validity::of(&intermediate).map_err(damaged)?;
        let fingerprint = fingerprint(&root).map_err(|_| AuthorityError::Certificate("root"))?;
        let issuer = Issuer::from_ca_cert_der(&intermediate, key)
            .map_err(|_| AuthorityError::Certificate("intermediate"))?;
        Ok(Authority { root, intermediate, issuer, validity, fingerprint })
    }

    /// What claim and admin tokens carry.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The root's certificate.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// Bytes for one purpose: the same whenever this authority is loaded, and no way back to its key. A central that is
    /// started anew so keeps what its hubs know it by.
    pub fn secret_for(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.issuer.key().serialize_der());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        bytes
    }

    /// How long it can issue.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The chain behind a certificate issued here: the intermediate, then the root.
    pub(crate) fn chain_behind(&self, leaf: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        vec![leaf, self.intermediate.clone(), self.root.clone()]
    }
}

/// A name no other authority has, so that a chain of another is told as unknown and not as damaged.
fn name(role: &str, org: OrgId, key: &KeyPair) -> String {
    let fingerprint = fingerprint_of_key(&key.subject_public_key_info()).to_string();
    format!("Relais {role} {org} {}", &fingerprint[..8])
}

fn one_certificate(text: &str) -> Option<CertificateDer<'static>> {
    let found: [CertificateDer<'static>; 1] = pem::certificates(text.as_bytes())?.try_into().ok()?;
    let [certificate] = found;
    parse(&certificate).ok()?;
    Some(certificate)
}

fn check_parts(
    root: &CertificateDer<'_>,
    intermediate: &CertificateDer<'_>,
    key: &KeyPair,
) -> Result<(), AuthorityError> {
    if !is_self_signed_authority(root) {
        return Err(AuthorityError::Certificate("root"));
    }
    let issuer = parse(root).map_err(|_| AuthorityError::Certificate("root"))?;
    let issued = parse(intermediate).map_err(|_| AuthorityError::Certificate("intermediate"))?;
    let named = issued.issuer().as_raw() == issuer.subject().as_raw();
    if !named || issued.verify_signature(Some(issuer.public_key())).is_err() {
        return Err(AuthorityError::Chain);
    }
    if issued.public_key().raw != key.subject_public_key_info() {
        return Err(AuthorityError::KeyMismatch);
    }
    Ok(())
}

fn authority_params(
    name: &str,
    path_len: Option<u8>,
    years: i64,
    now: UtcMs,
) -> Result<CertificateParams, IssueError> {
    let mut params = issue::params(now, UtcMs(now.0.saturating_add(years * YEAR_MS)))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(path_len.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMs = UtcMs(1_796_083_200_000);

    #[test]
    fn an_authority_survives_its_texts() {
        let (made, texts) = Authority::create(OrgId::from_bytes([1; 16]), NOW).unwrap();
        let loaded = Authority::from_pem(&texts.root, &texts.intermediate, &texts.intermediate_key).unwrap();
        assert_eq!(loaded.fingerprint(), made.fingerprint());
        assert_eq!(loaded.root(), made.root());
        assert!(loaded.validity().not_after.0 - NOW.0 > 9 * YEAR_MS);
        assert_eq!(loaded.secret_for("a"), made.secret_for("a"));
        assert_ne!(loaded.secret_for("a"), loaded.secret_for("b"));
        let shown = format!("{texts:?} {made:?}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }

    #[test]
    fn parts_that_do_not_belong_together_are_told() {
        let (_, ours) = Authority::create(OrgId::from_bytes([1; 16]), NOW).unwrap();
        let (_, theirs) = Authority::create(OrgId::from_bytes([1; 16]), NOW).unwrap();
        let check = |root: &str, intermediate: &str, key: &str, expected: AuthorityError| {
            assert_eq!(Authority::from_pem(root, intermediate, key).unwrap_err(), expected);
        };
        check(&theirs.root, &ours.intermediate, &ours.intermediate_key, AuthorityError::Chain);
        check(&ours.root, &ours.intermediate, &theirs.intermediate_key, AuthorityError::KeyMismatch);
        check(&ours.root, &ours.intermediate, "", AuthorityError::Key);
        check("", &ours.intermediate, &ours.intermediate_key, AuthorityError::Certificate("root"));
        check(
            &ours.intermediate,
            &ours.intermediate,
            &ours.intermediate_key,
            AuthorityError::Certificate("root"),
        );
        check(&ours.root, "x", &ours.intermediate_key, AuthorityError::Certificate("intermediate"));
    }
}
