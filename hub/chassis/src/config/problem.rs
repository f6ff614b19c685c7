//! What is wrong with a configuration, for the person who wrote it.

use std::fmt;

use super::Origin;
use crate::cli::output::printable;

/// One problem: where, which key, and a sentence that says what, why and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The dotted key; empty for a text that is not TOML at all.
    pub key: String,
    /// What, why, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = printable(&self.origin.to_string());
        write!(f, "{place}: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", printable(&self.key))?;
        }
        f.write_str(&printable(&self.message))
    }
}

/// All problems of one configuration, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one. Quotes in the message are those of TOML; about a variable or flag it is told without them, lest
    /// somebody puts them into the value.
    pub fn add(&mut self, origin: &Origin, key: impl Into<String>, message: impl Into<String>) {
        let mut message = message.into();
        if origin.is_plain_text() {
            message = message.replace('"', "`");
        }
        self.0.push(Problem { origin: origin.clone(), key: key.into(), message });
    }

    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in those of another reader.
    pub fn extend(&mut self, more: Problems) {
        self.0.extend(more.0);
    }

    /// The first of them by place, and where there are more, how many.
    #[must_use]
    pub fn at_most(self, max: usize) -> Problems {
        let mut kept = self.sorted();
        let more = kept.len().saturating_sub(max);
        if more > 0 {
            kept.truncate(max);
            let origin = kept.last().map_or(Origin::Default, |last| last.origin.clone());
            let message = format!("and {more} more problems behind this one");
            kept.push(Problem { origin, key: String::new(), message });
        }
        Problems(kept)
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The problems, sorted by file, line and column.
    pub fn sorted(mut self) -> Vec<Problem> {
        self.0.sort_by(|a, b| a.origin.cmp(&b.origin));
        self.0
    }
}

/// Problems with a head, for people; each on its line.
pub fn told(problems: &[Problem]) -> String {
    let head = match problems.len() {
        1 => "the configuration has a problem:".to_owned(),
        count => format!("the configuration has {count} problems:"),
    };
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    format!("{head}\n{}", lines.join("\n"))
}
