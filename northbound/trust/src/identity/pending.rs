//! A key for which there is no certificate yet, and the check of the answer that brings one.

use std::fmt;

use hub_model::{HubId, UtcMs};
use northbound_wire::{EnrolAnswer, Fingerprint};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::Identity;
use crate::certificate::{fingerprint, is_self_signed_authority, parse};
use crate::client::provider;
use crate::hub_name::{HubName, HubNameError};
use crate::issue::{self, IssueError};
use crate::time::unix_time;
use crate::trouble::TrustError;

/// A private key that waits for its certificate.
pub struct PendingKey {
    pub(super) pair: KeyPair,
}

/// Leaves the key out.
impl fmt::Debug for PendingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingKey")
    }
}

/// What the answer to a request must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The root it must lead to.
    pub root: Fingerprint,
    /// Whom it must be for.
    pub hub: HubId,
}

/// Why an answer is not taken. All of these are central's fault, or that of whoever pretends to be central.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The last certificate is not the root of the token.
    #[error("central's answer does not end in the root that the token names")]
    Root,
    /// The chain does not hold.
    #[error("the certificate in central's answer does not hold: {0}")]
    Chain(TrustError),
    /// Made for another key.
    #[error("the certificate in central's answer is for another key than the one that was sent")]
    Key,
    /// It names no hub.
    #[error("the certificate in central's answer does not name this hub: {0}")]
    Name(#[from] HubNameError),
    /// It names another hub, or another place than the answer says.
    #[error("the certificate in central's answer is for {found}, not for {expected}")]
    Other {
        /// Who it should be for.
        expected: Box<HubName>,
        /// Who it is for.
        found: Box<HubName>,
    },
}

impl PendingKey {
    pub(super) fn generate() -> Result<PendingKey, IssueError> {
        Ok(PendingKey { pair: issue::new_key()? })
    }

    /// The request to send. Names nobody: central decides what the certificate says.
    pub fn csr(&self) -> Result<Vec<u8>, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.pair)?.der().to_vec())
    }

    /// Whether a certificate is for this key.
    pub(super) fn belongs_to(&self, certificate: &CertificateDer<'_>) -> bool {
        parse(certificate).is_ok_and(|parsed| parsed.public_key().raw == self.pair.subject_public_key_info())
    }

    /// Checks an answer and makes an identity of it. Nothing is stored here.
    pub fn accept(
        &self,
        answer: &EnrolAnswer,
        expected: Expected,
        now: UtcMs,
    ) -> Result<Identity, AnswerError> {
        let chain: Vec<CertificateDer<'static>> =
            answer.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let [leaf, between @ .., root] = chain.as_slice() else { return Err(AnswerError::Root) };
        if !is_self_signed_authority(root) || fingerprint(root) != Ok(expected.root) {
            return Err(AnswerError::Root);
        }
        check_chain(leaf, between, root, now)?;
        if !self.belongs_to(leaf) {
            return Err(AnswerError::Key);
        }
        let found = HubName::of(leaf)?;
        let expected = HubName { org: answer.org, site: answer.site, hub: expected.hub };
        if found != expected {
            return Err(AnswerError::Other { expected: Box::new(expected), found: Box::new(found) });
        }
        let key = PrivateKeyDer::Pkcs8(self.pair.serialize_der().into());
        Identity::from_parts(key, chain, &answer.site_name).ok_or(AnswerError::Key)
    }
}

/// Verifies a hub's certificate as central will.
fn check_chain(
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    root: &CertificateDer<'static>,
    now: UtcMs,
) -> Result<(), AnswerError> {
    let malformed = AnswerError::Chain(TrustError::Malformed);
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).map_err(|_| malformed.clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build();
    let verified = verifier.map_err(|_| malformed)?.verify_client_cert(leaf, between, unix_time(now));
    verified.map(|_| ()).map_err(|error| {
        AnswerError::Chain(TrustError::of(&error).unwrap_or_else(|| TrustError::Other(error.to_string())))
    })
}
