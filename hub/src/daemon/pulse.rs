//! The hub's pulse: what must answer for the service manager to hear a sign of life.
//!
//! The main loop turns, the log's writer takes messages, and the intake gets its answers from the log. Each answers for
//! itself: a disk that is full, fails or stalls for a while is told (`/healthz`, the status) and no reason to start the
//! hub again, which would only lose what is not on flash yet. The runtime as a whole needs no question: without it
//! nobody asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_chassis::pulse::{Part, Pulse};
use hub_chassis::service_manager::ServiceManager;
use hub_chassis::supervisor::Rule;
use hub_store::{LogHandle, LogStats};
use tokio::sync::{mpsc, oneshot};

use super::start::Parts;
use crate::clock::Clock;
use crate::intake::{IntakeProbe, Progress};

/// Beyond this no disk takes its time any more, for the kernel's own timeouts and retries (SD, eMMC, SATA, USB) end a write
/// within some minutes: the writer hangs.
const WRITE_MAX: Duration = Duration::from_secs(5 * 60);

/// How long messages may wait without any answer of a log whose disk works. Commits take milliseconds.
const UNANSWERED_MAX: Duration = Duration::from_secs(30);

/// Asks the main loop for a sign of life.
pub(super) type Question = oneshot::Sender<()>;

/// Starts the pulse where there is a service manager. What asks the main loop goes to `main`.
pub(super) fn start(parts: &Parts, main: mpsc::Sender<Question>) {
    let manager = &parts.manager;
    if !manager.is_there() {
        return;
    }
    let api = parts.api.clone();
    let asked = vec![main_loop(main), writer(&parts.log, parts.clock), intake(parts)];
    let pulse = Pulse::new(manager.clone(), asked);
    let stop = parts.supervisor.stop_signal();
    // Should it end, the hub goes on in the next run, with a pulse.
    parts.supervisor.spawn("pulse", Rule::Vital, async move {
        pulse.run(move || api.status_line(), stop).await;
    });
}

/// Everything listens: says so, with a first status.
pub(super) fn tell_ready(parts: &Parts) {
    let manager: &ServiceManager = &parts.manager;
    manager.status(&parts.api.status_line());
    manager.ready();
}

fn main_loop(main: mpsc::Sender<Question>) -> Part {
    Part::new("main loop", move || {
        let main = main.clone();
        async move {
            let (tell, told) = oneshot::channel();
            main.send(tell).await.map_err(|_| "it has ended")?;
            told.await.map_err(|_| "it has not answered".to_owned())
        }
    })
}

fn writer(log: &LogHandle, clock: Clock) -> Part {
    let log = log.clone();
    Part::new("telemetry log", move || {
        let log = log.clone();
        let now_ms = clock.now().mono_ms;
        async move {
            if is_writing(&log.stats(), now_ms)? || log.writer_answers().await {
                return Ok(());
            }
            Err("its writer takes no messages".to_owned())
        }
    })
}

/// Whether the writer waits for the disk, which answers the question: it works. The error is that it waits for ever.
fn is_writing(stats: &LogStats, now_ms: u64) -> Result<bool, String> {
    let since_ms = stats.writing_since_ms;
    let lasts = Duration::from_millis(now_ms.saturating_sub(since_ms));
    if since_ms > 0 && lasts >= WRITE_MAX {
        return Err(format!("one write has not ended for {} s", lasts.as_secs()));
    }
    Ok(since_ms > 0)
}

fn intake(parts: &Parts) -> Part {
    let (probe, log, clock): (IntakeProbe, LogHandle, Clock) =
        (parts.intake.clone(), parts.log.clone(), parts.clock);
    let flow = Arc::new(Mutex::new(Flow::default()));
    Part::new("intake", move || {
        let (probe, log, flow) = (probe.clone(), log.clone(), flow.clone());
        async move {
            let progress = probe.ask().await.ok_or("it has ended")?;
            let stats = log.stats();
            let disk_works = stats.blocked_since_ms == 0 && stats.writing_since_ms == 0;
            let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
            flow.handle(progress, disk_works, clock.now().mono_ms)
        }
    })
}

/// Whether messages flow through the intake: a core.
#[derive(Debug, Default)]
struct Flow {
    answered: u64,
    /// Since when messages wait, none was answered, and that is not the disk's doing.
    still_since_ms: Option<u64>,
}

impl Flow {
    /// What was seen now. The error says that messages do not flow, though they could.
    fn handle(&mut self, progress: Progress, disk_works: bool, now_ms: u64) -> Result<(), String> {
        let flows = progress.answered != self.answered || progress.waiting == 0 || !disk_works;
        self.answered = progress.answered;
        if flows {
            self.still_since_ms = None;
            return Ok(());
        }
        let since_ms = *self.still_since_ms.get_or_insert(now_ms);
        let lasts = Duration::from_millis(now_ms.saturating_sub(since_ms));
        if lasts < UNANSWERED_MAX {
            return Ok(());
        }
        let (waiting, seconds) = (progress.waiting, lasts.as_secs());
        Err(format!("{waiting} messages wait, and the log has answered none for {seconds} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_main_loop_that_does_not_turn_does_not_answer() {
        let (ask, mut questions) = mpsc::channel::<Question>(1);
        let mut part = main_loop(ask);
        let turning = async { questions.recv().await.unwrap().send(()).unwrap() };
        assert_eq!(tokio::join!(part.ask(), turning).0, Ok(()));
        for _ in 0..3 {
            let hanging = tokio::time::timeout(Duration::from_secs(3_600), part.ask()).await;
            assert!(hanging.is_err(), "nobody reads what is asked");
        }
        drop(questions);
        assert_eq!(part.ask().await, Err("it has ended".to_owned()));
    }

    #[test]
    fn a_write_is_a_sign_of_life_until_no_disk_takes_so_long() {
        let at = |writing_since_ms: u64, now_ms: u64| {
            is_writing(&LogStats { writing_since_ms, ..LogStats::default() }, now_ms)
        };
        assert_eq!(at(0, 5_000_000), Ok(false));
        assert_eq!(at(1_000, 1_000), Ok(true));
        assert_eq!(at(1_000, 300_999), Ok(true));
        assert_eq!(at(1_000, 301_000), Err("one write has not ended for 300 s".to_owned()));
    }

    #[test]
    fn messages_that_wait_while_the_disk_works_must_be_answered() {
        let waiting = |answered: u64| Progress { waiting: 3, answered };
        let mut flow = Flow::default();
        let mut at = |seconds: u64, progress: Progress, disk_works: bool| {
            flow.handle(progress, disk_works, seconds * 1000)
        };
        assert_eq!(at(0, waiting(0), true), Ok(()));
        assert_eq!(at(29, waiting(0), true), Ok(()));
        let why = "3 messages wait, and the log has answered none for 30 s".to_owned();
        assert_eq!(at(30, waiting(0), true), Err(why.clone()));
        assert_eq!(at(31, waiting(1), true), Ok(()), "one answer is enough");
        assert_eq!(at(40, waiting(1), true), Ok(()));
        assert_eq!(at(70, waiting(1), true), Err(why.clone()));
        // A full disk keeps them waiting for hours.
        for seconds in [80, 200, 9_000] {
            assert_eq!(at(seconds, waiting(1), false), Ok(()));
        }
        assert_eq!(at(9_001, waiting(1), true), Ok(()), "it has its time once there is room");
        assert_eq!(at(9_020, Progress { waiting: 0, answered: 1 }, true), Ok(()));
        assert_eq!(at(9_040, waiting(1), true), Ok(()));
        assert_eq!(at(9_070, waiting(1), true), Err(why));
    }
}
