//! How a device may misbehave, and the words for it.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

/// The longest time in a specification: an hour. More is a slip.
const MS_MAX: u64 = 3_600_000;

/// One way to misbehave. Each changes one answer; [`Scope`] says which answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes so much later. Answers behind it wait, as on one wire.
    Late(Duration),
    /// No answer.
    Silent,
    /// The answer comes byte by byte with this pause.
    Slow(Duration),
    /// The answer comes in segments of one byte, without pause.
    Split,
    /// One register less (of bits: one byte less); byte count and length agree with that.
    Short,
    /// One register more, 0xEEEE (of bits: one byte more); byte count and length agree with that.
    Long,
    /// The byte count is two too high; the length is right.
    Count,
    /// The first half of the answer; the connection stays open.
    Truncate,
    /// The first half of the answer, then the connection is closed.
    Cut,
    /// The transaction is one higher.
    Tid,
    /// The unit is one higher.
    Unit,
    /// The function code is that of the sister table: 3 for 4, 1 for 2, and back.
    Function,
    /// The protocol is 1.
    Protocol,
    /// The length in the header is this number.
    Length(u16),
    /// The answer is sent twice.
    Twice,
    /// The bytes of the answer before this one, to whomever it went, its transaction included.
    Stale,
    /// The right header with the data that the last request of the same unit, function and size got: a device that
    /// lies. No reader can notice; it is here to show where noticing ends.
    StaleValues,
    /// Seven junk bytes before the answer.
    Garbage,
    /// An exception with this code.
    Exception(u8),
    /// Exception 6, server device busy.
    Busy,
    /// Exception 5, acknowledge.
    Ack,
    /// The connection is closed right after the request.
    Close,
    /// An exception of another function: its code with the highest bit set, then exception code 2.
    OtherException,
}

/// Which answers a fault changes. The default is every answer, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only answers to requests to this unit.
    pub unit: Option<u8>,
    /// Only so many answers; then the fault is over.
    pub times: Option<u32>,
}

/// A fault and its scope, written `late:1500 unit=3 times=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// To which answers.
    pub scope: Scope,
}

/// A specification that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The first word is no fault.
    #[error("{name:?} is no fault; there are: {}", Fault::ALL_NAMES.join(", "))]
    Unknown {
        /// What stands there.
        name: String,
    },
    /// The fault needs a value.
    #[error("{name} needs a value, such as {name}:{example}")]
    NoValue {
        /// The fault.
        name: &'static str,
        /// A value it could have.
        example: &'static str,
    },
    /// The fault takes no value.
    #[error("{name} takes no value")]
    SomeValue {
        /// The fault.
        name: String,
    },
    /// A number is missing, malformed or out of its bounds.
    #[error("{text:?} is no number from {first} to {last}")]
    Number {
        /// What stands there.
        text: String,
        /// The least.
        first: u64,
        /// The most.
        last: u64,
    },
    /// A word behind the fault is unknown.
    #[error("{word:?} is neither unit=N nor times=N")]
    Word {
        /// What stands there.
        word: String,
    },
}

impl Fault {
    /// The names of all faults, as specifications begin with them.
    pub const ALL_NAMES: [&'static str; 23] = [
        "late",
        "silent",
        "slow",
        "split",
        "short",
        "long",
        "count",
        "truncate",
        "cut",
        "tid",
        "unit",
        "function",
        "protocol",
        "length",
        "twice",
        "stale",
        "stale-values",
        "garbage",
        "exception",
        "busy",
        "ack",
        "close",
        "other-exception",
    ];

    /// What each of them does, one line each, for people.
    pub const HELP: &'static str = "  late:MS          the answer comes so much later; those behind it wait
  silent           no answer
  slow:MS          byte by byte with this pause
  split            in segments of one byte, without pause
  short, long      one register less or more; byte count and length agree with it
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
  stale-values     the data of the answer before under the right header; no one can notice
  garbage          seven junk bytes before the answer
  exception:N      exception N; busy is exception 6, ack is exception 5
  other-exception  exception 2 of another function";

    /// Its name: the specification without the value.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Late(_) => "late",
            Fault::Silent => "silent",
            Fault::Slow(_) => "slow",
            Fault::Split => "split",
            Fault::Short => "short",
            Fault::Long => "long",
            Fault::Count => "count",
            Fault::Truncate => "truncate",
            Fault::Cut => "cut",
            Fault::Tid => "tid",
            Fault::Unit => "unit",
            Fault::Function => "function",
            Fault::Protocol => "protocol",
            Fault::Length(_) => "length",
            Fault::Twice => "twice",
            Fault::Stale => "stale",
            Fault::StaleValues => "stale-values",
            Fault::Garbage => "garbage",
            Fault::Exception(_) => "exception",
            Fault::Busy => "busy",
            Fault::Ack => "ack",
            Fault::Close => "close",
            Fault::OtherException => "other-exception",
        }
    }

    fn without_value(name: &str) -> Option<Fault> {
        let all = [
            Fault::Silent,
            Fault::Split,
            Fault::Short,
            Fault::Long,
            Fault::Count,
            Fault::Truncate,
            Fault::Cut,
            Fault::Tid,
            Fault::Unit,
            Fault::Function,
            Fault::Protocol,
            Fault::Twice,
            Fault::Stale,
            Fault::StaleValues,
            Fault::Garbage,
            Fault::Busy,
            Fault::Ack,
            Fault::Close,
            Fault::OtherException,
        ];
        all.into_iter().find(|fault| fault.name() == name)
    }
}

impl FromStr for Fault {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Fault, SpecError> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let needed = |name, example| value.ok_or(SpecError::NoValue { name, example });
        match name {
            "late" => Ok(Fault::Late(milliseconds(needed("late", "1500")?)?)),
            "slow" => Ok(Fault::Slow(milliseconds(needed("slow", "50")?)?)),
            "exception" => Ok(Fault::Exception(number(needed("exception", "2")?, 1, 255)?)),
            "length" => Ok(Fault::Length(number(value.unwrap_or("0"), 0, 65_535)?)),
            _ => match (Fault::without_value(name), value) {
                (Some(fault), None) => Ok(fault),
                (Some(_), Some(_)) => Err(SpecError::SomeValue { name: name.to_owned() }),
                (None, _) => Err(SpecError::Unknown { name: name.to_owned() }),
            },
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name();
        if let Fault::Late(time) | Fault::Slow(time) = self {
            write!(f, "{name}:{}", time.as_millis())
        } else if let Fault::Length(length) = self {
            write!(f, "{name}:{length}")
        } else if let Fault::Exception(code) = self {
            write!(f, "{name}:{code}")
        } else {
            f.write_str(name)
        }
    }
}

impl Scope {
    /// Every answer, for ever.
    pub const ALWAYS: Scope = Scope { unit: None, times: None };
    /// The next answer only.
    pub const ONCE: Scope = Scope { unit: None, times: Some(1) };

    /// Every answer of one unit.
    pub const fn unit(unit: u8) -> Scope {
        Scope { unit: Some(unit), times: None }
    }

    /// The same, for so many answers.
    #[must_use]
    pub const fn times(self, times: u32) -> Scope {
        Scope { times: Some(times), ..self }
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Rule {
        Rule { fault, scope: Scope::ALWAYS }
    }
}

impl FromStr for Rule {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Rule, SpecError> {
        let mut words = text.split_whitespace();
        let mut rule = Rule::from(words.next().unwrap_or_default().parse::<Fault>()?);
        for word in words {
            match word.split_once('=') {
                Some(("unit", value)) => rule.scope.unit = Some(number(value, 0, 255)?),
                Some(("times", value)) => rule.scope.times = Some(number(value, 1, u32::MAX.into())?),
                _ => return Err(SpecError::Word { word: word.to_owned() }),
            }
        }
        Ok(rule)
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        self.scope.unit.map_or(Ok(()), |unit| write!(f, " unit={unit}"))?;
        self.scope.times.map_or(Ok(()), |times| write!(f, " times={times}"))
    }
}

fn milliseconds(text: &str) -> Result<Duration, SpecError> {
    number(text, 0, MS_MAX).map(Duration::from_millis)
}

fn number<T: TryFrom<u64>>(text: &str, first: u64, last: u64) -> Result<T, SpecError> {
    let number = text.parse::<u64>().ok().filter(|number| (first..=last).contains(number));
    let error = || SpecError::Number { text: text.to_owned(), first, last };
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rule, SpecError> {
        text.parse()
    }

    #[test]
    fn every_name_is_a_fault_and_every_specification_reads_back() {
        for name in Fault::ALL_NAMES {
            let with_value = format!("{name}:7");
            let rule = parse(name).or_else(|_| parse(&with_value)).unwrap();
            assert_eq!(rule.fault.name(), name);
            let rule = Rule { scope: Scope::unit(3).times(2), ..rule };
            assert_eq!(parse(&rule.to_string()), Ok(rule));
        }
    }

    #[test]
    fn a_specification_is_a_fault_a_unit_and_a_number_of_times() {
        let late = Fault::Late(Duration::from_millis(1500));
        assert_eq!(parse("late:1500"), Ok(late.into()));
        assert_eq!(
            parse("late:1500  times=1 unit=3"),
            Ok(Rule { fault: late, scope: Scope::unit(3).times(1) })
        );
        assert_eq!(parse("length"), Ok(Fault::Length(0).into()));
        assert_eq!(parse("length:1"), Ok(Fault::Length(1).into()));
        assert_eq!(parse("exception:11"), Ok(Fault::Exception(11).into()));
    }

    #[test]
    fn a_specification_that_cannot_be_read_says_why() {
        for (text, expected) in [
            ("late", "late needs a value, such as late:1500"),
            ("late:soon", "\"soon\" is no number from 0 to 3600000"),
            ("late:3600001", "\"3600001\" is no number from 0 to 3600000"),
            ("exception:0", "\"0\" is no number from 1 to 255"),
            ("silent:3", "silent takes no value"),
            ("silent unit=256", "\"256\" is no number from 0 to 255"),
            ("silent times=0", "\"0\" is no number from 1 to 4294967295"),
            ("silent slow:3", "\"slow:3\" is neither unit=N nor times=N"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn an_unknown_fault_is_told_the_known_ones() {
        for text in ["explode", "", "Late:3"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(Fault::ALL_NAMES.iter().all(|name| error.contains(name)), "{error}");
        }
    }
}
