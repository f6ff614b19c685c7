//! Whether a server is the central service that is meant.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use northbound_wire::{CENTRAL_NAME, Fingerprint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::{fingerprint, is_self_signed_authority};
use crate::trouble::TrustError;

/// Whom to believe.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whoever shows a chain up to a root with this fingerprint: all that a token says.
    Pin(Fingerprint),
    /// Whoever's chain ends in this root. Nothing else the machine trusts counts.
    Root(CertificateDer<'static>),
}

/// What the last handshake found. Shared with the verifier inside a TLS configuration, because QUIC hands out errors of
/// TLS as text only. Of several handshakes at the same time it tells of whichever ended last.
#[derive(Clone, Default)]
pub struct Verdict(Arc<Mutex<Judged>>);

#[derive(Default)]
struct Judged {
    root: Option<CertificateDer<'static>>,
    trouble: Option<TrustError>,
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verdict")
    }
}

impl Verdict {
    /// The root the believed peer showed, or is trusted under.
    pub fn root(&self) -> Option<CertificateDer<'static>> {
        self.judged().root.clone()
    }

    /// Why the peer was not believed; forgotten once it was asked for.
    pub fn take_trouble(&self) -> Option<TrustError> {
        self.judged().trouble.take()
    }

    fn judged(&self) -> std::sync::MutexGuard<'_, Judged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, judged: &Result<CertificateDer<'static>, TrustError>) {
        *self.judged() = Judged { root: judged.clone().ok(), trouble: judged.clone().err() };
    }
}

/// Accepts central and nobody else, whatever address was dialled.
#[derive(Debug)]
pub(crate) struct CentralVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    verdict: Verdict,
}

impl CentralVerifier {
    pub(crate) fn new(trust: Trust, provider: Arc<CryptoProvider>, verdict: Verdict) -> CentralVerifier {
        CentralVerifier { trust, provider, verdict }
    }

    /// The root under which the chain holds.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, TrustError> {
        let root = self.root(others)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).map_err(|_| TrustError::Malformed)?;
        let told = |error| TrustError::of(&error).unwrap_or_else(|| TrustError::Other(error.to_string()));
        let leaf = ParsedCertificate::try_from(leaf).map_err(told)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verified = verify_server_cert_signed_by_trust_anchor(&leaf, &roots, others, now, algorithms);
        verified.map_err(|error| self.explain(told(error), others))?;
        let name = ServerName::try_from(CENTRAL_NAME).map_err(|_| TrustError::Malformed)?;
        verify_server_name(&leaf, &name).map_err(told)?;
        Ok(root)
    }

    /// The root to verify with.
    fn root(&self, sent: &[CertificateDer<'_>]) -> Result<CertificateDer<'static>, TrustError> {
        let pin = match &self.trust {
            Trust::Root(root) => return Ok(root.clone()),
            Trust::Pin(pin) => *pin,
        };
        match sent.iter().find(|der| is_self_signed_authority(der) && fingerprint(der) == Ok(pin)) {
            Some(root) => Ok(root.clone().into_owned()),
            None => Err(match first_root(sent) {
                Some(found) => TrustError::WrongRoot { expected: pin, found },
                None => TrustError::NoRoot,
            }),
        }
    }

    /// Says more of an unknown issuer, where the peer sent its own root.
    fn explain(&self, error: TrustError, sent: &[CertificateDer<'_>]) -> TrustError {
        let (TrustError::UnknownIssuer, Trust::Root(root)) = (&error, &self.trust) else { return error };
        match (fingerprint(root), first_root(sent)) {
            (Ok(expected), Some(found)) if found != expected => TrustError::WrongRoot { expected, found },
            _ => error,
        }
    }
}

fn first_root(sent: &[CertificateDer<'_>]) -> Option<Fingerprint> {
    fingerprint(sent.iter().find(|der| is_self_signed_authority(der))?).ok()
}

impl ServerCertVerifier for CentralVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // More than a chain of ours has is not looked at: checking signatures costs time.
        let judged = if others.len() >= northbound_wire::limits::CHAIN_MAX {
            Err(TrustError::Other(format!("{} certificates are too many", others.len() + 1)))
        } else {
            self.judge(leaf, others, now)
        };
        self.verdict.say(&judged);
        judged
            .map(|_| ServerCertVerified::assertion())
            .map_err(|error| rustls::Error::InvalidCertificate(error.to_tls()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verified = verify_tls13_signature(message, cert, signed, algorithms);
        if let Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) = &verified {
            self.verdict.say(&Err(TrustError::Signature));
        }
        verified
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
