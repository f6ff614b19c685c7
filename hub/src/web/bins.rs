//! `/series?device=&metric=&step=`: readings summed up in bins of time, for charts. What was not read leaves no bin.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_chassis::config::parse_duration;
use hub_chassis::http::Problem;
use hub_chassis::time_text::format_utc;
use hub_model::{Series, SeriesId, UtcMs, Value};
use hub_store::Reading;
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::GapView;
use super::readings::DamagedView;

/// More than this is for an export; a screen has fewer pixels.
const BINS_MAX: i64 = 2_000;

/// The hub had it so much later than it was taken: it waited somewhere.
const BACKFILLED_AFTER_MS: i64 = 30_000;

/// The readings of a metric in bins of time. Only good readings that are numbers count; `true` is 1.
#[derive(Serialize, ToSchema)]
#[schema(as = Bins)]
pub(super) struct BinsView {
    pub(super) device: String,
    pub(super) device_id: String,
    pub(super) metric: String,
    /// How long a bin is. Bins begin at multiples of it since 1970.
    pub(super) step_ms: i64,
    /// One entry per series of the metric that holds numbers. By age.
    pub(super) series: Vec<BinColumns>,
    pub(super) gaps: Vec<GapView>,
    /// Pieces of time with readings that the hub had more than 30 s after they were taken, in whole bins.
    pub(super) backfilled: Vec<Piece>,
    /// Blocks that could not be read: their readings are left out of this answer.
    pub(super) damaged: Vec<DamagedView>,
}

/// A series as columns: one entry per bin that has readings, by time.
#[derive(Serialize, ToSchema)]
pub(super) struct BinColumns {
    id: u32,
    #[serde(rename = "type")]
    value_type: &'static str,
    unit: String,
    /// Where the bin begins.
    time: Vec<String>,
    min: Vec<f64>,
    max: Vec<f64>,
    /// Of its readings, whatever time lies between them.
    mean: Vec<f64>,
    /// How many readings it has.
    count: Vec<u64>,
}

/// A piece of time: `from` included, `to` not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Piece {
    from: String,
    to: String,
}

/// A span in bins of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) ms: i64,
}

impl Step {
    /// Reads `step`; the span it divides needs both ends.
    pub(super) fn new(text: &str, from: Option<UtcMs>, to: Option<UtcMs>) -> Result<Step, Problem> {
        let (Some(from), Some(to)) = (from, to) else {
            return Err(Problem::bad_parameter("step needs from and to as well"));
        };
        let step = parse_duration(text).map_err(|e| Problem::bad_parameter(format!("step={text}: {e}")))?;
        if step < Duration::from_secs(1) {
            return Err(Problem::bad_parameter(format!("step={text}: at least 1s")));
        }
        let ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let bins = to.0.div_euclid(ms) - from.0.div_euclid(ms);
        if bins >= BINS_MAX {
            let detail = format!(
                "step={text}: that makes more than {BINS_MAX} bins; take a longer step or a shorter span"
            );
            return Err(Problem::bad_parameter(detail));
        }
        Ok(Step { ms })
    }

    const fn bin(self, at: UtcMs) -> i64 {
        at.0.div_euclid(self.ms)
    }

    fn begin(self, bin: i64) -> String {
        format_utc(UtcMs(bin.saturating_mul(self.ms)))
    }
}

/// One bin.
#[derive(Clone, Copy, Debug)]
struct Sums {
    min: f64,
    max: f64,
    mean: f64,
    count: u64,
}

impl Sums {
    const NONE: Sums = Sums { min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, count: 0 };

    /// The mean moves towards each value, so that large ones do not swallow small ones in a sum.
    #[expect(clippy::cast_precision_loss, reason = "a bin of 2^53 readings does not come together")]
    fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
    }
}

/// Takes readings in any order. Holds at most as many bins as [`Step::new`] allows for each series.
#[derive(Debug)]
pub(super) struct Bins {
    step: Step,
    sums: BTreeMap<(SeriesId, i64), Sums>,
    late: BTreeSet<i64>,
}

impl Bins {
    pub(super) const fn new(step: Step) -> Bins {
        Bins { step, sums: BTreeMap::new(), late: BTreeSet::new() }
    }

    /// Takes a reading of the span; one that is bad, no number or without a time counts for nothing.
    pub(super) fn add(&mut self, reading: &Reading) {
        let Some(at) = reading.time.utc else { return };
        if reading.sample.quality.is_bad() {
            return;
        }
        let Some(value) = reading.sample.value.as_ref().and_then(number) else { return };
        let bin = self.step.bin(at);
        self.sums.entry((reading.sample.series, bin)).or_insert(Sums::NONE).add(value);
        if reading.received.utc.is_some_and(|received| received.0 - at.0 > BACKFILLED_AFTER_MS) {
            self.late.insert(bin);
        }
    }

    /// The bins of one series.
    pub(super) fn columns(&self, series: &Series) -> BinColumns {
        let range = (series.id, i64::MIN)..=(series.id, i64::MAX);
        let mut columns = BinColumns {
            id: series.id.0,
            value_type: series.key.value_type.name(),
            unit: series.key.unit.as_str().to_owned(),
            time: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
            mean: Vec::new(),
            count: Vec::new(),
        };
        for ((_, bin), sums) in self.sums.range(range) {
            columns.time.push(self.step.begin(*bin));
            columns.min.push(sums.min);
            columns.max.push(sums.max);
            columns.mean.push(sums.mean);
            columns.count.push(sums.count);
        }
        columns
    }

    /// Neighbouring bins with late readings are one piece.
    pub(super) fn backfilled(&self) -> Vec<Piece> {
        let mut pieces: Vec<(i64, i64)> = Vec::new();
        for bin in self.late.iter().copied() {
            match pieces.last_mut() {
                Some((_, to)) if *to == bin => *to = bin + 1,
                _ => pieces.push((bin, bin + 1)),
            }
        }
        pieces
            .into_iter()
            .map(|(from, to)| Piece { from: self.step.begin(from), to: self.step.begin(to) })
            .collect()
    }
}

/// A value as a number. Integers beyond 2^53 are rounded: this is for charts.
#[expect(clippy::cast_precision_loss, reason = "for charts")]
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::F64(value) => *value,
        Value::F32(value) => f64::from(*value),
        Value::I64(value) => *value as f64,
        Value::U64(value) => *value as f64,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Enum(_) | Value::String(_) | Value::Bytes(_) => return None,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{BootId, BootStamp, Class, ClockQuality, Quality, Resolved, Sample, Stamp};

    #[test]
    fn a_step_needs_a_span_and_makes_few_bins() {
        let step = |text, from, to| Step::new(text, from, to).map(|step| step.ms);
        let day = (Some(UtcMs(0)), Some(UtcMs(86_400_000)));
        assert_eq!(step("1min", day.0, day.1).ok(), Some(60_000));
        for text in ["", "x", "0s", "999ms", "43s", "-1s"] {
            assert!(step(text, day.0, day.1).is_err(), "{text}");
        }
        assert!(step("1min", None, day.1).is_err() && step("1min", day.0, None).is_err());
        assert!(step("100000h", Some(UtcMs(i64::MIN)), Some(UtcMs(i64::MAX))).is_err());
    }

    #[test]
    fn sums_do_not_depend_on_the_order_and_survive_great_numbers() {
        let mut sums = Sums::NONE;
        for value in [1e300, -1e300, 4.0, 2.0] {
            sums.add(value);
        }
        assert_eq!((sums.min, sums.max, sums.count), (-1e300, 1e300, 4));
        let mut still = Sums::NONE;
        (0..1_000).for_each(|_| still.add(0.1));
        assert_eq!(still.mean.to_bits(), 0.1_f64.to_bits());
    }

    #[test]
    fn bins_with_late_readings_are_told_as_pieces() {
        let at = |utc: i64| Resolved { utc: Some(UtcMs(utc)), quality: ClockQuality::Synced };
        let boot = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: 0 };
        let mut bins = Bins::new(Step { ms: 60_000 });
        for (taken, late_by) in
            [(0, 30_001), (60_000, 99_000), (120_000, 30_000), (180_000, 40_000), (-1, 40_000)]
        {
            let sample = Sample {
                series: SeriesId(1),
                stamp: Stamp::Boot(boot),
                received: boot,
                value: Some(Value::F64(1.0)),
                quality: Quality::GOOD,
            };
            let (time, received) = (at(taken), at(taken + late_by));
            bins.add(&Reading { seq: 0, class: Class::Telemetry, sample, time, received });
        }
        let pieces: Vec<_> = bins.backfilled().into_iter().map(|piece| (piece.from, piece.to)).collect();
        let time = |minute: i64| format_utc(UtcMs(minute * 60_000));
        assert_eq!(pieces, [(time(-1), time(2)), (time(3), time(4))]);
    }

    #[test]
    fn what_is_no_number_counts_for_nothing() {
        assert_eq!(number(&Value::Bool(true)), Some(1.0));
        assert_eq!(number(&Value::I64(-3)), Some(-3.0));
        assert_eq!(number(&Value::F64(f64::NAN)), None);
        assert_eq!(number(&Value::F32(f32::INFINITY)), None);
        assert_eq!(number(&Value::string("7").unwrap()), None);
    }
}
