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
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_moves_the_cursor() {
        assert_eq!(printable("97 \u{b0}C\u{1b}[2J\nnow"), "97 \u{b0}C\u{fffd}[2J\u{fffd}now");
    }
}
