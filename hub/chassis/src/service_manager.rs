//! The line to the service manager: `sd_notify(3)`, by hand, for it is a datagram with a few words.
//!
//! Without a service manager (`NOTIFY_SOCKET` is not set) everything here does nothing. That it does not hear is never
//! a reason to fail: the worst that follows is that it starts the daemon again.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

/// Most characters of a status: it is one line on a screen.
const STATUS_CHARS_MAX: usize = 300;

/// How long a word may wait for a service manager that is busy. Then it is lost.
const SEND_MAX: Duration = Duration::from_secs(2);

/// Tells the service manager how the daemon is. Clones share the line.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    status: Mutex<String>,
}

/// What a service manager puts into the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`: microseconds without a sign of life after which it ends the daemon.
    pub watchdog_usec: Option<String>,
    /// `WATCHDOG_PID`: whom the watchdog is for, where not for everyone.
    pub watchdog_pid: Option<String>,
}

impl Given {
    /// What this process was given.
    pub fn from_environment() -> Given {
        let text = |name: &str| env::var(name).ok();
        Given {
            socket: env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: text("WATCHDOG_USEC"),
            watchdog_pid: text("WATCHDOG_PID"),
        }
    }

    /// The watchdog's time, when it watches this process.
    fn watchdog(&self, own_pid: u32) -> Option<Duration> {
        let pid = self.watchdog_pid.as_deref().map(str::parse::<u32>);
        let is_ours = pid.is_none_or(|pid| pid == Ok(own_pid));
        let usec = self.watchdog_usec.as_deref()?.parse::<u64>().ok()?;
        (is_ours && usec > 0).then(|| Duration::from_micros(usec))
    }
}

impl ServiceManager {
    /// The line that the environment names, if it names one.
    pub fn from_environment() -> ServiceManager {
        ServiceManager::new(&Given::from_environment())
    }

    /// The line to what was given. A socket that cannot be used is told in the log, and then there is none.
    pub fn new(given: &Given) -> ServiceManager {
        let socket = given.socket.as_deref().and_then(|name| match dial(name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!(?name, %error, "the service manager cannot be told how this is: NOTIFY_SOCKET cannot be used");
                None
            }
        });
        let watchdog = socket.as_ref().and_then(|_| given.watchdog(std::process::id()));
        ServiceManager { line: Arc::new(Line { socket, watchdog, status: Mutex::default() }) }
    }

    /// Whether somebody listens.
    pub fn is_there(&self) -> bool {
        self.line.socket.is_some()
    }

    /// Without [`alive`](Self::alive) for this long, the service manager ends the daemon and starts it again. `None`: it
    /// does not watch.
    pub fn watchdog(&self) -> Option<Duration> {
        self.line.watchdog
    }

    /// Everything listens.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The daemon reads its files again, until the answer is dropped. Nested ones end with the last.
    pub fn reloading(&self) -> Reloading {
        self.say("RELOADING=1");
        Reloading(self.clone())
    }

    /// The daemon stops in order. The watchdog does not watch any more.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// A sign of life, for the watchdog.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// One line for people who ask the service manager how the daemon is. Said only when it is another than before;
    /// cut at 300 characters.
    pub fn status(&self, line: &str) {
        let line: String = line.chars().take(STATUS_CHARS_MAX).map(printable).collect();
        let mut said = self.line.status.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != line {
            self.say(&format!("STATUS={line}"));
            *said = line;
        }
    }

    fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.line.socket
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            warn!(words, %error, "the service manager does not hear");
        }
    }
}

/// While this lives, the service manager shows the daemon as reloading.
#[derive(Debug)]
pub struct Reloading(ServiceManager);

impl Drop for Reloading {
    fn drop(&mut self) {
        self.0.ready();
    }
}

fn dial(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_MAX))?;
    Ok((socket, address))
}

/// A line feed would begin another word of the protocol.
fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn listener(name: &str) -> (UnixDatagram, Given) {
        let path = env::temp_dir().join(format!("relais-notify-{}-{name}", std::process::id()));
        // Of a run that was broken off.
        std::fs::remove_file(&path).ok();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let given = Given { socket: Some(path.into_os_string()), ..Given::default() };
        (socket, given)
    }

    #[test]
    fn words_reach_a_socket_with_a_path_and_one_with_an_abstract_name() {
        let (by_path, given) = listener("words");
        let name = format!("relais-notify-{}-abstract", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_address).unwrap();
        by_name.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let abstract_given = Given { socket: Some(format!("@{name}").into()), ..Given::default() };
        for (socket, given) in [(by_path, given.clone()), (by_name, abstract_given)] {
            let manager = ServiceManager::new(&given);
            assert!(manager.is_there());
            manager.ready();
            let (outer, inner) = (manager.reloading(), manager.clone().reloading());
            drop((outer, inner));
            manager.alive();
            manager.stopping();
            let words: Vec<String> = (0..7).map(|_| said(&socket)).collect();
            let expected =
                ["READY=1", "RELOADING=1", "RELOADING=1", "READY=1", "READY=1", "WATCHDOG=1", "STOPPING=1"];
            assert_eq!(words, expected);
        }
        std::fs::remove_file(given.socket.unwrap()).unwrap();
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length_and_said_once() {
        let (socket, given) = listener("status");
        let manager = ServiceManager::new(&given);
        manager.status("fine\nWATCHDOG=1");
        manager.status("fine\nWATCHDOG=1");
        manager.status(&"ä".repeat(1000));
        assert_eq!(said(&socket), "STATUS=fine WATCHDOG=1");
        assert_eq!(said(&socket), format!("STATUS={}", "ä".repeat(STATUS_CHARS_MAX)));
        std::fs::remove_file(given.socket.unwrap()).unwrap();
    }

    #[test]
    fn the_watchdog_is_the_one_that_watches_this_process() {
        let watchdog = |usec: &str, pid: Option<&str>| {
            let pid = pid.map(str::to_owned);
            let given = Given { watchdog_usec: Some(usec.to_owned()), watchdog_pid: pid, ..Given::default() };
            given.watchdog(17)
        };
        let time = Some(Duration::from_secs(3));
        assert_eq!(watchdog("3000000", None), time);
        assert_eq!(watchdog("3000000", Some("17")), time);
        assert_eq!(watchdog("3000000", Some("18")), None);
        assert_eq!(watchdog("3000000", Some("x")), None);
        assert_eq!(watchdog("0", None), None);
        assert_eq!(watchdog("soon", None), None);
        assert_eq!(Given::default().watchdog(17), None);
    }

    #[test]
    fn nobody_who_listens_is_no_failure() {
        let nowhere = Given { socket: Some("/nowhere/at all".into()), ..Given::default() };
        for given in [Given::default(), Given { socket: Some("relative".into()), ..Given::default() }] {
            assert!(!ServiceManager::new(&given).is_there());
        }
        let manager = ServiceManager::new(&nowhere);
        manager.ready();
        drop(manager.reloading());
    }
}
