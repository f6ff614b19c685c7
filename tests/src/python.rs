//! Clients written with paho, in `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::target_dir;

/// A command that runs a script of `tests/clients`. The interpreter is `RELAIS_TEST_PYTHON`, or the one of the
/// environment `make test` installs.
pub fn paho_script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-u").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name));
    command
}

fn python() -> PathBuf {
    let python = std::env::var_os("RELAIS_TEST_PYTHON")
        .map_or_else(|| target_dir().join("venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is missing; tests/scripts/prepare.sh installs it", python.display());
    python
}
