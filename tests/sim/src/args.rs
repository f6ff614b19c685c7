//! The words of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use relais_sim::modbus::{Addresses, Device, Fault, Options, Rule, Units};
use relais_sim::site::{HELP, SiteOptions};

/// What a specification may be, and the rest of the help.
fn modbus_help() -> String {
    format!(
        "Faults, as FAULT[:VALUE] [unit=N] [times=N]; without unit for all units, without times for ever.\n\
        Of several, the first one that can change an answer is applied, alone.\n{}\n{REST}",
        Fault::HELP
    )
}

const REST: &str = "
Control port: each line gets one line back, `ok`, an answer or `error: ...`.
  fault SPEC | clear | dead UNITS | alive | reboot MS | counts | help

Examples:
  relais-sim modbus --listen 127.0.0.1:5020 --device sdm630
  relais-sim modbus --listen 127.0.0.1:0 --control 127.0.0.1:0 --dead 4,8 --fault 'late:1500 unit=3 times=1'";

/// Simulated devices of a site.
#[derive(Debug, Parser)]
#[command(
    name = "relais-sim",
    version,
    about = "Simulated devices of a site, which misbehave when told to",
    after_help = "`relais-sim modbus --help` lists the faults. Exit codes: 0 ended in order or done, 1 failed, 2 usage."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Modbus TCP until SIGTERM or SIGINT
    ///
    /// Prints a line for each part when it listens, such as `modbus 127.0.0.1:40123` and `control 127.0.0.1:40124`.
    /// Answers functions 1 to 4; units that there are not, and dead ones, stay silent.
    #[command(after_long_help = modbus_help(), after_help = "--help lists the faults.")]
    Modbus(ModbusArgs),
    /// Simulate a whole site until SIGTERM or SIGINT: three MQTT sensors, a Modbus meter, a link and a disk
    ///
    /// Prints a line for each part when it listens: `modbus`, `link` (where there is one) and `control`, each with its
    /// address. The sensors cold-room, boiler and tank wait for the hub and keep up to 1,000 messages each meanwhile.
    #[command(after_long_help = site_help(), after_help = "--help lists the commands of the control port.")]
    Site(SiteArgs),
    /// Tell a running site what to do: cut, silence boiler, fill, status …
    #[command(after_help = site_help(), after_long_help = site_help())]
    Do(DoArgs),
}

/// The commands of a site, for people.
fn site_help() -> String {
    format!("Commands:\n{HELP}")
}

#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    /// The hub's MQTT listener
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1883")]
    pub(crate) hub: SocketAddr,
    /// Where the meter listens, as unit 1; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) modbus: SocketAddr,
    /// Where to listen for commands, without protection
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1503")]
    pub(crate) control: SocketAddr,
    /// Where the hub's end of the link listens (UDP)
    #[arg(long, value_name = "ADDRESS", requires = "central")]
    pub(crate) link: Option<SocketAddr>,
    /// Where central listens for hubs
    #[arg(long, value_name = "ADDRESS", requires = "link")]
    pub(crate) central: Option<SocketAddr>,
    /// Where the hub's disk is mounted: a file system of its own, of at most 4 GiB
    #[arg(long, value_name = "FOLDER")]
    pub(crate) disk: Option<PathBuf>,
    /// What the signals follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl SiteArgs {
    /// What the site is told.
    pub(crate) fn into_options(self) -> SiteOptions {
        let SiteArgs { hub, modbus, link, central, disk, seed, .. } = self;
        SiteOptions { hub, modbus, link: link.zip(central), disk, seed }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoArgs {
    /// The site's control port [default: RELAIS_SIM_CONTROL, or 127.0.0.1:1503]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) control: Option<SocketAddr>,
    /// What to do
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ModbusArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Where to listen for commands, without protection
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) control: Option<SocketAddr>,
    /// Units that there are
    #[arg(long, value_name = "UNITS", default_value = "1-10")]
    pub(crate) units: Units,
    /// Those of them that do not answer, such as 4,8
    #[arg(long, value_name = "UNITS", default_value = "", hide_default_value = true)]
    pub(crate) dead: Units,
    /// What the units are: pattern, whose values say where and when they were read, or sdm630, a three-phase meter
    #[arg(long, value_name = "DEVICE", default_value = "pattern")]
    pub(crate) device: Device,
    /// Addresses that answer exception 2, such as 100-109
    #[arg(long, value_name = "ADDRESSES", default_value = "", hide_default_value = true)]
    pub(crate) holes: Addresses,
    /// Serve one connection at a time and close further ones
    #[arg(long)]
    pub(crate) one_connection: bool,
    /// A fault from the start, in quotes; may be given several times
    #[arg(long = "fault", value_name = "SPEC")]
    pub(crate) faults: Vec<Rule>,
    /// End at the end of standard input, too
    #[arg(long)]
    pub(crate) until_eof: bool,
}

impl ModbusArgs {
    /// What the server is told.
    pub(crate) fn into_options(self) -> Options {
        let ModbusArgs { listen, units, dead, device, holes, one_connection, faults, .. } = self;
        Options { listen, units, dead, device, holes, one_connection, faults }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use relais_sim::modbus::Scope;

    use super::*;

    fn parse(words: &[&str]) -> Result<ModbusArgs, String> {
        let words = ["relais-sim", "modbus"].iter().chain(words);
        let parsed = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        match parsed.command {
            Command::Modbus(args) => Ok(args),
            Command::Site(_) | Command::Do(_) => panic!("the first word is modbus"),
        }
    }

    #[test]
    fn the_words_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_words_the_server_has_its_defaults() {
        let (ours, default) = (parse(&[]).unwrap().into_options(), Options::default());
        assert_eq!(format!("{ours:?}"), format!("{default:?}"));
    }

    #[test]
    fn words_reach_the_server() {
        let args =
            parse(&["--units", "1-3", "--dead=2", "--device", "sdm630", "--fault", "tid unit=3"]).unwrap();
        let options = args.into_options();
        assert_eq!(
            (options.units, options.dead, options.device),
            ([1, 2, 3].into(), [2].into(), Device::Sdm630)
        );
        assert_eq!(options.faults, [Rule { fault: Fault::Tid, scope: Scope::unit(3) }]);
    }

    #[test]
    fn a_fault_that_there_is_not_is_told_the_known_ones() {
        let error = parse(&["--fault", "explode"]).unwrap_err();
        assert!(Fault::ALL_NAMES.iter().all(|name| error.contains(name)), "{error}");
        assert!(parse(&["--device", "toaster"]).unwrap_err().contains("pattern, sdm630"));
    }

    #[test]
    fn the_help_tells_every_fault() {
        for name in Fault::ALL_NAMES {
            assert!(Fault::HELP.contains(name), "{name}");
        }
    }

    #[test]
    fn a_site_has_a_whole_link_or_none() {
        let site = |words: &[&str]| {
            let parsed = Arguments::try_parse_from(["relais-sim", "site"].iter().chain(words));
            match parsed.map_err(|error| error.to_string())?.command {
                Command::Site(args) => Ok(args.into_options()),
                Command::Modbus(_) | Command::Do(_) => Err("not a site".to_owned()),
            }
        };
        let options = site(&[]).unwrap();
        let hub = "127.0.0.1:1883".parse().unwrap();
        assert_eq!(format!("{options:?}"), format!("{:?}", SiteOptions::new(hub)));
        let options = site(&["--link", "127.0.0.1:1", "--central", "127.0.0.1:2", "--seed", "7"]).unwrap();
        let both = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert_eq!((options.link, options.seed), (Some(both), 7));
        assert!(site(&["--link", "127.0.0.1:1"]).unwrap_err().contains("--central"));
    }

    #[test]
    fn what_is_to_be_done_may_be_several_words() {
        let parsed = Arguments::try_parse_from(["relais-sim", "do", "silence", "boiler"]).unwrap();
        assert!(
            matches!(parsed.command, Command::Do(DoArgs { words, .. }) if words == ["silence", "boiler"])
        );
        assert!(Arguments::try_parse_from(["relais-sim", "do"]).is_err());
    }
}
