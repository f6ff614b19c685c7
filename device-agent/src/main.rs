//! `relais-agent`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    device_agent::cli::main()
}
