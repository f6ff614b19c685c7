//! Why a question has no answer.

use hub_chassis::cli::{Failure, exit};
use thiserror::Error;

/// What kind of trouble it is: the exit code, and whether another question may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskErrorKind {
    /// Nobody is there, or who is there is not the central of the token.
    Unreachable,
    /// The token is not taken, or not for this.
    SignIn,
    /// It was changed meanwhile.
    Conflict,
    /// The answer is larger than can be held; a smaller page may fit.
    TooLarge,
    /// Everything else that central says no to, or says wrongly.
    Refused,
}

/// What, why and what to do; fit for a terminal, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(crate) struct AskError {
    pub(crate) kind: AskErrorKind,
    message: String,
}

impl AskError {
    /// An error of this kind.
    pub(crate) fn new(kind: AskErrorKind, message: impl Into<String>) -> AskError {
        AskError { kind, message: message.into() }
    }

    /// Nobody is there, or it is somebody else.
    pub(super) fn unreachable(message: impl Into<String>) -> AskError {
        AskError::new(AskErrorKind::Unreachable, message)
    }

    /// Central says something that this program does not understand.
    pub(crate) fn not_understood(path: &str, why: &str) -> AskError {
        let path = path.split('?').next().unwrap_or_default();
        let message = format!(
            "central's answer to {path} is not what this version of relais expects: {why}; use the relais of \
             central's version"
        );
        AskError::new(AskErrorKind::Refused, message)
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Failure {
        let code = match error.kind {
            AskErrorKind::Unreachable => exit::UNREACHABLE,
            AskErrorKind::SignIn => exit::SIGN_IN,
            AskErrorKind::Conflict => exit::CONFLICT,
            AskErrorKind::TooLarge | AskErrorKind::Refused => exit::FAILED,
        };
        Failure::Told(code, error.message)
    }
}
