//! Clocks, tasks and a log for tests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hub_model::{BootId, BootStamp};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::tasks::{BoxedTask, Clock, Spawn};

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: Instant,
    /// Makes the next look at the time a panic, as a bug in a connection's task would be.
    pub(crate) breaks: AtomicBool,
}

impl Default for TestClock {
    fn default() -> TestClock {
        #[expect(clippy::disallowed_methods, reason = "the shell of a test reads the real clock")]
        let start = Instant::now();
        TestClock { start, breaks: AtomicBool::new(false) }
    }
}

impl Clock for TestClock {
    fn now(&self) -> BootStamp {
        assert!(!self.breaks.swap(false, Ordering::Relaxed), "a bug");
        let mono_ms = u64::try_from((self.instant() - self.start).as_millis()).unwrap_or(u64::MAX);
        BootStamp { boot: BootId::from_bytes([7; 16]), mono_ms }
    }

    fn instant(&self) -> Instant {
        #[expect(clippy::disallowed_methods, reason = "the shell of a test reads the real clock")]
        let now = Instant::now();
        now
    }
}

/// Plain tokio tasks.
pub(crate) struct TestSpawn;

impl Spawn for TestSpawn {
    fn spawn(&self, _name: &'static str, task: BoxedTask) {
        #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
        drop(tokio::spawn(task));
    }
}

/// What this thread logs at warning or above, one text for each event: its level, then each field with its name.
pub(crate) struct LogLines {
    lines: Arc<Mutex<Vec<String>>>,
    _until: tracing::subscriber::DefaultGuard,
}

impl LogLines {
    pub(crate) fn record() -> LogLines {
        let lines = Arc::default();
        let recorder = Recorder(Arc::clone(&lines));
        LogLines { lines, _until: tracing::subscriber::set_default(recorder) }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Recorder {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    /// Unlike the formatters in use, without escaping: what is logged must be safe by itself.
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}
