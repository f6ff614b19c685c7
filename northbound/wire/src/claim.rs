//! Tokens that people carry: `relais-claim-v1.{secret}.{root}` lets one hub enrol, `relais-admin-v1.{secret}.{root}`
//! lets a person or program use the API.
//!
//! `secret` is 32 random bytes, `root` the SHA-256 of the SubjectPublicKeyInfo of the organisation's root; both in
//! base64url without padding (RFC 4648, section 5). The fingerprint travels with the secret, so that whoever uses the
//! token can tell its central from an impostor before it says the secret. The version stands in the prefix, which
//! leak scanners can look for.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// SHA-256 of a root's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Base64url without padding.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        decode(text, "fingerprint").map(Fingerprint)
    }
}

/// 32 random bytes that nobody else knows. Never printed by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenSecret(pub [u8; SECRET_BYTES]);

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// Why a text is not a token. Says nothing of what was found: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Another kind of token, or none.
    #[error("this is not a token that begins with {expected}")]
    Prefix {
        /// What it should begin with.
        expected: &'static str,
    },
    /// Not three parts.
    #[error("the token is cut short or has too much: it has three parts with dots between")]
    Parts,
    /// A part is not base64url of 32 bytes.
    #[error("the {0} of the token is damaged: copy the whole token again")]
    Part(&'static str),
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// What proves the right to use it.
            pub secret: TokenSecret,
            /// Whose root it belongs to.
            pub root: Fingerprint,
        }

        impl $name {
            /// What the text begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The text, secret included: for the one place it is meant for.
            pub fn reveal(&self) -> String {
                format!("{}.{}.{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(self.secret.0), self.root)
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            /// Spaces and line ends around it are passed over: tokens travel in files and mails.
            fn from_str(text: &str) -> Result<Self, TokenError> {
                let wrong = TokenError::Prefix { expected: Self::PREFIX };
                let (prefix, rest) = text.trim().split_once('.').ok_or(wrong)?;
                if prefix != Self::PREFIX {
                    return Err(wrong);
                }
                let (secret, root) = rest.split_once('.').ok_or(TokenError::Parts)?;
                if root.contains('.') {
                    return Err(TokenError::Parts);
                }
                Ok($name { secret: TokenSecret(decode(secret, "secret")?), root: root.parse()? })
            }
        }
    };
}

token!(
    /// Lets one hub enrol.
    ClaimToken,
    "relais-claim-v1"
);
token!(
    /// Lets a person or program use central's API.
    AdminToken,
    "relais-admin-v1"
);

fn decode(text: &str, what: &'static str) -> Result<[u8; 32], TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Part(what))?;
    bytes.try_into().map_err(|_| TokenError::Part(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_has_three_parts() {
        let token = ClaimToken { secret: TokenSecret([0; 32]), root: Fingerprint([0xff; 32]) };
        let text = token.reveal();
        assert_eq!(
            text,
            "relais-claim-v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.__________________________________________8"
        );
        assert_eq!(format!(" {text}\n").parse(), Ok(token));
        assert!(!format!("{token:?}").contains("AAAA"), "the secret is not in Debug");
    }

    #[test]
    fn what_is_no_token_says_what_is_wrong() {
        let check = |text: &str, expected| assert_eq!(text.parse::<ClaimToken>(), Err(expected), "{text}");
        let prefix = TokenError::Prefix { expected: "relais-claim-v1" };
        check("", prefix);
        check("relais-admin-v1.AA.AA", prefix);
        check("relais-claim-v1.AA", TokenError::Parts);
        check("relais-claim-v1.AA.BB", TokenError::Part("secret"));
        let whole = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        check(&format!("relais-claim-v1.{whole}.BB"), TokenError::Part("fingerprint"));
        check(&format!("relais-claim-v1.{whole}.{whole}.x"), TokenError::Parts);
        check(&format!("relais-claim-v1.{whole}=.{whole}"), TokenError::Part("secret"));
    }

    proptest! {
        #[test]
        fn tokens_survive_their_text(secret: [u8; 32], root: [u8; 32]) {
            let token = AdminToken { secret: TokenSecret(secret), root: Fingerprint(root) };
            prop_assert_eq!(token.reveal().parse(), Ok(token));
        }
    }
}
