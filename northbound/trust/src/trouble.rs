//! Why a peer is not believed, in words for whoever stands in front of the machine.

use hub_model::UtcMs;
use northbound_wire::{CENTRAL_NAME, Fingerprint};
use rustls::CertificateError;
use rustls_pki_types::UnixTime;
use thiserror::Error;

use crate::time::words;

/// Why a chain of certificates was not believed: what, why and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// The chain ends before a root.
    #[error(
        "the peer sent no root certificate, so it cannot be compared with the token's fingerprint; whatever answers \
         at this address is not a central service, or one of another kind"
    )]
    NoRoot,
    /// There is a root, and it is another.
    #[error(
        "wrong central: its root has the fingerprint {found}, expected {expected}; check the address, or get a token \
         from this central"
    )]
    WrongRoot {
        /// What the token or the stored root says.
        expected: Fingerprint,
        /// What the peer sent.
        found: Fingerprint,
    },
    /// Not issued by the root that is trusted.
    #[error(
        "the certificate was not issued by the trusted authority; check the address, and that nothing on the way \
         inspects traffic"
    )]
    UnknownIssuer,
    /// Issued for somebody else.
    #[error("the certificate is not for {CENTRAL_NAME} but for {found}: this is not a central service")]
    Name {
        /// Who it is for.
        found: String,
    },
    /// For instance a hub's certificate shown by a server.
    #[error(
        "the certificate is not meant for this end of a connection: a hub's used as central's, or the reverse"
    )]
    Purpose,
    /// Its time is over, or the clock here is ahead.
    #[error("the certificate ended on {}, and the clock here says {}: check the clock, then renew", words(*.ended), words(*.now))]
    Expired {
        /// Its last moment.
        ended: UtcMs,
        /// The moment it was judged.
        now: UtcMs,
    },
    /// Its time has not come, or the clock here is behind.
    #[error("the certificate begins on {}, and the clock here says {}: set the clock", words(*.begins), words(*.now))]
    NotYetValid {
        /// Its first moment.
        begins: UtcMs,
        /// The moment it was judged.
        now: UtcMs,
    },
    /// Bytes that are no certificate.
    #[error("the peer sent a certificate that does not decode")]
    Malformed,
    /// Signed with something else than it says.
    #[error("a signature in the certificate chain does not hold")]
    Signature,
    /// Anything else.
    #[error("the certificate is not accepted: {0}")]
    Other(String),
}

impl TrustError {
    /// What rustls found wrong with a certificate; `None` where its error is about something else.
    pub fn of(error: &rustls::Error) -> Option<TrustError> {
        let rustls::Error::InvalidCertificate(error) = error else { return None };
        Some(TrustError::of_certificate(error))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the list is open, and the rest is shown as rustls says it"
    )]
    fn of_certificate(error: &CertificateError) -> TrustError {
        match error {
            CertificateError::ExpiredContext { time, not_after } => {
                TrustError::Expired { ended: utc(*not_after), now: utc(*time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                TrustError::NotYetValid { begins: utc(*not_before), now: utc(*time) }
            }
            CertificateError::UnknownIssuer => TrustError::UnknownIssuer,
            CertificateError::NotValidForName => TrustError::Name { found: "somebody else".into() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                TrustError::Name { found: names(presented) }
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                TrustError::Purpose
            }
            CertificateError::BadEncoding => TrustError::Malformed,
            CertificateError::BadSignature => TrustError::Signature,
            other => TrustError::Other(format!("{other:?}")),
        }
    }

    /// The error TLS ends the handshake with, and so the alert the peer sees.
    pub(crate) fn to_tls(&self) -> CertificateError {
        match self {
            TrustError::NoRoot | TrustError::WrongRoot { .. } | TrustError::UnknownIssuer => {
                CertificateError::UnknownIssuer
            }
            TrustError::Name { .. } => CertificateError::NotValidForName,
            TrustError::Purpose => CertificateError::InvalidPurpose,
            TrustError::Expired { .. } => CertificateError::Expired,
            TrustError::NotYetValid { .. } => CertificateError::NotValidYet,
            TrustError::Malformed => CertificateError::BadEncoding,
            TrustError::Signature => CertificateError::BadSignature,
            TrustError::Other(_) => CertificateError::ApplicationVerificationFailure,
        }
    }
}

/// A few of a stranger's names, without what could disturb a terminal.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "nobody".into();
    }
    let shown: Vec<String> = presented.iter().take(3).map(|n| n.chars().take(120).collect()).collect();
    shown.join(", ").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn utc(at: UnixTime) -> UtcMs {
    UtcMs(i64::try_from(at.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// What a TLS alert from central means for a hub, or the other way round; `None` for those that say nothing about
/// certificates or protocols.
pub fn alert_words(alert: u8) -> Option<&'static str> {
    Some(match alert {
        40 => "the two sides have no encryption in common: one of the programs is too old",
        42 => "the other side does not accept our certificate",
        43 => "the other side does not accept our kind of certificate",
        44 => "our certificate was revoked",
        // Also what rustls says of one that has not begun.
        45 => {
            "our certificate does not hold at this time by the other side's clock: check both clocks, then renew"
        }
        46 => "the other side does not accept our certificate",
        48 => "the other side does not know who issued our certificate: it belongs to another organisation",
        51 => "the proof for our certificate did not hold: key and certificate do not belong together",
        70 => "the other side speaks no version of TLS that we speak",
        112 => "the other side does not know the name we asked for",
        116 => "the other side wants a certificate",
        120 => {
            "the other side does not speak this protocol: it is not a central service, or a much older one"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_why_and_what_to_do() {
        let check = |error: TrustError, expected: &str| assert_eq!(error.to_string(), expected);
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_796_083_200));
        let epoch = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        check(
            TrustError::of(&CertificateError::NotValidYetContext { time: epoch, not_before: at }.into())
                .unwrap(),
            "the certificate begins on 2026-12-01 00:00 UTC, and the clock here says 1970-01-01 00:00 UTC: set the clock",
        );
        check(
            TrustError::Name { found: names(&["a\u{1b}[2Jb".into(), "c".into()]) },
            "the certificate is not for central.relais.internal but for a\u{fffd}[2Jb, c: this is not a central service",
        );
        assert_eq!(TrustError::of(&rustls::Error::HandshakeNotComplete), None);
    }
}
