//! How a command fails: what, why, what to do, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command ends without success.
#[derive(Debug)]
pub(super) enum Failure {
    /// The reader of our output is gone, as after `| head`: nothing went wrong.
    ReaderGone,
    /// Exit code and message; several lines are fine.
    Told(u8, String),
}

impl Failure {
    /// It did not work.
    pub(super) fn failed(message: impl Into<String>) -> Failure {
        Failure::Told(1, message.into())
    }

    /// The hub is not there.
    pub(super) fn unreachable(message: impl Into<String>) -> Failure {
        Failure::Told(7, message.into())
    }

    /// Says it, and gives the code.
    pub(super) fn tell(self) -> ExitCode {
        match self {
            Failure::ReaderGone => ExitCode::SUCCESS,
            Failure::Told(code, message) => {
                // Without stderr there is nobody to tell; the code still says it.
                let _unheard = writeln!(io::stderr().lock(), "relais-hub: {message}");
                ExitCode::from(code)
            }
        }
    }
}

/// Errors of writing our output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::ReaderGone;
        }
        Failure::failed(format!("the output cannot be written: {error}"))
    }
}
