//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hub_chassis::cli::completions::Shell;
use hub_chassis::logging::LogLevel;
use hub_chassis::time_text::parse_utc;

/// The site daemon: MQTT broker, telemetry log and local API.
#[derive(Debug, Parser)]
#[command(
    name = "relais-hub",
    version,
    about = "The site daemon: MQTT broker, telemetry log and local API",
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, \
    7 the hub cannot be reached, 9 a check found problems, 78 the configuration is wrong (run only)."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the hub until SIGTERM
    Run(RunArgs),
    /// Say how the running hub is
    Status(StatusArgs),
    /// Enrol this hub at central with a claim token
    #[command(
        after_help = "The token comes from `relais-central token create --site NAME`. It is never taken as an \
        argument, which others on this machine could read.\n\nExamples:\n  relais-hub enroll --token-file /root/token\n  \
        ssh central relais-central token create --site Hall3 | relais-hub enroll --token-file -"
    )]
    Enroll(EnrollArgs),
    /// Look at devices
    Device {
        #[command(subcommand)]
        command: DeviceCommand,
    },
    /// Look at stored data
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Check or show the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the script with which a shell completes the words of this program
    #[command(after_help = "Packages install it already. By hand:\n  relais-hub completions bash > \
        ~/.local/share/bash-completion/completions/relais-hub\n  relais-hub completions zsh > ~/.zfunc/_relais-hub\n  \
        relais-hub completions fish > ~/.config/fish/completions/relais-hub.fish")]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the version
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Configuration file [default: /etc/relais/hub.toml where it exists, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Local socket, in place of socket.path
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Least severe log level that is printed [default: info, or RELAIS_LOG]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<LogLevel>,
}

/// Where the running hub is.
#[derive(Debug, Args)]
pub(super) struct Local {
    /// Socket of the running hub [default: RELAIS_SOCKET, or socket.path of the configuration]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Configuration file that names the socket
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) local: Local,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct EnrollArgs {
    #[command(flatten)]
    pub(super) local: Local,
    /// File with the claim token; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Every device, how it is reached and how it is
    List(StatusArgs),
    /// Read a device once, now, and show the bytes; exit code 9 when not everything could be read
    #[command(
        after_help = "Only for devices of devices.d, which the hub asks. The read goes out of turn over the \
        connection that the hub has, and what it finds is shown and not stored.\n\nExample:\n  relais-hub device test meter-1"
    )]
    Test(DeviceTestArgs),
}

#[derive(Debug, Args)]
pub(super) struct DeviceTestArgs {
    /// Name or id of the device
    #[arg(value_name = "DEVICE")]
    pub(super) device: String,
    #[command(flatten)]
    pub(super) local: Local,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// Where every record went: stored, expired or lost, by class
    Ledger(StatusArgs),
    /// What is missing, when and why
    Gaps(StatusArgs),
    /// What devices reported, newest first
    Events(EventsArgs),
    /// Write readings as NDJSON or CSV
    Export(ExportArgs),
    /// Read everything again: every checksum, every record, and the ledger
    ///
    /// Changes nothing. Ends with 1 when something is wrong. With --json: a line for each step, `end` last.
    Verify(StatusArgs),
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    pub(super) local: Local,
    /// Only this class: alarm, or event for everything else
    #[arg(long, value_name = "CLASS")]
    pub(super) class: Option<EventClass>,
    /// At most this many
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) limit: u16,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum EventClass {
    Alarm,
    Event,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) local: Local,
    /// Only this device, by name or id
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// Only this metric
    #[arg(long, value_name = "METRIC")]
    pub(super) metric: Option<String>,
    /// Only from this time on: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) from: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) to: Option<String>,
    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    pub(super) format: ExportFormat,
    /// Write to this file, which appears when it is complete [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// A time as the API takes it: told here, because what the API advises is for addresses.
fn time(text: &str) -> Result<String, String> {
    let forms = "write RFC 3339, such as 2026-11-22T03:00:00Z or 2026-11-22T04:00:00+01:00, or milliseconds since 1970";
    parse_utc(text).map(|_| text.to_owned()).ok_or_else(|| forms.to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ExportFormat {
    Ndjson,
    Csv,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Find every problem; exit code 9 when there is one
    Check {
        /// Configuration file [default: /etc/relais/hub.toml where it exists, else built-in defaults]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print what is in force
    Show {
        /// Configuration file [default: /etc/relais/hub.toml where it exists, else built-in defaults]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_time_that_is_none_is_told_with_the_forms_there_are() {
        let parse = |from: &str| Arguments::try_parse_from(["relais-hub", "data", "export", "--from", from]);
        for good in ["2026-11-22T03:00:00Z", "2026-11-22T04:00:00+01:00", "1716000000000"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let message = parse("yesterday").unwrap_err().to_string();
        assert!(message.contains("write RFC 3339, such as") && !message.contains("%2B"), "{message}");
    }

    #[test]
    fn the_first_line_of_help_says_what_this_is() {
        use clap::CommandFactory;
        let help = Arguments::command().render_help().to_string();
        assert!(help.starts_with("The site daemon: MQTT broker, telemetry log and local API\n"), "{help}");
    }
}
