//! The column of one series: which of its samples have which quality and a value, and the values.
//!
//! | bits | field |
//! |---|---|
//! | 4 | type of the values: numbers of [`ValueType`], 0 no values, 9 values of several types |
//! | 1 | whether states follow; without, every sample is good and has a value |
//! | | states: number of runs; per run its length, the quality (16 bits), 1 bit whether there are values |
//! | | the values that there are: bool, enum, i64 and u64 as whole numbers, the others as their modules say |

use hub_model::{Quality, Sample, Value, ValueType};

use crate::bits::{BitReader, BitWriter};
use crate::error::{DecodeError, malformed};
use crate::mixed;
use crate::text::{Budget, Texts};
use crate::{floats, ints, text};

/// The type of a column without values.
const NOTHING: u32 = 0;
/// The type of a column whose values have several.
const MIXED: u32 = 9;
const TYPE_BITS: u32 = 4;
const QUALITY_BITS: u32 = 16;

const VALUES: &str = "values";

/// What is known of a series' samples before they are written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// One bit per number of a value type that occurs; bit 0 for samples without a value.
    types: u16,
    /// Whether a quality is not plainly good.
    qualities: bool,
}

impl Traits {
    #[inline]
    pub(crate) fn take(&mut self, sample: &Sample) {
        self.types |= 1 << sample.value.as_ref().map_or(0, |value| value.value_type().number());
        self.qualities |= sample.quality != Quality::GOOD;
    }

    const fn has_states(self) -> bool {
        self.qualities || self.types & 1 != 0
    }

    /// The one type of all values: `Err` when there are several, `Ok(None)` when there is no value.
    fn value_type(self) -> Result<Option<ValueType>, ()> {
        let with_value = self.types & !1;
        match with_value.count_ones() {
            0 => Ok(None),
            1 => Ok(ValueType::ALL.into_iter().find(|t| with_value == 1 << t.number())),
            _ => Err(()),
        }
    }
}

/// A value as 64 bits: what a column of its type is made of. Texts have none and are looked up.
#[inline]
pub(crate) fn raw(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::F64(v)) => v.to_bits().cast_signed(),
        Some(Value::F32(v)) => i64::from(v.to_bits()),
        Some(Value::I64(v)) => *v,
        Some(Value::U64(v)) => v.cast_signed(),
        Some(Value::Bool(v)) => i64::from(*v),
        Some(Value::Enum(v)) => i64::from(*v),
        Some(Value::String(_) | Value::Bytes(_)) | None => 0,
    }
}

/// Writes the column of a series; `raws` are the [`raw`]s of its samples, of which there is at least one.
pub(crate) fn put<'a>(
    w: &mut BitWriter,
    traits: Traits,
    raws: &[i64],
    samples: impl Iterator<Item = &'a Sample> + Clone,
    scratch: &mut floats::Scratch,
) {
    let value_type = traits.value_type();
    let number = match value_type {
        Ok(Some(value_type)) => u32::from(value_type.number()),
        Ok(None) => NOTHING,
        Err(()) => MIXED,
    };
    w.bits(u64::from(number), TYPE_BITS);
    w.flag(traits.has_states());
    if traits.has_states() {
        put_states(w, samples.clone());
    }
    match value_type {
        Ok(None) => {}
        Ok(Some(ValueType::String | ValueType::Bytes)) => {
            let texts: Vec<&[u8]> = samples.filter_map(|sample| bytes_of(sample.value.as_ref())).collect();
            text::put(w, &texts, &mut scratch.ints);
        }
        Ok(Some(value_type)) if traits.types & 1 != 0 => {
            let present = raws.iter().zip(samples).filter(|(_, sample)| sample.value.is_some());
            let present: Vec<i64> = present.map(|(raw, _)| *raw).collect();
            put_raws(w, value_type, &present, scratch);
        }
        Ok(Some(value_type)) => put_raws(w, value_type, raws, scratch),
        Err(()) => mixed::put(w, samples.filter_map(|sample| sample.value.as_ref()), &mut scratch.ints),
    }
}

fn put_raws(w: &mut BitWriter, value_type: ValueType, raws: &[i64], scratch: &mut floats::Scratch) {
    match value_type {
        ValueType::F64 => floats::put_f64(w, raws, scratch),
        ValueType::F32 => floats::put_f32(w, raws, scratch),
        ValueType::I64
        | ValueType::U64
        | ValueType::Bool
        | ValueType::Enum
        | ValueType::String
        | ValueType::Bytes => ints::put(w, raws, &mut scratch.ints),
    }
}

fn bytes_of(value: Option<&Value>) -> Option<&[u8]> {
    match value {
        Some(Value::String(text)) => Some(text.as_bytes()),
        Some(Value::Bytes(bytes)) => Some(bytes),
        Some(
            Value::F64(_) | Value::F32(_) | Value::I64(_) | Value::U64(_) | Value::Bool(_) | Value::Enum(_),
        )
        | None => None,
    }
}

fn put_states<'a>(w: &mut BitWriter, samples: impl Iterator<Item = &'a Sample>) {
    let mut runs: Vec<(u64, Quality, bool)> = Vec::new();
    for sample in samples {
        let state = (sample.quality, sample.value.is_some());
        match runs.last_mut() {
            Some((length, quality, present)) if (*quality, *present) == state => *length += 1,
            _ => runs.push((1, state.0, state.1)),
        }
    }
    w.number(runs.len() as u64);
    for (length, quality, present) in runs {
        w.number(length);
        w.bits(u64::from(quality.bits()), QUALITY_BITS);
        w.flag(present);
    }
}

/// A column that was read; the raw values stand where the caller wanted them.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    pub(crate) values: Values<'a>,
    /// Empty when every sample is good and has a value.
    pub(crate) states: Vec<State>,
}

/// How a raw value becomes a [`Value`].
#[derive(Debug)]
pub(crate) enum Values<'a> {
    /// There is none.
    Nothing,
    /// The raw value is the value.
    Plain(ValueType),
    /// The raw value is the place among the texts.
    Texts(Texts<'a>),
    /// The values stand here, in order.
    Mixed(Vec<Value>),
}

/// A run of samples with one quality that all have a value, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// One past the last sample of the run.
    pub(crate) end: usize,
    pub(crate) quality: Quality,
    pub(crate) has_value: bool,
}

impl<'a> Column<'a> {
    /// Reads the column of as many samples as `out` has room for.
    pub(crate) fn read(
        mut r: BitReader<'a>,
        out: &mut [i64],
        budget: &mut Budget,
    ) -> Result<Column<'a>, DecodeError> {
        let number = r.small(TYPE_BITS);
        let states = if r.flag() { read_states(&mut r, out.len())? } else { Vec::new() };
        let out = present_part(out, &states);
        if number == NOTHING || number == MIXED {
            let values = if number == MIXED {
                Values::Mixed(mixed::read(r, out.len(), budget)?)
            } else if out.is_empty() {
                r.finish("column")?;
                Values::Nothing
            } else {
                return malformed("column without values");
            };
            return Ok(Column { values, states });
        }
        let value_type = u8::try_from(number).ok().and_then(ValueType::from_number);
        let value_type = value_type.ok_or(DecodeError::Malformed("value type"))?;
        if matches!(value_type, ValueType::String | ValueType::Bytes) {
            let texts = Texts::read(r, value_type == ValueType::String, out, budget)?;
            return Ok(Column { values: Values::Texts(texts), states });
        }
        read_raws(&mut r, value_type, out)?;
        r.finish("column")?;
        Ok(Column { values: Values::Plain(value_type), states })
    }
}

fn read_raws(r: &mut BitReader<'_>, value_type: ValueType, out: &mut [i64]) -> Result<(), DecodeError> {
    let highest = match value_type {
        ValueType::F64 => return floats::read_f64(r, out),
        ValueType::F32 => return floats::read_f32(r, out),
        ValueType::I64 | ValueType::U64 => return ints::read(r, out, VALUES),
        ValueType::Bool => 1,
        ValueType::Enum => i64::from(u32::MAX),
        ValueType::String | ValueType::Bytes => return malformed(VALUES),
    };
    ints::read(r, out, VALUES)?;
    let within = out.iter().all(|raw| (0..=highest).contains(raw));
    if within { Ok(()) } else { malformed("value outside of its type") }
}

/// Room for the values that there are.
fn present_part<'o>(out: &'o mut [i64], states: &[State]) -> &'o mut [i64] {
    if states.is_empty() {
        return out;
    }
    let mut begin = 0;
    let mut present = 0;
    for state in states {
        if state.has_value {
            present += state.end - begin;
        }
        begin = state.end;
    }
    out.get_mut(..present).unwrap_or_default()
}

fn read_states(r: &mut BitReader<'_>, count: usize) -> Result<Vec<State>, DecodeError> {
    const STATES: &str = "states";
    let runs = r.number_upto(count, STATES)?;
    let mut states = Vec::with_capacity(runs);
    let mut end = 0;
    for _ in 0..runs {
        let length = r.number_upto(count - end, STATES)?;
        if length == 0 {
            return malformed(STATES);
        }
        end += length;
        let quality = u16::try_from(r.small(QUALITY_BITS)).ok().and_then(Quality::from_bits);
        let quality = quality.ok_or(DecodeError::Malformed("quality"))?;
        states.push(State { end, quality, has_value: r.flag() });
    }
    if end == count { Ok(states) } else { malformed(STATES) }
}

/// The value that a raw value of this type stands for; it was checked when it was read. `None` for texts, which are
/// looked up.
#[inline]
pub(crate) fn plain_value(value_type: ValueType, raw: i64) -> Option<Value> {
    Some(match value_type {
        ValueType::F64 => Value::F64(f64::from_bits(raw.cast_unsigned())),
        ValueType::F32 => Value::F32(f32::from_bits(low_32(raw))),
        ValueType::I64 => Value::I64(raw),
        ValueType::U64 => Value::U64(raw.cast_unsigned()),
        ValueType::Bool => Value::Bool(raw != 0),
        ValueType::Enum => Value::Enum(low_32(raw)),
        ValueType::String | ValueType::Bytes => return None,
    })
}

/// The low 32 bits of a raw value.
#[inline]
pub(crate) const fn low_32(raw: i64) -> u32 {
    (raw.cast_unsigned() & 0xffff_ffff) as u32
}
