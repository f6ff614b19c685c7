//! Signs of life for the service manager's watchdog: only while every part of the daemon answers.
//!
//! A beat asks each part in turn. All answered: one sign of life. One did not: none, and the log says which. The service
//! manager's time has room for two beats that are missed; after that it ends the daemon and starts it again. So a part
//! must answer for itself, not for what it depends on: a disk that is full stays full after a restart.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info};

use crate::service_manager::ServiceManager;
use crate::supervisor::stopped;

/// Beats in the service manager's time.
const BEATS: u32 = 4;

/// How often the status is looked at where nobody watches.
const UNWATCHED_BEAT: Duration = Duration::from_secs(10);

/// A part's answer: it works, or why it does not. A part that hangs does not answer at all.
pub type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Something without which the daemon does not work.
pub struct Part {
    name: &'static str,
    ask: Box<dyn FnMut() -> Answer + Send>,
}

impl Part {
    /// A part by the name the log tells, and how it is asked.
    pub fn new<F, A>(name: &'static str, mut ask: F) -> Part
    where
        F: FnMut() -> A + Send + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Part { name, ask: Box::new(move || Box::pin(ask())) }
    }

    /// Asks it. The answer of a part that hangs does not come.
    pub fn ask(&mut self) -> Answer {
        (self.ask)()
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Beats until the stop signal.
#[derive(Debug)]
pub struct Pulse {
    manager: ServiceManager,
    parts: Vec<Part>,
    /// Whether a beat was missed and told.
    is_weak: bool,
}

impl Pulse {
    /// The pulse of these parts.
    pub fn new(manager: ServiceManager, parts: Vec<Part>) -> Pulse {
        Pulse { manager, parts, is_weak: false }
    }

    /// Beats four times in the watchdog's time, and says `status()` where it has changed. Returns at the stop signal.
    pub async fn run(mut self, status: impl Fn() -> String + Send, mut stop: watch::Receiver<bool>) {
        let watchdog = self.manager.watchdog();
        let every = watchdog.map_or(UNWATCHED_BEAT, |time| time / BEATS);
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stopped(&mut stop) => return,
            }
            if watchdog.is_some() {
                tokio::select! {
                    () = self.beat(every) => {}
                    () = stopped(&mut stop) => return,
                }
            }
            self.manager.status(&status());
        }
    }

    async fn beat(&mut self, at_most: Duration) {
        match self.ask(at_most).await {
            Ok(()) => {
                self.manager.alive();
                if std::mem::take(&mut self.is_weak) {
                    info!("every part answers again");
                }
            }
            Err((part, why)) => {
                self.is_weak = true;
                error!(
                    part,
                    why, "a part hangs: should it go on, the service manager starts this daemon again"
                );
            }
        }
    }

    async fn ask(&mut self, at_most: Duration) -> Result<(), (&'static str, String)> {
        let each = at_most / u32::try_from(self.parts.len()).unwrap_or(1).max(1);
        for part in &mut self.parts {
            match tokio::time::timeout(each, part.ask()).await {
                Ok(answer) => answer.map_err(|why| (part.name, why))?,
                Err(_) => return Err((part.name, format!("no answer within {} ms", each.as_millis()))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::service_manager::Given;

    const WORKS: u8 = 0;
    const SAYS_NO: u8 = 1;
    const HANGS: u8 = 2;

    /// A listener, and a pulse of two parts, of which the second does as it is told.
    fn pulse(name: &str, watchdog: Option<&str>) -> (UnixDatagram, Pulse, Arc<AtomicU8>) {
        let name = format!("relais-pulse-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let given = Given {
            socket: Some(format!("@{name}").into()),
            watchdog_usec: watchdog.map(str::to_owned),
            watchdog_pid: None,
        };
        let told = Arc::new(AtomicU8::new(WORKS));
        let behaviour = told.clone();
        let second = Part::new("second", move || {
            let behaviour = behaviour.load(Ordering::Relaxed);
            async move {
                match behaviour {
                    WORKS => Ok(()),
                    SAYS_NO => Err("stuck".to_owned()),
                    _ => std::future::pending().await,
                }
            }
        });
        let parts = vec![Part::new("first", || async { Ok(()) }), second];
        (socket, Pulse::new(ServiceManager::new(&given), parts), told)
    }

    fn said(socket: &UnixDatagram) -> Vec<String> {
        let mut words = Vec::new();
        let mut buffer = [0; 512];
        while let Ok(length) = socket.recv(&mut buffer) {
            words.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        words
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_come_only_while_every_part_answers() {
        let (socket, pulse, told) = pulse("parts", Some("60000000"));
        let (stop, stopping) = watch::channel(false);
        let mut running = std::pin::pin!(pulse.run(|| "fine".to_owned(), stopping));
        let mut after = async |time: u64| {
            tokio::select! {
                () = &mut running => panic!("it ended"),
                () = tokio::time::sleep(Duration::from_secs(time)) => {}
            }
            said(&socket)
        };
        assert_eq!(after(14).await, [""; 0]);
        assert_eq!(after(2).await, ["WATCHDOG=1", "STATUS=fine"]);
        assert_eq!(after(45).await, ["WATCHDOG=1"; 3]);
        for wrong in [SAYS_NO, HANGS] {
            told.store(wrong, Ordering::Relaxed);
            assert_eq!(after(300).await, [""; 0], "no sign of life, however long");
            told.store(WORKS, Ordering::Relaxed);
            assert!(after(60).await.contains(&"WATCHDOG=1".to_owned()), "it may come back");
        }
        told.store(HANGS, Ordering::Relaxed);
        stop.send(true).unwrap();
        running.await;
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_watches_the_status_is_told_all_the_same() {
        let (socket, pulse, told) = pulse("unwatched", None);
        told.store(HANGS, Ordering::Relaxed);
        let (_stop, stopping) = watch::channel(false);
        let counted = AtomicU8::new(0);
        let status = || format!("beat {}", counted.fetch_add(1, Ordering::Relaxed));
        tokio::select! {
            () = pulse.run(status, stopping) => panic!("it ended"),
            () = tokio::time::sleep(Duration::from_secs(25)) => {}
        }
        assert_eq!(said(&socket), ["STATUS=beat 0", "STATUS=beat 1"]);
    }
}
