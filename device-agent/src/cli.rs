//! The command line.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hub_model::DeviceName;

use crate::clock::Moment;
use crate::config::{self, Config};
use crate::daemon;
use crate::host::Host;
use crate::log::{Level, Log};
use crate::metrics::Collector;
use crate::mqtt::codec::{self, Incoming};

/// It did not work.
const FAILED: u8 = 1;
/// The arguments make no sense.
const USAGE: u8 = 2;
/// The hub cannot be reached.
const UNREACHABLE: u8 = 7;
/// The configuration is wrong; starting again does not help.
const WRONG_CONFIGURATION: u8 = 78;

/// Between the two readings of `once`: rates need two.
const ONCE_PAUSE: Duration = Duration::from_secs(1);

/// How long `check` waits for the hub's greeting.
const CHECK_MAX: Duration = Duration::from_secs(10);

/// What `help` prints.
pub const HELP: &str = "\
The agent of a Linux device behind a Relais hub: sends host metrics over MQTT.

Usage: relais-agent COMMAND [--config FILE] [--log LEVEL]

Commands:
  run      send metrics until SIGTERM or SIGINT
  check    check the configuration, and whether the hub takes this device
  once     print one set of metrics as JSON
  version  print the version
  help     print this

Options:
  --config FILE  configuration file; default: /etc/relais/agent.toml where it exists
  --log LEVEL    error, warn, info (default) or debug; for run

Exit codes: 0 done, 1 failed, 2 usage, 7 the hub cannot be reached, 78 the configuration is wrong.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Run,
    Check,
    Once,
    Version,
    Help,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Arguments {
    command: Command,
    config: Option<PathBuf>,
    log: Level,
}

/// What ends a command early: an exit code, and what to say.
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl fmt::Display) -> Failure {
        Failure { code, text: text.to_string() }
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            writeln!(io::stderr(), "error: {why}\n\nTry relais-agent --help").ok();
            return ExitCode::from(USAGE);
        }
    };
    match execute(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            writeln!(io::stderr(), "relais-agent: {}", failure.text).ok();
            ExitCode::from(failure.code)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut command = None;
    let (mut config, mut log) = (None, Level::Info);
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option.to_owned(), Some(value.to_owned())),
            Some(_) | None => (word, None),
        };
        let mut value =
            || value.clone().or_else(|| words.next()).ok_or_else(|| format!("{option} needs a value"));
        let found = match option.as_str() {
            "--config" => {
                config = Some(PathBuf::from(value()?));
                continue;
            }
            "--log" => {
                let name = value()?;
                log = Level::parse(&name).ok_or_else(|| format!("{name:?} is no level of the log"))?;
                continue;
            }
            "run" => Command::Run,
            "check" => Command::Check,
            "once" => Command::Once,
            "version" | "--version" | "-V" => Command::Version,
            "help" | "--help" | "-h" => Command::Help,
            other => return Err(format!("{other:?} is no command and no option")),
        };
        if command.replace(found).is_some() {
            return Err("one command at a time".to_owned());
        }
    }
    let command = command.ok_or("a command is needed")?;
    Ok(Arguments { command, config, log })
}

fn execute(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Help => print(HELP),
        Command::Version => print(concat!("relais-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Once => once(),
        Command::Check => check(arguments),
        Command::Run => run(arguments),
    }
}

/// A reader that goes away is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(FAILED, format_args!("failed to write the output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn once() -> Result<(), Failure> {
    let (host, mut collector) = (Host::new("/"), Collector::default());
    collector.handle_facts(&host.read(), None, Moment::read().since_boot);
    std::thread::sleep(ONCE_PAUSE);
    let set = collector.handle_facts(&host.read(), None, Moment::read().since_boot);
    print(&format!("{}\n", set.to_json()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, name, _) = configured(arguments)?;
    let log = Log::new(arguments.log, std::env::var_os("JOURNAL_STREAM").is_some());
    daemon::run(&config, &name, log).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(FAILED, format_args!("failed to {error}{cause}"))
    })
}

fn check(arguments: &Arguments) -> Result<(), Failure> {
    let (config, name, file) = configured(arguments)?;
    let file = file.map_or("the built-in defaults".to_owned(), |path| path.display().to_string());
    print(&format!("configuration is good: {file}\ndevice: {name}\n"))?;
    let greeted = greet(&config, &name);
    greeted.map_err(|why| {
        Failure::new(UNREACHABLE, format_args!("failed to reach the hub at {}: {why}", config.hub))
    })?;
    print(&format!("the hub at {} takes this device\n", config.hub))
}

/// Says hello with a client id of its own and a session that ends with it: the running agent is not pushed off.
fn greet(config: &Config, name: &DeviceName) -> Result<(), String> {
    let in_words = |error: io::Error| error.to_string();
    let mut stream: TcpStream = daemon::connect(&config.hub).map_err(in_words)?;
    stream.set_read_timeout(Some(CHECK_MAX)).map_err(in_words)?;
    let mut bytes = Vec::new();
    codec::connect(&format!("{}-check", daemon::client_id(name)), true, 30, &mut bytes);
    stream.write_all(&bytes).map_err(in_words)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).map_err(in_words)?;
    match codec::decode(&answer) {
        Ok(Some((Incoming::Connected { code: 0, .. }, _))) => {
            bytes.clear();
            codec::disconnect(&mut bytes);
            stream.write_all(&bytes).map_err(in_words)
        }
        Ok(Some((Incoming::Connected { code, .. }, _))) => Err(format!("refused, code {code}")),
        Ok(_) => Err("no greeting".to_owned()),
        Err(error) => Err(format!("not MQTT 3.1.1: {error}")),
    }
}

/// Reads and checks the configuration; also gives the file it came from.
fn configured(arguments: &Arguments) -> Result<(Config, DeviceName, Option<PathBuf>), Failure> {
    let wrong = |text: String| Failure::new(WRONG_CONFIGURATION, text);
    let default = Path::new(config::FILE);
    let path = arguments.config.clone().or_else(|| default.exists().then(|| default.to_owned()));
    let text = path.as_deref().map(read_file).transpose().map_err(wrong)?;
    let file = path.as_deref().zip(text.as_deref());
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    let config = config::load(file, environment).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        wrong(format!("the configuration is wrong\n{}", lines.join("\n")))
    })?;
    let from_host = || config::name_of_host(&Host::new("/").line("proc/sys/kernel/hostname")?);
    let name = config.name.clone().or_else(from_host);
    let name =
        name.ok_or_else(|| wrong("the host name makes no device name: set the key name".to_owned()))?;
    Ok((config, name, path))
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(config::FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    if bytes.len() as u64 > config::FILE_BYTES_MAX {
        return Err(format!("{} is longer than {} bytes", path.display(), config::FILE_BYTES_MAX));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn arguments_are_understood() {
        let run = Arguments { command: Command::Run, config: Some("a.toml".into()), log: Level::Debug };
        assert_eq!(parsed(&["run", "--config", "a.toml", "--log=debug"]), Ok(run.clone()));
        assert_eq!(parsed(&["--config=a.toml", "--log", "debug", "run"]), Ok(run));
        assert_eq!(parsed(&["-V"]).map(|a| a.command), Ok(Command::Version));
        for words in
            [&[][..], &["go"], &["run", "check"], &["run", "--config"], &["run", "--log", "loud"], &["run=1"]]
        {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
