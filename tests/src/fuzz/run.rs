//! Feeding inputs to a target, and catching what falls.

use std::cell::RefCell;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use super::{Target, corpus, mutate};
use crate::{Random, Stopwatch, target_dir};

/// No input of at most 64 KiB may take longer: that is a way to stop a hub.
const INPUT_TIME_MAX: Duration = Duration::from_secs(2);

/// How many inputs between two looks at the clock.
const BATCH: u64 = 64;

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After so many inputs: the same ones for the same seed.
    Count(u64),
    /// After so much time.
    Time(Duration),
}

/// A run without a failure.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Inputs tried, the seeds among them.
    pub inputs: u64,
    /// The number of the input a further run would begin with.
    pub next: u64,
    /// Time taken.
    pub took: Duration,
}

/// An input that broke the target.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run's seed.
    pub seed: u64,
    /// The input's number in the run; `None` for a seed as it is.
    pub number: Option<u64>,
    /// What happened.
    pub what: String,
    /// Where the input was saved.
    pub saved: PathBuf,
}

/// Replays the target's seeds, then feeds it mutations from input number `from` on.
///
/// # Errors
/// At the first input that makes the target panic, or takes too long.
pub fn run(target: &Target, seed: u64, from: u64, limit: Limit) -> Result<Outcome, Box<Failure>> {
    let watch = Stopwatch::start();
    let seeds = corpus::seeds(target);
    for input in &seeds {
        attempt(target, input).map_err(|what| failure(target, seed, None, what, input))?;
    }
    let mut number = from;
    loop {
        let over = match limit {
            Limit::Count(count) => number - from >= count,
            Limit::Time(time) => number.is_multiple_of(BATCH) && watch.elapsed() >= time,
        };
        if over {
            let inputs = seeds.len() as u64 + number - from;
            return Ok(Outcome { inputs, next: number, took: watch.elapsed() });
        }
        // Each input has a generator of its own, so that any can be made without the ones before it.
        let mut random = Random::new(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let input = mutate::input(&seeds, &mut random);
        attempt(target, &input).map_err(|what| failure(target, seed, Some(number), what, &input))?;
        number += 1;
    }
}

/// Feeds the target one input, such as a saved one.
///
/// # Errors
/// When it panics or takes too long.
pub fn replay(target: &Target, input: &[u8]) -> Result<(), String> {
    attempt(target, input)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    catch_quietly();
    let watch = Stopwatch::start();
    LAST_PANIC.with_borrow_mut(|last| *last = Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let panicked = LAST_PANIC.with_borrow_mut(Option::take).unwrap_or_default();
    match result {
        Err(_) => Err(panicked),
        Ok(()) if watch.elapsed() > INPUT_TIME_MAX => Err(format!("took {:?}", watch.elapsed())),
        Ok(()) => Ok(()),
    }
}

thread_local! {
    /// `Some` while this thread tries an input; then the message of the panic, if one came.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics of inputs from being printed: each is reported once, by the one who called.
fn catch_quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let trying = LAST_PANIC.with_borrow_mut(|last| {
                let trying = last.is_some();
                if trying {
                    *last = Some(info.to_string());
                }
                trying
            });
            if !trying {
                usual(info);
            }
        }));
    });
}

fn failure(target: &Target, seed: u64, number: Option<u64>, what: String, input: &[u8]) -> Box<Failure> {
    let folder = target_dir().join("fuzz-failures");
    let name = number.map_or_else(|| "seed".to_owned(), |number| format!("{seed}-{number}"));
    let saved = folder.join(format!("{}-{name}", target.name));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&saved, input));
    if let Err(error) = written {
        eprintln!("cannot save the input: {error}");
    }
    Box::new(Failure { seed, number, what, saved })
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, number, what, saved } = self;
        write!(f, "seed {seed}, input {number:?}, saved as {}: {what}", saved.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragile(input: &[u8]) {
        assert!(!input.starts_with(b"bad"), "it was bad");
    }

    fn seeds() -> Vec<Vec<u8>> {
        vec![b"bac".to_vec()]
    }

    const FRAGILE: Target = Target { name: "test-of-the-harness", run: fragile, seeds };

    #[test]
    fn a_panic_is_found_saved_and_made_again() {
        let failure = run(&FRAGILE, 1, 0, Limit::Count(1_000_000)).unwrap_err();
        assert!(failure.what.contains("it was bad"), "{failure}");
        let input = fs::read(&failure.saved).unwrap();
        assert!(replay(&FRAGILE, &input).is_err());
        let again = run(&FRAGILE, 1, failure.number.unwrap(), Limit::Count(1)).unwrap_err();
        assert_eq!(again.number, failure.number);
        fs::remove_file(&failure.saved).unwrap();
    }
}
