//! Samples to encode: from what sites send to what nobody does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses its part")]

use hub_codec::{Limits, Place};
use hub_model::{
    BootId, BootStamp, Class, Level, LogEpoch, Quality, Reason, Sample, SeriesId, Stamp, UtcMs, Value,
    WallSource,
};
use proptest::prelude::*;

pub(crate) const BOOT: BootId = BootId::from_bytes([7; 16]);
pub(crate) const PLACE: Place =
    Place { class: Class::Telemetry, epoch: LogEpoch(0x0123_4567_89ab_cdef), boot: BOOT, first_seq: 1_000 };

/// For blocks that are not to be small.
pub(crate) const ROOMY: Limits =
    Limits { records_max: 100_000, block_bytes_max: 1 << 26, unpacked_bytes_max: 1 << 26 };

/// A value of any type and any bits.
pub(crate) fn any_value() -> BoxedStrategy<Value> {
    prop_oneof![
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<bool>().prop_map(Value::Bool),
        any::<u32>().prop_map(Value::Enum),
        "\\PC{0,40}".prop_map(|text| Value::String(text.into())),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| Value::Bytes(bytes.into())),
        extreme_value(),
    ]
    .boxed()
}

fn extreme_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::F64(-0.0)),
        Just(Value::F64(f64::from_bits(0x7ff0_0000_0000_0001))),
        Just(Value::F64(f64::from_bits(0xfff8_dead_beef_0001))),
        Just(Value::F64(f64::INFINITY)),
        Just(Value::F64(f64::from_bits(1))),
        Just(Value::F32(f32::from_bits(0x7f80_0001))),
        Just(Value::F32(-0.0)),
        Just(Value::I64(i64::MIN)),
        Just(Value::I64(i64::MAX)),
        Just(Value::U64(u64::MAX)),
        Just(Value::Enum(u32::MAX)),
        Just(Value::String("".into())),
        Just(Value::Bytes([].into())),
        Just(Value::Bytes([0; 4096].into())),
    ]
}

/// Values of one series: of one type, near each other or not.
fn values_of_a_series() -> BoxedStrategy<BoxedStrategy<Value>> {
    let words = proptest::sample::select(vec![
        "",
        "on",
        "off",
        "standby",
        "störung",
        "a longer state of this device",
    ]);
    prop_oneof![
        (-1_000i32..1_000)
            .prop_map(|base| (-30i32..30).prop_map(move |n| Value::F64(f64::from(base + n) / 10.0)).boxed()),
        (-1_000i32..1_000).prop_map(|base| {
            (-30i32..30).prop_map(move |n| Value::F64(f64::from((base + n) as f32 / 100.0))).boxed()
        }),
        Just(any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))).boxed()),
        Just(any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))).boxed()),
        Just((0u16..500).prop_map(|n| Value::F32(f32::from(n) / 10.0)).boxed()),
        Just(any::<i64>().prop_map(Value::I64).boxed()),
        any::<i64>()
            .prop_map(|base| (0i64..5).prop_map(move |n| Value::I64(base.wrapping_add(n * 7))).boxed()),
        any::<u64>().prop_map(|base| (0u64..100).prop_map(move |n| Value::U64(base.wrapping_add(n))).boxed()),
        Just(any::<bool>().prop_map(Value::Bool).boxed()),
        Just((0u32..4).prop_map(Value::Enum).boxed()),
        any::<u32>().prop_map(|n| Just(Value::Enum(n)).boxed()),
        Just(words.prop_map(|word| Value::String(word.into())).boxed()),
        Just("\\PC{0,20}".prop_map(|text: String| Value::String(text.into())).boxed()),
        Just(proptest::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Bytes(b.into())).boxed()),
        Just(any_value()),
    ]
    .boxed()
}

fn any_quality() -> impl Strategy<Value = Quality> {
    (0usize..3, 0usize..Reason::ALL.len(), any::<u8>()).prop_map(|(level, reason, detail)| {
        let level = [Level::Good, Level::Uncertain, Level::Bad][level];
        Quality::new(level, Reason::ALL[reason], detail)
    })
}

/// Samples without any order between them.
pub(crate) fn wild_samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (
        prop_oneof![0u32..6, any::<u32>()],
        prop_oneof![0u64..50, any::<u64>()],
        proptest::option::weighted(0.3, prop_oneof![0i64..50, any::<i64>()]),
        proptest::option::weighted(0.8, any_value()),
        prop_oneof![Just(Quality::GOOD), any_quality()],
    );
    let sample = sample.prop_map(|(series, mono_ms, wall, value, quality)| {
        let received = BootStamp { boot: BOOT, mono_ms };
        let stamp = wall.map_or(Stamp::Boot(received), |ms| Stamp::Wall(UtcMs(ms), WallSource::Device));
        Sample { series: SeriesId(series), stamp, received, value, quality }
    });
    proptest::collection::vec(sample, 1..120)
}

/// A device: which series it has, how it is read, and what goes wrong.
#[derive(Clone, Debug)]
struct DevicePlan {
    first_id: u32,
    reversed: bool,
    period_ms: u64,
    begin_ms: u64,
    states_time: bool,
    values: Vec<Vec<Value>>,
    lateness_ms: Vec<u64>,
    /// Per poll and series: present, failed, missing.
    fates: Vec<Vec<u8>>,
}

fn device(first_id: u32) -> impl Strategy<Value = DevicePlan> {
    let series = proptest::collection::vec(values_of_a_series(), 1..6);
    (series, 1usize..30).prop_flat_map(move |(series, polls)| {
        let count = series.len();
        let values: Vec<_> = series.into_iter().map(|v| proptest::collection::vec(v, polls)).collect();
        let fate = prop_oneof![30 => Just(0u8), 1 => Just(1), 1 => Just(2)];
        let reliable = proptest::collection::vec(proptest::collection::vec(Just(0u8), count), polls);
        let fates = proptest::collection::vec(proptest::collection::vec(fate, count), polls);
        (
            (
                any::<bool>(),
                prop_oneof![Just(0u64), 1u64..20, Just(1_000), Just(10_000)],
                0u64..5_000,
                any::<bool>(),
            ),
            values,
            proptest::collection::vec(prop_oneof![20 => 0u64..12, 1 => 50u64..800], polls),
            prop_oneof![reliable, fates],
        )
            .prop_map(
                move |((reversed, period_ms, begin_ms, states_time), values, lateness_ms, fates)| {
                    DevicePlan {
                        first_id,
                        reversed,
                        period_ms,
                        begin_ms,
                        states_time,
                        values,
                        lateness_ms,
                        fates,
                    }
                },
            )
    })
}

impl DevicePlan {
    /// Messages: when each comes, and its samples.
    fn messages(self) -> Vec<(u64, Vec<Sample>)> {
        let poll = |at: usize| {
            let due_ms = self.begin_ms + at as u64 * self.period_ms;
            let mono_ms = due_ms + self.lateness_ms[at];
            let received = BootStamp { boot: BOOT, mono_ms: 86_400_000 + mono_ms };
            let stamp = if self.states_time {
                Stamp::Wall(UtcMs(1_790_000_000_000 + due_ms.cast_signed()), WallSource::Device)
            } else {
                Stamp::Boot(received)
            };
            let mut samples = Vec::new();
            for (series, id) in (0..self.values.len()).zip(self.first_id..) {
                let (value, quality) = match self.fates[at][series] {
                    0 => (Some(self.values[series][at].clone()), Quality::GOOD),
                    1 => (None, Quality::bad(Reason::Exception)),
                    _ => continue,
                };
                samples.push(Sample { series: SeriesId(id), stamp, received, value, quality });
            }
            if self.reversed {
                samples.reverse();
            }
            (mono_ms, samples)
        };
        (0..self.lateness_ms.len()).map(poll).collect()
    }
}

/// What a site sends: devices read at their paces, with failures; sometimes messages overtake each other.
pub(crate) fn site_samples() -> impl Strategy<Value = Vec<Sample>> {
    let devices = (0u32..4).map(|n| device(n * 10)).collect::<Vec<_>>();
    (devices, proptest::collection::vec(0usize..1_000, 0..4)).prop_filter_map(
        "some samples",
        |(devices, swaps)| {
            let mut messages: Vec<_> = devices.into_iter().flat_map(DevicePlan::messages).collect();
            messages.sort_by_key(|(at, _)| *at);
            for swap in swaps {
                let at = swap % messages.len();
                let other = (at + 1 + swap % 3) % messages.len();
                messages.swap(at, other);
            }
            let samples: Vec<Sample> = messages.into_iter().flat_map(|(_, samples)| samples).collect();
            (!samples.is_empty()).then_some(samples)
        },
    )
}

/// Any samples.
pub(crate) fn any_samples() -> impl Strategy<Value = Vec<Sample>> {
    prop_oneof![site_samples(), wild_samples()]
}
