//! `run`: the daemon.

use std::process::ExitCode;

use hub_chassis::cli::Failure;
use hub_chassis::cli::config::load_to_run;
use hub_chassis::config::Flag;
use hub_chassis::logging;
use tracing::warn;

use super::args::RunArgs;
use crate::config::{Config, Source};
use crate::daemon;

/// The message router calls each of its own steps an event worth telling; its warnings are enough.
const WARNINGS_ONLY: [&str; 1] = ["rumqttd"];

/// Runs the hub to its end.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let socket = args.socket.as_ref().map(|path| Flag {
        name: "--socket",
        key: "socket.path",
        value: path.to_string_lossy().into_owned(),
    });
    let source = Source { file: args.config.clone(), flags: socket.into_iter().collect() };
    let loaded = load_to_run::<Config>(source.file.as_deref(), &source.flags)?;
    logging::start(args.log, &WARNINGS_ONLY)?;
    for warning in loaded.warnings() {
        warn!("{warning}");
    }
    daemon::run(loaded.config, source)
        .map_err(|error| Failure::failed(format!("the hub did not start: {error}")))
}
