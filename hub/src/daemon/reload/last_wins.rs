//! Work that is asked for again while it is done: one at a time, and once more behind the last who asked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lets one caller at a time work. Never waits.
#[derive(Debug, Default)]
pub(super) struct LastWins {
    /// Work is wanted that begins later than what goes on.
    wanted: AtomicBool,
    /// Held by whoever works.
    working: Mutex<()>,
}

impl LastWins {
    /// Works, or leaves it to whoever is at it: then that one works once more. So all of it is done after the last call.
    pub(super) fn run(&self, mut work: impl FnMut()) {
        self.wanted.store(true, Ordering::SeqCst);
        while self.wanted.load(Ordering::SeqCst) {
            // A panic of an earlier work is no reason not to work: it left nothing half done that is kept here.
            let turn = match self.working.try_lock() {
                Ok(turn) => turn,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => return,
            };
            while self.wanted.swap(false, Ordering::SeqCst) {
                work();
            }
            drop(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn whoever_asked_last_is_served_by_whom_ever() {
        let (turns, file, seen) =
            (Arc::new(LastWins::default()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let asker = || {
            let (turns, file, seen) = (turns.clone(), file.clone(), seen.clone());
            move || {
                turns.run(|| {
                    let read = file.load(Ordering::SeqCst);
                    std::thread::yield_now();
                    seen.store(read, Ordering::SeqCst);
                });
            }
        };
        for version in 1..=500 {
            file.store(version, Ordering::SeqCst);
            let other = std::thread::spawn(asker());
            asker()();
            other.join().unwrap();
            assert_eq!(seen.load(Ordering::SeqCst), version);
        }
    }

    #[test]
    fn after_a_panic_others_go_on() {
        let turns = LastWins::default();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| turns.run(|| panic!("a bug"))));
        assert!(panicked.is_err());
        let mut done = 0;
        turns.run(|| done += 1);
        assert_eq!(done, 1);
    }
}
