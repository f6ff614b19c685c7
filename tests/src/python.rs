//! Programs that are not ours at heart: clients written with paho, in `tests/clients`, and Modbus devices of others, in
//! `tests/peers`.

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

/// A command that runs a script of `tests/peers`.
pub fn peer_script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-u").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name));
    command
}

/// A command that runs the Modbus server on libmodbus, `tests/peers/modbus_server.c`.
pub fn libmodbus_server() -> Command {
    let program = target_dir().join("peers/modbus_server");
    assert!(program.exists(), "{} is missing; tests/scripts/prepare.sh builds it", program.display());
    Command::new(program)
}

fn python() -> PathBuf {
    let python = std::env::var_os("RELAIS_TEST_PYTHON")
        .map_or_else(|| target_dir().join("venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is missing; tests/scripts/prepare.sh installs it", python.display());
    python
}
