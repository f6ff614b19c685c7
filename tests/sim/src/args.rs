//! The words of the command line.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use relais_sim::modbus::{Addresses, Device, Options, Rule, Units};

/// What a specification may be, for people.
const FAULTS: &str = "\
Faults, as FAULT[:VALUE] [unit=N] [times=N]; without unit for all units, without times for ever.
Of several, the first one that can change an answer is applied, alone.
  late:MS          the answer comes so much later; those behind it wait
  silent           no answer
  slow:MS          byte by byte with this pause
  split            in segments of one byte, without pause
  short, long      one register less or more; byte count and length agree with that
  count            the byte count is two too high
  truncate         half of the answer; the connection stays open
  cut              half of the answer, then the connection is closed
  close            the connection is closed right after the request
  tid, unit        transaction or unit one higher
  function         function 3 for 4, 1 for 2, and back
  protocol         protocol 1
  length[:N]       the length in the header is N, or 0
  twice            the answer comes twice
  stale            the bytes of the answer before, its transaction included
  stale-values     the data of the answer before with the right header; nobody can notice
  garbage          seven junk bytes before the answer
  exception:N      exception N; busy is exception 6, ack is exception 5
  other-exception  exception 2 of another function

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
    after_help = "`relais-sim modbus --help` lists the faults. Exit codes: 0 ended in order, 1 failed, 2 usage."
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
    #[command(after_long_help = FAULTS, after_help = "--help lists the faults.")]
    Modbus(ModbusArgs),
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
    use relais_sim::modbus::{Fault, Scope};

    use super::*;

    fn parse(words: &[&str]) -> Result<ModbusArgs, String> {
        let words = ["relais-sim", "modbus"].iter().chain(words);
        let parsed = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Modbus(args) = parsed.command;
        Ok(args)
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
            assert!(FAULTS.contains(name), "{name}");
        }
    }
}
