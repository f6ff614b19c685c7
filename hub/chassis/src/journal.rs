//! The journal of systemd: whether what this process writes goes there, and how it wants its lines. What is there is kept
//! and read by many, and has its own times and levels.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Whether a stream is the journal's: standard output or standard error of a service.
pub fn takes(stream: &impl AsFd) -> bool {
    let Ok(journal) = std::env::var("JOURNAL_STREAM") else { return false };
    let own = stream.as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    own.is_ok_and(|own| is_same(&journal, own.dev(), own.ino()))
}

/// `JOURNAL_STREAM` is `device:inode`; a child may have inherited it and write elsewhere.
fn is_same(journal: &str, device: u64, inode: u64) -> bool {
    let numbers = journal.split_once(':').map(|(device, inode)| (device.parse(), inode.parse()));
    numbers == Some((Ok(device), Ok(inode)))
}

/// Writes lines as the journal wants them: with the level in front, `<3>` for an error (`sd-daemon(3)`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToJournal;

/// One event on its way, with its level as `syslog(3)` counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line(u8);

impl<'a> MakeWriter<'a> for ToJournal {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(6)
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        Line(match *event.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        })
    }
}

impl Line {
    /// At once, so that lines of other threads do not come between.
    fn framed(&self, text: &[u8]) -> Vec<u8> {
        [format!("<{}>", self.0).as_bytes(), text].concat()
    }
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&self.framed(text)).map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(is_same("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:", "a:b", "8:1234:1"] {
            assert!(!is_same(other, 8, 1234), "{other}");
        }
    }

    #[test]
    fn a_line_goes_out_at_once_with_its_level_in_front() {
        assert_eq!(ToJournal.make_writer().framed(b" INFO the hub runs\n"), b"<6> INFO the hub runs\n");
        assert_eq!(Line(3).framed(b"x"), b"<3>x");
    }
}
