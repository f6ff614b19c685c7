//! The command line: `run` is the daemon, everything else asks it over its Unix socket.

mod args;
mod client;
mod config;
mod data;
mod events;
mod failure;
mod logging;
mod output;
mod run;
mod status;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use failure::Failure;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, usage errors to stderr with 2. A closed pipe is no news.
            let _unheard = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(arguments.command) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::status(&args).map(|()| ExitCode::SUCCESS),
        Command::Data { command } => data::data(&command).map(|()| ExitCode::SUCCESS),
        Command::Config { command } => config::config(&command),
        Command::Version { json } => version(json).map(|()| ExitCode::SUCCESS),
    }
}

fn version(json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        output::line(&serde_json::json!({ "name": "relais-hub", "version": version }).to_string())
    } else {
        output::line(&format!("relais-hub {version}"))
    }
}
