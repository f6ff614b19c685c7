//! The site's own programs: where they are, and those that run to their end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::trouble::{Trouble, While as _};

/// What a demo runs.
const PROGRAMS: [&str; 4] = ["relais-central", "relais-hub", "relais", "relais-sim"];

/// The folder with the programs.
#[derive(Clone, Debug)]
pub(crate) struct Tools(PathBuf);

impl Tools {
    /// Looks whether all of them are there.
    pub(crate) fn find(folder: &Path) -> Result<Tools, Trouble> {
        let missing: Vec<&str> =
            PROGRAMS.into_iter().filter(|program| !folder.join(program).is_file()).collect();
        if missing.is_empty() {
            return Ok(Tools(folder.to_owned()));
        }
        let (missing, folder) = (missing.join(", "), folder.display());
        Err(Trouble(format!("{missing} not found in {folder}: `make demo` builds them and starts the demo")))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// A command that no setting of the caller's environment changes.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.0.join(program));
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("RELAIS_") {
                command.env_remove(key);
            }
        }
        command
    }

    /// Runs a program to its end; what it printed.
    pub(crate) fn run<Word: AsRef<OsStr>>(
        &self,
        program: &str,
        words: impl IntoIterator<Item = Word>,
        env: &[(&str, &Path)],
    ) -> Result<String, Trouble> {
        let mut command = self.command(program);
        command.args(words).envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().whilst(format!("start {program}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Trouble(format!("{program} failed ({}): {}", output.status, said.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::tests::Temporary;

    #[test]
    fn programs_that_are_missing_are_named() {
        let folder = Temporary::new("tools");
        std::fs::write(folder.0.join("relais-hub"), "").unwrap();
        let trouble = Tools::find(&folder.0).unwrap_err().to_string();
        assert!(trouble.starts_with("relais-central, relais, relais-sim not found in "), "{trouble}");
    }

    #[test]
    fn a_program_that_fails_is_told_with_what_it_said() {
        let folder = Temporary::new("fails");
        let tools = Tools(PathBuf::from("/bin"));
        assert_eq!(tools.run("sh", ["-c", "echo well"], &[("X", &folder.0)]).unwrap(), "well");
        let trouble = tools.run("sh", ["-c", "echo no >&2; exit 3"], &[]).unwrap_err().to_string();
        assert_eq!(trouble, "sh failed (exit status: 3): no");
    }
}
