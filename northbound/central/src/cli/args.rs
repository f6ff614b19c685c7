//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use hub_chassis::cli::completions::Shell;
use hub_chassis::config::parse_duration;
use hub_chassis::logging::LogLevel;

/// The fleet service.
#[derive(Debug, Parser)]
#[command(
    name = "relais-central",
    version,
    about = "The fleet service: takes in what hubs send, keeps it, and answers for it",
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 9 a check found problems, 78 the configuration is wrong \
    (run only)."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run central until SIGTERM
    Run(RunArgs),
    /// Check the configuration and, where there is one, the whole storage; exit code 9 when there are problems
    Check {
        /// Configuration file [default: /etc/relais/central.toml where it exists, else built-in defaults]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Make, list and take back tokens; works beside the running daemon
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print the script with which a shell completes the words of this program
    #[command(after_help = "Packages install it already. By hand:\n  relais-central completions bash > \
        ~/.local/share/bash-completion/completions/relais-central\n  relais-central completions zsh > ~/.zfunc/_relais-central\n  \
        relais-central completions fish > ~/.config/fish/completions/relais-central.fish")]
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
    /// Configuration file [default: /etc/relais/central.toml where it exists, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The storage folder was restored from a copy: raise the term, so that hubs refuse a newer central that still runs
    #[arg(long)]
    pub(super) restored: bool,
    /// Least severe log level that is printed [default: info, or RELAIS_LOG]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<LogLevel>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once, on standard output
    Create(CreateArgs),
    /// List tokens, without their secrets
    List {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a token back
    Revoke {
        /// Its id, as `token list` prints it
        #[arg(value_name = "ID")]
        id: String,
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kind").required(true).args(["site", "admin"]))]
pub(super) struct CreateArgs {
    /// A claim token: lets hubs enrol at this site, which is made when there is none of the name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) site: Option<String>,
    /// An admin token: lets whoever has it use the API
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) admin: Option<String>,
    /// How long a claim token is good, 720h at most
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = expiry, conflicts_with = "admin")]
    pub(super) expires: Duration,
    /// How many hubs a claim token is for
    #[arg(long, value_name = "NUMBER", default_value = "1", conflicts_with = "admin",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) hubs: u32,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// What names may be: they end up on pages, in certificates' answers and in the audit.
const NAME_CHARS_MAX: usize = 100;

/// A claim token that is forgotten somewhere should not be good for ever.
const EXPIRY_MAX: Duration = Duration::from_secs(720 * 3_600);

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let count = name.chars().count();
    if count == 0 || count > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(format!("use 1 to {NAME_CHARS_MAX} characters, none of them a control character"));
    }
    Ok(name.to_owned())
}

fn expiry(text: &str) -> Result<Duration, String> {
    let expiry = parse_duration(text)?;
    if expiry.is_zero() || expiry > EXPIRY_MAX {
        return Err("use more than nothing and 720h at most".to_owned());
    }
    Ok(expiry)
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
    fn a_token_is_of_one_kind() {
        let parse = |words: &str| Arguments::try_parse_from(words.split(' ')).map(drop).map_err(|e| e.kind());
        assert_eq!(parse("x token create --site Hall --expires 2h --hubs 3"), Ok(()));
        assert_eq!(parse("x token create --admin Ada"), Ok(()));
        assert!(parse("x token create").is_err());
        assert!(parse("x token create --admin Ada --site Hall").is_err());
        assert!(parse("x token create --admin Ada --hubs 2").is_err());
        assert!(parse("x token create --site Hall --expires 721h").is_err());
        assert!(parse("x token create --site Hall --hubs 0").is_err());
    }
}
