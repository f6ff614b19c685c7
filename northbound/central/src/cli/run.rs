//! `run`: the daemon.

use std::io;
use std::process::ExitCode;

use hub_chassis::cli::config::load_to_run;
use hub_chassis::cli::{Failure, output};
use hub_chassis::{journal, logging};
use tracing::{error, warn};

use super::args::RunArgs;
use crate::config::Config;
use crate::daemon::{self, Manner};

/// sqlx tells every statement that was slow; its warnings are enough.
const WARNINGS_ONLY: [&str; 1] = ["sqlx"];

/// Runs central to its end.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let loaded = load_to_run::<Config>(args.config.as_deref(), &[])?;
    logging::start(args.log, &WARNINGS_ONLY)?;
    for warning in loaded.warnings() {
        warn!("{warning}");
    }
    let root = loaded.config.storage.dir.join("keys/root.pem");
    let tell = |token: &str| {
        let text = format!(
            "\nThis is the first start. The admin token below is shown this once and kept nowhere:\n\n{token}\n\n\
             Send it as `Authorization: Bearer …`; clients verify the API by {}.\n\
             Another one: `relais-central token create --admin NAME`. A hub's: `token create --site NAME`.\n",
            root.display()
        );
        if output::line(&text).is_err() {
            error!(
                "the admin token could not be shown; make one with `relais-central token create --admin NAME`"
            );
        }
    };
    // What goes to the journal is kept, sent on and read by many: no place for a secret.
    let manner = Manner { is_restored: args.restored, makes_admin_token: !journal::takes(&io::stdout()) };
    daemon::run(loaded.config, manner, tell)
        .map_err(|error| Failure::failed(format!("central did not start: {error}")))
}
