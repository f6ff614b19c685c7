//! What a killed demo has left running: written down while it runs, ended by the next one.
//!
//! A process is known by its number and its start, so that nobody else's is ever ended.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{missing_is_fine, open_private};

/// How long what was left may take for an orderly end: looks, and the pause between them.
const LOOKS: u32 = 240;
const LOOK: Duration = Duration::from_millis(50);

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    id: i32,
    /// In clock ticks since the machine's start: field 22 of `/proc/PID/stat`.
    ticks: u64,
    name: String,
}

impl Started {
    /// The process of this number, as it runs now; `None` when it does not.
    pub(crate) fn of(id: u32, name: &str) -> Option<Started> {
        let id = i32::try_from(id).ok()?;
        Some(Started { id, ticks: start_ticks(id)?, name: name.to_owned() })
    }

    fn runs(&self) -> bool {
        start_ticks(self.id) == Some(self.ticks)
    }

    fn signal(&self, signal: Signal) {
        if self.runs()
            && let Some(id) = Pid::from_raw(self.id)
        {
            // An error: it has ended meanwhile.
            let _ended = kill_process(id, signal);
        }
    }
}

/// When a process was started; `None` when there is none, or only its exit code is left.
fn start_ticks(id: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything; the state is the first field behind it, the start the twentieth.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let is_zombie = fields.next()? == "Z";
    let ticks = fields.nth(18)?.parse().ok()?;
    (!is_zombie).then_some(ticks)
}

/// Writes down who runs.
pub(crate) fn write(record: &Path, started: &[Started]) -> io::Result<()> {
    use io::Write as _;
    let lines: String =
        started.iter().map(|Started { id, ticks, name }| format!("{id} {ticks} {name}\n")).collect();
    open_private(record, true)?.write_all(lines.as_bytes())
}

/// Who was written down; lines that are none are passed over, for the one who wrote them was killed.
pub(crate) fn read(record: &Path) -> Vec<Started> {
    let text = fs::read_to_string(record).unwrap_or_default();
    let started = |line: &str| {
        let mut words = line.split(' ');
        let (id, ticks) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Started { id, ticks, name: words.next()?.to_owned() })
    };
    text.lines().filter_map(started).collect()
}

/// Ends who was written down and still runs; their names.
pub(crate) fn end(record: &Path) -> io::Result<Vec<String>> {
    let left: Vec<Started> = read(record).into_iter().filter(Started::runs).collect();
    left.iter().for_each(|started| started.signal(Signal::TERM));
    for _ in 0..LOOKS {
        if !left.iter().any(Started::runs) {
            break;
        }
        thread::sleep(LOOK);
    }
    left.iter().for_each(|started| started.signal(Signal::KILL));
    while left.iter().any(Started::runs) {
        thread::sleep(LOOK);
    }
    fs::remove_file(record).or_else(missing_is_fine)?;
    Ok(left.into_iter().map(|started| started.name).collect())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::place::tests::Temporary;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn what_was_left_is_ended_and_nobody_elses() {
        let folder = Temporary::new("left");
        let record = folder.0.join("running");
        let (mut left, mut other) = (sleeper(), sleeper());
        let ours = Started::of(left.id(), "hub").unwrap();
        // The same number, but another start: the number was given out again.
        let theirs = Started { ticks: 1, ..Started::of(other.id(), "central").unwrap() };
        write(&record, &[ours, theirs]).unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(&record)
            .and_then(|mut file| io::Write::write_all(&mut file, b"12 3"))
            .unwrap();
        // Its end is taken notice of by its parent, which is this process.
        let waited = thread::spawn(move || left.wait());
        assert_eq!(end(&record).unwrap(), ["hub"]);
        assert!(!waited.join().unwrap().unwrap().success());
        assert_eq!(other.try_wait().unwrap(), None);
        assert!(!record.exists());
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(end(&record).unwrap(), [""; 0]);
    }
}
