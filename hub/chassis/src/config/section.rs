//! First step of reading: every key found, of the right type, nothing unknown. What the values mean is left to
//! [`Configuration::check`](super::Configuration::check).

use std::path::Path;

use super::document::{Item, Node, Table, parse_file};
use super::{Configuration, Origin, Problems, suggest};

/// A value, its dotted key and where it was written.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// `storage.dir`; places in lists are numbers: `mqtt.listener.0.address`.
    pub key: String,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Found<T> {
    /// Reports a problem of this value; `None`, for the value that could not be made of it.
    pub fn report<V>(&self, message: impl Into<String>, problems: &mut Problems) -> Option<V> {
        problems.add(&self.origin, self.key.clone(), message);
        None
    }
}

/// A key's value; `None` when it is missing, or had the wrong type, which has then been reported.
pub type Maybe<T> = Option<Found<T>>;

/// A section while it is read: remembers which keys were asked for, and so which ones nobody knows.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    node: &'a Node,
    asked: Vec<&'static str>,
    prefix: &'static str,
    problems: &'a mut Problems,
}

/// Reads a whole tree.
pub(super) fn read<C: Configuration>(tree: &Node, problems: &mut Problems) -> C::Raw {
    let mut root = Section::new(String::new(), tree, C::ENVIRONMENT_PREFIX, problems);
    let raw = C::read(&mut root);
    root.refuse_unknown();
    raw
}

/// Reads a document that stands for itself, without layers below or above: a file of which there may be many. `read`
/// asks for every key there is; what it does not ask for is reported as unknown. Values are good only when `problems`
/// has stayed empty.
pub fn read_document<T>(
    path: &Path,
    text: &str,
    problems: &mut Problems,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> T {
    let tree = parse_file(path, text, problems);
    let mut root = Section::new(String::new(), &tree, "", problems);
    let value = read(&mut root);
    root.refuse_unknown();
    value
}

impl<'a> Section<'a> {
    fn new(path: String, node: &'a Node, prefix: &'static str, problems: &'a mut Problems) -> Section<'a> {
        if !matches!(node.item, Item::Table(_)) {
            problems.add(
                &node.origin,
                path.clone(),
                format!("must be a section, but {} was found", node.kind()),
            );
        }
        Section { path, node, asked: Vec::new(), prefix, problems }
    }

    /// Reads a section inside; a missing one is as good as an empty one.
    pub fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        const NOTHING: &Node = &Node { origin: Origin::Default, item: Item::Table(Table::new()) };
        let node = self.ask(name).unwrap_or(NOTHING);
        let mut inner = Section::new(self.key(name), node, self.prefix, self.problems);
        let value = read(&mut inner);
        inner.refuse_unknown();
        value
    }

    /// Reads a list of sections, `[[name]]`. `example` is a key of theirs, for advice.
    pub fn sections<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        read: impl Fn(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let Some(node) = self.ask(name) else { return Vec::new() };
        let key = self.key(name);
        let Item::List(list) = &node.item else {
            let message = if node.origin.is_plain_text() {
                format!(
                    "must be a list of sections; set their keys one by one, such as {}",
                    self.variable(&format!("{key}.0.{example}"))
                )
            } else {
                format!("must be a list of sections, but {} was found; write [[{key}]]", node.kind())
            };
            self.problems.add(&node.origin, key, message);
            return Vec::new();
        };
        let mut values = Vec::new();
        for (at, node) in list.iter().enumerate() {
            let mut inner = Section::new(format!("{key}.{at}"), node, self.prefix, self.problems);
            values.push(read(&mut inner));
            inner.refuse_unknown();
        }
        values
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Maybe<String> {
        let node = self.ask(name)?;
        match &node.item {
            Item::Text(text) => self.found(name, node, text.clone()),
            Item::Number(text) | Item::Other { text, .. } => {
                let message =
                    format!("must be text, but {} was found; write \"{text}\" in quotes", node.kind());
                self.wrong(name, node, message)
            }
            Item::Bool(_) | Item::List(_) | Item::Table(_) => self.wrong(
                name,
                node,
                format!("must be text, but {} was found; write it in quotes", node.kind()),
            ),
        }
    }

    /// A text with a unit of size, for [`byte_size`](super::byte_size).
    pub fn size(&mut self, name: &'static str) -> Maybe<String> {
        self.with_unit(name, "2GiB")
    }

    /// A text with a unit of time, for [`duration`](super::duration).
    pub fn duration(&mut self, name: &'static str) -> Maybe<String> {
        self.with_unit(name, "30s")
    }

    /// Quotes alone would not give a number its unit, so the advice is another one than that of a text.
    fn with_unit(&mut self, name: &'static str, example: &str) -> Maybe<String> {
        let node = self.ask(name)?;
        if let Item::Text(text) = &node.item {
            return self.found(name, node, text.clone());
        }
        let message =
            format!("must be text with a unit, such as \"{example}\", but {} was found", node.kind());
        self.wrong(name, node, message)
    }

    /// True or false.
    pub fn bool(&mut self, name: &'static str) -> Maybe<bool> {
        let node = self.ask(name)?;
        if let Item::Bool(bool) = node.item {
            return self.found(name, node, bool);
        }
        let message = if let Item::Text(text) = &node.item
            && node.origin.is_plain_text()
        {
            format!("must be true or false, but {text:?} was found")
        } else {
            format!("must be true or false (without quotes), but {} was found", node.kind())
        };
        self.wrong(name, node, message)
    }

    /// A whole number that is not negative; [`in_range`](super::in_range) bounds it.
    pub fn number(&mut self, name: &'static str) -> Maybe<u64> {
        let node = self.ask(name)?;
        let message = match &node.item {
            Item::Number(text) => match text.parse() {
                Ok(number) => return self.found(name, node, number),
                Err(_) => format!("must be a whole number from 0 on, but {text} was found"),
            },
            Item::Text(text) if node.origin.is_plain_text() => {
                format!("must be a whole number, but {text:?} was found")
            }
            Item::Other { text, .. } => format!("must be a whole number, but {text} was found"),
            Item::Text(_) | Item::Bool(_) | Item::List(_) | Item::Table(_) => {
                format!("must be a whole number (without quotes), but {} was found", node.kind())
            }
        };
        self.wrong(name, node, message)
    }

    /// A number, with or without a fraction.
    pub fn decimal(&mut self, name: &'static str) -> Maybe<f64> {
        let node = self.ask(name)?;
        let text = match &node.item {
            Item::Number(text) | Item::Other { text, .. } => text.as_str(),
            Item::Text(_) | Item::Bool(_) | Item::List(_) | Item::Table(_) => "",
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => self.found(name, node, number),
            _ => {
                let message =
                    format!("must be a number (without quotes), such as 0.1, but {} was found", node.kind());
                self.wrong(name, node, message)
            }
        }
    }

    /// A whole number or a text, as text: for what has more than one usual notation.
    pub fn number_or_text(&mut self, name: &'static str) -> Maybe<String> {
        let node = self.ask(name)?;
        match &node.item {
            Item::Number(text) | Item::Text(text) => self.found(name, node, text.clone()),
            Item::Other { .. } | Item::Bool(_) | Item::List(_) | Item::Table(_) => {
                let message = format!("must be a whole number or text, but {} was found", node.kind());
                self.wrong(name, node, message)
            }
        }
    }

    /// A section whose keys are free, each with a text.
    pub fn free_texts(&mut self, name: &'static str) -> Vec<(String, Found<String>)> {
        let Some(node) = self.ask(name) else { return Vec::new() };
        let Item::Table(table) = &node.item else {
            let message = format!("must be a section of names and texts, but {} was found", node.kind());
            self.wrong::<()>(name, node, message);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (inner, (_, node)) in table {
            let key = format!("{}.{inner}", self.key(name));
            if let Item::Text(text) = &node.item {
                let found = Found { value: text.clone(), key, origin: node.origin.clone() };
                texts.push((inner.clone(), found));
            } else {
                let message = format!("must be text, but {} was found; write it in quotes", node.kind());
                self.problems.add(&node.origin, key, message);
            }
        }
        texts
    }

    /// Where this section begins, for what its keys are only together.
    pub fn origin(&self) -> &Origin {
        &self.node.origin
    }

    /// A list of texts. One that is none is reported and left out.
    pub fn texts(&mut self, name: &'static str) -> Maybe<Vec<Found<String>>> {
        let node = self.ask(name)?;
        let Item::List(list) = &node.item else {
            let message = format!("must be a list of texts, but {} was found; write it in [ ]", node.kind());
            return self.wrong(name, node, message);
        };
        let mut texts = Vec::new();
        for (at, node) in list.iter().enumerate() {
            if let Item::Text(text) = &node.item {
                let key = format!("{}.{at}", self.key(name));
                texts.push(Found { value: text.clone(), key, origin: node.origin.clone() });
            } else {
                let message =
                    format!("must be a list of texts, but {} is in it; write it in quotes", node.kind());
                self.wrong::<()>(name, node, message);
            }
        }
        self.found(name, node, texts)
    }

    /// Reports a key that is not there, at the place of its section. For keys in lists: all others have defaults.
    /// `why` says who needs it and how it is written.
    pub fn require(&mut self, name: &str, why: &str) {
        if self.lookup(name).is_none() {
            let key = self.key(name);
            self.problems.add(&self.node.origin, key, format!("is missing; {why}"));
        }
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The variable of a key.
    fn variable(&self, key: &str) -> String {
        format!("{}{}", self.prefix, key.replace('.', "__").to_ascii_uppercase())
    }

    fn lookup(&self, name: &str) -> Option<&'a Node> {
        let Item::Table(table) = &self.node.item else { return None };
        table.get(name).map(|(_, node)| node)
    }

    fn ask(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        self.lookup(name)
    }

    fn found<T>(&self, name: &str, node: &Node, value: T) -> Maybe<T> {
        Some(Found { value, key: self.key(name), origin: node.origin.clone() })
    }

    fn wrong<T>(&mut self, name: &str, node: &Node, message: String) -> Maybe<T> {
        let key = self.key(name);
        self.problems.add(&node.origin, key, message);
        None
    }

    fn refuse_unknown(&mut self) {
        let Item::Table(table) = &self.node.item else { return };
        for (name, (origin, _)) in table.iter().filter(|(name, _)| !self.asked.contains(&name.as_str())) {
            let meant = suggest::nearest(name, self.asked.iter().copied());
            let message = match (meant, origin) {
                (Some(meant), Origin::Environment(_)) => {
                    format!("unknown key; did you mean `{}`?", self.variable(&self.key(meant)))
                }
                (Some(meant), _) => format!("unknown key; did you mean `{meant}`?"),
                (None, _) => format!("unknown key; known here: {}", self.asked.join(", ")),
            };
            self.problems.add(origin, self.key(name), message);
        }
    }
}
