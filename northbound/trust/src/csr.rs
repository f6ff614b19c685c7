//! Certificate signing requests (PKCS#10), as central takes them in.
//!
//! Of a request only the public key counts, and that its owner signed the request. Names, purposes and every other wish
//! in it are passed over: central knows who it certifies and for what.

use northbound_wire::Fingerprint;
use northbound_wire::limits::CSR_BYTES_MAX;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData as _, SubjectPublicKeyInfo};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use crate::certificate::fingerprint_of_key;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CsrError {
    /// More bytes than a request of ours ever has.
    #[error("the signing request has {found} bytes; at most {CSR_BYTES_MAX} are taken")]
    TooLarge {
        /// How many.
        found: usize,
    },
    /// Not PKCS#10 in DER.
    #[error("the bytes are not a signing request (PKCS#10, DER)")]
    Malformed,
    /// Neither P-256 nor Ed25519.
    #[error("the key of the signing request is of another kind than P-256 and Ed25519")]
    Key,
    /// Whoever sent it does not have the private key, or the bytes were changed on the way.
    #[error("the signing request is not signed by the key it holds")]
    Signature,
}

/// A request whose sender has the private key.
#[derive(Clone, Debug)]
pub struct CheckedCsr {
    pub(crate) key: SubjectPublicKeyInfo,
}

impl CheckedCsr {
    /// Checks a request: size, form, kind of key, proof of possession.
    pub fn from_der(der: &[u8]) -> Result<CheckedCsr, CsrError> {
        if der.len() > CSR_BYTES_MAX {
            return Err(CsrError::TooLarge { found: der.len() });
        }
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
            return Err(CsrError::Malformed);
        };
        let spki = request.certification_request_info.subject_pki.raw;
        let key = SubjectPublicKeyInfo::from_der(spki).map_err(|_| CsrError::Key)?;
        let known = [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519];
        if !known.iter().any(|algorithm| *algorithm == key.algorithm()) {
            return Err(CsrError::Key);
        }
        request.verify_signature().map_err(|_| CsrError::Signature)?;
        Ok(CheckedCsr { key })
    }

    /// The key's fingerprint: the same for every request a hub makes until it has its certificate.
    pub fn key_fingerprint(&self) -> Fingerprint {
        fingerprint_of_key(&self.key.subject_public_key_info())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm};

    use super::*;

    fn request(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["central.relais.internal".to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_kinds_of_key_are_taken_and_no_other() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            assert!(CheckedCsr::from_der(&request(algorithm)).is_ok());
        }
        assert_eq!(CheckedCsr::from_der(&request(&PKCS_ECDSA_P384_SHA384)).unwrap_err(), CsrError::Key);
    }

    #[test]
    fn a_request_that_was_changed_never_gives_another_key() {
        let good = request(&PKCS_ECDSA_P256_SHA256);
        let key = CheckedCsr::from_der(&good).unwrap().key_fingerprint();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // The number of unused bits of the signature means nothing, and is passed over.
            if let Ok(same) = CheckedCsr::from_der(&bad) {
                assert_eq!(same.key_fingerprint(), key, "byte {at}");
            }
        }
        let mut cut = good.clone();
        cut.pop();
        assert_eq!(CheckedCsr::from_der(&cut).unwrap_err(), CsrError::Malformed);
        let last = good.len() - 1;
        let mut unsigned = good.clone();
        unsigned[last] ^= 1;
        assert_eq!(CheckedCsr::from_der(&unsigned).unwrap_err(), CsrError::Signature);
        let mut longer = good;
        longer.push(0);
        assert_eq!(CheckedCsr::from_der(&longer).unwrap_err(), CsrError::Malformed);
    }

    #[test]
    fn a_request_over_size_is_refused_unread() {
        let found = CSR_BYTES_MAX + 1;
        assert_eq!(CheckedCsr::from_der(&vec![0x30; found]).unwrap_err(), CsrError::TooLarge { found });
    }
}
