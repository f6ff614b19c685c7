//! `data verify`: everything read again, with a bar that shows how far it is.

use std::io::{self, IsTerminal, Write};

use hub_chassis::cli::{Failure, Table, output};
use hub_chassis::number_text::thousands;

use super::args::StatusArgs;
use super::client::Client;
use super::config::socket;
use crate::web::VerifyLine;

/// Cells of the bar.
const BAR_CELLS: u64 = 32;
/// The longest line the hub may send, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Findings that are shown; more are counted.
const SHOWN_MAX: usize = 100;

/// Runs the command.
pub(super) fn verify(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let mut seen = Seen::new(args.json);
    let mut lines = Lines::default();
    let streamed =
        client.stream("/api/v1/verify", &mut |chunk| lines.push(chunk, &mut |line| seen.take(line)));
    seen.clear_bar();
    streamed?;
    seen.end()
}

/// Cuts what arrives in pieces into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(
        &mut self,
        chunk: &[u8],
        take: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if self.0.len() > LINE_BYTES_MAX {
                return Err(Failure::failed("the hub's answer has a line that is too long"));
            }
            if self.0.ends_with(b"\n") {
                let line = std::mem::take(&mut self.0);
                let line = std::str::from_utf8(&line);
                take(line.map_err(|_| Failure::failed("the hub's answer is not text"))?.trim_end())?;
            }
        }
        Ok(())
    }
}

/// What the hub told so far.
struct Seen {
    json: bool,
    bar: bool,
    shown: Vec<Vec<String>>,
    end: Option<(u64, u64, u64, u64)>,
}

impl Seen {
    fn new(json: bool) -> Seen {
        Seen { json, bar: !json && io::stderr().is_terminal(), shown: Vec::new(), end: None }
    }

    fn take(&mut self, line: &str) -> Result<(), Failure> {
        let told: VerifyLine = serde_json::from_str(line).map_err(|error| {
            let why = format!("the hub's answer is not what this version expects: {error}");
            Failure::failed(format!("{why}; use the relais-hub that runs"))
        })?;
        if self.json {
            output::line(line)?;
        }
        match told {
            VerifyLine::Progress { numbers, of } => self.show_bar(numbers, of),
            VerifyLine::Finding { class, from, to, text, .. } => {
                if self.shown.len() < SHOWN_MAX {
                    self.shown.push(vec![class, thousands(from), thousands(to - from), text]);
                }
            }
            VerifyLine::End { blocks, block_bytes, records, findings } => {
                self.end = Some((blocks, block_bytes, records, findings));
            }
        }
        Ok(())
    }

    fn show_bar(&self, numbers: u64, of: u64) {
        if !self.bar {
            return;
        }
        let mut err = io::stderr().lock();
        // A bar that cannot be drawn is no reason to stop.
        let _undrawn = write!(err, "\r{}", bar(numbers, of)).and_then(|()| err.flush());
    }

    fn clear_bar(&self) {
        if self.bar {
            let _undrawn = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    fn end(self) -> Result<(), Failure> {
        let Some((blocks, bytes, records, findings)) = self.end else {
            return Err(Failure::failed("the verification broke off; the hub's log says why"));
        };
        if !self.json {
            output::text(&summary(&self.shown, blocks, bytes, records, findings))?;
        }
        match findings {
            0 => Ok(()),
            1 => Err(Failure::failed("1 thing is not as it should be")),
            many => Err(Failure::failed(format!("{} things are not as they should be", thousands(many)))),
        }
    }
}

fn bar(numbers: u64, of: u64) -> String {
    let share = |cells: u64| (numbers.min(of) * cells).checked_div(of).unwrap_or(cells);
    let full = share(BAR_CELLS);
    let cells: String = (0..BAR_CELLS).map(|cell| if cell < full { '#' } else { '-' }).collect();
    format!("[{cells}] {:>3} %  {} of {} records", share(100), thousands(numbers), thousands(of))
}

fn summary(shown: &[Vec<String>], blocks: u64, bytes: u64, records: u64, findings: u64) -> String {
    let read = format!(
        "Read {} records, in {} blocks of {} bytes and in the write-ahead log.\n",
        thousands(records),
        thousands(blocks),
        thousands(bytes)
    );
    if findings == 0 {
        return format!("{read}Every checksum holds, and every number is accounted for.\n");
    }
    let mut table = Table::new(&["class", ">from", ">records", "what is wrong"]);
    shown.iter().for_each(|row| table.row(row.clone()));
    let more = findings.saturating_sub(shown.len() as u64);
    let more = if more == 0 { String::new() } else { format!("and {} more\n", thousands(more)) };
    let damaged = "What is damaged stays as it is, and is told by `relais-hub status` from now on. Of blocks that central \
                   has confirmed, central has a whole copy; the others become gap rows when they are to be sent. Back up \
                   the storage folder, and look at the disk's health.\n";
    format!("{read}\n{}{more}\n{damaged}", table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for chunk in [&b"on"[..], b"e\ntwo\nth", b"ree\n"] {
            let mut take = |line: &str| {
                seen.push(line.to_owned());
                Ok(())
            };
            assert!(lines.push(chunk, &mut take).is_ok());
        }
        assert_eq!(seen, ["one", "two", "three"]);
        assert!(lines.push(&vec![b'x'; LINE_BYTES_MAX + 1], &mut |_| Ok(())).is_err());
    }

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(0, 2_000), format!("[{}]   0 %  0 of 2,000 records", "-".repeat(32)));
        let half = format!("[{}{}]  50 %  1,000 of 2,000 records", "#".repeat(16), "-".repeat(16));
        assert_eq!(bar(1_000, 2_000), half);
        assert_eq!(bar(0, 0), format!("[{}] 100 %  0 of 0 records", "#".repeat(32)));
    }

    #[test]
    fn findings_are_listed_and_the_rest_counted() {
        let row = vec!["telemetry".into(), "4,000".into(), "1,000".into(), "bytes went bad".into()];
        let text = summary(&[row], 3, 4_096, 2_000, 2);
        assert!(text.starts_with("Read 2,000 records, in 3 blocks of 4,096 bytes"), "{text}");
        assert!(text.contains("telemetry  4,000    1,000  bytes went bad\nand 1 more\n"), "{text}");
        assert!(summary(&[], 3, 4_096, 2_000, 0).ends_with("every number is accounted for.\n"));
    }

    #[test]
    fn an_answer_without_its_end_is_an_error() {
        let mut seen = Seen::new(true);
        seen.json = false;
        assert!(seen.take(r#"{"kind":"progress","numbers":1,"of":2}"#).is_ok());
        assert!(seen.take("{}").is_err());
        assert!(seen.end().is_err());
    }
}
