//! The table people read.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use hub_codec::{BlockHeader, SampleBlock};
use hub_model::{Sample, SeriesId};

use crate::block::{self, LIMITS};
use crate::measure::{Codec, Figures, least_ns};

/// Bytes per point in blocks of 4,096, 16,384 and 65,536; then nanoseconds per point to encode and decode at 16,384.
const BUDGET: [f64; 5] = [1.1, 0.80, 0.77, 150.0, 45.0];

/// Figures of all codecs.
pub(crate) struct Table {
    lines: Vec<String>,
    seeds: usize,
}

impl Table {
    pub(crate) fn new(seeds: &[u64], runs: usize) -> Table {
        let head = format!(
            "200 series of the reference mix, seeds {seeds:?}, mean of points 0.. and 100,000..; processor time of this \
             thread, least of {runs} runs"
        );
        let columns = format!(
            "{:<28} {:>8} {:>8} {:>8}   {:>9} {:>9}",
            "bytes per point", "4,096", "16,384", "65,536", "encode ns", "decode ns"
        );
        Table { lines: vec![head, String::new(), columns], seeds: seeds.len() }
    }

    /// Adds the rows of a codec: per seed for ours, the mean of all seeds for each.
    pub(crate) fn add(&mut self, codec: Codec, rows: &[(u64, [Figures; 3])]) {
        if codec == Codec::Block && self.seeds > 1 {
            for (seed, figures) in rows {
                self.lines.push(line(&format!("  seed {seed}"), &numbers(figures)));
            }
        }
        let mean = [0, 1, 2].map(|count| {
            let of_count: Vec<Figures> = rows.iter().map(|(_, figures)| figures[count]).collect();
            Figures::mean(&of_count)
        });
        let numbers = numbers(&mean);
        self.lines.push(line(codec.name(), &numbers));
        if codec == Codec::Block {
            self.lines.push(line("  budget", &BUDGET));
            let met = numbers.iter().zip(BUDGET).all(|(number, budget)| *number <= budget);
            self.lines.push(format!("  {}", if met { "all met" } else { "NOT all met" }));
        }
    }

    pub(crate) fn show(&self) {
        println!("{}", self.lines.join("\n"));
    }
}

fn numbers(figures: &[Figures; 3]) -> [f64; 5] {
    let [small, log, large] = figures;
    [small.bytes, log.bytes, large.bytes, log.encode_ns, log.decode_ns]
}

fn line(name: &str, [small, log, large, encode, decode]: &[f64; 5]) -> String {
    format!("{name:<28} {small:>8.3} {log:>8.3} {large:>8.3}   {encode:>9.1} {decode:>9.1}")
}

/// What it takes to read a part of a block.
pub(crate) fn show_partial_reads(samples: &[Sample], runs: usize) {
    let bytes = block::encode(samples);
    let open = || SampleBlock::open(&bytes, &LIMITS).expect("a block just written");
    let id = SeriesId(100);
    let show = |what: &str, ns: f64| println!("{what:<52} {:>9.1} µs", ns / 1000.0);
    println!("\nparts of a block of {} points, {} bytes", samples.len(), bytes.len());
    show("header, checksum over all", least_ns(runs, || drop(BlockHeader::read(&bytes, &LIMITS))));
    show("header and directory", least_ns(runs, || drop(open())));
    show("one series", least_ns(runs, || drop(open().samples_of(id))));
    let numbered = || open().numbered(|wanted| wanted == id).expect("a block just written").count();
    show("one series with its sequence numbers", least_ns(runs, || assert!(numbered() > 0)));
    show("all", least_ns(runs, || drop(open().samples())));
}
