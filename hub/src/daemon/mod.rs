//! The running hub: starts the parts, waits for what happens, stops in order.
//!
//! `start` wires up, top to bottom. The main loop here is two functions: `next_event` waits and `apply` decides.
//! `stop` has the phases of an orderly end. Because power also fails, nothing depends on them: a crash is correct
//! without any of it, only slower to recover from.

mod clock_task;
mod files;
mod pulse;
mod reload;
mod start;
mod stop;

use std::future::pending;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hub_chassis::signals::{ReloadSignal, Signals};
use hub_chassis::supervisor::{Ended, Rule};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

pub use start::StartError;

use crate::clock::Clock;
use crate::config::{Config, Source};
use pulse::Question;
use start::Parts;

/// From the wish to stop to the end, whatever hangs. Below what systemd and tests wait, above a slow disk's fsync.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// The runtime's own threads: one could do at these rates, the second keeps the others alive while one decodes.
const WORKER_THREADS: usize = 2;

/// Threads for blocking reads of the log; they end when idle. Queries and exports are bounded below this.
const BLOCKING_THREADS_MAX: usize = 12;

/// Far above what a debug build's deepest future takes.
const THREAD_STACK_BYTES: usize = 1024 * 1024;

/// The pulse asks one question at a time.
const QUESTIONS: usize = 1;

/// How long blocking threads may keep the process at its end.
const LINGER: Duration = Duration::from_millis(500);

/// Everything that can happen to the hub as a whole.
enum Event {
    /// SIGTERM or SIGINT.
    Signal(&'static str),
    /// SIGHUP.
    Reload,
    /// The pulse asks for a sign of life.
    Question(Question),
    /// A task the hub cannot do without.
    TaskEnded(Ended),
    /// The log's writer is dead, and why.
    LogDied(String),
    /// The phases of the stop are through; whether all of them went well.
    Stopped(bool),
    /// They took too long.
    DeadlineOver,
}

/// Runs the hub until it is told to stop or cannot go on; `source` is where its configuration is read again. The error is
/// one of the start.
pub fn run(config: Config, source: Source) -> Result<ExitCode, StartError> {
    // Whatever a library creates is nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(THREAD_STACK_BYTES)
        .thread_name("hub")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let code = runtime.block_on(async {
        let signals = Signals::new().map_err(StartError::Runtime)?;
        let reload = ReloadSignal::new().map_err(StartError::Runtime)?;
        let (parts, ended) = start::start(config, source).await?;
        Ok(Daemon::new(parts, ended, signals, reload).run().await)
    });
    runtime.shutdown_timeout(LINGER);
    code
}

struct Daemon {
    clock: Clock,
    parts: Option<Parts>,
    ended: mpsc::Receiver<Ended>,
    log_died: watch::Receiver<Option<String>>,
    signals: Signals,
    reload: ReloadSignal,
    questions: mpsc::Receiver<Question>,
    stopping: Option<Stopping>,
}

struct Stopping {
    done: oneshot::Receiver<bool>,
    deadline: Instant,
    exit: u8,
}

impl Daemon {
    fn new(parts: Parts, ended: mpsc::Receiver<Ended>, signals: Signals, reload: ReloadSignal) -> Daemon {
        let (clock, log_died) = (parts.clock, parts.log.fatal());
        let (ask, questions) = mpsc::channel(QUESTIONS);
        pulse::start(&parts, ask);
        pulse::tell_ready(&parts);
        let parts = Some(parts);
        Daemon { clock, parts, ended, log_died, signals, reload, questions, stopping: None }
    }

    async fn run(mut self) -> ExitCode {
        loop {
            let event = self.next_event().await;
            let now = self.clock.instant();
            if let Some(code) = self.apply(event, now) {
                return ExitCode::from(code);
            }
        }
    }

    /// All waiting, nothing else.
    async fn next_event(&mut self) -> Event {
        let now = self.clock.instant();
        let stopping = self.stopping.is_some();
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
            () = self.reload.next(), if !stopping => Event::Reload,
            Some(question) = self.questions.recv() => Event::Question(question),
            Some(ended) = self.ended.recv(), if !stopping => Event::TaskEnded(ended),
            why = died(&mut self.log_died), if !stopping => Event::LogDied(why),
            event = stopped => event,
        }
    }

    /// All changing, no waiting. `Some` is the exit code.
    fn apply(&mut self, event: Event, now: Instant) -> Option<u8> {
        match event {
            Event::Signal(name) if self.stopping.is_none() => {
                info!(signal = name, "stopping");
                self.stop(0, now)
            }
            Event::Signal(name) => {
                warn!(signal = name, "a second signal: leaving at once");
                Some(1)
            }
            Event::Reload => {
                self.reload();
                None
            }
            Event::Question(question) => {
                // Who asked may have given up waiting.
                let _ = question.send(());
                None
            }
            Event::TaskEnded(Ended { name }) => {
                error!(task = name, "stopping, because the hub cannot do without this task");
                self.stop(1, now)
            }
            Event::LogDied(why) => {
                error!(why, "stopping, because the telemetry log cannot store any more");
                self.stop(1, now)
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

    /// Reads the configuration again, on a thread of its own: the file system may take its time.
    fn reload(&self) {
        let Some(parts) = &self.parts else { return };
        let reloader = parts.reloader.clone();
        info!(signal = "SIGHUP", "reading the configuration again");
        let reloading = parts.manager.reloading();
        parts.supervisor.spawn("reload", Rule::Passing, async move {
            if let Err(error) = tokio::task::spawn_blocking(move || reloader.reload()).await {
                error!(%error, "reading the configuration again has failed, which is a bug");
            }
            drop(reloading);
        });
    }

    fn stop(&mut self, exit: u8, now: Instant) -> Option<u8> {
        let Some(parts) = self.parts.take() else { return Some(1) };
        parts.manager.stopping();
        parts.manager.status("Stopping");
        let done = stop::begin(parts);
        self.stopping = Some(Stopping { done, deadline: now + STOP_DEADLINE, exit });
        None
    }
}

async fn died(log: &mut watch::Receiver<Option<String>>) -> String {
    match log.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "its writer is gone".to_owned(),
    }
}
