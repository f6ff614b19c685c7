//! The contexts, and their text:
//!
//! ```toml
//! current = "production"
//!
//! [context.production]
//! url = "https://central.example:7444"
//! token = "relais-admin-v1.…"
//! ```
//!
//! Errors name the line and never show it: it may be the one with the token.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hub_chassis::cli::Failure;
use northbound_wire::AdminToken;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ContextName;
use crate::address::Address;

/// A central and the right to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) address: Address,
    /// Its `Debug` leaves the secret out.
    pub(crate) token: AdminToken,
}

/// All of them, and the one in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contexts {
    pub(super) current: Option<ContextName>,
    pub(super) by_name: BTreeMap<ContextName, Access>,
}

/// Why a text has no contexts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub(super) struct ContextsError {
    line: usize,
    what: String,
}

impl Contexts {
    /// The one of this name.
    pub(super) fn get(&self, name: &ContextName) -> Result<&Access, Failure> {
        self.by_name.get(name).ok_or_else(|| {
            let rest = if self.by_name.is_empty() {
                "there is none yet".to_owned()
            } else {
                format!("there are: {}", self.names())
            };
            Failure::failed(format!("there is no context {name}; {rest}; add it with `relais context add`"))
        })
    }

    /// Takes one out; whether it was the one in use.
    pub(super) fn remove(&mut self, name: &ContextName) -> Result<bool, Failure> {
        self.get(name)?;
        self.by_name.remove(name);
        Ok(self.current.take_if(|current| current == name).is_some())
    }

    /// For a sentence.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.by_name.keys().map(ContextName::as_str).collect();
        names.join(", ")
    }

    /// The text of the file, tokens included.
    pub(super) fn reveal(&self) -> String {
        let mut text = String::from("# Written by `relais context`. Holds tokens: keep it to yourself.\n");
        // Names, addresses and tokens have no character that TOML would want escaped. Writing to a `String` cannot fail.
        if let Some(current) = &self.current {
            let _ = writeln!(text, "current = \"{current}\"");
        }
        for (name, Access { address, token }) in &self.by_name {
            let _ =
                write!(text, "\n[context.\"{name}\"]\nurl = \"{address}\"\ntoken = \"{}\"\n", token.reveal());
        }
        text
    }

    /// Reads the text of the file.
    pub(super) fn parse(text: &str) -> Result<Contexts, ContextsError> {
        let wrong = |at: usize, what: String| {
            let line = text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
            ContextsError { line, what }
        };
        let document = DeTable::parse(text).map_err(|error| {
            wrong(error.span().map_or(0, |span| span.start), "this is not TOML".to_owned())
        })?;
        let mut contexts = Contexts::default();
        for (key, value) in document.into_inner() {
            match key.get_ref().as_ref() {
                "current" => contexts.current = Some(read(&value, &wrong)?),
                "context" => {
                    for (name, entry) in table(&value, &wrong)? {
                        let known = name.get_ref().parse();
                        let known: ContextName =
                            known.map_err(|error| wrong(name.span().start, format!("{error}")))?;
                        contexts.by_name.insert(known, access(entry, &wrong)?);
                    }
                }
                _ => return Err(unknown_key(key.span().start, &wrong)),
            }
        }
        Ok(contexts)
    }
}

type Wrong<'a> = &'a dyn Fn(usize, String) -> ContextsError;

fn access(entry: &Spanned<DeValue<'_>>, wrong: Wrong<'_>) -> Result<Access, ContextsError> {
    let (mut address, mut token) = (None, None);
    for (key, value) in table(entry, wrong)? {
        match key.get_ref().as_ref() {
            "url" => address = Some(read(value, wrong)?),
            "token" => token = Some(read(value, wrong)?),
            _ => return Err(unknown_key(key.span().start, wrong)),
        }
    }
    let missing = |what: &str| wrong(entry.span().start, format!("the context has no {what}"));
    Ok(Access {
        address: address.ok_or_else(|| missing("url"))?,
        token: token.ok_or_else(|| missing("token"))?,
    })
}

fn unknown_key(at: usize, wrong: Wrong<'_>) -> ContextsError {
    wrong(at, "unknown key; was this file written by a newer relais?".to_owned())
}

fn table<'a>(value: &'a Spanned<DeValue<'_>>, wrong: Wrong<'_>) -> Result<&'a DeTable<'a>, ContextsError> {
    let found = value.get_ref().as_table();
    found.ok_or_else(|| wrong(value.span().start, "a section is expected here".to_owned()))
}

/// A text, understood. Errors of what is read do not show it.
fn read<T: std::str::FromStr>(value: &Spanned<DeValue<'_>>, wrong: Wrong<'_>) -> Result<T, ContextsError>
where
    T::Err: std::fmt::Display,
{
    let at = value.span().start;
    let text = value.get_ref().as_str().ok_or_else(|| wrong(at, "a text is expected here".to_owned()))?;
    text.parse().map_err(|error: T::Err| wrong(at, error.to_string()))
}

#[cfg(test)]
mod tests {
    use northbound_wire::{Fingerprint, TokenSecret};

    use super::*;

    fn access_of(secret: u8) -> Access {
        let token = AdminToken { secret: TokenSecret([secret; 32]), root: Fingerprint([2; 32]) };
        Access { address: "https://central.example:7444".parse().unwrap(), token }
    }

    fn contexts() -> Contexts {
        let name = |text: &str| text.parse::<ContextName>().unwrap();
        let by_name = [(name("lab.2"), access_of(7)), (name("production"), access_of(9))].into();
        Contexts { current: Some(name("production")), by_name }
    }

    #[test]
    fn contexts_survive_their_text() {
        for contexts in [contexts(), Contexts::default()] {
            assert_eq!(Contexts::parse(&contexts.reveal()), Ok(contexts));
        }
        assert_eq!(Contexts::parse(""), Ok(Contexts::default()));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_by_line_and_never_shown() {
        let secret = access_of(7).token.reveal();
        let check = |text: String, expected: &str| {
            let message = Contexts::parse(&text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
            assert!(!message.contains("relais-admin-v1.") && !message.contains("BwcH"), "{message}");
        };
        check(format!("current = \"a\"\ntoken = {secret}"), "line 2: this is not TOML");
        check(format!("\n[context.a]\ntoken = \"{secret}\""), "line 2: the context has no url");
        check(
            format!("[context.a]\nurl = \"https://a\"\ntoken = \"x{secret}\""),
            "line 3: this is not a token",
        );
        check(format!("[context.a]\nurl = \"{secret}\""), "line 2: it does not begin with https://");
        check(format!("[context.a]\nurl = \"https://a\"\n\"{secret}\" = 1"), "line 3: unknown key");
        check("current = 3".into(), "line 1: a text is expected here");
        check("context = 3".into(), "line 1: a section is expected here");
        check("[context.\"a b\"]".into(), "line 1: a name has 1 to 64");
        check("colour = 3".into(), "line 1: unknown key");
    }

    #[test]
    fn what_is_removed_is_not_in_use_any_more() {
        let mut contexts = contexts();
        assert_eq!(contexts.remove(&"lab.2".parse().unwrap()), Ok(false));
        assert_eq!(contexts.remove(&"production".parse().unwrap()), Ok(true));
        assert_eq!(contexts, Contexts::default());
        let Failure::Told(_, message) = contexts.remove(&"lab.2".parse().unwrap()).unwrap_err() else {
            panic!()
        };
        assert!(message.contains("there is no context lab.2; there is none yet"), "{message}");
    }

    #[test]
    fn no_secret_is_in_debug() {
        assert!(!format!("{:?}", contexts()).contains("BwcH"));
    }
}
