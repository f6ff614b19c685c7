//! `config check` and `config show`, and how the other commands find the running hub.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hub_chassis::cli::Failure;
use hub_chassis::cli::config::{Show, check, show};
use hub_chassis::cli::{exit, output};
use hub_chassis::config::{Problem, load, told};
use hub_chassis::number_text::counted;

use super::args::ConfigCommand;
use crate::config::Config;
use crate::devices::read;

/// Runs a config command.
pub(super) fn config(command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check { config } => {
            let own = check::<Config>(config.as_deref())?;
            let devices = check_devices(config.as_deref())?;
            Ok(if own == ExitCode::SUCCESS { devices } else { own })
        }
        ConfigCommand::Show { config, origin, json } => {
            show::<Config>(config.as_deref(), Show { origin: *origin, json: *json })
        }
    }
}

/// The files of devices, where the configuration is good enough to know where they are.
fn check_devices(config: Option<&Path>) -> Result<ExitCode, Failure> {
    let Ok(loaded) = load::<Config>(config, &[]) else { return Ok(ExitCode::SUCCESS) };
    let folders = loaded.config.devices;
    let found = read(&folders);
    if found.problems.is_empty() {
        let files = counted(u64::try_from(found.files).unwrap_or(u64::MAX), "device file", "device files");
        output::line(&format!("devices are good: {files} in {}", folders.dir.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines: Vec<String> = found.problems.iter().map(Problem::to_string).collect();
    output::line(&lines.join("\n"))?;
    Ok(ExitCode::from(exit::PROBLEMS_FOUND))
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
