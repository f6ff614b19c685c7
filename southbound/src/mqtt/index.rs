//! Which sessions want a topic: a tree of filter levels. A message costs the levels of its topic, however many
//! filters there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::Qos;
use super::mailbox::{Delivery, Mailbox};
use super::message::Message;
use super::metrics::Metrics;

/// How a session wants the messages of one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// At most this QoS.
    pub(crate) qos: Qos,
    /// Not its own messages.
    pub(crate) no_local: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Index {
    root: Node,
    size: Size,
}

/// How much of an index there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) subscriptions: usize,
    /// Nodes of the tree: levels that filters begin with in common count once.
    pub(crate) levels: usize,
}

impl Size {
    /// The most that a filter can add.
    pub(crate) fn of(filter: &str) -> Size {
        Size { subscriptions: 1, levels: filter.split('/').count() }
    }

    pub(crate) fn plus(self, other: Size) -> Size {
        Size { subscriptions: self.subscriptions + other.subscriptions, levels: self.levels + other.levels }
    }

    pub(crate) fn minus(self, other: Size) -> Size {
        Size { subscriptions: self.subscriptions - other.subscriptions, levels: self.levels - other.levels }
    }
}

#[derive(Default)]
struct Node {
    children: BTreeMap<Box<str>, Node>,
    /// By subscriber number, so that the order of delivery is the same in every run.
    subscribers: BTreeMap<u64, (Arc<Mailbox>, Wish)>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.subscribers.is_empty()
    }
}

impl Index {
    /// Adds or replaces a subscription. `filter` is valid.
    pub(crate) fn insert(&mut self, filter: &str, subscriber: u64, mailbox: &Arc<Mailbox>, wish: Wish) {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.children.entry(level.into()).or_insert_with(|| {
                self.size.levels += 1;
                Node::default()
            });
        }
        if node.subscribers.insert(subscriber, (Arc::clone(mailbox), wish)).is_none() {
            self.size.subscriptions += 1;
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// Removes a subscription, and every level nobody needs any more.
    pub(crate) fn remove(&mut self, filter: &str, subscriber: u64) {
        let gone = remove(&mut self.root, &mut filter.split('/'), subscriber);
        self.size = self.size.minus(gone);
    }

    /// Puts a message into the mailbox of every session that wants it: once each, at the highest QoS its
    /// subscriptions allow. Says how many there were.
    pub(crate) fn deliver(&self, message: &Arc<Message>, metrics: &Metrics) -> usize {
        let mut found: Vec<(u64, &Arc<Mailbox>, Qos)> = Vec::new();
        let topic = message.topic.as_str();
        let mut levels: Vec<&str> = topic.split('/').take(super::filter::LEVELS_MAX + 1).collect();
        levels.reverse();
        visit(&self.root, &levels, topic.starts_with('$'), &mut |node| {
            for (&subscriber, (mailbox, wish)) in &node.subscribers {
                if !(wish.no_local && subscriber == message.origin) {
                    found.push((subscriber, mailbox, wish.qos.min(message.qos)));
                }
            }
        });
        // Highest QoS first, so that it is the one which stays.
        found.sort_unstable_by_key(|&(subscriber, _, qos)| (subscriber, std::cmp::Reverse(qos)));
        found.dedup_by_key(|&mut (subscriber, _, _)| subscriber);
        let count = found.len();
        for (_, mailbox, qos) in found {
            mailbox.put(Delivery { message: Arc::clone(message), qos }, metrics);
        }
        count
    }
}

/// Says how much it removed.
fn remove<'f>(node: &mut Node, levels: &mut impl Iterator<Item = &'f str>, subscriber: u64) -> Size {
    let Some(level) = levels.next() else {
        let was_there = node.subscribers.remove(&subscriber).is_some();
        return Size { subscriptions: usize::from(was_there), levels: 0 };
    };
    let Some(child) = node.children.get_mut(level) else { return Size::default() };
    let mut gone = remove(child, levels, subscriber);
    if child.is_empty() {
        node.children.remove(level);
        gone.levels += 1;
    }
    gone
}

/// Calls `matched` for every node whose filter matches. `levels` are those of the topic, last first. No deeper than
/// the deepest filter.
fn visit<'n>(node: &'n Node, levels: &[&str], dollar: bool, matched: &mut impl FnMut(&'n Node)) {
    if !dollar && let Some(rest) = node.children.get("#") {
        matched(rest);
    }
    let Some((&level, below)) = levels.split_last() else { return matched(node) };
    if let Some(child) = node.children.get(level) {
        visit(child, below, false, matched);
    }
    if !dollar && let Some(child) = node.children.get("+") {
        visit(child, below, false, matched);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::filter;

    fn message(topic: &str, origin: u64, qos: Qos) -> Arc<Message> {
        let (properties, payload) = (Bytes::new(), Bytes::new());
        Arc::new(Message { origin, qos, topic: topic.into(), properties, payload, expires: None })
    }

    fn mailbox() -> Arc<Mailbox> {
        let mailbox = Mailbox::offline();
        mailbox.go_online();
        mailbox
    }

    #[test]
    fn overlapping_filters_deliver_once_at_the_highest_qos() {
        let (mut index, metrics, one) = (Index::default(), Metrics::default(), mailbox());
        for (filter, qos) in [("a/#", Qos::AtMostOnce), ("a/+", Qos::AtLeastOnce), ("a/b", Qos::AtMostOnce)] {
            index.insert(filter, 1, &one, Wish { qos, no_local: false });
        }
        assert_eq!(index.deliver(&message("a/b", 9, Qos::AtLeastOnce), &metrics), 1);
        assert_eq!(one.take_if(&metrics, |_| true).unwrap().qos, Qos::AtLeastOnce);
        assert!(one.take_if(&metrics, |_| true).is_none());
    }

    #[test]
    fn no_local_keeps_ones_own_away() {
        let (mut index, metrics, one) = (Index::default(), Metrics::default(), mailbox());
        index.insert("a", 1, &one, Wish { qos: Qos::AtMostOnce, no_local: true });
        assert_eq!(index.deliver(&message("a", 1, Qos::AtMostOnce), &metrics), 0);
        assert_eq!(index.deliver(&message("a", 2, Qos::AtMostOnce), &metrics), 1);
    }

    #[test]
    fn nothing_stays_of_removed_filters() {
        let (mut index, one) = (Index::default(), mailbox());
        let wish = Wish { qos: Qos::AtMostOnce, no_local: false };
        for filter in ["a/b/c", "a/+/#", "ü", "ü"] {
            index.insert(filter, 1, &one, wish);
        }
        assert_eq!(index.size(), Size { subscriptions: 3, levels: 6 });
        for filter in ["a/b/c", "a/+/#", "ü", "never/there"] {
            index.remove(filter, 1);
        }
        assert!(index.root.is_empty());
        assert_eq!(index.size(), Size::default());
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_plain_matching(
            filters in proptest::collection::vec("(\\+|a|b|\\$x|)(/(\\+|a|b|)){0,3}(/#)?", 1..8),
            topic in "(a|b|\\$x|)(/(a|b|)){0,4}",
        ) {
            prop_assume!(filter::is_topic_name(&topic));
            let filters: Vec<String> = filters.into_iter().filter(|f| filter::is_filter(f)).collect();
            let (mut index, metrics) = (Index::default(), Metrics::default());
            for (number, filter) in (0u64..).zip(&filters) {
                index.insert(filter, number, &mailbox(), Wish { qos: Qos::AtMostOnce, no_local: false });
            }
            let expected = filters.iter().filter(|f| filter::matches(f, &topic)).count();
            prop_assert_eq!(index.deliver(&message(&topic, 99, Qos::AtMostOnce), &metrics), expected);
        }
    }
}
