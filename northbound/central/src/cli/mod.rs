//! The command line: `run` is the daemon; `check` and `token` work on its folder, beside it where need be.

mod args;
mod check;
mod run;
mod token;

use std::process::ExitCode;

use hub_chassis::cli::{self, Failure, Version, completions};

use args::{Arguments, Command};

/// Of this program.
const VERSION: Version = Version { name: "relais-central", version: env!("CARGO_PKG_VERSION") };

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    // Whatever a library creates is nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    cli::run(VERSION.name, |arguments: Arguments| dispatch(arguments.command))
}

/// The words of its command line, for its manual pages.
pub fn words() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check { config } => check::check(config.as_deref()),
        Command::Token { command } => token::token(&command).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => completions::print::<Arguments>(shell).map(|()| ExitCode::SUCCESS),
        Command::Version { json } => VERSION.print(json).map(|()| ExitCode::SUCCESS),
    }
}

/// A runtime for a command that ends soon.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::failed(format!("the system gives no runtime: {error}")))?;
    runtime.block_on(work)
}
