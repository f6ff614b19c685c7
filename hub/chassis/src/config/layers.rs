//! The layers a configuration is made of: defaults, file, environment, flags; later ones win.

use std::path::{Path, PathBuf};

use super::check::{check, warn};
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
    file: Option<PathBuf>,
    warnings: Vec<Problem>,
}

impl Loaded {
    /// The file that was read, as it was named; `None` when there was none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What is allowed and hardly meant, in order of place.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl Layers {
    /// Lays the layers on each other and checks the result. On failure: every problem, in order of place.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        let mut problems = Problems::default();
        let defaults = parse_defaults(DEFAULT_TOML);
        let mut tree = defaults.clone();
        if let Some((path, text)) = &self.file {
            tree.overlay(parse_file(path, text, &mut problems));
        }
        complete_listeners(&mut tree);
        let mut set = |path: &[String], value: &str, origin: &Origin, problems: &mut Problems| {
            let item = typed(wanted(&defaults, path), value, origin);
            set(&mut tree, path, Node { origin: origin.clone(), item }, problems);
        };
        for (name, value) in &self.environment {
            if let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
                set(&path, value, &Origin::Environment(name.clone()), &mut problems);
            }
        }
        for (key, value, flag) in &self.flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            set(&path, value, &Origin::Flag(flag), &mut problems);
        }
        complete_listeners(&mut tree);
        let raw = RawConfig::read(&tree, &mut problems);
        match check(&raw, &mut problems) {
            Some(config) if problems.is_empty() => {
                let file = self.file.as_ref().map(|(path, _)| path.clone());
                Ok(Loaded { config, tree, file, warnings: warn(&raw).sorted() })
            }
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

/// What holds for a listener that does not say it, so that all that is in force can be shown. The address has no
/// default: that a listener lacks it is reported.
fn complete_listeners(tree: &mut Node) {
    let Item::Table(root) = &mut tree.item else { return };
    let Some((_, Node { item: Item::Table(mqtt), .. })) = root.get_mut("mqtt") else { return };
    let Some((_, Node { item: Item::List(listeners), .. })) = mqtt.get_mut("listener") else { return };
    for listener in listeners {
        let Item::Table(keys) = &mut listener.item else { continue };
        let left_out = [("transport", Item::Text("tcp".to_owned())), ("anonymous", Item::Bool(false))];
        for (key, item) in left_out {
            let node = Node { origin: Origin::Default, item };
            keys.entry(key.to_owned()).or_insert((Origin::Default, node));
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

/// What `default.toml` has at a path: it has every key, and so says what type each one wants. All places of a list
/// are like its first.
fn wanted<'a>(defaults: &'a Node, path: &[String]) -> Option<&'a Item> {
    let Some((first, rest)) = path.split_first() else { return Some(&defaults.item) };
    match &defaults.item {
        Item::Table(table) => wanted(&table.get(first)?.1, rest),
        Item::List(list) => wanted(list.first()?, rest),
        Item::Text(_) | Item::Bool(_) | Item::Other { .. } => None,
    }
}

/// A variable is a text, whatever it looks like, unless its key wants something else.
fn typed(wanted: Option<&Item>, value: &str, origin: &Origin) -> Item {
    let text = |text: &str| Item::Text(text.to_owned());
    match (wanted, value) {
        // A list of sections has no form in one variable: each of its keys has its own.
        (Some(Item::List(list)), _) if list.iter().all(|node| !matches!(node.item, Item::Table(_))) => {
            let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
            Item::List(texts.map(|value| Node { origin: origin.clone(), item: text(value) }).collect())
        }
        (Some(Item::Bool(_)), "true") => Item::Bool(true),
        (Some(Item::Bool(_)), "false") => Item::Bool(false),
        _ => text(value),
    }
}
