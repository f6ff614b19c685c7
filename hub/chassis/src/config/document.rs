//! A TOML text as a tree in which every key and value knows where it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problems;

/// Where a value was written. Ordered as people look for it: file by line, then environment, then flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The embedded `default.toml`.
    Default,
    /// A place in a file.
    File {
        /// As it was named.
        path: Arc<Path>,
        /// From 1; 0 when the whole file is meant.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl Origin {
    /// Whether values from here are plain texts, in which quotes would count as letters.
    pub fn is_plain_text(&self) -> bool {
        matches!(self, Origin::Environment(_) | Origin::Flag(_))
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) item: Item,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Text(String),
    Bool(bool),
    /// A whole number, as it was written but for `_` and `+`.
    Number(String),
    /// A fraction or a date: no key takes one, so its text is enough to say what was found.
    Other {
        kind: &'static str,
        text: String,
    },
    List(Vec<Node>),
    Table(Table),
}

/// Keys with the place of the key itself, which is what "unknown key" points at.
pub(super) type Table = BTreeMap<String, (Origin, Node)>;

impl Node {
    /// What kind of value this is, for "found a …".
    pub(super) fn kind(&self) -> &'static str {
        match &self.item {
            Item::Text(_) => "text",
            Item::Bool(_) => "true or false",
            Item::Number(_) => "a number",
            Item::Other { kind, .. } => kind,
            Item::List(_) => "a list",
            Item::Table(_) => "a section",
        }
    }

    /// Lays `over` on top: sections join key by key, anything else is replaced.
    pub(super) fn overlay(&mut self, over: Node) {
        match (&mut self.item, over.item) {
            (Item::Table(below), Item::Table(above)) => {
                self.origin = over.origin;
                for (key, (key_origin, node)) in above {
                    match below.get_mut(&key) {
                        Some((known_at, known)) => {
                            *known_at = key_origin;
                            known.overlay(node);
                        }
                        None => {
                            below.insert(key, (key_origin, node));
                        }
                    }
                }
            }
            (item, above) => {
                *item = above;
                self.origin = over.origin;
            }
        }
    }
}

/// Parses the embedded defaults of a daemon.
///
/// # Panics
/// When they are not TOML, which is a bug of the daemon.
pub(super) fn parse_defaults(text: &str) -> Node {
    let mut problems = Problems::default();
    let node = parse(text, &|_| Origin::Default, &mut problems);
    assert!(problems.is_empty(), "the embedded defaults are TOML: {:?}", problems.sorted());
    node
}

/// Parses the text of a file. What is not TOML is reported with its place, and the rest is still returned.
pub(super) fn parse_file(path: &Path, text: &str, problems: &mut Problems) -> Node {
    let path: Arc<Path> = path.into();
    let lines = Lines::of(text);
    let place = move |offset: usize| {
        let (line, column) = lines.line_and_column(text, offset);
        Origin::File { path: path.clone(), line, column }
    };
    parse(text, &place, problems)
}

fn parse(text: &str, place: &dyn Fn(usize) -> Origin, problems: &mut Problems) -> Node {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = place(error.span().map_or(0, |span| span.start));
        problems.add(&at, "", format!("not TOML: {}", error.message()));
    }
    Node { origin: place(0), item: Item::Table(table(document.get_ref(), place)) }
}

fn table(table: &DeTable<'_>, place: &dyn Fn(usize) -> Origin) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (name.clone().into_owned(), (place(key.span().start), node(value, place)))
    };
    table.iter().map(entry).collect()
}

fn node(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Origin) -> Node {
    let item = match value.get_ref() {
        DeValue::String(text) => Item::Text(text.clone().into_owned()),
        DeValue::Boolean(bool) => Item::Bool(*bool),
        DeValue::Integer(number) => Item::Number(number.to_string()),
        DeValue::Float(number) => Item::Other { kind: "a number", text: number.to_string() },
        DeValue::Datetime(date) => Item::Other { kind: "a date", text: date.to_string() },
        DeValue::Array(array) => Item::List(array.iter().map(|value| node(value, place)).collect()),
        DeValue::Table(inner) => Item::Table(table(inner, place)),
    };
    Node { origin: place(value.span().start), item }
}

/// Where lines begin: looked up for every key and value of a file, which may have many.
struct Lines(Vec<usize>);

/// Columns are counted up to here: a file of one endless line has no place that a person would look for.
const COLUMN_BYTES_MAX: usize = 1_000;

impl Lines {
    fn of(text: &str) -> Lines {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(behind).collect())
    }

    /// From 1, the column in characters; one far behind is that of the last place counted.
    fn line_and_column(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = offset.min(text.len());
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0[line - 1];
        let mut end = offset.min(start + COLUMN_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        (line, text[start..end].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\n\u{e9}\u{e9} = 2\n";
        let place = |offset| Lines::of(text).line_and_column(text, offset);
        assert_eq!([place(0), place(6), place(10), place(999)], [(1, 1), (2, 1), (2, 3), (3, 1)]);
        let long = "x".repeat(5_000);
        assert_eq!(Lines::of(&long).line_and_column(&long, 4_000), (1, 1_001));
    }

    #[test]
    fn sections_join_and_lists_are_replaced() {
        let mut problems = Problems::default();
        let mut below = parse_defaults("[a]\nx = '1'\ny = '2'\nl = ['p', 'q']\n");
        below.overlay(parse_file(Path::new("f"), "[a]\ny = '3'\nl = ['r']\n", &mut problems));
        let Item::Table(root) = &below.item else { panic!() };
        let Item::Table(a) = &root["a"].1.item else { panic!() };
        assert_eq!(a["x"].1.item, Item::Text("1".into()));
        assert_eq!(a["y"].1.item, Item::Text("3".into()));
        assert_eq!(a["y"].0, Origin::File { path: Path::new("f").into(), line: 2, column: 1 });
        let Item::List(list) = &a["l"].1.item else { panic!() };
        assert_eq!(list.len(), 1);
    }
}
