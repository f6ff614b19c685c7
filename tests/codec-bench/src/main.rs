//! What a point takes: bytes, and processor time to write and to read, in blocks and in three references, on the same points
//! in the same run. The points are the reference mix of `site-telegen`, 200 series.
//!
//! `cargo run --release -p site-codec-bench [-- --seeds 1,2,3 --runs 20]`

mod block;
mod gorilla;
mod json;
mod measure;
mod parquet_file;
mod table;

use hub_model::Sample;
use site_telegen::{Point, Site};

use measure::{Codec, Figures, measure};

/// Series of the site.
const SERIES: usize = 200;
/// Points in a block. A block of the log holds at most 16,384; the last shows what larger ones would save.
const COUNTS: [usize; 3] = [4_096, 16_384, 65_536];
/// Where points are taken from: at the start, and once loads have gone on and off for a while.
const SKIPS: [usize; 2] = [0, 100_000];

fn main() {
    let options = Options::from_args();
    let mut table = table::Table::new(&options.seeds, options.runs);
    for codec in Codec::ALL {
        let mut rows = Vec::new();
        for seed in &options.seeds {
            let last = SKIPS[1] + COUNTS[2];
            let points = Site::first_points(SERIES, *seed, last);
            let of_count = |count: usize| {
                let figures = SKIPS.map(|skip| {
                    let window = &points[skip..skip + count];
                    measure(codec, window, options.runs)
                });
                Figures::mean(&figures)
            };
            rows.push((*seed, COUNTS.map(of_count)));
        }
        table.add(codec, &rows);
    }
    table.show();
    table::show_partial_reads(&samples(options.seeds[0], COUNTS[1]), options.runs);
}

fn samples(seed: u64, count: usize) -> Vec<Sample> {
    let points = Site::first_points(SERIES, seed, SKIPS[1] + count);
    points[SKIPS[1]..].iter().map(Point::sample).collect()
}

struct Options {
    seeds: Vec<u64>,
    runs: usize,
}

impl Options {
    fn from_args() -> Options {
        let mut options = Options { seeds: (1..=8).collect(), runs: 20 };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                "--seeds" => {
                    let number = |word: &str| word.parse().expect("a seed is a number");
                    options.seeds = value.split(',').map(number).collect();
                }
                "--runs" => options.runs = value.parse().expect("runs are a number"),
                _ => panic!("{arg} is not known: --seeds 1,2,3 --runs 20"),
            }
        }
        assert!(options.runs > 0, "at least one run");
        options
    }
}
