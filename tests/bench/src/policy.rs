//! Group commit: what the policy costs and saves. One and sixteen callers store 1,000-point batches as publishers that
//! are at their in-flight limit, as publishers of whom nobody knows, and as callers that ask for a commit at once.

use std::path::Path;
use std::thread;
use std::time::Duration;

use hub_store::{Publisher, Urgency};
use site_tests::Stopwatch;

use crate::intake::in_folder;
use crate::load::Load;
use crate::log;
use crate::measure::median;
use crate::table::{Show, Table};

const ROUNDS: u64 = 3;
const BATCH: u32 = 1000;
const BATCHES: u32 = 800;

/// How a caller says that it waits.
#[derive(Clone, Copy, Debug)]
enum Caller {
    AtLimit,
    Unknown,
    Now,
}

/// Adds the figures to the table.
pub(crate) fn measure(folder: &Path, table: &mut Table) {
    for callers in [1, 16] {
        for (caller, name) in
            [(Caller::AtLimit, "at its limit"), (Caller::Unknown, "quiet for 2 ms"), (Caller::Now, "at once")]
        {
            let rounds: Vec<(f64, f64)> =
                (0..ROUNDS).map(|round| run(folder, round, callers, caller)).collect();
            let speed = median(rounds.iter().map(|(speed, _)| *speed).collect());
            let latency = median(rounds.iter().map(|(_, latency)| *latency).collect());
            let who = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
            table.add(&format!("group commit, {who}, {name}: points"), Show::PerSecond, speed, None, "-");
            table.add(
                &format!("group commit, {who}, {name}: latency"),
                Show::Milliseconds,
                latency,
                None,
                "-",
            );
        }
    }
}

/// Points a second, and the median time in seconds from the call to "stored".
fn run(folder: &Path, round: u64, callers: u32, caller: Caller) -> (f64, f64) {
    in_folder(&folder.join("ours"), |place| {
        let handle = log::create(place);
        let now = log::now();
        let watch = Stopwatch::start();
        let latencies: Vec<f64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..callers)
                .map(|number| {
                    let (handle, mut load) = (&handle, Load::new(round + u64::from(number), now.mono_ms));
                    scope.spawn(move || {
                        let mut taken = Vec::new();
                        for _ in 0..BATCHES / callers {
                            let batch = load.batch(BATCH);
                            let (urgency, publisher) = match caller {
                                Caller::AtLimit => {
                                    let id = u64::from(number);
                                    (Urgency::Publisher, Some(Publisher { id, at_limit: true }))
                                }
                                Caller::Unknown => (Urgency::Publisher, None),
                                Caller::Now => (Urgency::Now, None),
                            };
                            let watch = Stopwatch::start();
                            log::store_batch_as(handle, now.boot, &batch, urgency, publisher);
                            taken.push(watch.elapsed().as_secs_f64());
                        }
                        taken
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a caller ends")).collect()
        });
        let wall: Duration = watch.elapsed();
        handle.close().expect("the log closes");
        (f64::from(BATCH) * f64::from(BATCHES / callers * callers) / wall.as_secs_f64(), median(latencies))
    })
}
