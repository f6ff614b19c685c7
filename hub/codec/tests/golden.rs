//! Blocks of version 2 as they were written: every later program must read them as the same records.
//!
//! `RELAIS_GOLDEN=write cargo test -p hub-codec --test golden` writes the files of blocks that are new. What is there is
//! never written again: an encoder may find shorter bytes, but these are on flash somewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::BOOT;
use hub_codec::{Limits, Place, RowBlock, RowTimes, SampleBlock, encode_rows, encode_samples};
use hub_model::{
    BootStamp, Class, Level, LogEpoch, Quality, Reason, Sample, SeriesId, Stamp, UtcMs, Value, WallSource,
};

const PLACE: Place =
    Place { class: Class::Telemetry, epoch: LogEpoch(0xfedc_ba98_7654_3210), boot: BOOT, first_seq: 70_000 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/block-v2")
}

fn sample(series: u32, mono_ms: u64, value: Value) -> Sample {
    Sample::observed(SeriesId(series), BootStamp { boot: BOOT, mono_ms }, value)
}

/// Numbers below `end` without a pattern, from a place in a fixed sequence.
fn scattered(at: u64, end: u64) -> u64 {
    let mut mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)) % end
}

/// About as a bell around half of `end`.
fn bell(at: u64, end: u64) -> u64 {
    (0..4).map(|n| scattered(at * 4 + n, end)).sum::<u64>() / 4
}

fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn double(number: u64) -> f64 {
    f64::from(low_32(number))
}

fn low_32(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

/// Of a number below 2^24.
fn single(number: u64) -> f32 {
    let (high, low) = (u16::try_from(number >> 12).unwrap(), u16::try_from(number & 0xfff).unwrap());
    f32::from(high) * 4096.0 + f32::from(low)
}

/// A device polled every 10 s, with a column for each way of writing numbers.
fn polls() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut walk = 0;
    for n in 0..60u64 {
        walk += signed(bell(n, 40)) - 20;
        let mono_ms = 5_000_000 + n * 10_000 + scattered(n, 7) + if n == 31 { 640 } else { 0 };
        let drift = n * n + bell(n, 60);
        let values = [
            Value::I64(-5),
            Value::I64(7 - 250 * signed(n)),
            Value::U64(u64::MAX - n / 17),
            Value::Bool(n > 20 && n < 44),
            Value::Enum([3, 4_000_000_000, 9][usize::try_from(n / 23).unwrap()]),
            Value::U64(scattered(n, 16)),
            Value::I64(1_000_000 + 500 * signed(bell(n, 90))),
            Value::I64(walk * 3),
            Value::I64(signed(drift)),
            Value::F64(double(2_150 + bell(n, 30)) / 100.0),
            Value::F64(f64::from(single(2_300 + bell(n, 30)) / 10.0)),
            Value::F64(if n == 9 {
                f64::NAN
            } else {
                f64::from(20.0 + single(scattered(n, 1 << 20)) * 2e-6)
            }),
            Value::F64(f64::from(f32::from_bits(0x3a00_0000 + low_32(scattered(n + 7, 1 << 28))))),
            Value::F64(20.0 + double(scattered(n, 1 << 31)) * 1e-12),
            Value::F64(f64::from_bits(0x3f00_0000_0000_0000 + (scattered(n, 1 << 62) >> 4))),
            Value::F32(if n == 9 { f32::INFINITY } else { single(2_300 + bell(n, 30)) / 10.0 }),
            Value::F32(20.0 + single(scattered(n, 1 << 20)) * 2e-6),
            Value::F32(f32::from_bits(0x3a00_0000 + low_32(scattered(n, 1 << 28)))),
        ];
        samples.extend((10..).zip(values).map(|(series, value)| sample(series, mono_ms, value)));
    }
    samples
}

/// Every type with the values at its ends, and what JSON and buses make of failures.
fn extremes() -> Vec<Sample> {
    let floats =
        [0, 1, 1 << 63, 0x7ff0_0000_0000_0000, 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, u64::MAX];
    let singles = [0, 1, 1 << 31, 0x7f80_0000, 0x7f80_0001, 0xffc0_1234, u32::MAX];
    let mut samples = Vec::new();
    for (n, (double, single)) in (0u64..).zip(floats.into_iter().zip(singles)) {
        let at = 1_000 + n;
        samples.push(sample(0, at, Value::F64(f64::from_bits(double))));
        samples.push(sample(1, at, Value::F32(f32::from_bits(single))));
        samples.push(sample(2, at, Value::I64([i64::MIN, i64::MAX][usize::try_from(n % 2).unwrap()])));
        samples.push(sample(3, at, Value::U64([u64::MAX, 0][usize::try_from(n % 2).unwrap()])));
        samples.push(sample(u32::MAX, at, Value::Enum(u32::MAX)));
        // Decimal but for a stray.
        let reading = if n == 3 { f64::NAN } else { 21.5 };
        samples.push(sample(5, at, Value::F64(reading)));
    }
    let received = BootStamp { boot: BOOT, mono_ms: u64::MAX };
    samples.push(sample(6, u64::MAX, Value::Bool(false)));
    samples.push(Sample::failed(SeriesId(6), received, Quality::bad(Reason::NoAnswer)));
    samples.push(Sample::failed(SeriesId(7), received, Quality::new(Level::Bad, Reason::Exception, 11)));
    samples.push(Sample {
        quality: Quality::new(Level::Uncertain, Reason::Stale, 0),
        ..sample(6, u64::MAX, Value::Bool(true))
    });
    samples.push(sample(8, 500, Value::Bytes([].into())));
    samples.push(sample(8, 500, Value::Bytes([0xff; 300].into())));
    samples.push(sample(9, 500, Value::String("".into())));
    for value in [
        Value::Bool(true),
        Value::String("of several types".into()),
        Value::F64(-0.0),
        Value::F32(-1.5),
        Value::I64(-1),
        Value::U64(1),
        Value::Enum(1),
        Value::Bytes([1, 2].into()),
    ] {
        samples.push(sample(9, 500, value));
    }
    samples
}

/// States in words, most of them often, some once.
fn words() -> Vec<Sample> {
    let words = ["off", "heating", "störung", "off"];
    (0..80u64)
        .map(|n| {
            let word = words[usize::try_from(n / 7 % 4).unwrap()];
            let text = if n % 20 == 19 { format!("{word}, since {n} minutes") } else { word.to_owned() };
            sample(u32::try_from(n % 2).unwrap(), n * 60_000, Value::string(&text).unwrap())
        })
        .collect()
}

/// Times stated by devices: regular, late, missing, long past; and timelines that follow others.
fn times() -> Vec<Sample> {
    let stated = |ms: i64| Stamp::Wall(UtcMs(1_790_000_000_000 + ms), WallSource::Device);
    let mut samples = Vec::new();
    for n in 0..40u64 {
        let at = n * 1_000 + scattered(n, 9);
        let value = || Value::I64(signed(n));
        // A clock of its own, its stated times beside the hub's.
        samples.push(Sample { stamp: stated(signed(n * 1_000)), ..sample(1, at, value()) });
        samples.push(Sample { stamp: stated(signed(at) - 3), ..sample(2, at + 20, value()) });
        // A message that lacks metrics at times, and a topic just behind it.
        samples.push(sample(3, at + 40, value()));
        if n % 5 != 2 {
            samples.push(sample(4, at + 40, value()));
        }
        samples.push(sample(5, at + 41 + n % 2, value()));
        if n % 10 == 4 {
            samples.push(Sample { stamp: stated(0), ..sample(6, at + 50, value()) });
        }
        if n % 10 == 5 {
            samples.push(sample(6, at + 50, value()));
        }
    }
    let history = |n: u64| Sample { stamp: stated(signed(n) * -60_000), ..sample(7, 50_000, Value::I64(1)) };
    samples.extend((0..20).map(history));
    samples
}

/// Messages that overtook each other.
fn overtaken() -> Vec<Sample> {
    let mut samples = polls();
    samples[160..192].rotate_left(16);
    samples.swap(3, 4);
    samples
}

/// No order at all.
fn disorder() -> Vec<Sample> {
    let series = |n: u64| u32::try_from(scattered(n, 3)).unwrap();
    (0..6_000).map(|n| sample(series(n), scattered(n / 2, 20), Value::Bool(true))).collect()
}

fn sample_blocks() -> Vec<(&'static str, Vec<Sample>)> {
    vec![
        ("one", vec![sample(0, 0, Value::F64(21.5))]),
        ("polls", polls()),
        ("extremes", extremes()),
        ("words", words()),
        ("times", times()),
        ("overtaken", overtaken()),
        ("disorder", disorder()),
    ]
}

fn row_blocks() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("rows", vec![b"first".to_vec(), Vec::new(), b"third".to_vec()]),
        ("rows-packed", (0..40u8).map(|n| [&b"the same for each row, then "[..], &[n]].concat()).collect()),
    ]
}

const ROWS: Place = Place { class: Class::Meta, ..PLACE };
const ROW_TIMES: RowTimes =
    RowTimes { t_min_ms: 9, t_span_ms: 4, wall: Some((UtcMs(-1), UtcMs(1_790_000_000_000))) };

/// The bytes of a golden file; written first when it is new and that is wanted.
fn golden(name: &str, encode: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    if !path.exists() && std::env::var("RELAIS_GOLDEN").as_deref() == Ok("write") {
        let hex: Vec<String> = encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: Vec<String> = hex.chunks(50).map(<[String]>::concat).collect();
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn blocks_of_version_2_read_as_the_samples_they_were_made_of() {
    for (name, samples) in sample_blocks() {
        let bytes = golden(name, || encode_samples(&PLACE, &samples, &Limits::LOG).unwrap());
        let block = SampleBlock::open(&bytes, &Limits::LOG).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(block.samples().unwrap() == samples, "{name}");
        let header = block.header();
        let range = (header.range.from, header.range.len());
        assert_eq!(
            (header.class, header.epoch, header.boot),
            (PLACE.class, PLACE.epoch, PLACE.boot),
            "{name}"
        );
        assert_eq!(range, (PLACE.first_seq, samples.len() as u64), "{name}");
    }
}

#[test]
fn blocks_of_version_2_read_as_the_rows_they_were_made_of() {
    for (name, rows) in row_blocks() {
        let bytes = golden(name, || encode_rows(&ROWS, &ROW_TIMES, &rows, &Limits::LOG).unwrap());
        let block = RowBlock::open(&bytes, &Limits::LOG).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<(u64, Vec<u8>)> = block.rows().map(|(seq, row)| (seq, row.to_vec())).collect();
        assert_eq!(found, (PLACE.first_seq..).zip(rows).collect::<Vec<_>>(), "{name}");
        let header = block.header();
        assert_eq!((header.t_min_ms, header.t_span_ms, header.wall), (9, 4, ROW_TIMES.wall), "{name}");
    }
}

#[test]
fn no_golden_file_is_without_its_records() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let samples = sample_blocks().into_iter().map(|(name, _)| name);
    let mut names: Vec<String> = samples
        .chain(row_blocks().into_iter().map(|(name, _)| name))
        .map(|name| format!("{name}.hex"))
        .collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}
