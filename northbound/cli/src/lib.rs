//! `relais`, the operator's command line: asks the API of relais-central, and prints.
//!
//! `args` has the words, `context` which central is asked and with which token, `ask` one HTTP request over TLS with
//! the root pinned, `paging` how answers of many pages are followed, `list` everything that is a table, `readings` the
//! readings of one series. What a server says is printed through `screen` only, which lets nothing move the cursor;
//! the token leaves the process in one header and in the file of contexts, and nowhere else.

mod address;
mod args;
mod ask;
mod clock;
mod context;
mod csv;
mod follow;
mod json_text;
mod list;
mod paging;
mod readings;
mod screen;
mod span;

use std::process::ExitCode;

use hub_chassis::cli::{self, Failure, Version, completions};

use args::{Arguments, Command};

/// Of this program.
const VERSION: Version = Version { name: "relais", version: env!("CARGO_PKG_VERSION") };

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    cli::run(VERSION.name, |arguments: Arguments| dispatch(arguments).map(|()| ExitCode::SUCCESS))
}

/// The words of its command line, for its manual pages.
pub fn words() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

fn dispatch(Arguments { context, command }: Arguments) -> Result<(), Failure> {
    let client = || ask::Client::new(&context::chosen(context.as_ref())?);
    match command {
        Command::Context { command } => context::run(command),
        Command::Hub { command } => list::hubs(&client()?, &command),
        Command::Device { command } => list::devices(&client()?, &command),
        Command::Series { command: args::SeriesCommand::List(args) } => list::series(&client()?, &args),
        Command::Series { command: args::SeriesCommand::Get(args) } => readings::get(client, &args),
        Command::Gap { command } => list::gaps(&client()?, &command),
        Command::Audit { command } => list::audit(&client()?, &command),
        Command::Completions { shell } => completions::print::<Arguments>(shell),
        Command::Version { json } => VERSION.print(json),
    }
}
