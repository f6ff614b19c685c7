//! What a simulated site can be told, and how slips are answered.

use crate::modbus::{Fault, Rule, SpecError};
use crate::sensors::Sensors;
use crate::suggest::nearest;

/// The meter's name.
pub(super) const METER: &str = "meter";

/// Every command by its first word, in the order of the help.
const WORDS: [&str; 11] =
    ["cut", "mend", "silence", "wake", "fill", "free", "fault", "clear", "reset", "status", "help"];

/// The commands, for people: up to 80 columns.
pub const HELP: &str = "  cut | mend        nothing goes between hub and central; everything does again
  silence DEVICE    cold-room, boiler, tank or meter says nothing more
  wake DEVICE       and speaks again
  fill | free       the hub's disk is full; there is room again
  fault meter SPEC  the meter answers wrongly, such as exception:4 or late:3000
  clear             the meter answers as it should
  reset             everything works again
  status            what is broken, and what waits at the devices
  help              this; `help fault` lists what a SPEC can be";

/// What can be done to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Cut,
    Mend,
    Silence(Target),
    Wake(Target),
    Fill,
    Free,
    Fault(Rule),
    Clear,
    Reset,
    Status,
    Help,
}

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Meter,
    /// By its name, one of [`Sensors::NAMES`].
    Sensor(&'static str),
}

/// A command that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error("there is no command {word:?}{}", or_list(*near, &WORDS))]
    Unknown { word: String, near: Option<&'static str> },
    #[error("{word} takes nothing behind it")]
    TooMuch { word: &'static str },
    #[error("{word} which device? {}", devices().join(", "))]
    NoDevice { word: &'static str },
    #[error("there is no device {name:?}{}", or_list(*near, &devices()))]
    UnknownDevice { name: String, near: Option<&'static str> },
    #[error("only the meter can answer wrongly: fault meter SPEC; {name} can be silenced: silence {name}")]
    NotTheMeter { name: &'static str },
    #[error("fault meter which? {}", Fault::ALL_NAMES.join(", "))]
    NoFault,
    #[error("there is no fault {name:?}{}", or_list(*near, &Fault::ALL_NAMES))]
    UnknownFault { name: String, near: Option<&'static str> },
    #[error(transparent)]
    Spec(SpecError),
}

fn or_list(near: Option<&'static str>, known: &[&str]) -> String {
    match near {
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

fn devices() -> Vec<&'static str> {
    Sensors::NAMES.into_iter().chain([METER]).collect()
}

impl Command {
    /// Reads a line.
    pub(super) fn parse(line: &str) -> Result<Command, CommandError> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let Some(word) = WORDS.into_iter().find(|known| *known == word) else {
            return Err(CommandError::Unknown { word: word.to_owned(), near: nearest(word, WORDS) });
        };
        let alone = |command| if rest.is_empty() { Ok(command) } else { Err(CommandError::TooMuch { word }) };
        match word {
            "cut" => alone(Command::Cut),
            "mend" => alone(Command::Mend),
            "silence" => Ok(Command::Silence(Target::parse(word, rest)?)),
            "wake" => Ok(Command::Wake(Target::parse(word, rest)?)),
            "fill" => alone(Command::Fill),
            "free" => alone(Command::Free),
            "fault" => fault(rest),
            // The device may be named, for there is only one to be cleared.
            "clear" if rest == METER => Ok(Command::Clear),
            "clear" => alone(Command::Clear),
            "reset" => alone(Command::Reset),
            "status" => alone(Command::Status),
            _ => alone(Command::Help),
        }
    }
}

impl Target {
    fn parse(word: &'static str, name: &str) -> Result<Target, CommandError> {
        if name.is_empty() {
            return Err(CommandError::NoDevice { word });
        }
        if name == METER {
            return Ok(Target::Meter);
        }
        let known = Sensors::NAMES.into_iter().find(|known| *known == name);
        known.map(Target::Sensor).ok_or_else(|| CommandError::UnknownDevice {
            name: name.to_owned(),
            near: nearest(name, devices()),
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Target::Meter => METER,
            Target::Sensor(name) => name,
        }
    }
}

/// `meter SPEC`.
fn fault(rest: &str) -> Result<Command, CommandError> {
    let (device, spec) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if let Target::Sensor(name) = Target::parse("fault", device)? {
        return Err(CommandError::NotTheMeter { name });
    }
    if spec.trim().is_empty() {
        return Err(CommandError::NoFault);
    }
    spec.trim().parse().map(Command::Fault).map_err(|error| {
        if let SpecError::Unknown { name } = error {
            let near = nearest(&name, Fault::ALL_NAMES);
            CommandError::UnknownFault { name, near }
        } else {
            CommandError::Spec(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &Command) {
        assert_eq!(Command::parse(line).as_ref(), Ok(expected), "{line}");
    }

    #[track_caller]
    fn check_error(line: &str, expected: &str) {
        assert_eq!(Command::parse(line).unwrap_err().to_string(), expected, "{line}");
    }

    #[test]
    fn commands_are_read() {
        check("cut", &Command::Cut);
        check("  mend\r\n", &Command::Mend);
        check("silence boiler", &Command::Silence(Target::Sensor("boiler")));
        check("wake  meter ", &Command::Wake(Target::Meter));
        check("fill", &Command::Fill);
        check("free", &Command::Free);
        check("fault meter late:1500 times=3", &Command::Fault("late:1500 times=3".parse().unwrap()));
        check("clear", &Command::Clear);
        check("clear meter", &Command::Clear);
        check("reset", &Command::Reset);
        check("status", &Command::Status);
        check("help", &Command::Help);
    }

    #[test]
    fn every_word_is_in_the_help_and_the_help_fits_a_screen() {
        for word in WORDS {
            assert!(HELP.contains(&format!("{word} ")), "{word}");
        }
        assert!(HELP.lines().all(|line| line.starts_with("  ") && line.chars().count() <= 80));
    }

    #[test]
    fn slips_are_answered_with_what_was_meant() {
        check_error("cutt", "there is no command \"cutt\"; did you mean cut?");
        check_error("silence boilr", "there is no device \"boilr\"; did you mean boiler?");
        check_error("fault meter lat:1500", "there is no fault \"lat\"; did you mean late?");
        check_error("fault meter late", "late needs a value, such as late:1500");
        check_error("cut boiler", "cut takes nothing behind it");
        check_error("silence", "silence which device? cold-room, boiler, tank, meter");
        check_error(
            "silence pump-17",
            "there is no device \"pump-17\"; there are: cold-room, boiler, tank, meter",
        );
        check_error(
            "fault tank late:5",
            "only the meter can answer wrongly: fault meter SPEC; tank can be silenced: silence tank",
        );
        assert!(Command::parse("fault meter").unwrap_err().to_string().contains("stale-values"));
        assert!(Command::parse("").unwrap_err().to_string().contains("there are: cut, mend"));
    }
}
