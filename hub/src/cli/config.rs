//! `config check` and `config show`, and how every command finds its configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::ConfigCommand;
use super::failure::Failure;
use super::output;
use crate::config::{DEFAULT_FILE, Layers, Loaded, Origin, Problem, show_json, show_toml};

/// What `config check` found.
const PROBLEMS_FOUND: u8 = 9;

/// Runs a config command.
pub(super) fn config(command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check { config } => match load(config.as_deref(), &[]) {
            Ok(loaded) => output::text(&good(&loaded)).map(|()| ExitCode::SUCCESS),
            Err(problems) => {
                output::line(&lines(&problems))?;
                Ok(ExitCode::from(PROBLEMS_FOUND))
            }
        },
        ConfigCommand::Show { config, origin, json } => {
            let loaded = load(config.as_deref(), &[]).map_err(|p| Failure::Told(PROBLEMS_FOUND, told(&p)))?;
            if *json {
                output::line(&show_json(&loaded).to_string())?;
            } else {
                output::text(&show_toml(&loaded, *origin))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What was read, and what is allowed and hardly meant.
fn good(loaded: &Loaded) -> String {
    let read = loaded.file().map_or_else(|| "the built-in defaults".to_owned(), |p| p.display().to_string());
    let warnings = loaded.warnings().iter().map(|warning| format!("warning: {warning}\n"));
    format!("{}configuration is good: {read}\n", warnings.collect::<String>())
}

/// Reads file and environment, and lays flags on top.
pub(super) fn load(
    file: Option<&Path>,
    flags: &[(&'static str, String, &'static str)],
) -> Result<Loaded, Vec<Problem>> {
    let mut layers = Layers { flags: flags.to_vec(), ..Layers::default() };
    let mut problems = Vec::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match value.into_string() {
            Ok(value) => layers.environment.push((name, value)),
            Err(_) if name.starts_with("RELAIS__") => problems.push(Problem {
                origin: Origin::Environment(name),
                key: String::new(),
                message: "is not UTF-8; write it in UTF-8".to_owned(),
            }),
            Err(_) => {}
        }
    }
    // The order of the environment is nobody's; problems should come in the same order each time.
    layers.environment.sort();
    let default = Path::new(DEFAULT_FILE);
    if let Some(path) = file.or_else(|| default.exists().then_some(default))
        && let Err(problem) = layers.read_file(path)
    {
        problems.insert(0, *problem);
    }
    match layers.load() {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// The problems with a head, for people.
pub(super) fn told(problems: &[Problem]) -> String {
    let head = match problems.len() {
        1 => "the configuration has a problem:".to_owned(),
        count => format!("the configuration has {count} problems:"),
    };
    format!("{head}\n{}", lines(problems))
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
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
    let loaded = load(local.config.as_deref(), &[]).map_err(|problems| {
        let told = told(&problems);
        Failure::failed(format!("{told}\nso the socket is not known; name it with --socket"))
    })?;
    Ok(loaded.config.socket.path)
}
