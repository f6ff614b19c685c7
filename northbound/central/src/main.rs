//! `relais-central`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    northbound_central::cli::main()
}
