//! The service manager's end of `NOTIFY_SOCKET`: hears what a daemon says of itself.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Stopwatch, eventually};

/// A listener, and everything it has heard so far.
#[derive(Debug)]
pub struct ServiceManager {
    path: PathBuf,
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl ServiceManager {
    /// Listens at a path that is free.
    pub fn listen(path: &Path) -> ServiceManager {
        let socket = UnixDatagram::bind(path).expect("a socket can be made");
        socket.set_nonblocking(true).expect("a socket can be set up");
        ServiceManager { path: path.to_owned(), socket, heard: Vec::new() }
    }

    /// Tells a program where to speak, and how long it may be silent.
    pub fn watch(&self, command: &mut Command, watchdog: Duration) {
        command.env("NOTIFY_SOCKET", &self.path);
        command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
    }

    /// All words heard since the start, in order.
    pub fn heard(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        &self.heard
    }

    /// How many of these words were heard.
    pub fn count(&mut self, word: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == word).count()
    }

    /// The last status that was told.
    pub fn status(&mut self) -> String {
        let told = self.heard().iter().rev().find_map(|heard| heard.strip_prefix("STATUS="));
        told.unwrap_or_default().to_owned()
    }

    /// Waits until a word was heard so often.
    #[track_caller]
    pub fn wait_for(&mut self, word: &str, times: usize, deadline: Duration) {
        eventually(deadline, &format!("{times} times {word}"), || {
            if self.count(word) >= times { Ok(()) } else { Err(format!("{:?}", self.heard)) }
        });
    }

    /// How many of these words are heard in this time.
    pub fn count_during(&mut self, word: &str, time: Duration) -> usize {
        let (before, watch) = (self.count(word), Stopwatch::start());
        while watch.elapsed() < time {
            crate::pause(Duration::from_millis(50));
        }
        self.count(word) - before
    }
}
