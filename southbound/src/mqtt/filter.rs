//! Topic names and topic filters: what is valid, and what matches what. Works on any script.

/// Deepest filter, in levels: keeps the walk through the index shallow. Longer ones are refused.
pub const LEVELS_MAX: usize = 64;

/// Whether `topic` may name a message: not empty, no wildcard, no U+0000.
pub fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether `filter` is valid: `+` fills a level, `#` fills the last one, at most [`LEVELS_MAX`] levels.
pub fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    let mut count = 0;
    while let Some(level) = levels.next() {
        count += 1;
        let last = levels.peek().is_none();
        match level {
            "+" => {}
            "#" if last => {}
            _ if level.contains(['+', '#']) => return false,
            _ => {}
        }
    }
    count <= LEVELS_MAX
}

/// Whether `filter` asks for a share of a group's messages, which this server does not offer.
pub fn is_shared(filter: &str) -> bool {
    filter == "$share" || filter.starts_with("$share/")
}

/// Whether a valid `filter` matches a valid `topic`. Wildcards never match a first level that begins with `$`.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic_levels.next() {
            Some(found) if level == "+" || level == found => {}
            Some(_) | None => return false,
        }
    }
    topic_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        for filter in ["a", "/", "+", "#", "+/+", "a/+/b", "a/#", "/#", "温度/+", "a b", "$SYS/#"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", "a#", "#/a", "a+", "+a", "a/#/b", "a\0"] {
            assert!(!is_filter(filter), "{filter}");
        }
        assert!(is_filter(&["a"; 64].join("/")));
        assert!(!is_filter(&["a"; 65].join("/")));
    }

    #[test]
    fn matching_follows_the_standard() {
        let check = |filter: &str, topic: &str, expected: bool| {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        };
        check("a/b", "a/b", true);
        check("a/+", "a/b", true);
        check("a/+", "a", false);
        check("a/+", "a/", true);
        check("a/#", "a", true);
        check("a/#", "a/b/c", true);
        check("a/#", "ab", false);
        check("+/+", "/a", true);
        check("/+", "/a", true);
        check("+", "/a", false);
        check("#", "$SYS/a", false);
        check("+/a", "$SYS/a", false);
        check("$SYS/#", "$SYS/a", true);
        check("höhe/+", "höhe/é", true);
    }
}
