//! Small commits: what one poll of twenty points costs the device, which is what wears flash out.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::intake::{as_f64, in_folder};
use crate::load::Load;
use crate::log;
use crate::measure::{Usage, lowest, median};
use crate::sqlite::Sqlite;
use crate::table::{Show, Table};

const ROUNDS: u64 = 5;
const POINTS: u32 = 20;
const COMMITS: u32 = 1000;

/// Adds the figures to the table.
pub(crate) fn measure(folder: &Path, table: &mut Table) {
    let (mut ours, mut reference, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(in_folder(&folder.join("ours"), |place| log_commits(place, round)));
        reference.push(in_folder(&folder.join("reference"), |place| sqlite_commits(place, round)));
        bare.push(in_folder(&folder.join("bare"), bare_commits));
    }
    let commits = f64::from(COMMITS);
    let bytes = |usages: &[Usage]| {
        let written: Option<Vec<f64>> = usages.iter().map(|u| Some(as_f64(u.written?) / commits)).collect();
        written.map(lowest)
    };
    let speed = |usages: &[Usage]| median(usages.iter().map(|u| commits / u.wall.as_secs_f64()).collect());
    if let Some(written) = bytes(&ours) {
        table.add("20-point commit: device bytes", Show::Bytes, written, bytes(&reference), "<= 4,500 B");
    }
    table.add("20-point commit: commits", Show::PerSecond, speed(&ours), Some(speed(&reference)), "-");
    table.add(
        "4 KiB page write + fdatasync alone: what the disk allows",
        Show::PerSecond,
        speed(&bare),
        None,
        "-",
    );
}

fn log_commits(place: &Path, round: u64) -> Usage {
    let handle = log::create(place);
    let now = log::now();
    let mut load = Load::new(round, now.mono_ms);
    let usage = Usage::of(place, || {
        for _ in 0..COMMITS {
            log::store_batch(&handle, now.boot, &load.batch(POINTS));
        }
    });
    handle.close().expect("the log closes");
    usage
}

fn sqlite_commits(place: &Path, round: u64) -> Usage {
    let database = Sqlite::create(place);
    let mut load = Load::new(round, log::now().mono_ms);
    Usage::of(place, || database.store((0..COMMITS).map(|_| load.batch(POINTS))))
}

/// The floor under every commit: one page of a file that is there already, and its sync.
fn bare_commits(place: &Path) -> Usage {
    const PAGE: usize = 4096;
    std::fs::create_dir_all(place).expect("a folder can be made");
    let file = File::create(place.join("pages")).expect("a file can be made");
    let pages = vec![0; PAGE * COMMITS as usize];
    file.write_all_at(&pages, 0).and_then(|()| file.sync_all()).expect("the disk has room");
    let page = [7; PAGE];
    Usage::of(place, || {
        for number in 0..u64::from(COMMITS) {
            file.write_all_at(&page, number * PAGE as u64).expect("the page can be written");
            file.sync_data().expect("the page can be synced");
        }
    })
}
