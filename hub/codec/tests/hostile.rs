//! Bytes that are no good: an error that says what, never a panic, never more memory or time than the limits allow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{PLACE, ROOMY, any_samples, site_samples};
use hub_codec::{
    DecodeError, EncodeError, Limits, Place, RowBlock, RowTimes, SampleBlock, encode_rows, encode_samples,
    fuzz,
};
use hub_model::{BootId, BootStamp, Class, Sample, SeriesId, Stamp, UtcMs, Value, WallSource};
use proptest::prelude::*;

fn at(mono_ms: u64) -> BootStamp {
    BootStamp { boot: common::BOOT, mono_ms }
}

fn observed(series: u32, mono_ms: u64, value: Value) -> Sample {
    Sample::observed(SeriesId(series), at(mono_ms), value)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        fuzz(&bytes);
        prop_assert!(SampleBlock::open(&bytes, &ROOMY).is_err() && RowBlock::open(&bytes, &ROOMY).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed(samples in any_samples(), at: prop::sample::Index, xor in 1u8..) {
        let mut bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= xor;
        let expected = if at < 4 { DecodeError::Malformed("magic") } else { DecodeError::Checksum };
        prop_assert_eq!(SampleBlock::open(&bytes, &ROOMY).err(), Some(expected));
    }

    #[test]
    fn changes_behind_a_right_checksum_do_no_harm(
        samples in site_samples(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode_samples(&PLACE, &samples, &ROOMY).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fuzz(&bytes);
    }
}

#[test]
fn what_cannot_be_a_block_is_told() {
    let good = observed(1, 5, Value::Bool(true));
    let encode = |samples: &[Sample], limits: &Limits| encode_samples(&PLACE, samples, limits).unwrap_err();
    assert_eq!(encode(&[], &ROOMY), EncodeError::Empty);
    let other_boot = BootStamp { boot: BootId::from_bytes([8; 16]), mono_ms: 5 };
    let wrong = [
        Sample { received: other_boot, ..good.clone() },
        Sample { stamp: Stamp::Boot(at(6)), ..good.clone() },
        Sample { value: Some(Value::Bytes(vec![0; 4097].into())), ..good.clone() },
    ];
    for sample in wrong {
        let error = encode(&[good.clone(), sample], &ROOMY);
        assert!(matches!(error, EncodeError::Record { at: 1, .. }) && !error.is_too_large(), "{error}");
    }
    let place = Place { first_seq: u64::MAX, ..PLACE };
    assert_eq!(encode_samples(&place, [&good], &ROOMY), Err(EncodeError::Range));
    let place = Place { class: Class::Event, ..PLACE };
    assert_eq!(encode_samples(&place, [&good], &ROOMY), Err(EncodeError::Class("event")));
    assert_eq!(
        encode_rows(&PLACE, &RowTimes::default(), [b"row"], &ROOMY),
        Err(EncodeError::Class("telemetry"))
    );
    let backward = RowTimes { wall: Some((UtcMs(1), UtcMs(0))), ..RowTimes::default() };
    assert!(matches!(encode_rows(&place, &backward, [b"row"], &ROOMY), Err(EncodeError::Record { .. })));
}

#[test]
fn what_is_too_large_says_so_and_its_halves_fit() {
    let text = |n: u32| Value::Bytes(n.to_le_bytes().repeat(1024).into());
    let samples: Vec<Sample> = (0..5_000).map(|n| observed(n % 7, u64::from(n), text(n))).collect();
    let scattered = |n: u32| Value::U64(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n));
    let noise: Vec<Sample> = (0..16_385).map(|n| observed(n % 7, u64::from(n), scattered(n))).collect();
    let error = |samples: &[Sample]| encode_samples(&PLACE, samples, &Limits::LOG).unwrap_err();
    for (samples, what) in [
        (&samples[..], "length of texts"),
        (&noise[..], "number of records"),
        (&noise[1..], "length of the block"),
    ] {
        let error = error(samples);
        assert!(error.is_too_large() && error.to_string().contains(what), "{error}");
    }
    let mut from = 0;
    while from < noise.len() {
        let mut to = noise.len();
        let bytes = loop {
            match encode_samples(&PLACE, &noise[from..to], &Limits::LOG) {
                Ok(bytes) => break bytes,
                Err(error) => assert!(error.is_too_large(), "{error}"),
            }
            to = from + (to - from) / 2;
        };
        let block = SampleBlock::open(&bytes, &Limits::LOG).unwrap();
        assert!(block.samples().unwrap() == noise[from..to]);
        from = to;
    }
    let rows = vec![[0; 1 << 20]; 17];
    let place = Place { class: Class::Meta, ..PLACE };
    let error = encode_rows(&place, &RowTimes::default(), &rows, &Limits::LOG).unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

/// The largest sample fits any log's block.
#[test]
fn a_single_sample_always_fits() {
    let received = at(u64::MAX);
    let noise: Vec<u8> = (0..4096u32).map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    let stamp = Stamp::Wall(UtcMs(i64::MIN), WallSource::Device);
    let value = Some(Value::Bytes(noise.into()));
    let quality = hub_model::Quality::new(hub_model::Level::Uncertain, hub_model::Reason::Stale, 255);
    let sample = Sample { series: SeriesId(u32::MAX), stamp, received, value, quality };
    let bytes = encode_samples(&PLACE, [&sample], &Limits::LOG).unwrap();
    assert_eq!(SampleBlock::open(&bytes, &Limits::LOG).unwrap().samples(), Ok(vec![sample]));
}

#[test]
fn a_reader_with_lower_limits_refuses() {
    let samples: Vec<Sample> =
        (0..100).map(|n| observed(1, n, Value::String("the same long text".repeat(100).into()))).collect();
    let bytes = encode_samples(&PLACE, &samples, &Limits::LOG).unwrap();
    // A text of 1,800 bytes, a hundred times: the block is small, and what it stands for is not.
    assert!(bytes.len() < 500);
    let limit = |limits: Limits| {
        let block = match SampleBlock::open(&bytes, &limits) {
            Ok(block) => block,
            Err(error) => return error,
        };
        assert_eq!(block.samples_of(SeriesId(1)).unwrap_err(), block.samples().unwrap_err());
        block.samples().unwrap_err()
    };
    let few = DecodeError::Limit { what: "number of records", found: 100, allowed: 99 };
    assert_eq!(limit(Limits { records_max: 99, ..Limits::LOG }), few);
    let short = DecodeError::Limit { what: "unpacked length", found: 181_800, allowed: 181_799 };
    assert_eq!(limit(Limits { unpacked_bytes_max: 181_799, ..Limits::LOG }), short);
    let rows =
        encode_rows(&Place { class: Class::Audit, ..PLACE }, &RowTimes::default(), [[0; 1000]], &Limits::LOG);
    let short = DecodeError::Limit { what: "unpacked length", found: 1000, allowed: 999 };
    let limits = Limits { unpacked_bytes_max: 999, ..Limits::LOG };
    assert_eq!(RowBlock::open(&rows.unwrap(), &limits).err(), Some(short));
}

#[test]
fn other_versions_and_classes_are_told_apart() {
    let mut bytes = encode_samples(&PLACE, [&observed(1, 5, Value::Bool(true))], &Limits::LOG).unwrap();
    assert_eq!(RowBlock::open(&bytes, &Limits::LOG).err(), Some(DecodeError::Class("telemetry")));
    assert_eq!((hub_codec::version(&bytes), hub_codec::checksum_holds(&bytes)), (Some(2), true));
    bytes[4] = 1;
    // A checksum that does not hold says nothing about the version.
    assert_eq!(SampleBlock::open(&bytes, &Limits::LOG).err(), Some(DecodeError::Checksum));
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..94]), &bytes[98..]);
    bytes[94..98].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SampleBlock::open(&bytes, &Limits::LOG).err(), Some(DecodeError::Version(1)));
    assert_eq!((hub_codec::version(&bytes), hub_codec::checksum_holds(&bytes)), (Some(1), true));
    assert_eq!(SampleBlock::open(b"RBL", &Limits::LOG).err(), Some(DecodeError::Malformed("magic")));
    assert_eq!(SampleBlock::open(b"RBLK", &Limits::LOG).err(), Some(DecodeError::Malformed("header")));
    assert_eq!(hub_codec::version(b"RWC1\x02\x00"), None);
}
