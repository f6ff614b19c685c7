//! The layers a configuration is made of: defaults, files, environment, flags; later ones win.

use std::path::{Path, PathBuf};

use super::document::{Item, Node, Table, parse_defaults, parse_file};
use super::folder::read_text;
use super::section::read;
use super::{Configuration, DefaultValue, ListDefault, Origin, Problem, Problems};

/// Everything a configuration is read from. Nothing here reads the environment: [`load`](super::load) does.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The user's files, each with how it was named and its text; those behind win over those before.
    pub files: Vec<(PathBuf, String)>,
    /// Variables; those that do not begin with [`Configuration::ENVIRONMENT_PREFIX`] are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
}

/// A flag of the command line that stands for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As people write it: `--socket`.
    pub name: &'static str,
    /// The dotted key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// A good configuration, and the tree it came from for `config show`.
#[derive(Clone, Debug)]
pub struct Loaded<C> {
    /// The checked values.
    pub config: C,
    pub(super) tree: Node,
    files: Vec<PathBuf>,
    warnings: Vec<Problem>,
}

impl<C> Loaded<C> {
    /// The files that were read, as they were named.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where the value of a dotted key comes from; `None` where there is no such key.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let mut node = &self.tree;
        for name in key.split('.') {
            node = match &node.item {
                Item::Table(table) => &table.get(name)?.1,
                Item::List(list) => list.get(name.parse::<usize>().ok()?)?,
                Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } => return None,
            };
        }
        Some(&node.origin)
    }

    /// What is allowed and hardly meant, in order of place.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Reads a daemon's embedded defaults alone. For its tests: every key that is read must be there.
pub fn read_defaults<C: Configuration>() -> Result<C::Raw, Vec<Problem>> {
    let mut problems = Problems::default();
    let raw = read::<C>(&parse_defaults(C::DEFAULT_TOML), &mut problems);
    if problems.is_empty() { Ok(raw) } else { Err(problems.sorted()) }
}

/// The keys of a daemon's embedded defaults that have no comment above, with their line. For its tests.
pub fn uncommented_defaults<C: Configuration>() -> Vec<(usize, &'static str)> {
    let mut above = "";
    let mut found = Vec::new();
    for (at, line) in C::DEFAULT_TOML.lines().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') && !above.starts_with("# ") {
            found.push((at + 1, line));
        }
        above = line;
    }
    found
}

impl Layers {
    /// Lays the layers on each other and checks the result. On failure: every problem, in order of place.
    pub fn load<C: Configuration>(&self) -> Result<Loaded<C>, Vec<Problem>> {
        let mut problems = Problems::default();
        let tree = self.tree::<C>(&mut problems);
        let raw = read::<C>(&tree, &mut problems);
        match C::check(&raw, &mut problems) {
            Some(config) if problems.is_empty() => {
                let files = self.files.iter().map(|(path, _)| path.clone()).collect();
                let mut warnings = Problems::default();
                C::warn(&raw, &mut warnings);
                Ok(Loaded { config, tree, files, warnings: warnings.sorted() })
            }
            _ => Err(problems.sorted()),
        }
    }

    fn tree<C: Configuration>(&self, problems: &mut Problems) -> Node {
        let defaults = parse_defaults(C::DEFAULT_TOML);
        let mut tree = defaults.clone();
        for (path, text) in &self.files {
            tree.overlay(parse_file(path, text, problems));
        }
        complete(&mut tree, C::LIST_DEFAULTS);
        let mut set = |path: &[String], value: &str, origin: &Origin| {
            let item = typed(wanted(&defaults, path), value, origin);
            set(&mut tree, path, Node { origin: origin.clone(), item }, problems);
        };
        for (name, value) in &self.environment {
            if let Some(rest) = name.strip_prefix(C::ENVIRONMENT_PREFIX) {
                let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
                set(&path, value, &Origin::Environment(name.clone()));
            }
        }
        for Flag { name, key, value } in &self.flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            set(&path, value, &Origin::Flag(name));
        }
        complete(&mut tree, C::LIST_DEFAULTS);
        tree
    }

    /// Reads the file at `path`; the error is one problem that says why it cannot be read.
    pub fn read_file(&mut self, path: &Path) -> Result<(), Box<Problem>> {
        let text = read_text(path).map_err(|why| {
            Box::new(Problem {
                origin: Origin::File { path: path.into(), line: 0, column: 0 },
                key: String::new(),
                message: format!("{why}; name another file with --config"),
            })
        })?;
        self.files.push((path.into(), text));
        Ok(())
    }
}

/// Puts in what sections of lists leave out.
fn complete(tree: &mut Node, defaults: &[ListDefault]) {
    for default in defaults {
        let mut node = Some(&mut *tree);
        for name in default.list.split('.') {
            node = node.and_then(|node| match &mut node.item {
                Item::Table(table) => table.get_mut(name).map(|(_, inner)| inner),
                Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } | Item::List(_) => None,
            });
        }
        let Some(Node { item: Item::List(sections), .. }) = node else { continue };
        for section in sections {
            let Item::Table(keys) = &mut section.item else { continue };
            let item = match default.value {
                DefaultValue::Text(text) => Item::Text(text.to_owned()),
                DefaultValue::Bool(bool) => Item::Bool(bool),
                DefaultValue::Number(number) => Item::Number(number.to_string()),
            };
            let node = Node { origin: Origin::Default, item };
            keys.entry(default.key.to_owned()).or_insert((Origin::Default, node));
        }
    }
}

/// Puts a value at a path. An unknown path is put in too: the reader of the tree then reports it like any unknown
/// key.
fn set(node: &mut Node, path: &[String], value: Node, problems: &mut Problems) {
    let Some((first, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let origin = value.origin.clone();
    if let Item::List(list) = &mut node.item {
        let at = first.parse::<usize>().ok();
        match at.filter(|&at| at <= list.len()) {
            Some(at) => {
                if at == list.len() {
                    list.push(Node { origin, item: Item::Table(Table::new()) });
                }
                set(&mut list[at], rest, value, problems);
            }
            None => problems.add(
                &origin,
                path.join("."),
                format!(
                    "`{first}` is no place in this list of {}; number them from 0 without holes",
                    list.len()
                ),
            ),
        }
        return;
    }
    let Item::Table(table) = &mut node.item else {
        problems.add(
            &origin,
            path.join("."),
            "there is nothing below this key; drop what follows the last `__`",
        );
        return;
    };
    let empty = Node { origin: origin.clone(), item: Item::Table(Table::new()) };
    let entry = table.entry(first.clone()).or_insert((origin.clone(), empty));
    entry.0 = origin;
    set(&mut entry.1, rest, value, problems);
}

/// What the defaults have at a path: they have every key, and so say what type each one wants. All places of a list
/// are like its first.
fn wanted<'a>(defaults: &'a Node, path: &[String]) -> Option<&'a Item> {
    let Some((first, rest)) = path.split_first() else { return Some(&defaults.item) };
    match &defaults.item {
        Item::Table(table) => wanted(&table.get(first)?.1, rest),
        Item::List(list) => wanted(list.first()?, rest),
        Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } => None,
    }
}

/// A variable is a text, whatever it looks like, unless its key wants something else.
fn typed(wanted: Option<&Item>, value: &str, origin: &Origin) -> Item {
    let text = |text: &str| Item::Text(text.to_owned());
    let number = value.parse::<u64>();
    match (wanted, value) {
        // A list of sections has no form in one variable: each of its keys has its own.
        (Some(Item::List(list)), _) if list.iter().all(|node| !matches!(node.item, Item::Table(_))) => {
            let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
            Item::List(texts.map(|value| Node { origin: origin.clone(), item: text(value) }).collect())
        }
        (Some(Item::Bool(_)), "true") => Item::Bool(true),
        (Some(Item::Bool(_)), "false") => Item::Bool(false),
        (Some(Item::Number(_)), _) => number.map_or_else(|_| text(value), |n| Item::Number(n.to_string())),
        _ => text(value),
    }
}
