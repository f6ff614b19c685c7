//! The running service: starts the parts, waits for what happens, stops in order.
//!
//! `start` wires up, top to bottom. The main loop here is two functions: `next_event` waits and `apply` decides. Nothing
//! depends on an orderly end: a crash is correct without it.

mod pulse;
mod start;
mod stop;

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_chassis::service_manager::ServiceManager;
use hub_chassis::signals::Signals;
use hub_chassis::supervisor::Ended;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

pub use start::{Manner, StartError, Started, start};

use crate::app::App;
use crate::config::Config;
use crate::storage::FolderLock;
use pulse::{Addresses, Question};

/// From the wish to stop to the end, whatever hangs. Below what systemd waits.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Threads for reading objects and folders; they end when idle.
const BLOCKING_THREADS_MAX: usize = 32;

/// The pulse asks one question at a time.
const QUESTIONS: usize = 1;

/// How long blocking threads may keep the process at its end.
const LINGER: Duration = Duration::from_millis(500);

/// Everything that can happen to central as a whole.
enum Event {
    /// SIGTERM or SIGINT.
    Signal(&'static str),
    /// The pulse asks for a sign of life.
    Question(Question),
    /// A task central cannot do without.
    TaskEnded(Ended),
    /// The phases of the stop are through; whether all of them went well.
    Stopped(bool),
    /// They took too long.
    DeadlineOver,
}

/// Runs central until it is told to stop or cannot go on. `tell` shows a new admin token to whoever starts it; it is not
/// called where the manner makes none. The error is one of the start.
pub fn run(config: Config, manner: Manner, tell: impl FnOnce(&str)) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("central")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let code = runtime.block_on(async {
        let signals = Signals::new().map_err(StartError::Runtime)?;
        let Started { app, lock, ended, sync_address, api_address, new_admin_token } =
            start(config, manner).await?;
        if let Some(token) = new_admin_token {
            tell(&token);
        }
        let manager = ServiceManager::from_environment();
        let (ask, questions) = mpsc::channel(QUESTIONS);
        pulse::start(&app, &manager, Addresses { sync: sync_address, api: api_address }, ask);
        let daemon = Daemon { app, manager, _lock: lock, ended, signals, questions, stopping: None };
        Ok(daemon.run().await)
    });
    runtime.shutdown_timeout(LINGER);
    code
}

struct Daemon {
    app: Arc<App>,
    manager: ServiceManager,
    _lock: FolderLock,
    ended: mpsc::Receiver<Ended>,
    signals: Signals,
    questions: mpsc::Receiver<Question>,
    stopping: Option<Stopping>,
}

struct Stopping {
    done: oneshot::Receiver<bool>,
    deadline: Instant,
    exit: u8,
}

impl Daemon {
    async fn run(mut self) -> ExitCode {
        loop {
            let event = self.next_event().await;
            let now = self.app.clock.instant();
            if let Some(code) = self.apply(event, now) {
                return ExitCode::from(code);
            }
        }
    }

    /// All waiting, nothing else.
    async fn next_event(&mut self) -> Event {
        let now = self.app.clock.instant();
        let is_stopping = self.stopping.is_some();
        let stopped = async {
            match &mut self.stopping {
                None => pending().await,
                Some(stopping) => {
                    let left = stopping.deadline.saturating_duration_since(now);
                    match tokio::time::timeout(left, &mut stopping.done).await {
                        Ok(done) => Event::Stopped(done.unwrap_or(false)),
                        Err(_) => Event::DeadlineOver,
                    }
                }
            }
        };
        tokio::select! {
            name = self.signals.next() => Event::Signal(name),
            Some(question) = self.questions.recv() => Event::Question(question),
            Some(ended) = self.ended.recv(), if !is_stopping => Event::TaskEnded(ended),
            event = stopped => event,
        }
    }

    /// All changing, no waiting. `Some` is the exit code.
    fn apply(&mut self, event: Event, now: Instant) -> Option<u8> {
        match event {
            Event::Signal(name) if self.stopping.is_none() => {
                info!(signal = name, "stopping");
                self.stop(0, now);
                None
            }
            Event::Signal(name) => {
                warn!(signal = name, "a second signal: leaving at once");
                Some(1)
            }
            Event::Question(question) => {
                // Who asked may have given up waiting.
                let _ = question.send(());
                None
            }
            Event::TaskEnded(Ended { name }) => {
                error!(task = name, "stopping, because central cannot do without this task");
                self.stop(1, now);
                None
            }
            Event::Stopped(well) => {
                let wanted = self.stopping.as_ref().map_or(1, |stopping| stopping.exit);
                info!("stopped");
                Some(if well { wanted } else { 1 })
            }
            Event::DeadlineOver => {
                warn!(deadline_s = STOP_DEADLINE.as_secs(), "leaving, though not all is done");
                Some(1)
            }
        }
    }

    fn stop(&mut self, exit: u8, now: Instant) {
        self.manager.stopping();
        self.manager.status("Stopping");
        let done = stop::begin(self.app.clone());
        self.stopping = Some(Stopping { done, deadline: now + STOP_DEADLINE, exit });
    }
}
