//! `config show`: what is in force, as TOML that could be written to a file, or as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Loaded;
use super::document::{Item, Node, Table};

impl<C> Loaded<C> {
    /// The configuration in force as TOML; with `origins`, each key has the place it came from behind it.
    pub fn show_toml(&self, origins: bool) -> String {
        let mut text = String::new();
        if let Item::Table(root) = &self.tree.item {
            section(&mut text, "", root, origins);
        }
        text
    }

    /// The same as JSON: dotted key, value and origin of each.
    pub fn show_json(&self) -> Value {
        let mut keys = Vec::new();
        entries(&mut keys, "", &self.tree);
        json!({ "keys": keys })
    }
}

/// Plain keys first: in TOML everything after a header belongs to it.
fn section(text: &mut String, path: &str, table: &Table, origins: bool) {
    let is_section = |node: &Node| match &node.item {
        Item::Table(_) => true,
        Item::List(list) => list.iter().any(|node| matches!(node.item, Item::Table(_))),
        Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } => false,
    };
    let plain: Vec<_> = table.iter().filter(|(_, (_, node))| !is_section(node)).collect();
    for (name, (_, node)) in plain {
        let origin = if origins { format!("  # {}", node.origin) } else { String::new() };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name} = {}{origin}", literal(&node.item));
    }
    for (name, (_, node)) in table.iter().filter(|(_, (_, node))| is_section(node)) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match &node.item {
            Item::Table(inner) => {
                // A section that only holds sections needs no header of its own.
                if inner.values().any(|(_, node)| !is_section(node)) {
                    let _ = writeln!(text, "{}[{path}]", separator(text));
                }
                section(text, &path, inner, origins);
            }
            Item::List(list) => {
                for node in list {
                    let _ = writeln!(text, "{}[[{path}]]", separator(text));
                    if let Item::Table(inner) = &node.item {
                        section(text, &path, inner, origins);
                    }
                }
            }
            Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } => {}
        }
    }
}

fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

fn literal(item: &Item) -> String {
    match item {
        // A JSON string is a TOML basic string: same quotes, same escapes.
        Item::Text(text) => Value::from(text.as_str()).to_string(),
        Item::Bool(bool) => bool.to_string(),
        Item::Number(text) | Item::Other { text, .. } => text.clone(),
        Item::List(list) => {
            let items: Vec<String> = list.iter().map(|node| literal(&node.item)).collect();
            format!("[{}]", items.join(", "))
        }
        Item::Table(_) => String::from("{}"),
    }
}

fn entries(keys: &mut Vec<Value>, path: &str, node: &Node) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match &node.item {
        Item::Table(table) => {
            for (name, (_, node)) in table {
                entries(keys, &below(name), node);
            }
        }
        Item::List(list) if list.iter().any(|node| matches!(node.item, Item::Table(_))) => {
            for (at, node) in list.iter().enumerate() {
                entries(keys, &below(&at.to_string()), node);
            }
        }
        item @ (Item::Text(_) | Item::Bool(_) | Item::Number(_) | Item::Other { .. } | Item::List(_)) => {
            let mut entry = Map::new();
            entry.insert("key".into(), path.into());
            entry.insert("value".into(), json_of(item));
            entry.insert("origin".into(), node.origin.to_string().into());
            keys.push(Value::Object(entry));
        }
    }
}

fn json_of(item: &Item) -> Value {
    match item {
        Item::Text(text) | Item::Other { text, .. } => text.as_str().into(),
        Item::Bool(bool) => (*bool).into(),
        // Numbers that are in force have been read, so they fit.
        Item::Number(text) => text.parse::<u64>().map_or_else(|_| text.as_str().into(), Value::from),
        Item::List(list) => list.iter().map(|node| json_of(&node.item)).collect(),
        Item::Table(_) => Value::Null,
    }
}
