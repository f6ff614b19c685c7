//! `run`: the daemon.

use std::process::ExitCode;

use hub_chassis::config::{Flag, load, told};
use tracing::warn;

use super::args::RunArgs;
use super::failure::Failure;
use super::logging;
use crate::config::Config;
use crate::daemon;

/// The configuration is wrong: a restart would not help, and the service manager does not try.
const WRONG_CONFIGURATION: u8 = 78;

/// Runs the hub to its end.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let socket = args.socket.as_ref().map(|path| Flag {
        name: "--socket",
        key: "socket.path",
        value: path.to_string_lossy().into_owned(),
    });
    let flags: Vec<_> = socket.into_iter().collect();
    let loaded = load::<Config>(args.config.as_deref(), &flags)
        .map_err(|problems| Failure::Told(WRONG_CONFIGURATION, told(&problems)))?;
    logging::start(args.log)?;
    for warning in loaded.warnings() {
        warn!("{warning}");
    }
    daemon::run(loaded.config).map_err(|error| Failure::failed(format!("the hub did not start: {error}")))
}
