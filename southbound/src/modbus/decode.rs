//! From the bits and words of an answer to a reading: ordered, checked for "no reading", scaled, checked for range.

use hub_model::{Quality, Reason, Value};

use super::register::{DataType, Register};

/// What a register said.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// `None` when there is none; the quality says why.
    pub value: Option<Value>,
    /// How far to trust it.
    pub quality: Quality,
}

impl Reading {
    /// A reading that failed.
    pub fn failed(quality: Quality) -> Reading {
        Reading { value: None, quality }
    }

    fn bad(reason: Reason) -> Reading {
        Reading::failed(Quality::bad(reason))
    }

    fn good(value: Value) -> Reading {
        Reading { value: Some(value), quality: Quality::GOOD }
    }
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Of coils and discrete inputs.
    Bits(Vec<bool>),
    /// Of holding and input registers.
    Words(Vec<u16>),
}

impl Data {
    /// How many bits or words there are.
    pub fn len(&self) -> usize {
        match self {
            Data::Bits(bits) => bits.len(),
            Data::Words(words) => words.len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Decodes a register out of an answer that begins at address `start` of its table.
///
/// # Panics
/// When the answer does not hold the register: what was asked for was checked before.
pub fn decode(register: &Register, data: &Data, start: u16) -> Reading {
    let at = usize::from(register.place.address.checked_sub(start).expect("the register is in the answer"));
    match data {
        Data::Bits(bits) => Reading::good(Value::Bool(bits[at])),
        Data::Words(words) => decode_words(register, &words[at..at + usize::from(register.data.count())]),
    }
}

fn decode_words(register: &Register, words: &[u16]) -> Reading {
    let wire: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    if let DataType::String { .. } = register.data {
        return text(register, &wire);
    }
    let arranged = register.order.arrange(&wire);
    let raw = u64::from_be_bytes(arranged) >> (64 - 8 * wire.len());
    match register.data {
        DataType::Bool { bit } => Reading::good(Value::Bool((raw >> bit) & 1 == 1)),
        DataType::Bits { from, to } => {
            let width = u32::from(to - from) + 1;
            number(register, (raw >> from) & ((1 << width) - 1))
        }
        DataType::U16
        | DataType::I16
        | DataType::U32
        | DataType::I32
        | DataType::U64
        | DataType::I64
        | DataType::F32
        | DataType::F64 => number(register, raw),
        DataType::String { .. } => Reading::bad(Reason::Malformed),
    }
}

/// `raw` holds the register's bits in its low end.
#[expect(clippy::cast_possible_truncation, reason = "each type takes its own bits")]
#[expect(clippy::cast_precision_loss, reason = "a scaled number is a double")]
fn number(register: &Register, raw: u64) -> Reading {
    if register.invalid.contains(&raw) {
        return Reading::bad(Reason::NotReported);
    }
    let (plain, double) = match register.data {
        DataType::I16 => signed(i64::from(raw as u16 as i16)),
        DataType::I32 => signed(i64::from(raw as u32 as i32)),
        DataType::I64 => signed(raw as i64),
        DataType::F32 => {
            let float = f32::from_bits(raw as u32);
            (Value::F32(float), float.into())
        }
        DataType::F64 => (Value::F64(f64::from_bits(raw)), f64::from_bits(raw)),
        DataType::U16
        | DataType::U32
        | DataType::U64
        | DataType::Bits { .. }
        | DataType::Bool { .. }
        | DataType::String { .. } => (Value::U64(raw), raw as f64),
    };
    if double.is_nan() {
        return Reading::bad(Reason::NotReported);
    }
    let measured = register.scale.apply(double);
    let (above, below) = (register.limits.min, register.limits.max);
    if measured.is_infinite()
        || above.is_some_and(|min| measured < min)
        || below.is_some_and(|max| measured > max)
    {
        return Reading::bad(Reason::OutOfRange);
    }
    Reading::good(if register.scale.is_identity() { plain } else { Value::F64(measured) })
}

#[expect(clippy::cast_precision_loss, reason = "only a scaled number becomes a double")]
fn signed(number: i64) -> (Value, f64) {
    (Value::I64(number), number as f64)
}

fn text(register: &Register, wire: &[u8]) -> Reading {
    let mut bytes = wire.to_vec();
    if register.order.swaps_bytes() {
        bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return Reading::bad(Reason::Malformed) };
    Value::string(text.trim_end()).map_or_else(|_| Reading::bad(Reason::Malformed), Reading::good)
}

#[cfg(test)]
mod tests;
