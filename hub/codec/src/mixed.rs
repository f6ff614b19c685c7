//! Columns whose values have several types. A series has one type for life, so this is for what should not happen, and
//! is kept plain.
//!
//! The types as whole numbers; then 1 bit whether the rest is zstd, and the length it unpacks to; then, from the next whole
//! byte to the column's end, the values one behind the other: f64, i64 and u64 in 8 bytes, f32 and enum in 4, bool in 1,
//! strings and bytes behind a length of 2.

use std::borrow::Cow;

use hub_model::{TEXT_BYTES_MAX, Value, ValueType};

use crate::bits::{BitReader, BitWriter};
use crate::error::{DecodeError, malformed};
use crate::ints;
use crate::pack::{pack, unpack};
use crate::text::Budget;

const MIXED: &str = "values of several types";

/// Writes values; there is at least one. Nothing may follow in the column.
pub(crate) fn put<'a>(
    w: &mut BitWriter,
    values: impl Iterator<Item = &'a Value>,
    scratch: &mut ints::Scratch,
) {
    let mut types = Vec::new();
    let mut bytes = Vec::new();
    for value in values {
        types.push(i64::from(value.value_type().number()));
        put_value(&mut bytes, value);
    }
    ints::put(w, &types, scratch);
    let packed = pack(&bytes);
    w.flag(packed.is_some());
    w.number(bytes.len() as u64);
    w.align();
    w.bytes(packed.as_deref().unwrap_or(&bytes));
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::F64(v) => out.extend(v.to_bits().to_le_bytes()),
        Value::F32(v) => out.extend(v.to_bits().to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Enum(v) => out.extend(v.to_le_bytes()),
        Value::String(v) => put_text(out, v.as_bytes()),
        Value::Bytes(v) => put_text(out, v),
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // The encoder refuses longer texts before it comes here.
    let length = u16::try_from(text.len()).expect("a text has at most 4096 bytes");
    out.extend(length.to_le_bytes());
    out.extend(text);
}

/// Reads `count` values. What they take is taken from `budget`.
pub(crate) fn read(
    mut r: BitReader<'_>,
    count: usize,
    budget: &mut Budget,
) -> Result<Vec<Value>, DecodeError> {
    let mut types = vec![0; count];
    ints::read(&mut r, &mut types, MIXED)?;
    let packed = r.flag();
    let length = r.number();
    budget.take(length)?;
    let length = usize::try_from(length).map_err(|_| DecodeError::Malformed(MIXED))?;
    let bytes = r.rest(MIXED)?;
    let bytes = if packed { Cow::Owned(unpack(bytes, length, MIXED)?) } else { Cow::Borrowed(bytes) };
    let mut rest = &bytes[..];
    let mut values = Vec::with_capacity(count);
    for number in types {
        let value_type = u8::try_from(number).ok().and_then(ValueType::from_number);
        let value_type = value_type.ok_or(DecodeError::Malformed("value type"))?;
        values.push(take_value(&mut rest, value_type).ok_or(DecodeError::Malformed(MIXED))?);
    }
    if rest.is_empty() && bytes.len() == length { Ok(values) } else { malformed(MIXED) }
}

fn take_value(rest: &mut &[u8], value_type: ValueType) -> Option<Value> {
    Some(match value_type {
        ValueType::F64 => Value::F64(f64::from_bits(u64::from_le_bytes(take(rest)?))),
        ValueType::F32 => Value::F32(f32::from_bits(u32::from_le_bytes(take(rest)?))),
        ValueType::I64 => Value::I64(i64::from_le_bytes(take(rest)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(take(rest)?)),
        ValueType::Bool => match take(rest)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        ValueType::Enum => Value::Enum(u32::from_le_bytes(take(rest)?)),
        ValueType::String => Value::String(std::str::from_utf8(take_text(rest)?).ok()?.into()),
        ValueType::Bytes => Value::Bytes(take_text(rest)?.into()),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_le_bytes(take(rest)?));
    let (text, left) = rest.split_at_checked(length)?;
    *rest = left;
    (length <= TEXT_BYTES_MAX).then_some(text)
}
