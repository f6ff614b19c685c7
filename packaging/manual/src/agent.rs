//! The words of `relais-agent`, which reads its arguments by hand to stay small. A test compares them with its own help.

use clap::{Arg, Command};

/// The command line as the agent understands it.
pub(crate) fn words() -> Command {
    let config = Arg::new("config").long("config").value_name("FILE").global(true);
    let config = config
        .help("Configuration file [default: /etc/relais/agent.toml where it exists, else built-in defaults]");
    let log = Arg::new("log").long("log").value_name("LEVEL").global(true);
    let log = log
        .value_parser(["error", "warn", "info", "debug"])
        .default_value("info")
        .help("Least severe log level that is printed; for run");
    let command = |name: &'static str, about: &'static str| Command::new(name).about(about);
    Command::new("relais-agent")
        .about("The agent of a Linux device behind a Relais hub: sends host metrics over MQTT")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Exit codes: 0 done, 1 failed, 2 usage, 7 the hub cannot be reached, 78 the configuration is wrong.",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .arg(config)
        .arg(log)
        .subcommand(command("run", "Send metrics until SIGTERM or SIGINT"))
        .subcommand(command("check", "Check the configuration, and whether the hub takes this device"))
        .subcommand(command("once", "Print one set of metrics as JSON"))
        .subcommand(command("version", "Print the version"))
        .subcommand(command("help", "Print help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_agent_says_of_itself() {
        let help = device_agent::cli::HELP;
        let words = words();
        let line = |begins: &str| help.lines().find(|line| line.starts_with(begins));
        for command in words.get_subcommands() {
            assert!(line(&format!("  {} ", command.get_name())).is_some(), "{}", command.get_name());
        }
        for option in words.get_arguments().filter_map(Arg::get_long) {
            assert!(line(&format!("  --{option} ")).is_some(), "--{option}");
        }
        let listed = help.lines().filter(|line| line.starts_with("  ")).count();
        let known = words.get_subcommands().count() + words.get_arguments().count();
        assert_eq!(listed, known, "neither more nor less:\n{help}");
        let codes = help.lines().find(|line| line.starts_with("Exit codes:")).unwrap();
        assert_eq!(words.get_after_help().unwrap().to_string(), codes);
    }
}
