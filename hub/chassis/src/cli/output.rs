//! Standard output.

use std::io::{self, Write};

use super::Failure;

/// Writes a text and a line end.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Writes a text that has its line ends.
pub fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A text from elsewhere, for a terminal: what a device writes must not move the cursor or colour the screen.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns_writing(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that turn the direction of what follows (Unicode's bidirectional embeddings, overrides and isolates).
const fn turns_writing(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_moves_the_cursor() {
        assert_eq!(printable("a\u{202e}b\u{2066}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(printable("97 \u{b0}C\u{1b}[2J\nnow"), "97 \u{b0}C\u{fffd}[2J\u{fffd}now");
    }
}
