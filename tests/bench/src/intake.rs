//! Durable intake: points a second that are on the device when the caller hears so.

use std::path::Path;
use std::thread;

use crate::load::Load;
use crate::log;
use crate::measure::{Usage, lowest, median};
use crate::sqlite::Sqlite;
use crate::table::{Show, Table};

const ROUNDS: u64 = 5;
const BATCH: u32 = 1000;
/// Enough points for the log to seal and SQLite to checkpoint many times.
const BATCHES: u32 = 2000;
const CALLERS: u32 = 16;

/// Adds the figures to the table.
pub(crate) fn measure(folder: &Path, table: &mut Table) {
    let (mut ours, mut reference, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(one_caller(folder, round));
        reference.push(sqlite(folder, round));
        together.push(many_callers(folder, round));
    }
    let points = f64::from(BATCH) * f64::from(BATCHES);
    let speed = |usages: &[Usage]| median(usages.iter().map(|u| points / u.wall.as_secs_f64()).collect());
    let cpu = |usages: &[Usage]| median(usages.iter().map(|u| u.cpu.as_secs_f64() * 1e6 / points).collect());
    let bytes = |usages: &[Usage]| {
        let written: Option<Vec<f64>> = usages.iter().map(|u| Some(as_f64(u.written?) / points)).collect();
        written.map(lowest)
    };
    let name = |what: &str| format!("durable intake, 1,000-point batches: {what}");
    let (a, b) = (speed(&ours), speed(&reference));
    table.add(&name("points, 1 caller"), Show::PerSecond, a, Some(b), ">= 5 x SQLite");
    table.add(&name("CPU per million points"), Show::Seconds, cpu(&ours), Some(cpu(&reference)), "-");
    if let Some(written) = bytes(&ours) {
        table.add(&name("device bytes per point"), Show::Bytes, written, bytes(&reference), "-");
    }
    table.add(&name("points, 16 callers"), Show::PerSecond, speed(&together), None, ">= 1,000,000/s");
}

fn one_caller(folder: &Path, round: u64) -> Usage {
    in_folder(&folder.join("ours"), |place| {
        let handle = log::create(place);
        let now = log::now();
        let mut load = Load::new(round, now.mono_ms);
        let usage = Usage::of(place, || {
            for _ in 0..BATCHES {
                log::store_batch(&handle, now.boot, &load.batch(BATCH));
            }
        });
        handle.close().expect("the log closes");
        usage
    })
}

fn many_callers(folder: &Path, round: u64) -> Usage {
    in_folder(&folder.join("ours"), |place| {
        let handle = log::create(place);
        let now = log::now();
        let usage = Usage::of(place, || {
            thread::scope(|scope| {
                for caller in 0..CALLERS {
                    let (handle, mut load) = (&handle, Load::new(round + u64::from(caller), now.mono_ms));
                    scope.spawn(move || {
                        for _ in 0..BATCHES / CALLERS {
                            log::store_batch(handle, now.boot, &load.batch(BATCH));
                        }
                    });
                }
            });
        });
        handle.close().expect("the log closes");
        usage
    })
}

fn sqlite(folder: &Path, round: u64) -> Usage {
    in_folder(&folder.join("reference"), |place| {
        let database = Sqlite::create(place);
        let mut load = Load::new(round, log::now().mono_ms);
        Usage::of(place, || database.store((0..BATCHES).map(|_| load.batch(BATCH))))
    })
}

/// Runs something in a fresh folder and removes it.
pub(crate) fn in_folder<T>(place: &Path, work: impl FnOnce(&Path) -> T) -> T {
    if place.exists() {
        std::fs::remove_dir_all(place).expect("an old folder can be removed");
    }
    let result = work(place);
    std::fs::remove_dir_all(place).expect("the folder can be removed");
    result
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
