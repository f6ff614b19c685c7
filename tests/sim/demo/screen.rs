//! What people see: one line per part, and everything within 80 columns.

use std::io::{self, Write as _};

use tokio::time::Instant;

/// The width everything keeps to.
pub(crate) const COLUMNS: usize = 80;
/// Where the text of a part's line ends and its time begins.
const TEXT_COLUMNS: usize = 59;

/// Prints to standard output. Nobody reading it is no failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    start: Instant,
}

impl Screen {
    pub(crate) const fn new(start: Instant) -> Screen {
        Screen { start }
    }

    /// Lines as they are.
    pub(crate) fn say(self, text: &str) {
        let mut out = io::stdout().lock();
        let _unread = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A text without end of line, such as a prompt.
    pub(crate) fn ask(self, text: &str) {
        let mut out = io::stdout().lock();
        let _unread = write!(out, "{text}").and_then(|()| out.flush());
    }

    /// A part is up.
    pub(crate) fn part(self, name: &str, text: &str) {
        self.say(&part_line(name, text, self.start.elapsed().as_secs_f64()));
    }
}

/// `  name      text …   1.2 s`, in more lines where the text is long.
fn part_line(name: &str, text: &str, seconds: f64) -> String {
    let lines = wrapped(text, TEXT_COLUMNS);
    let last = lines.len().saturating_sub(1);
    let line = |(at, text): (usize, &String)| {
        let name = if at == 0 { name } else { "" };
        let line = format!("  {name:<10} {text:<TEXT_COLUMNS$}");
        if at == last { format!("{line} {seconds:>5.1} s") } else { line.trim_end().to_owned() }
    };
    lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// A text in lines of so many columns, broken between words. A word that is longer has a line of its own.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A text behind a margin, within the width.
pub(crate) fn indented(text: &str) -> String {
    let lines = wrapped(text, COLUMNS - 2);
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_time_at_the_right() {
        let line = part_line("hub", "MQTT on 1883", 12.34);
        assert_eq!(line, format!("  hub        MQTT on 1883{}  12.3 s", " ".repeat(47)));
        assert_eq!(line.len(), COLUMNS);
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let text =
            "none of its own, so it cannot be filled: mount: /x: mount failed: Operation not permitted.";
        let lines = part_line("disk", text, 0.1);
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.lines().all(|line| line.len() <= COLUMNS), "{lines}");
        assert!(lines.ends_with("  0.1 s"));
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("longer-than-that x", 4), ["longer-than-that", "x"]);
    }
}
