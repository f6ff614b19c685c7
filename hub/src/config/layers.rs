//! The layers a configuration is made of: defaults, file, environment, flags; later ones win.

use std::path::{Path, PathBuf};

use super::check::check;
use super::document::{Item, Node, Table, parse_defaults, parse_file};
use super::raw::RawConfig;
use super::{Config, DEFAULT_TOML, Origin, Problem, Problems};

/// What every variable of ours begins with. Two underscores: `RELAIS_LOG` and `RELAIS_SOCKET` are no keys.
const ENVIRONMENT_PREFIX: &str = "RELAIS__";

/// Everything a configuration is read from. Nothing here reads files or the environment: `main` does.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The user's file: how it was named, and its text.
    pub file: Option<(PathBuf, String)>,
    /// Variables; those that do not begin with `RELAIS__` are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags: dotted key, value, the flag's name.
    pub flags: Vec<(&'static str, String, &'static str)>,
}

/// A good configuration, and the tree it came from for `config show`.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    pub(super) tree: Node,
}

impl Layers {
    /// Lays the layers on each other and checks the result. On failure: every problem, in order of place.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut tree = parse_defaults(DEFAULT_TOML);
        if let Some((path, text)) = &self.file {
            tree.overlay(parse_file(path, text, &mut problems));
        }
        for (name, value) in &self.environment {
            if let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
                set(&mut tree, &path, value, &Origin::Environment(name.clone()), &mut problems);
            }
        }
        for (key, value, flag) in &self.flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            set(&mut tree, &path, value, &Origin::Flag(flag), &mut problems);
        }
        let raw = RawConfig::read(&tree, &mut problems);
        match check(&raw, &mut problems) {
            Some(config) if problems.is_empty() => Ok(Loaded { config, tree }),
            _ => Err(problems.sorted()),
        }
    }

    /// Reads the file at `path`; the error is one problem that says why it cannot be read.
    pub fn read_file(&mut self, path: &Path) -> Result<(), Box<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Box::new(Problem {
                origin: Origin::File { path: path.into(), line: 0, column: 0 },
                key: String::new(),
                message: format!("cannot be read: {error}; name another file with --config"),
            })
        })?;
        self.file = Some((path.into(), text));
        Ok(())
    }
}

/// Puts one text at a path, in the type of what is there. An unknown path is put in too: the reader of the tree
/// then reports it like any unknown key.
fn set(node: &mut Node, path: &[String], value: &str, origin: &Origin, problems: &mut Problems) {
    let Some((first, rest)) = path.split_first() else {
        let item = typed(&node.item, value, origin);
        *node = Node { origin: origin.clone(), item };
        return;
    };
    if let Item::List(list) = &mut node.item {
        let at = first.parse::<usize>().ok();
        match at.filter(|&at| at <= list.len()) {
            Some(at) => {
                if at == list.len() {
                    list.push(Node { origin: origin.clone(), item: Item::Table(Table::new()) });
                }
                set(&mut list[at], rest, value, origin, problems);
            }
            None => problems.add(
                origin,
                path.join("."),
                format!(
                    "{first:?} is no place in this list of {}; number them from 0 without holes",
                    list.len()
                ),
            ),
        }
        return;
    }
    if !matches!(node.item, Item::Table(_)) {
        problems.add(
            origin,
            path.join("."),
            "there is nothing below this key; drop what follows the last \"__\"",
        );
        return;
    }
    let Item::Table(table) = &mut node.item else { return };
    let empty = if rest.is_empty() { Item::Text(String::new()) } else { Item::Table(Table::new()) };
    let entry = table
        .entry(first.clone())
        .or_insert_with(|| (origin.clone(), Node { origin: origin.clone(), item: empty }));
    entry.0 = origin.clone();
    set(&mut entry.1, rest, value, origin, problems);
}

/// A variable has no type of its own: it takes that of the value below it. `true` and `false` are never meant as
/// text, for no key takes those words.
fn typed(below: &Item, value: &str, origin: &Origin) -> Item {
    match (below, value) {
        (Item::List(_), _) => {
            let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
            let node = |text: &str| Node { origin: origin.clone(), item: Item::Text(text.to_owned()) };
            Item::List(texts.map(node).collect())
        }
        (_, "true") => Item::Bool(true),
        (_, "false") => Item::Bool(false),
        _ => Item::Text(value.to_owned()),
    }
}
