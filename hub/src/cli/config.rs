//! `config check` and `config show`, and how every command finds its configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use hub_chassis::config::{Loaded, Problem, load, told};

use super::args::ConfigCommand;
use super::failure::Failure;
use super::output;
use crate::config::Config;

/// What `config check` found.
const PROBLEMS_FOUND: u8 = 9;

/// Runs a config command.
pub(super) fn config(command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check { config } => match load::<Config>(config.as_deref(), &[]) {
            Ok(loaded) => output::text(&good(&loaded)).map(|()| ExitCode::SUCCESS),
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                output::line(&lines.join("\n"))?;
                Ok(ExitCode::from(PROBLEMS_FOUND))
            }
        },
        ConfigCommand::Show { config, origin, json } => {
            let loaded = load::<Config>(config.as_deref(), &[])
                .map_err(|p| Failure::Told(PROBLEMS_FOUND, told(&p)))?;
            if *json {
                output::line(&loaded.show_json().to_string())?;
            } else {
                output::text(&loaded.show_toml(*origin))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What was read, and what is allowed and hardly meant.
fn good(loaded: &Loaded<Config>) -> String {
    let read = loaded.file().map_or_else(|| "the built-in defaults".to_owned(), |p| p.display().to_string());
    let warnings = loaded.warnings().iter().map(|warning| format!("warning: {warning}\n"));
    format!("{}configuration is good: {read}\n", warnings.collect::<String>())
}

/// The socket of the running hub: flag, RELAIS_SOCKET, configuration.
pub(super) fn socket(local: &super::args::Local) -> Result<PathBuf, Failure> {
    if let Some(path) = &local.socket {
        return Ok(path.clone());
    }
    if local.config.is_none()
        && let Some(path) = std::env::var_os("RELAIS_SOCKET")
    {
        return Ok(path.into());
    }
    let loaded = load::<Config>(local.config.as_deref(), &[]).map_err(|problems| {
        let told = told(&problems);
        Failure::failed(format!("{told}\nso the socket is not known; name it with --socket"))
    })?;
    Ok(loaded.config.socket.path)
}
