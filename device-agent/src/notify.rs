//! What the service manager is told: `sd_notify(3)`, by hand.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The longest wait for a service manager that does not read: measuring goes on without it.
const SEND_MAX: Duration = Duration::from_millis(200);

/// The line to the service manager, if it gave one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_environment() -> Notifier {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
            [b'/', ..] => SocketAddr::from_pathname(&name).ok(),
            _ => None,
        });
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_write_timeout(Some(SEND_MAX)).ok()?;
            Some((socket, address))
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0).map(Duration::from_micros);
        Notifier { socket, watchdog }
    }

    /// Half of the time after which the service manager kills an agent that says nothing.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|watchdog| watchdog / 2)
    }

    /// Says `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=…`, one per line. That it is not heard within 200 ms is no
    /// reason to fail, nor to wait.
    pub fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            socket.send_to_addr(state.as_bytes(), address).ok();
        }
    }
}
