//! What command lines have in common: how they begin and fail, what they print, their exit codes.

pub mod completions;
pub mod config;
pub mod exit;
mod failure;
pub mod output;
mod query;
mod table;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

pub use failure::Failure;
pub use query::{percent_encoded, with_query};
pub use table::Table;

/// Reads this process's arguments and runs what they ask for. `program` is the name failures are told under.
pub fn run<A: Parser>(program: &str, run: impl FnOnce(A) -> Result<ExitCode, Failure>) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, usage errors to stderr with 2. A closed pipe is no news.
            let _unheard = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    run(arguments).unwrap_or_else(|failure| failure.tell(program))
}

/// A program's version, as `version` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Of the program: `relais-hub`.
    pub name: &'static str,
    /// `CARGO_PKG_VERSION` of its crate.
    pub version: &'static str,
}

impl Version {
    /// Prints it, as JSON where asked for.
    pub fn print(self, as_json: bool) -> Result<(), Failure> {
        let Version { name, version } = self;
        if as_json {
            output::line(&json!({ "name": name, "version": version }).to_string())
        } else {
            output::line(&format!("{name} {version}"))
        }
    }
}
