//! The signals that ask a daemon to stop, or to read its files again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, from now on: neither ends the process by itself any more.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over. Call it from within a tokio runtime with I/O.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and says its name. Cancel-safe.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, from now on: it does not end the process any more.
#[derive(Debug)]
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Takes the signal over. Call it from within a tokio runtime with I/O.
    pub fn new() -> io::Result<ReloadSignal> {
        signal(SignalKind::hangup()).map(ReloadSignal)
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) {
        // `None` would mean that the runtime gives no signals any more.
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
