//! What went wrong on the way north, in words for whoever stands in front of the hub: what, why, what to do.

use std::net::SocketAddr;

use northbound_trust::{AnswerError, IdentityError, TrustError, Verdict, alert_words};
use northbound_wire::{FrameError, Refusal, RefusalCode};
use quinn::ConnectionError;
use thiserror::Error;

/// TLS alerts among QUIC's error codes.
const CRYPTO_ERRORS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

/// Why there is no connection, or no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Trouble {
    /// DNS says no.
    #[error("the name {host} does not resolve ({why}): check its spelling and this network's DNS server")]
    Resolve {
        /// Which.
        host: String,
        /// What the system said.
        why: String,
    },
    /// DNS says nothing.
    #[error("no answer from DNS for {host} within {seconds} s: check this network's DNS server")]
    ResolveTimeout {
        /// Which.
        host: String,
        /// How long.
        seconds: u64,
    },
    /// The machine is there, the program is not.
    #[error("nothing listens on UDP port {} of {}: check that central runs there, and the port", .0.port(), .0.ip())]
    NothingListens(SocketAddr),
    /// The system cannot send there.
    #[error("{address} cannot be reached ({why}): check the network cable, the route and the address")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// Silence.
    #[error(
        "{address} does not answer within {seconds} s: check the address, and that firewalls on the way let UDP port {} \
         through",
        .address.port()
    )]
    NoAnswer {
        /// Where.
        address: SocketAddr,
        /// How long.
        seconds: u64,
    },
    /// Central's certificate is not believed.
    #[error("{0}")]
    Trust(TrustError),
    /// Central does not believe our certificate, or speaks something else.
    #[error("central ended the handshake: {0}")]
    Alert(String),
    /// Central said no, and why.
    #[error("central refused: {}", refusal_words(.0))]
    Refused(Refusal),
    /// This hub said no, and why.
    #[error("this hub declined: {}", refusal_words(.0))]
    Declined(Refusal),
    /// The connection was there and is gone.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Central connected and then said nothing.
    #[error(
        "central at {address} took the connection and did not answer within {seconds} s: look at its log"
    )]
    Silent {
        /// Where.
        address: SocketAddr,
        /// How long.
        seconds: u64,
    },
    /// Bytes that no central of ours sends.
    #[error("central sent what is no message: {0}. It is a program of another kind or version")]
    Garbage(#[from] FrameError),
    /// A message that does not belong there.
    #[error("central sent a message that does not belong there: {0}")]
    Unexpected(&'static str),
    /// A certificate that is not for this hub.
    #[error("{0}. This is a fault of central")]
    Answer(#[from] AnswerError),
    /// The hub's own files.
    #[error("the hub's key and certificate cannot be used: {}", chain(.0))]
    Identity(#[from] IdentityError),
    /// The log, the system, or this program.
    #[error("{0}")]
    Local(String),
}

impl Trouble {
    /// What to make of QUIC's error.
    #[expect(clippy::needless_pass_by_value, reason = "it is consumed in words")]
    pub(crate) fn of(error: ConnectionError, address: SocketAddr, verdict: &Verdict) -> Trouble {
        if let Some(trouble) = verdict.take_trouble() {
            return Trouble::Trust(trouble);
        }
        match &error {
            ConnectionError::ApplicationClosed(close) => Trouble::Refused(close_refusal(close)),
            ConnectionError::ConnectionClosed(close) => handshake_words(u64::from(close.error_code))
                .map_or_else(|| Trouble::Lost(error.to_string()), Trouble::Alert),
            ConnectionError::TransportError(inner) => handshake_words(u64::from(inner.code))
                .map_or_else(|| Trouble::Lost(error.to_string()), |_| Trouble::Alert(inner.reason.clone())),
            ConnectionError::TimedOut => Trouble::Lost(format!(
                "nothing was heard of {address} any more: the network, or central, is gone"
            )),
            ConnectionError::Reset => Trouble::Lost("central was started anew".into()),
            ConnectionError::VersionMismatch => {
                Trouble::Alert("the other side speaks another version of QUIC".into())
            }
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
                Trouble::Lost(error.to_string())
            }
        }
    }

    /// What central said, if it said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Trouble::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// What either side said for a reason that waiting alone does not mend.
    pub(crate) fn standing_refusal(&self) -> Option<&Refusal> {
        let (Trouble::Refused(refusal) | Trouble::Declined(refusal)) = self else { return None };
        Some(refusal).filter(|refusal| is_standing(refusal.code))
    }

    /// The code of what stands on a connection that should work: a refusal, or a central that is not this hub's. Both
    /// ends answer, so nobody should go and look at cables.
    pub(crate) fn standing_code(&self) -> Option<RefusalCode> {
        let refused = self.standing_refusal().map(|refusal| refusal.code);
        refused.or_else(|| matches!(self, Trouble::Trust(_)).then_some(RefusalCode::Unauthenticated))
    }

    /// Whether a certificate that was just renewed may be what is wrong.
    pub(crate) fn is_about_certificate(&self) -> bool {
        let codes = [RefusalCode::Unauthenticated, RefusalCode::HubMismatch, RefusalCode::Forbidden];
        matches!(self, Trouble::Alert(_) | Trouble::Trust(_))
            || self.refusal().is_some_and(|refusal| codes.contains(&refusal.code))
    }
}

/// Whether waiting alone does not mend it. A close without a code, or with one of a newer central, says nothing of the
/// kind.
const fn is_standing(code: RefusalCode) -> bool {
    !code.is_transient() && !matches!(code, RefusalCode::Other)
}

/// The refusal in a close frame, which may overtake the one on the control stream.
fn close_refusal(close: &quinn::ApplicationClose) -> Refusal {
    let number = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
    let detail: String = String::from_utf8_lossy(&close.reason).chars().take(400).collect();
    let detail = detail.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    Refusal::ending(RefusalCode::from_number(number), detail)
}

/// Words for a TLS alert of central; `None` for codes of QUIC itself.
fn handshake_words(code: u64) -> Option<String> {
    if !CRYPTO_ERRORS.contains(&code) {
        return None;
    }
    let alert = u8::try_from(code - CRYPTO_ERRORS.start()).unwrap_or(0);
    Some(alert_words(alert).map_or_else(|| format!("TLS alert {alert}"), str::to_owned))
}

/// What central said, and what to do where it did not say.
fn refusal_words(refusal: &Refusal) -> String {
    let advice = match refusal.code {
        RefusalCode::TokenUnknown => "get a claim token from this central",
        RefusalCode::TokenUsed | RefusalCode::TokenExpired => "get another claim token",
        RefusalCode::HubKnown => {
            "this hub was enrolled there before and has lost its key, or its folder was copied from another hub: put back a \
             copy of its folder north; without one, keep its storage.dir, and start with an empty one and a new token"
        }
        RefusalCode::Version => "upgrade the older of the two programs",
        RefusalCode::Forbidden => "ask whoever runs central to let this hub in",
        RefusalCode::Unauthenticated | RefusalCode::HubMismatch => "enrol this hub again",
        RefusalCode::Replaced => "check whether a copy of this hub runs elsewhere",
        RefusalCode::Busy | RefusalCode::Stopping | RefusalCode::StorageFailed | RefusalCode::Other => {
            "it is tried again by itself"
        }
        RefusalCode::FrameTooLarge
        | RefusalCode::Malformed
        | RefusalCode::Unexpected
        | RefusalCode::TermTooLow
        | RefusalCode::BadRequest
        | RefusalCode::BlockDamaged
        | RefusalCode::BlockVersion
        | RefusalCode::BlockCrossing
        | RefusalCode::CreditExceeded
        | RefusalCode::OtherLog => "",
    };
    let detail = if refusal.detail.is_empty() { "no reason given" } else { refusal.detail.as_str() };
    let separator = if advice.is_empty() { "" } else { "; " };
    format!("{} ({detail}){separator}{advice}", refusal.code)
}

/// An error with what it is made of.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_why_and_what_to_do() {
        let check = |trouble: Trouble, expected: &str| assert_eq!(trouble.to_string(), expected);
        let address: SocketAddr = "192.0.2.1:7443".parse().unwrap();
        check(
            Trouble::NothingListens(address),
            "nothing listens on UDP port 7443 of 192.0.2.1: check that central runs there, and the port",
        );
        check(
            Trouble::Refused(Refusal::ending(RefusalCode::TokenUsed, "used on 2026-12-01 by hub_x")),
            "central refused: token-used (used on 2026-12-01 by hub_x); get another claim token",
        );
        check(
            Trouble::Refused(Refusal::ending(RefusalCode::Malformed, "")),
            "central refused: malformed (no reason given)",
        );
        assert_eq!(
            handshake_words(0x130).unwrap(),
            "the other side does not know who issued our certificate: it belongs to another organisation"
        );
        assert_eq!(handshake_words(0x1ff).unwrap(), "TLS alert 255");
        assert_eq!(handshake_words(0x0a), None);
    }

    #[test]
    fn a_close_frame_is_a_refusal_that_cannot_disturb_a_terminal() {
        let close = quinn::ApplicationClose {
            error_code: 12u32.into(),
            reason: bytes::Bytes::from_static(b"bad \x1b[2Jthing"),
        };
        let refusal = close_refusal(&close);
        assert_eq!(
            (refusal.code, refusal.detail.as_str()),
            (RefusalCode::BadRequest, "bad \u{fffd}[2Jthing")
        );
        assert!(Trouble::Refused(refusal).standing_refusal().is_some());
    }

    #[test]
    fn a_close_without_a_known_code_stands_in_nobody_s_way() {
        for code in [0u32, 200, u32::MAX] {
            let reason = bytes::Bytes::new();
            let refusal = close_refusal(&quinn::ApplicationClose { error_code: code.into(), reason });
            assert!(Trouble::Refused(refusal).standing_code().is_none(), "{code}");
        }
        let declined = Trouble::Declined(Refusal::ending(RefusalCode::Other, "no acknowledgement"));
        assert_eq!(declined.standing_code(), None);
    }
}
