//! Opening the log again after kill -9 in the middle of work.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use site_tests::Stopwatch;

use crate::intake::{as_f64, in_folder};
use crate::load::Load;
use crate::log;
use crate::measure::median;
use crate::table::{Show, Table};

/// The argument that makes this program the one that is killed.
pub(crate) const FILL: &str = "fill";

const KILLS: u32 = 5;
const BATCH: u32 = 1000;
/// Batches each run stores before it is killed.
const BATCHES: u32 = 4000;
/// Batches of the first run: about a gigabyte, for which the budget is stated.
const BATCHES_FIRST: u32 = 180_000;

/// Adds the figures to the table.
pub(crate) fn measure(folder: &Path, table: &mut Table) {
    in_folder(&folder.join("reopen"), |place| {
        let mut times = Vec::new();
        for kill in 0..KILLS {
            fill_and_kill(place, if kill == 0 { BATCHES_FIRST } else { BATCHES });
            let watch = Stopwatch::start();
            let (handle, recovery) = log::open(place);
            times.push(watch.elapsed().as_secs_f64());
            assert!(!recovery.clean, "it was killed");
            handle.close().expect("the log closes");
        }
        let name = format!("open the log after kill -9, at {:.0} MB", as_f64(folder_bytes(place)) / 1e6);
        table.add(&name, Show::Milliseconds, median(times), None, "<= 50 ms at 1 GB");
    });
}

fn fill_and_kill(place: &Path, batches: u32) {
    let own = std::env::current_exe().expect("a process has an executable");
    let mut child = Command::new(own)
        .arg(FILL)
        .arg(place)
        .arg(batches.to_string())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let output = child.stderr.take().expect("it was asked for");
    let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "filled");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
    assert!(ready, "the child filled the log");
}

/// Stores without an end; says `filled` after so many batches.
pub(crate) fn fill_until_killed(place: &Path, batches: u32) {
    let handle = if place.exists() { log::open(place).0 } else { log::create(place) };
    let now = log::now();
    let mut load = Load::new(now.mono_ms, now.mono_ms);
    for number in 1.. {
        log::store_batch(&handle, now.boot, &load.batch(BATCH));
        if number == batches {
            eprintln!("filled");
        }
    }
}

fn folder_bytes(place: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(place).expect("the folder can be read");
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|m| m.blocks() * 512).sum()
}
