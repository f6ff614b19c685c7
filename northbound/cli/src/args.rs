//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hub_chassis::cli::completions::Shell;
use hub_chassis::config::parse_duration;
use hub_chassis::time_text::parse_utc;
use hub_model::UtcMs;

use crate::address::Address;
use crate::context::ContextName;

/// The operator's command line of relais-central.
#[derive(Debug, Parser)]
#[command(
    name = "relais",
    version,
    about = "The operator's command line of relais-central: hubs, devices, readings, gaps, audit",
    after_help = "\
First:     relais context add production --url https://central.example:7444 --token-file admin.token --use
Then:      relais hub list
           relais series get boiler temperature --last 2h
For programs: --json is the API's JSON; -o ndjson, csv and name write line by line.

Exit codes: 0 done, 1 failed, 2 usage, 4 sign-in, 5 conflict, 6 wait timeout, 7 central cannot be reached or believed, \
8 partly failed, 9 a check found problems."
)]
pub(crate) struct Arguments {
    /// Context to use [default: RELAIS_CONTEXT, or the one chosen with `relais context use`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<ContextName>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say which central to ask, and with which token
    Context {
        #[command(subcommand)]
        command: ContextCommand,
    },
    /// Hubs that are enrolled
    Hub {
        #[command(subcommand)]
        command: HubCommand,
    },
    /// Devices behind the hubs
    Device {
        #[command(subcommand)]
        command: DeviceCommand,
    },
    /// Series, and their readings
    Series {
        #[command(subcommand)]
        command: SeriesCommand,
    },
    /// What is missing, and why
    Gap {
        #[command(subcommand)]
        command: GapCommand,
    },
    /// Who did what at central
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the script with which a shell completes the words of this program
    #[command(after_help = "Packages install it already. By hand:\n  relais completions bash > \
        ~/.local/share/bash-completion/completions/relais\n  relais completions zsh > ~/.zfunc/_relais\n  \
        relais completions fish > ~/.config/fish/completions/relais.fish")]
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

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Add a central, after it was reached and its token tried
    #[command(after_help = "\
Examples:  relais context add production --url https://central.example:7444 --token-file admin.token --use
           ssh central relais-central token create --admin anna | relais context add lab --url https://lab:7444 \
--token-file -

The token says by a fingerprint which central it belongs to, so no certificate needs to be installed, and the name in \
the URL may be any. It is kept in $XDG_CONFIG_HOME/relais/contexts.toml (or ~/.config), which only you can read.")]
    Add(AddArgs),
    /// List the contexts; * is the one in use
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Use this context from now on
    Use {
        /// Name of the context
        name: ContextName,
    },
    /// Forget a context and its token
    Remove {
        /// Name of the context
        name: ContextName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Name of the new context
    pub(crate) name: ContextName,
    /// Where central's API is
    #[arg(long, value_name = "URL")]
    pub(crate) url: Address,
    /// File with the admin token; - is standard input. Never the token itself: others can see arguments
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Use it from now on; the first context is used without this
    #[arg(long = "use")]
    pub(crate) use_it: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// List hubs
    #[command(after_help = "Examples:  relais hub list\n           relais hub list -o name")]
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List devices
    #[command(after_help = "Example:  relais device list --hub hub_01m80pqc05q3f3npbey5r5k8cv")]
    List(HubListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SeriesCommand {
    /// List series
    #[command(after_help = "Example:  relais series list --device boiler")]
    List(SeriesListArgs),
    /// Show the readings of one series
    #[command(after_help = "\
Examples:  relais series get boiler temperature --last 2h
           relais series get boiler temperature --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z -o csv
           relais series get boiler temperature --all -o ndjson > boiler.ndjson

Without --from, --to, --last and --all: the last 24 hours.")]
    Get(GetArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum GapCommand {
    /// List gaps
    #[command(after_help = "Example:  relais gap list --hub hub_01m80pqc05q3f3npbey5r5k8cv")]
    List(HubListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List audit events, newest first
    #[command(after_help = "Example:  relais audit list --limit 20")]
    List(ListArgs),
}

/// Of every list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the API's JSON, all pages in one object
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
    /// Print one line per entry
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<LineFormat>,
    /// At most this many [default: 1000 for the table, all of them for --json and -o]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct HubListArgs {
    /// Only of this hub, by id
    #[arg(long, value_name = "HUB")]
    pub(crate) hub: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SeriesListArgs {
    /// Only of this device, by name or id
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Only of this hub, by id
    #[arg(long, value_name = "HUB")]
    pub(crate) hub: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

/// One line per entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// One JSON object per line
    Ndjson,
    /// RFC 4180 with a header line
    Csv,
    /// Only what names it
    Name,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Device, by name or id
    pub(crate) device: String,
    /// Metric, as `relais series list` shows it
    pub(crate) metric: String,
    /// Only from this time on: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["last", "all"])]
    pub(crate) from: Option<Moment>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["last", "all"])]
    pub(crate) to: Option<Moment>,
    /// Only of this long until now: 90s, 15min, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "all")]
    pub(crate) last: Option<Duration>,
    /// Everything, also readings whose time is not known yet
    #[arg(long)]
    pub(crate) all: bool,
    /// Only of this hub, by id
    #[arg(long, value_name = "HUB")]
    pub(crate) hub: Option<String>,
    /// At most this many readings [default: 100000 for the screen, 10000 for --json, all of them for -o]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Print the API's JSON: one page, at most 10000 readings
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
    /// Print one line per reading
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<ReadingFormat>,
}

/// One line per reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadingFormat {
    /// One JSON object per line
    Ndjson,
    /// RFC 4180 with a header line
    Csv,
}

/// A time as it was written, for the API, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) text: String,
    pub(crate) at: UtcMs,
}

/// Told here, because what the API advises is for addresses.
fn moment(text: &str) -> Result<Moment, String> {
    let forms = "write RFC 3339, such as 2026-11-22T03:00:00Z or 2026-11-22T04:00:00+01:00, or milliseconds since \
                 1970; for a span until now, use --last 2h";
    let at = parse_utc(text).ok_or_else(|| forms.to_owned())?;
    Ok(Moment { text: text.to_owned(), at })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &str) -> Result<Arguments, String> {
        let words = std::iter::once("relais").chain(words.split(' '));
        Arguments::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_words_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_first_line_of_help_says_what_this_is() {
        let help = Arguments::command().render_help().to_string();
        assert!(help.starts_with("The operator's command line of relais-central"), "{help}");
    }

    #[test]
    fn what_is_asked_for_must_make_sense() {
        for good in [
            "hub list --context lab",
            "--context lab hub list --json",
            "audit list -o ndjson --limit 5",
            "series get boiler temperature --last 2h -o csv",
            "series get boiler temperature --from 0 --to 2026-11-22T04:00:00+01:00 --json",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let check = |words: &str, expected: &str| {
            let message = parse(words).unwrap_err();
            assert!(message.contains(expected), "{words}: {message}");
        };
        check("series get a b --from yesterday", "write RFC 3339, such as");
        check("series get a b --last 2", "has no unit");
        check("series get a b --last 2h --all", "cannot be used with");
        check("series get a b --last 2h --from 0", "cannot be used with");
        check("series get a b -o name", "invalid value 'name'");
        check("hub list --json -o csv", "cannot be used with");
        check("hub list --limit 0", "0 is not in 1..");
        check("hub list --context a/b", "letters, digits");
        check("context add a --url http://x --token-file -", "never sent without TLS");
    }
}
