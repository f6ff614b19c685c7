//! The words of the command line.

use std::path::PathBuf;

use clap::Parser;

/// A whole site to look at.
#[derive(Debug, Parser)]
#[command(
    name = "relais-demo",
    version,
    about = "Runs a whole site on this machine: central, hub, simulated devices, the page",
    after_help = "`make demo` builds everything and starts this. Ctrl-C or SIGTERM stops all of it. \
                  Exit codes: 0 stopped, 1 failed, 2 usage."
)]
pub(crate) struct Arguments {
    /// Where it keeps everything [default: demo beside the folder of this program, such as target/demo]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// Where relais-hub, relais-central, relais and relais-sim are [default: the folder of this program]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) bin: Option<PathBuf>,
    /// Go on with the data of the last time, instead of starting clean
    #[arg(long)]
    pub(crate) keep: bool,
    /// Take free ports from the start, instead of 8080, 1883 and so on
    #[arg(long)]
    pub(crate) free_ports: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_words_are_consistent() {
        Arguments::command().debug_assert();
        let parsed = Arguments::try_parse_from(["relais-demo", "--keep", "--dir", "/x"]).unwrap();
        assert!(parsed.keep && !parsed.free_ports && parsed.dir == Some("/x".into()));
    }
}
