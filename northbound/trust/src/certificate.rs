//! What a certificate says of itself. Bytes of a peer are not believed: everything here may fail.

use hub_model::UtcMs;
use northbound_wire::Fingerprint;
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Bytes that are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are not a certificate")]
pub struct MalformedCertificate;

/// When a certificate holds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: UtcMs,
    /// To.
    pub not_after: UtcMs,
}

impl Validity {
    /// The validity a certificate states.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Validity, MalformedCertificate> {
        let parsed = parse(certificate)?;
        let ms = |seconds: i64| UtcMs(seconds.saturating_mul(1000));
        Ok(Validity {
            not_before: ms(parsed.validity().not_before.timestamp()),
            not_after: ms(parsed.validity().not_after.timestamp()),
        })
    }

    /// When to ask for the next one: after a third of its life. Two thirds are left to try in, which is what a hub may
    /// be offline for.
    pub fn renew_at(self) -> UtcMs {
        UtcMs(self.not_before.0 + (self.not_after.0 - self.not_before.0) / 3)
    }

    /// Whether it has ended.
    pub fn is_over(self, now: UtcMs) -> bool {
        now > self.not_after
    }
}

/// SHA-256 of the certificate's SubjectPublicKeyInfo: stays when a root is issued anew for the same key.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, MalformedCertificate> {
    Ok(fingerprint_of_key(parse(certificate)?.public_key().raw))
}

/// The same, of the SubjectPublicKeyInfo itself.
pub(crate) fn fingerprint_of_key(spki: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, spki).as_ref());
    Fingerprint(bytes)
}

/// The certificate's serial number, in lowercase hexadecimal.
pub fn serial(certificate: &CertificateDer<'_>) -> Result<String, MalformedCertificate> {
    Ok(parse(certificate)?.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether this is a certificate authority whose own key signed it: a root.
pub fn is_self_signed_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok(parsed) = parse(certificate) else { return false };
    let names_itself = parsed.subject().as_raw() == parsed.issuer().as_raw();
    names_itself && parsed.is_ca() && parsed.verify_signature(None).is_ok()
}

/// The certificate, with nothing behind it.
pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, MalformedCertificate> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(MalformedCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_its_life_is_used_before_renewal() {
        let validity = Validity { not_before: UtcMs(1_000), not_after: UtcMs(31_000) };
        assert_eq!(validity.renew_at(), UtcMs(11_000));
        assert!(!validity.is_over(UtcMs(31_000)) && validity.is_over(UtcMs(31_001)));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        for bytes in [&b""[..], b"hello", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30; 200]] {
            let der = CertificateDer::from(bytes);
            assert_eq!(fingerprint(&der), Err(MalformedCertificate));
            assert!(!is_self_signed_authority(&der));
        }
    }
}
