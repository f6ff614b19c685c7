//! Whatever goes into a block comes out of it, in the same order, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{PLACE, ROOMY, any_samples};
use hub_codec::{Limits, RowBlock, RowTimes, SampleBlock, encode_rows, encode_samples};
use hub_model::{Class, Sample, SeqRange, SeriesId, UtcMs};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn samples_come_back(samples in any_samples()) {
        let bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        let block = SampleBlock::open(&bytes, &ROOMY).unwrap();
        prop_assert_eq!(block.samples().unwrap(), samples);
    }

    #[test]
    fn the_header_says_what_is_inside(samples in any_samples()) {
        let bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        let block = SampleBlock::open(&bytes, &ROOMY).unwrap();
        let header = block.header();
        let stamps = samples.iter().map(|sample| sample.received);
        prop_assert_eq!(header.span(), (stamps.clone().min().unwrap(), stamps.max().unwrap()));
        let walls = samples.iter().filter_map(|sample| match sample.stamp {
            hub_model::Stamp::Wall(utc, _) => Some(utc),
            hub_model::Stamp::Boot(_) => None,
        });
        prop_assert_eq!(header.wall, walls.clone().min().zip(walls.max()));
        prop_assert_eq!(header.range, SeqRange::new(1_000, 1_000 + samples.len() as u64));
        let ids: BTreeSet<SeriesId> = samples.iter().map(|sample| sample.series).collect();
        prop_assert_eq!(header.series_count as usize, ids.len());
        for (id, count) in block.series() {
            prop_assert_eq!(count, samples.iter().filter(|sample| sample.series == id).count());
        }
    }

    #[test]
    fn one_series_reads_as_it_does_among_all(samples in any_samples()) {
        let bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        let block = SampleBlock::open(&bytes, &ROOMY).unwrap();
        for (id, _) in block.series() {
            let of_series: Vec<Sample> = samples.iter().filter(|sample| sample.series == id).cloned().collect();
            prop_assert_eq!(block.samples_of(id).unwrap(), Some(of_series));
        }
    }

    #[test]
    fn wanted_series_have_their_numbers(samples in any_samples(), odd: bool) {
        let bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        let block = SampleBlock::open(&bytes, &ROOMY).unwrap();
        let wanted = |id: SeriesId| (id.0 % 2 == 1) == odd;
        let found: Vec<(u64, Sample)> = block.numbered(wanted).unwrap().collect();
        let numbered = (1_000..).zip(samples).filter(|(_, sample)| wanted(sample.series));
        prop_assert_eq!(found, numbered.collect::<Vec<_>>());
    }

    #[test]
    fn the_same_samples_make_the_same_bytes(samples in any_samples()) {
        let encode = || encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        prop_assert_eq!(encode(), encode());
    }

    #[test]
    fn rows_come_back(rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..50)) {
        let place = hub_codec::Place { class: Class::Meta, ..PLACE };
        let times = RowTimes { t_min_ms: 5, t_span_ms: 7, wall: Some((UtcMs(-3), UtcMs(9))) };
        let bytes = encode_rows(&place, &times, &rows, &Limits::LOG).unwrap();
        let block = RowBlock::open(&bytes, &Limits::LOG).unwrap();
        let found: Vec<(u64, Vec<u8>)> = block.rows().map(|(seq, row)| (seq, row.to_vec())).collect();
        prop_assert_eq!(found, (1_000..).zip(rows).collect::<Vec<_>>());
        let header = block.header();
        prop_assert_eq!((header.t_min_ms, header.t_span_ms, header.wall), (5, 7, times.wall));
    }
}
