//! Measures a codec.
//!
//! Time is that of the processor, for this thread, and the least of some runs: whatever else the machine does only adds to
//! it. Buffers of the caller are made new for each run, as a hub makes them.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use site_telegen::Point;

use crate::{block, gorilla, json, parquet_file};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Block,
    Json,
    Gorilla,
    /// Rows as they arrived.
    ParquetArrived,
    /// Rows by series, then time: smaller, and the order of arrival is lost.
    ParquetBySeries,
}

impl Codec {
    pub(crate) const ALL: [Codec; 5] =
        [Codec::Block, Codec::Json, Codec::Gorilla, Codec::ParquetArrived, Codec::ParquetBySeries];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Codec::Block => "block",
            Codec::Json => "JSON lines, zstd-3",
            Codec::Gorilla => "Gorilla",
            Codec::ParquetArrived => "Parquet, zstd-3, as arrived",
            Codec::ParquetBySeries => "Parquet, zstd-3, by series",
        }
    }
}

/// What a point takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) bytes: f64,
    pub(crate) encode_ns: f64,
    pub(crate) decode_ns: f64,
}

impl Figures {
    pub(crate) fn mean(all: &[Figures]) -> Figures {
        let mean = |of: fn(&Figures) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Figures {
            bytes: mean(|f| f.bytes),
            encode_ns: mean(|f| f.encode_ns),
            decode_ns: mean(|f| f.decode_ns),
        }
    }
}

/// Measures a codec on some points, and checks that they come back.
pub(crate) fn measure(codec: Codec, points: &[Point], runs: usize) -> Figures {
    match codec {
        Codec::Block => {
            let samples: Vec<_> = points.iter().map(Point::sample).collect();
            let bytes = block::encode(&samples);
            assert!(block::decode(&bytes) == samples, "samples come back");
            figures(points, &bytes, runs, || block::encode(&samples), block::decode)
        }
        Codec::Json => {
            let bytes = json::encode(points);
            assert!(json::decode(&bytes) == json::lines(points), "lines come back");
            figures(points, &bytes, runs, || json::encode(points), json::decode)
        }
        Codec::Gorilla => {
            let bytes = gorilla::encode(points);
            assert!(gorilla::decode(&bytes) == gorilla::by_series(points), "points come back");
            figures(points, &bytes, runs, || gorilla::encode(points), gorilla::decode)
        }
        Codec::ParquetArrived | Codec::ParquetBySeries => {
            let columns = parquet_file::Columns::new(points, codec == Codec::ParquetBySeries);
            let bytes = parquet_file::encode(&columns);
            assert!(parquet_file::decode(&bytes) == columns, "columns come back");
            figures(points, &bytes, runs, || parquet_file::encode(&columns), parquet_file::decode)
        }
    }
}

fn figures<T>(
    points: &[Point],
    bytes: &[u8],
    runs: usize,
    encode: impl Fn() -> Vec<u8>,
    decode: impl Fn(&[u8]) -> T,
) -> Figures {
    let count = points.len() as f64;
    Figures {
        bytes: bytes.len() as f64 / count,
        encode_ns: least_ns(runs, || drop(black_box(encode()))) / count,
        decode_ns: least_ns(runs, || drop(black_box(decode(black_box(bytes))))) / count,
    }
}

/// Processor time of the fastest run.
pub(crate) fn least_ns(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..runs {
        let began = thread_ns();
        work();
        least = least.min(thread_ns() - began);
    }
    least
}

fn thread_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
