//! Names of contexts.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest name, in characters.
const LENGTH_MAX: usize = 64;

/// 1 to 64 letters, digits, `-`, `_` and `.`; the first is a letter or digit. Fit for a shell, a key of TOML and a
/// terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContextName(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name has 1 to {LENGTH_MAX} letters, digits, -, _ and ., and begins with a letter or digit")]
pub(crate) struct ContextNameError;

impl ContextName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContextName {
    type Err = ContextNameError;

    fn from_str(text: &str) -> Result<ContextName, ContextNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let is_name = begins_well && text.len() <= LENGTH_MAX && text.bytes().all(allowed);
        if is_name { Ok(ContextName(text.to_owned())) } else { Err(ContextNameError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["production", "lab-2", "a.b_c", "7"] {
            assert_eq!(good.parse::<ContextName>().unwrap().as_str(), good);
        }
        for wrong in ["", "-a", ".", "a b", "a/b", "caf\u{e9}", "a\u{1b}", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<ContextName>(), Err(ContextNameError), "{wrong:?}");
        }
    }
}
