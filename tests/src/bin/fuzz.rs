//! Fuzzes by hand and in `make soak`.
//!
//!     cargo run -p site-tests --bin fuzz -- list
//!     cargo run -p site-tests --bin fuzz -- TARGET|all [--seed N] [--from N] [--count N]
//!     cargo run -p site-tests --bin fuzz -- TARGET --input FILE

use std::process::ExitCode;
use std::str::FromStr;

use site_tests::Random;
use site_tests::fuzz::{Limit, TARGETS, Target, replay, run, target};

/// Inputs between two lines of progress: after an abort, which no net catches, the line says where to look.
const CHUNK: u64 = 200_000;

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
    let (from, count) =
        (option(&arguments, "--from").unwrap_or(0), option(&arguments, "--count").unwrap_or(1_000_000));
    verdict(chosen.into_iter().try_for_each(|target| fuzz(target, seed, from, count)))
}

fn fuzz(target: &Target, seed: u64, from: u64, count: u64) -> Result<(), String> {
    let mut done = 0;
    while done < count {
        let chunk = CHUNK.min(count - done);
        eprintln!("{}: seed {seed}, inputs {} to {}", target.name, from + done, from + done + chunk);
        run(target, seed, from + done, Limit::Count(chunk)).map_err(|f| format!("{}: {f}", target.name))?;
        done += chunk;
    }
    eprintln!("{}: seed {seed}: {count} inputs, no failure", target.name);
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
    eprintln!("usage: fuzz list | TARGET|all [--seed N] [--from N] [--count N] | TARGET --input FILE");
    ExitCode::from(2)
}
