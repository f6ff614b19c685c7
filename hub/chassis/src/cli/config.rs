//! `config check`, `config show`, and the configuration of `run`.

use std::path::Path;
use std::process::ExitCode;

use super::output::printable;
use super::{Failure, exit, output};
use crate::config::{Configuration, Flag, Loaded, Problem, load, told};

/// `config check`: prints every problem, or that there is none.
pub fn check<C: Configuration>(file: Option<&Path>) -> Result<ExitCode, Failure> {
    match load::<C>(file, &[]) {
        Ok(loaded) => output::text(&good(&loaded)).map(|()| ExitCode::SUCCESS),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            output::line(&lines.join("\n"))?;
            Ok(ExitCode::from(exit::PROBLEMS_FOUND))
        }
    }
}

/// How `config show` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Show {
    /// Where each value comes from, behind it. JSON has it always.
    pub origin: bool,
    /// JSON instead of TOML.
    pub json: bool,
}

/// `config show`: prints what is in force.
pub fn show<C: Configuration>(file: Option<&Path>, how: Show) -> Result<ExitCode, Failure> {
    let loaded = load::<C>(file, &[]).map_err(|p| Failure::Told(exit::PROBLEMS_FOUND, told(&p)))?;
    if how.json {
        output::line(&loaded.show_json().to_string())?;
    } else {
        output::text(&loaded.show_toml(how.origin))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the configuration for a daemon's start: the failure has [`exit::WRONG_CONFIGURATION`].
pub fn load_to_run<C: Configuration>(file: Option<&Path>, flags: &[Flag]) -> Result<Loaded<C>, Failure> {
    load(file, flags).map_err(|problems| Failure::Told(exit::WRONG_CONFIGURATION, told(&problems)))
}

/// What was read, and what is allowed and hardly meant.
fn good<C>(loaded: &Loaded<C>) -> String {
    let names: Vec<String> =
        loaded.files().iter().map(|path| printable(&path.display().to_string())).collect();
    let read = if names.is_empty() { "the built-in defaults".to_owned() } else { names.join(", ") };
    let warnings = loaded.warnings().iter().map(|warning| format!("warning: {warning}\n"));
    format!("{}configuration is good: {read}\n", warnings.collect::<String>())
}
