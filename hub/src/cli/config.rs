//! `config check` and `config show`, and how the other commands find the running hub.

use std::path::PathBuf;
use std::process::ExitCode;

use hub_chassis::cli::Failure;
use hub_chassis::cli::config::{Show, check, show};
use hub_chassis::config::{load, told};

use super::args::ConfigCommand;
use crate::config::Config;

/// Runs a config command.
pub(super) fn config(command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check { config } => check::<Config>(config.as_deref()),
        ConfigCommand::Show { config, origin, json } => {
            show::<Config>(config.as_deref(), Show { origin: *origin, json: *json })
        }
    }
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
