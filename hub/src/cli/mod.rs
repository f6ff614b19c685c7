//! The command line: `run` is the daemon, everything else asks it over its Unix socket.

mod args;
mod client;
mod config;
mod data;
mod device;
mod enroll;
mod events;
mod run;
mod status;
mod verify;

use std::process::ExitCode;

use hub_chassis::cli::{self, Failure, Version, completions};

use args::{Arguments, Command};

/// Of this program.
const VERSION: Version = Version { name: "relais-hub", version: env!("CARGO_PKG_VERSION") };

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    cli::run(VERSION.name, |arguments: Arguments| dispatch(arguments.command))
}

/// The words of its command line, for its manual pages.
pub fn words() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::status(&args).map(|()| ExitCode::SUCCESS),
        Command::Enroll(args) => enroll::enroll(&args).map(|()| ExitCode::SUCCESS),
        Command::Device { command } => device::device(&command),
        Command::Data { command } => data::data(&command).map(|()| ExitCode::SUCCESS),
        Command::Config { command } => config::config(&command),
        Command::Completions { shell } => completions::print::<Arguments>(shell).map(|()| ExitCode::SUCCESS),
        Command::Version { json } => VERSION.print(json).map(|()| ExitCode::SUCCESS),
    }
}
