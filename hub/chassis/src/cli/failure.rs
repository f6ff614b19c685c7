//! How a command fails: what, why, what to do, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use super::exit;

/// Why a command ends without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reader of our output is gone, as after `| head`: nothing went wrong.
    ReaderGone,
    /// Exit code (see [`exit`]) and message; several lines are fine.
    Told(u8, String),
}

impl Failure {
    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::Told(exit::FAILED, message.into())
    }

    /// The other side is not there.
    pub fn unreachable(message: impl Into<String>) -> Failure {
        Failure::Told(exit::UNREACHABLE, message.into())
    }

    /// Says it under the program's name, and gives the code.
    pub fn tell(self, program: &str) -> ExitCode {
        match self {
            Failure::ReaderGone => ExitCode::SUCCESS,
            Failure::Told(code, message) => {
                // Without stderr there is nobody to tell; the code still says it.
                let _unheard = writeln!(io::stderr().lock(), "{program}: {message}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::ReaderGone);
        let Failure::Told(code, message) = Failure::from(io::Error::other("full")) else { panic!() };
        assert_eq!((code, message.as_str()), (exit::FAILED, "the output cannot be written: full"));
    }
}
