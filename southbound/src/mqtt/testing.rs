//! Clocks and tasks for tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hub_model::{BootId, BootStamp};

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
