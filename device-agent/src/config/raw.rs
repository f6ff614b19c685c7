//! Keys and their texts, layer over layer, each with the place it came from.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Every key there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Hub,
    Name,
    Interval,
    QueueDir,
    QueueMax,
    QueueMaxAge,
}

const KEYS: [(Key, &str); 6] = [
    (Key::Hub, "hub"),
    (Key::Name, "name"),
    (Key::Interval, "interval"),
    (Key::QueueDir, "queue.dir"),
    (Key::QueueMax, "queue.max"),
    (Key::QueueMaxAge, "queue.max_age"),
];

impl Key {
    fn name(self) -> &'static str {
        KEYS.iter().find(|(key, _)| *key == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Key> {
        KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
    }
}

fn unknown() -> String {
    let names: Vec<&str> = KEYS.iter().map(|(_, name)| *name).collect();
    format!("unknown key; keys are {}", names.join(", "))
}

/// The text of each key in the last layer that has it.
#[derive(Debug, Default)]
pub(super) struct Layers {
    texts: BTreeMap<Key, (String, String)>,
}

impl Layers {
    /// Lays a TOML text over what is there.
    pub(super) fn add_toml(&mut self, file: &str, text: &str, problems: &mut Vec<Problem>) {
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let column = before[line_start..].chars().count() + 1;
            format!("{file}:{}:{column}", before.matches('\n').count() + 1)
        };
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            problems.push(Problem { place: place(at), text: format!("not TOML: {}", error.message()) });
        }
        self.add_table(document.get_ref(), "", &place, problems);
    }

    fn add_table(
        &mut self,
        table: &DeTable<'_>,
        section: &str,
        place: &dyn Fn(usize) -> String,
        problems: &mut Vec<Problem>,
    ) {
        for (key, value) in table.iter() {
            let name = format!("{section}{}", key.get_ref());
            let value_place = place(value.span().start);
            let problem = match (value.get_ref(), Key::named(&name)) {
                (DeValue::Table(inner), None) if name == "queue" => {
                    self.add_table(inner, "queue.", place, problems);
                    continue;
                }
                (DeValue::String(text), Some(key)) => {
                    self.texts.insert(key, (value_place, text.clone().into_owned()));
                    continue;
                }
                (other, Some(_)) => (value_place, format!("found {}; write a text in quotes", kind(other))),
                (other, None) if name == "queue" => {
                    (value_place, format!("found {}; it is a section", kind(other)))
                }
                (_, None) => (place(key_start(key)), unknown()),
            };
            problems.push(Problem { place: problem.0, text: format!("{name}: {}", problem.1) });
        }
    }

    /// Lays variables over what is there: `RELAIS__QUEUE__MAX` is `queue.max`.
    pub(super) fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) {
        for (variable, value) in variables {
            let place = format!("environment {variable}");
            let name = variable.trim_start_matches(super::VARIABLE_PREFIX).replace("__", ".");
            let upper = name == name.to_ascii_uppercase();
            match Key::named(&name.to_ascii_lowercase()).filter(|_| upper) {
                Some(key) => {
                    self.texts.insert(key, (place, value));
                }
                None => problems.push(Problem { place, text: unknown() }),
            }
        }
    }

    /// The checked value of a key; `None` after a problem.
    pub(super) fn parse<T>(
        &self,
        key: Key,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (place, text) = self.texts.get(&key)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                problems.push(Problem { place: place.clone(), text: format!("{}: {why}", key.name()) });
                None
            }
        }
    }
}

fn key_start<T>(key: &Spanned<T>) -> usize {
    key.span().start
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
