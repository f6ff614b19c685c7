//! What the patterns of real sites cost: each is made cheap by one part of the format, and dear without it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{BOOT, PLACE};
use hub_codec::{HEADER_BYTES, Limits, SampleBlock, encode_samples};
use hub_model::{BootStamp, Sample, SeriesId, Stamp, UtcMs, Value, WallSource};

/// Numbers without a pattern, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn sample(series: u32, mono_ms: u64, value: Value) -> Sample {
    Sample::observed(SeriesId(series), BootStamp { boot: BOOT, mono_ms }, value)
}

const fn on() -> Value {
    Value::Bool(true)
}

/// Bytes of a block without its header; it comes back, of course.
fn size(samples: &[Sample]) -> usize {
    let bytes = encode_samples(&PLACE, samples, &Limits::LOG).unwrap();
    let block = SampleBlock::open(&bytes, &Limits::LOG).unwrap();
    assert!(block.samples().unwrap() == samples, "samples come back");
    bytes.len() - HEADER_BYTES
}

#[track_caller]
fn check(samples: &[Sample], at_most: usize) {
    let size = size(samples);
    assert!(size <= at_most, "{size} bytes, at most {at_most} were expected");
    assert!(size * 3 > at_most, "{size} bytes: expect less than {at_most}");
}

/// 20 series of a device, polled every 10 s and a little late, a thousand times.
fn polls(dice: &mut Dice, mut put: impl FnMut(&mut Dice, u32, u64) -> Option<Sample>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for poll in 0..500u64 {
        let mono_ms = 1_000_000 + poll * 10_000 + dice.below(8);
        samples.extend((0..20).filter_map(|series| put(dice, series, mono_ms)));
    }
    samples
}

#[test]
fn a_poll_has_its_time_once() {
    // 3 bits of lateness for a poll of 20 samples.
    check(&polls(&mut Dice(1), |_, series, at| Some(sample(series, at, on()))), 300);
}

#[test]
fn a_grid_without_lateness_is_free() {
    check(&(0..10_000).map(|n| sample(n % 20, u64::from(n / 20) * 250, on())).collect::<Vec<_>>(), 80);
}

#[test]
fn messages_that_lack_some_metrics_cost_less_than_times_of_their_own() {
    let mut dice = Dice(1);
    // The first series is in each message, the others in one of four.
    let put =
        |dice: &mut Dice, series, at| (series == 0 || dice.below(4) == 0).then(|| sample(series, at, on()));
    // 3 bits a message, and some 3.3 for each sample: a share of a quarter cannot be told in less.
    check(&polls(&mut dice, put), 1_500);
}

#[test]
fn a_failure_now_and_then_costs_a_few_bytes() {
    let put = |dice: &mut Dice, series, at| (dice.below(500) != 0).then(|| sample(series, at, on()));
    check(&polls(&mut Dice(1), put), 450);
}

#[test]
fn topics_published_in_a_burst_share_a_timeline() {
    let mut samples = polls(&mut Dice(1), |dice, series, at| Some(sample(series, at + dice.below(3), on())));
    samples.sort_by_key(|sample| sample.received.mono_ms);
    // 10,000 times; each is 0 to 2 ms behind another, 1.6 bits at least; and so is the order of arrival.
    check(&samples, 4_000);
}

#[test]
fn any_order_within_messages_is_free() {
    let put = |_: &mut Dice, series: u32, at| Some(sample(series * 7 % 20, at, on()));
    check(&polls(&mut Dice(1), put), 330);
}

#[test]
fn messages_that_overtake_each_other_cost_a_few_bytes() {
    let mut samples = polls(&mut Dice(1), |_, series, at| Some(sample(series, at, on())));
    for message in (0..500).step_by(50) {
        samples[message * 20..message * 20 + 40].rotate_left(20);
    }
    check(&samples, 450);
}

#[test]
fn regular_times_that_devices_state_are_free() {
    let stated =
        |n: u64| Stamp::Wall(UtcMs(1_790_000_000_000 + (n * 10_000).cast_signed()), WallSource::Device);
    let put = |_: &mut Dice, series, at: u64| {
        Some(Sample { stamp: stated((at - 1_000_000) / 10_000), ..sample(series, at, on()) })
    };
    let samples = polls(&mut Dice(1), put);
    check(&samples, 330);
}

#[test]
fn a_device_that_was_offline_tells_its_history_in_one_message() {
    let stated = |n: u32| Stamp::Wall(UtcMs(1_790_000_000_000 + i64::from(n) * 60_000), WallSource::Device);
    let samples: Vec<Sample> =
        (0..10_000).map(|n| Sample { stamp: stated(n / 4), ..sample(n % 4, 77, on()) }).collect();
    check(&samples, 80);
}

#[test]
fn readings_within_one_millisecond_keep_their_order() {
    let samples: Vec<Sample> = (0..10_000).map(|n| sample(n % 4, u64::from(n / 40), on())).collect();
    check(&samples, 300);
}

#[test]
fn states_in_words_cost_as_much_as_numbers() {
    let mut word = "off";
    let samples = polls(&mut Dice(1), |dice, series, at| {
        if dice.below(100) == 0 {
            word = ["off", "heating", "cooling", "fault"][usize::try_from(dice.below(4)).unwrap()];
        }
        Some(sample(series, at, Value::string(word).unwrap()))
    });
    // A change in a hundred samples is one in five messages here, seen by all 20 series.
    check(&samples, 5_500);
}
