//! First step: every key found, of the right type, nothing unknown. What the values mean is left to
//! [`super::check`].

use super::document::{Item, Node};
use super::{Origin, Problems, suggest};

/// A value, its dotted key and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) key: String,
    pub(super) origin: Origin,
}

/// A key's value; `None` when what was found had the wrong type, which has then been reported.
pub(super) type Maybe<T> = Option<Found<T>>;

/// The keys, as written. Adding one here asks for its line and comment in `default.toml` (a test looks).
#[derive(Debug)]
pub(super) struct RawConfig {
    pub(super) site_name: Maybe<String>,
    pub(super) storage_dir: Maybe<String>,
    pub(super) storage_quota: Maybe<String>,
    pub(super) mqtt_listeners: Vec<RawListener>,
    pub(super) web_listen: Maybe<String>,
    pub(super) web_hosts: Vec<Found<String>>,
    pub(super) web_hosts_at: Option<Origin>,
    pub(super) socket_path: Maybe<String>,
}

/// One `[[mqtt.listener]]`.
#[derive(Debug)]
pub(super) struct RawListener {
    pub(super) address: Maybe<String>,
    pub(super) transport: Maybe<String>,
    pub(super) anonymous: Maybe<bool>,
}

impl RawConfig {
    /// Reads a tree that has the defaults at its bottom, so that a missing key can only be one in a list.
    pub(super) fn read(tree: &Node, problems: &mut Problems) -> RawConfig {
        let mut root = Section::new(String::new(), tree, problems);
        let site_name = root.section("site", |site| site.text("name"));
        let (storage_dir, storage_quota) =
            root.section("storage", |storage| (storage.text("dir"), storage.size("quota")));
        let mqtt_listeners = root.section("mqtt", |mqtt| mqtt.sections("listener", RawListener::read));
        let (web_listen, (web_hosts_at, web_hosts)) =
            root.section("web", |web| (web.text("listen"), web.texts("hosts")));
        let socket_path = root.section("socket", |socket| socket.text("path"));
        root.refuse_unknown();
        RawConfig {
            site_name,
            storage_dir,
            storage_quota,
            mqtt_listeners,
            web_listen,
            web_hosts,
            web_hosts_at,
            socket_path,
        }
    }
}

impl RawListener {
    fn read(listener: &mut Section<'_>) -> RawListener {
        let address = listener.text("address");
        if address.is_none() && listener.lookup("address").is_none() {
            let message =
                "is missing; every listener needs an IP address and port, such as \"127.0.0.1:1883\"";
            let key = listener.key("address");
            listener.problems.add(&listener.node.origin, key, message);
        }
        RawListener { address, transport: listener.text("transport"), anonymous: listener.bool("anonymous") }
    }
}

/// A section while it is read: remembers which keys were asked for, and so which ones nobody knows.
struct Section<'a> {
    path: String,
    node: &'a Node,
    asked: Vec<&'static str>,
    problems: &'a mut Problems,
}

impl<'a> Section<'a> {
    fn new(path: String, node: &'a Node, problems: &'a mut Problems) -> Section<'a> {
        if !matches!(node.item, Item::Table(_)) {
            problems.add(
                &node.origin,
                path.clone(),
                format!("must be a section, but {} was found", node.kind()),
            );
        }
        Section { path, node, asked: Vec::new(), problems }
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn lookup(&self, name: &str) -> Option<&'a Node> {
        let Item::Table(table) = &self.node.item else { return None };
        table.get(name).map(|(_, node)| node)
    }

    fn ask(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        self.lookup(name)
    }

    fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        const NOTHING: &Node =
            &Node { origin: Origin::Default, item: Item::Table(super::document::Table::new()) };
        let node = self.ask(name).unwrap_or(NOTHING);
        let mut inner = Section::new(self.key(name), node, self.problems);
        let value = read(&mut inner);
        inner.refuse_unknown();
        value
    }

    fn sections<T>(&mut self, name: &'static str, read: impl Fn(&mut Section<'_>) -> T) -> Vec<T> {
        let Some(node) = self.ask(name) else { return Vec::new() };
        let key = self.key(name);
        let Item::List(list) = &node.item else {
            let message = if node.origin.is_plain_text() {
                format!(
                    "must be a list of sections; set their keys one by one, such as {}",
                    variable(&format!("{key}.0.address"))
                )
            } else {
                format!("must be a list of sections, but {} was found; write [[{key}]]", node.kind())
            };
            self.problems.add(&node.origin, key, message);
            return Vec::new();
        };
        let mut values = Vec::new();
        for (at, node) in list.iter().enumerate() {
            let mut inner = Section::new(format!("{key}.{at}"), node, self.problems);
            values.push(read(&mut inner));
            inner.refuse_unknown();
        }
        values
    }

    fn text(&mut self, name: &'static str) -> Maybe<String> {
        let node = self.ask(name)?;
        match &node.item {
            Item::Text(text) => self.found(name, node, text.clone()),
            Item::Other { text, .. } => {
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

    /// A text with a unit: quotes alone would not make a number one.
    fn size(&mut self, name: &'static str) -> Maybe<String> {
        let node = self.ask(name)?;
        if let Item::Text(text) = &node.item {
            return self.found(name, node, text.clone());
        }
        let message = format!("must be text with a unit, such as \"2GiB\", but {} was found", node.kind());
        self.wrong(name, node, message)
    }

    fn bool(&mut self, name: &'static str) -> Maybe<bool> {
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

    /// The list's place and its texts.
    fn texts(&mut self, name: &'static str) -> (Option<Origin>, Vec<Found<String>>) {
        let Some(node) = self.ask(name) else { return (None, Vec::new()) };
        let Item::List(list) = &node.item else {
            self.wrong::<()>(
                name,
                node,
                format!("must be a list of texts, but {} was found; write it in [ ]", node.kind()),
            );
            return (None, Vec::new());
        };
        let mut texts = Vec::new();
        for (at, node) in list.iter().enumerate() {
            match &node.item {
                Item::Text(text) => texts.push(Found {
                    value: text.clone(),
                    key: format!("{}.{at}", self.key(name)),
                    origin: node.origin.clone(),
                }),
                Item::Bool(_) | Item::Other { .. } | Item::List(_) | Item::Table(_) => {
                    self.wrong::<()>(
                        name,
                        node,
                        format!("must be a list of texts, but {} is in it; write it in quotes", node.kind()),
                    );
                }
            }
        }
        (Some(node.origin.clone()), texts)
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
                    format!("unknown key; did you mean `{}`?", variable(&self.key(meant)))
                }
                (Some(meant), _) => format!("unknown key; did you mean `{meant}`?"),
                (None, _) => format!("unknown key; known here: {}", self.asked.join(", ")),
            };
            self.problems.add(origin, self.key(name), message);
        }
    }
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("RELAIS__{}", key.replace('.', "__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT_TOML;
    use super::super::document::{Table, parse_defaults};
    use super::*;

    #[test]
    fn every_key_is_in_the_default_file_with_a_comment_above() {
        let mut problems = Problems::default();
        let raw = RawConfig::read(&parse_defaults(DEFAULT_TOML), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        // Everything is an `Option` or a list that default.toml must fill: then reader and file name the same keys.
        let filled =
            [&raw.site_name, &raw.storage_dir, &raw.storage_quota, &raw.web_listen, &raw.socket_path];
        assert!(filled.iter().all(|found| found.is_some()), "{raw:#?}");
        let [listener] = &raw.mqtt_listeners[..] else { panic!("{raw:#?}") };
        assert!(listener.address.is_some() && listener.transport.is_some() && listener.anonymous.is_some());
        assert!(!raw.web_hosts.is_empty());

        let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
        for (at, line) in
            lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
        {
            assert!(lines[at - 1].starts_with("# "), "line {}: {line}: no comment above", at + 1);
        }
    }

    #[test]
    fn an_empty_tree_asks_for_no_panic() {
        let empty = Node { origin: Origin::Default, item: Item::Table(Table::new()) };
        let mut problems = Problems::default();
        let raw = RawConfig::read(&empty, &mut problems);
        assert!(raw.site_name.is_none() && raw.mqtt_listeners.is_empty());
    }
}
