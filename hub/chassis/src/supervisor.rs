//! Owns every task: its name, its stop signal, and what its end means.
//!
//! A panic ends one task, not the process: it is caught, logged and counted. Then the task's rule applies: the end
//! of a [`Rule::Vital`] one is told to the main loop, which stops the daemon in order; a [`Rule::Restart`] one is run
//! again, later each time.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use crate::metrics::MetricRow;

/// First wait before a task is run again, doubled each time: long enough that a task that fails at once does not
/// fill the log, short enough that nobody misses a hiccup.
const RESTART_DELAY_MIN: Duration = Duration::from_millis(500);

/// A broken task is tried this often at least.
const RESTART_DELAY_MAX: Duration = Duration::from_secs(60);

/// Ends of vital tasks wait here for the main loop; the first one already stops the daemon, so later ones may be lost.
const ENDED_QUEUE: usize = 8;

/// How often the remaining tasks are counted while a stop waits for them.
const ENDED_POLL: Duration = Duration::from_millis(5);

/// A task, ready to be run.
pub type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the end of a task means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The daemon cannot do its work without it: stop in order.
    Vital,
    /// Run it again.
    Restart,
    /// The daemon still does what matters most without it, but not all of its work: [`Supervisor::missing`] says so.
    Standing,
    /// It comes and goes, such as a connection.
    Passing,
}

/// A vital task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: &'static str,
}

/// Waits for the stop signal; also when the supervisor is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can give the signal any more.
    let _signal = stop.wait_for(|stop| *stop).await;
}

/// Where tasks are spawned. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: tokio::runtime::Handle,
    stop: watch::Sender<bool>,
    ended: mpsc::Sender<Ended>,
    running: AtomicUsize,
    ends_expected: AtomicBool,
    counts: Mutex<BTreeMap<&'static str, Counts>>,
    missing: Mutex<Option<&'static str>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    restarts: u64,
    panics: u64,
}

impl Supervisor {
    /// A supervisor for tasks of this runtime, and where it tells the ends of vital tasks.
    pub fn new(runtime: tokio::runtime::Handle) -> (Supervisor, mpsc::Receiver<Ended>) {
        let (ended, inbox) = mpsc::channel(ENDED_QUEUE);
        let shared = Shared {
            runtime,
            stop: watch::Sender::new(false),
            ended,
            running: AtomicUsize::new(0),
            ends_expected: AtomicBool::new(false),
            counts: Mutex::default(),
            missing: Mutex::default(),
        };
        (Supervisor { shared: Arc::new(shared) }, inbox)
    }

    /// Becomes true when tasks should end.
    pub fn stop_signal(&self) -> watch::Receiver<bool> {
        self.shared.stop.subscribe()
    }

    /// From now on the end of a vital task is no news: the daemon stops, and tasks end as their work does.
    pub fn expect_ends(&self) {
        self.shared.ends_expected.store(true, Ordering::Release);
    }

    /// Asks all tasks to end.
    pub fn stop(&self) {
        self.expect_ends();
        self.shared.stop.send_replace(true);
    }

    /// Runs a task once: any rule but [`Rule::Restart`].
    pub fn spawn(&self, name: &'static str, rule: Rule, task: impl Future<Output = ()> + Send + 'static) {
        let this = self.clone();
        self.run(async move {
            this.guarded(name, Box::pin(task)).await;
            if !this.shared.ends_expected.load(Ordering::Acquire) {
                this.ended(name, rule);
            }
        });
    }

    /// Runs what `make` makes, again each time it ends, until the stop signal.
    pub fn spawn_restarting<F, T>(&self, name: &'static str, mut make: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let this = self.clone();
        self.run(async move {
            let mut stop = this.stop_signal();
            let mut delay = RESTART_DELAY_MIN;
            loop {
                this.guarded(name, Box::pin(make())).await;
                if *stop.borrow() {
                    return;
                }
                this.count(name, |counts| counts.restarts += 1);
                warn!(task = name, delay_ms = delay.as_millis(), "a task has ended and will be run again");
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = stopped(&mut stop) => return,
                }
                delay = (delay * 2).min(RESTART_DELAY_MAX);
            }
        });
    }

    /// A standing task that has ended, though nobody asked it to.
    pub fn missing(&self) -> Option<&'static str> {
        *self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all tasks there ever were.
    pub fn task_names(&self) -> Vec<&'static str> {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// How many tasks have not ended yet.
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Acquire)
    }

    /// Waits until no more than `left` tasks run, for `wait_max` at most; says how many run beyond these.
    pub async fn wait_for_ends(&self, left: usize, wait_max: Duration) -> usize {
        let ended = async {
            while self.running() > left {
                tokio::time::sleep(ENDED_POLL).await;
            }
        };
        // What is left is told by its number.
        let _in_time = tokio::time::timeout(wait_max, ended).await;
        self.running().saturating_sub(left)
    }

    /// Restarts and panics by task.
    pub fn metrics(&self) -> Vec<MetricRow> {
        let counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = vec![MetricRow::gauge(
            "relais_tasks_running",
            "Tasks that have not ended.",
            u64::try_from(self.running()).unwrap_or(u64::MAX),
        )];
        for (name, counts) in counts.iter() {
            let restarts =
                ("relais_task_restarts_total", "Tasks run again after they ended.", counts.restarts);
            let panics =
                ("relais_task_panics_total", "Tasks that panicked: each one is a bug.", counts.panics);
            for (metric, help, value) in [restarts, panics] {
                rows.push(MetricRow::counter(metric, help, value).label("task", *name));
            }
        }
        rows
    }

    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.running.fetch_add(1, Ordering::AcqRel);
        let shared = self.shared.clone();
        // The handle is not awaited: what the task's end means is decided inside it.
        drop(self.shared.runtime.spawn(async move {
            task.await;
            shared.running.fetch_sub(1, Ordering::AcqRel);
        }));
    }

    fn ended(&self, name: &'static str, rule: Rule) {
        match rule {
            Rule::Vital => {
                error!(task = name, "a task this daemon cannot do without has ended");
                // Full means the daemon is stopping already.
                let _ = self.shared.ended.try_send(Ended { name });
            }
            Rule::Standing => {
                error!(task = name, "a task has ended that should not: restart the daemon, and report this");
                *self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
            }
            Rule::Restart | Rule::Passing => {}
        }
    }

    async fn guarded(&self, name: &'static str, task: BoxedTask) {
        self.count(name, |_| ());
        if (CatchPanic { task }).await.is_err() {
            self.count(name, |counts| counts.panics += 1);
            error!(task = name, "a task panicked: this is a bug; please report it with the lines above");
        }
    }

    fn count(&self, name: &'static str, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(name).or_default());
    }
}

/// A future whose panics become an `Err`. The task is dropped right after, so nothing sees a half-changed state but
/// what it shares, and that is behind locks that forgive poison or in other tasks.
struct CatchPanic {
    task: BoxedTask,
}

impl Future for CatchPanic {
    type Output = Result<(), ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ()>> {
        let task = self.task.as_mut();
        match std::panic::catch_unwind(AssertUnwindSafe(|| task.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_vital_task_is_told_also_when_it_panics() {
        let (supervisor, mut ended) = Supervisor::new(tokio::runtime::Handle::current());
        supervisor.spawn("fine", Rule::Passing, async {});
        supervisor.spawn("broken", Rule::Vital, async { panic!("on purpose") });
        assert_eq!(ended.recv().await, Some(Ended { name: "broken" }));
        let rows = supervisor.metrics();
        let panics =
            rows.iter().find(|r| r.name == "relais_task_panics_total" && r.labels[0].1 == "broken").unwrap();
        assert_eq!(panics.value, 1.0);
    }

    #[tokio::test]
    async fn a_standing_task_is_missed_unless_its_end_was_expected() {
        for (expected, missing) in [(false, Some("standing")), (true, None)] {
            let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
            if expected {
                supervisor.stop();
            }
            supervisor.spawn("passing", Rule::Passing, async {});
            supervisor.spawn("standing", Rule::Standing, async { panic!("on purpose") });
            while supervisor.running() > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(supervisor.missing(), missing);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarting_task_runs_again_later_each_time() {
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let (tell, mut runs) = mpsc::channel(8);
        supervisor.spawn_restarting("again", move || {
            let tell = tell.clone();
            async move { tell.send(()).await.unwrap() }
        });
        for _ in 0..3 {
            runs.recv().await.unwrap();
        }
        let restarts = supervisor.metrics();
        let restarts = restarts.iter().find(|r| r.name == "relais_task_restarts_total").unwrap();
        assert!(restarts.value >= 2.0);
        supervisor.stop();
        while supervisor.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_those_that_end_and_counts_the_others() {
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let mut stop = supervisor.stop_signal();
        supervisor.spawn("obeys", Rule::Vital, async move { stopped(&mut stop).await });
        supervisor.spawn("does not", Rule::Passing, std::future::pending());
        supervisor.stop();
        assert_eq!(supervisor.wait_for_ends(1, Duration::from_secs(3)).await, 0);
        assert_eq!(supervisor.wait_for_ends(0, Duration::from_secs(3)).await, 1);
        assert_eq!(supervisor.task_names(), ["does not", "obeys"]);
    }
}
