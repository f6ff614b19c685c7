//! Where output goes: a terminal with a width, or a file or pipe.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use hub_chassis::cli::Failure;
use hub_chassis::cli::output::printable;

/// Columns where nobody says how many there are.
const WIDTH: u16 = 80;

/// Narrower or wider ones are not believed.
const WIDTH_BOUNDS: (u16, u16) = (20, 500);

/// Columns of the terminal; `COLUMNS`, or 80, where there is none.
pub(crate) fn width() -> usize {
    let of_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    let told = || std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let width = of_terminal.filter(|width| *width > 0).or_else(told).unwrap_or(WIDTH);
    usize::from(width.clamp(WIDTH_BOUNDS.0, WIDTH_BOUNDS.1))
}

/// Says something beside the output. Without stderr there is nobody to tell.
pub(crate) fn warn(message: &str) {
    let _unheard = writeln!(io::stderr().lock(), "relais: {message}");
}

/// Lines on their way out, as they are into files and pipes, and harmless on a terminal.
pub(crate) struct Lines {
    out: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
}

impl Lines {
    /// On standard output.
    pub(crate) fn new() -> Lines {
        let out = io::stdout().lock();
        let is_terminal = out.is_terminal();
        Lines { out: BufWriter::new(out), is_terminal }
    }

    /// Writes a line that has its end.
    pub(crate) fn write(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(shown(line, self.is_terminal).as_bytes())?)
    }

    /// Hands over what is held back.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// A line for a terminal or not. Its end stays.
fn shown(line: &str, is_terminal: bool) -> Cow<'_, str> {
    let text = line.strip_suffix('\n').unwrap_or(line);
    if !is_terminal || !text.contains(char::is_control) {
        return Cow::Borrowed(line);
    }
    Cow::Owned(printable(text) + &line[text.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_is_protected() {
        assert_eq!(shown("a\u{1b}[2J\nb\n", true), "a\u{fffd}[2J\u{fffd}b\n");
        assert_eq!(shown("a\u{1b}[2J\nb\n", false), "a\u{1b}[2J\nb\n");
        assert_eq!(shown("a\n", true), "a\n");
    }
}
