//! Fuzzes by hand and in `make soak`.
//!
//!     cargo run -p site-tests --bin fuzz -- list
//!     cargo run -p site-tests --bin fuzz -- TARGET|all [--seed N] [--from N] [--seconds N]
//!     cargo run -p site-tests --bin fuzz -- TARGET --input FILE

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use site_tests::fuzz::{Limit, TARGETS, Target, replay, run, target};
use site_tests::{Random, Stopwatch};

/// Between two lines of progress: after an abort or a hang, which no net catches, the line says where to look.
const CHUNK: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(name) = arguments.first() else { return usage() };
    let chosen: Vec<&Target> = match name.as_str() {
        "list" => {
            TARGETS.iter().for_each(|target| eprintln!("{}", target.name));
            return ExitCode::SUCCESS;
        }
        "all" => TARGETS.iter().collect(),
        name => target(name).into_iter().collect(),
    };
    if chosen.is_empty() {
        return usage();
    }
    if let Some(file) = option::<String>(&arguments, "--input") {
        return verdict(replay_file(chosen[0], &file));
    }
    let seed = option(&arguments, "--seed").unwrap_or_else(Random::seed_from_env);
    let from = option(&arguments, "--from").unwrap_or(0);
    let time = Duration::from_secs(option(&arguments, "--seconds").unwrap_or(60));
    verdict(chosen.into_iter().try_for_each(|target| fuzz(target, seed, from, time)))
}

fn fuzz(target: &Target, seed: u64, from: u64, time: Duration) -> Result<(), String> {
    let watch = Stopwatch::start();
    let mut number = from;
    while let Some(left) = time.checked_sub(watch.elapsed()) {
        eprintln!("{}: seed {seed}, from input {number}", target.name);
        let outcome = run(target, seed, number, Limit::Time(left.min(CHUNK)))
            .map_err(|failure| format!("{}: {failure}", target.name))?;
        number = outcome.next;
    }
    eprintln!("fuzz: {}: seed {seed}, {} inputs, no failure", target.name, number - from);
    Ok(())
}

fn replay_file(target: &Target, file: &str) -> Result<(), String> {
    let input = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    replay(target, &input)
}

fn option<T: FromStr>(arguments: &[String], name: &str) -> Option<T> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

fn verdict(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("FAILED: {what}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: fuzz list | TARGET|all [--seed N] [--from N] [--seconds N] | TARGET --input FILE");
    ExitCode::from(2)
}
